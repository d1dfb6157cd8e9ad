"""Sections 3 to 10 of docs/wire-format.md: payloads, governance, the set, approvals, entries."""
from .blake3 import H, b3
from .ed25519 import admit
from .notes import Checkpoint, parse_vkey, valid_ed25519
from .reader import (
    HIDDEN, KIND, ORIGIN, SIGNER_ID, Invalid, ascending, canonical, is_base64, is_hash, is_id, is_integer,
    is_list, is_time, matches, members, millis, must, read_json,
)


# --- Payloads and governance, sections 4 and 5 ---

COMMON = ("schema_version", "type", "origin", "created_at", "expires_at", "note")
FURTHER = {
    "genesis": ("governance",),
    "descriptors": ("registry", "changes"),
    "governance": ("registry", "governance", "replaces"),
    "supersede": ("registry", "supersedes", "reason", "changes"),
    "erase": ("registry", "erases", "version", "reason"),
}
REASONS = {
    "supersede": ("KeyCompromise", "DataError", "GovernanceAction", "Other"),
    "erase": ("PersonalData", "Secret", "LegalOrder", "Other"),
}
ERASABLE = ("descriptors", "supersede")


def read_payload(data):
    must(len(data) <= 1024 * 1024, "too_large")
    payload = read_json(data)
    must(isinstance(payload, dict) and payload.get("type") in list(FURTHER), "type")
    kind = payload["type"]
    further = FURTHER[kind] + (("previous",) if kind == "genesis" and "previous" in payload else ())
    members(payload, *COMMON, *further)
    must(payload["schema_version"] == "1.0.0", "schema_version")
    matches(payload["origin"], ORIGIN, 255)
    must(isinstance(payload["note"], str) and len(payload["note"]) <= 1024, "note")
    must(not HIDDEN.search(payload["note"]), "note with hidden characters")
    life = millis(is_time(payload["expires_at"])) - millis(is_time(payload["created_at"]))
    must(0 < life <= 30 * 24 * 3600 * 1000, "at most 30 days")
    if kind != "genesis":
        is_hash(payload["registry"])
    if "governance" in payload:
        check_governance(payload["governance"], payload["origin"])
    if "previous" in payload:
        check_previous(payload["previous"], payload["origin"])
    if kind == "governance":
        is_hash(payload["replaces"])
    if kind == "supersede":
        is_hash(payload["supersedes"])
    if kind == "erase":
        is_hash(payload["erases"])
        is_integer(payload["version"], 1)
    if "reason" in payload:
        must(payload["reason"] in REASONS[kind], "reason")
    if "changes" in payload:
        for change in is_list(payload["changes"], int(kind == "descriptors"), 10_000):
            check_change(change)
        ascending([(c["kind"], c["id"]) for c in payload["changes"]])
    return payload


def check_previous(previous, new_origin):
    note, governance, origin, registry = members(previous, "checkpoint", "governance", "origin", "registry")
    matches(origin, ORIGIN, 255)
    must(origin != new_origin, "another origin than the new one")
    must(isinstance(note, str), "a note")
    checkpoint = Checkpoint(note)
    must(checkpoint.origin == origin and checkpoint.size > 0, "a checkpoint of the old log")
    check_governance(governance, origin)
    is_hash(registry)


def check_change(change):
    must(isinstance(change, dict) and change.get("op") in ("put", "remove"), "op")
    is_put = change["op"] == "put"
    members(change, "op", "kind", "id", "replaces", *(("spec",) if is_put else ()))
    matches(change["kind"], KIND)
    is_id(change["id"])
    if not (is_put and change["replaces"] is None):
        is_hash(change["replaces"])
    must(not is_put or isinstance(change["spec"], dict), "spec")


def check_governance(governance, origin):
    log_keys, signers, threshold, version = members(
        governance, "log_keys", "signers", "threshold", "version"
    )
    keys = []
    for signer in is_list(signers, 1, 255):
        algo, public_key, signer_id = members(signer, "algo", "public_key", "signer_id")
        must(algo == "ed25519", "algo")
        matches(signer_id, SIGNER_ID, 128)
        keys.append(is_base64(public_key, 32))
    ascending([signer["signer_id"] for signer in signers])
    must(len(set(keys)) == len(keys), "one key for each signer")
    is_integer(threshold, 1, len(signers))
    is_integer(version, 1)
    must(all(isinstance(text, str) for text in is_list(log_keys, 1, 4)), "log keys")
    must(len(set(log_keys)) == len(log_keys), "each log key once")
    parsed = [parse_vkey(text) for text in log_keys]
    must(all(name == origin and kind in (1, 6) for name, _, kind, _ in parsed), "log keys of the origin")
    must(any(kind == 1 for _, _, kind, _ in parsed), "an ed25519 log key")
    must(not set(keys) & {key for *_, key in parsed}, "log keys are no signer keys")


# --- Set, section 3. A set is a dict from path to value hash, both bytes ---

ZERO = bytes(32)


def bit(path, depth):
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def set_root(descriptors, depth=0):
    if len(descriptors) == 0:
        return ZERO
    if len(descriptors) == 1:
        return H(b"\0" + descriptors[0][0] + descriptors[0][1])
    sides = [[d for d in descriptors if bit(d[0], depth) == side] for side in (0, 1)]
    return H(b"\1" + set_root(sides[0], depth + 1) + set_root(sides[1], depth + 1))


def path_of(kind, name):
    return H((kind + "/" + name).encode())


def value_hash(descriptor):
    spec = {name: descriptor[name] for name in ("id", "kind", "spec")}
    return H(canonical(spec).encode())


def from_hash(text):
    return bytes.fromhex(is_hash(text)[3:])


def check_set_proof(root, path, proof):
    """The value hash at `path`, None when absent; Invalid when the proof shows neither."""
    leaf, siblings = members(proof, "leaf", "siblings")
    siblings = [from_hash(text) for text in is_list(siblings, 0, 256)]
    node, found = ZERO, None
    if leaf is not None:
        at, value = map(from_hash, members(leaf, "path", "value_hash"))
        must(all(bit(at, i) == bit(path, i) for i in range(len(siblings))), "a leaf on the way")
        node, found = H(b"\0" + at + value), value if at == path else None
    for depth in reversed(range(len(siblings))):
        pair = (siblings[depth], node) if bit(path, depth) else (node, siblings[depth])
        node = H(b"\1" + pair[0] + pair[1])
    must(node == root, "a proof that leads to the set root")
    return found


# --- Approvals and quorum, sections 6 and 8 ---


def read_approvals(data):
    approvals = is_list(read_json(data), 1, 510)
    for approval in approvals:
        algo, sig, signer_id, signed_at = members(approval, "algo", "sig", "signer_id", "signed_at")
        must(algo == "ed25519", "algo")
        is_base64(sig, 64)
        matches(signer_id, SIGNER_ID, 128)
        is_time(signed_at)
    ascending([approval["signer_id"] for approval in approvals])
    return approvals


def keys_of(governance):
    return {s["signer_id"]: s["public_key"] for s in governance["signers"]}


def eligible(payload, current):
    keys = keys_of(payload["governance"]) if "governance" in payload else {}
    older = payload.get("previous", {}).get("governance") if payload["type"] == "genesis" else current
    return {**keys, **keys_of(older)} if older else keys


def check_quorum(payload, current, approved):
    """`approved`: the keys whose approvals verified."""
    if payload["type"] == "genesis":
        must(set(keys_of(payload["governance"]).values()) <= approved, "quorum: every signer")
        if "previous" in payload:
            previous = payload["previous"]["governance"]
            count = len(set(keys_of(previous).values()) & approved)
            must(count >= previous["threshold"], "quorum: the log before")
        return
    old = set(keys_of(current).values())
    must(len(old & approved) >= current["threshold"], "quorum: the governance in force")
    if payload["type"] == "governance":
        new = set(keys_of(payload["governance"]).values())
        must(len(new & approved) >= payload["governance"]["threshold"], "quorum: the new governance")
        must(new - old <= approved, "quorum: every key that enters")


# --- The chain, sections 9 and 10 ---

SKEW = 5 * 60 * 1000
LEAF = ("approvals_b3", "committed_at", "governance_version", "origin", "payload_b3", "payload_bytes",
        "prev_hash", "schema_version", "set_root", "set_size", "type", "version")


def read_leaf(data):
    leaf = read_json(data)
    members(leaf, *LEAF)
    for name in ("approvals_b3", "payload_b3", "set_root"):
        is_hash(leaf[name])
    must(leaf["prev_hash"] is None or is_hash(leaf["prev_hash"]), "prev_hash")
    for name, least in (("governance_version", 1), ("payload_bytes", 1), ("set_size", 0), ("version", 0)):
        is_integer(leaf[name], least)
    is_time(leaf["committed_at"])
    matches(leaf["origin"], ORIGIN, 255)
    must(leaf["schema_version"] == "1.0.0" and leaf["type"] in list(FURTHER), "schema_version and type")
    return leaf


class Registry:
    """The state of section 10. `audit` takes it over one entry, or raises Invalid and leaves it.

    `hashes`: the set by its hashes, {version: items} as section 20 serves them, for where it is not known.
    """

    def __init__(self, hashes=None):
        self.hashes, self.pruned, self.waiting = hashes or {}, 0, {}
        self.root, self.size = ZERO, 0  # of the set, which is None while only these are known
        self.registry = self.origin = self.entry_hash = self.governance = None
        self.version, self.committed_at = -1, ""
        self.signer_keys, self.set, self.seen = {}, {}, set()
        self.past, self.erased = [], {}  # (entry hash, type) of each version; which entry erased it

    def audit(self, leaf_bytes, payload_bytes, approval_bytes):
        if payload_bytes == b"null":
            return self.follow(leaf_bytes, approval_bytes)
        leaf = read_leaf(leaf_bytes)
        committed_at = leaf["committed_at"]
        payload, payload_b3 = read_payload(payload_bytes), b3(payload_bytes)
        approvals = read_approvals(approval_bytes)
        must(leaf["version"] != self.version + 1 or leaf["prev_hash"] == self.entry_hash, "fork")

        is_genesis = payload["type"] == "genesis"
        registry = payload_b3 if is_genesis else payload["registry"]
        must(is_genesis == (self.version == -1), "a genesis first and only then")
        must(is_genesis or (payload["origin"], registry) == (self.origin, self.registry), "wrong registry")
        approved = self.check_approvals(payload, payload_b3, registry, approvals, committed_at)
        self.check_keys(payload)
        must(payload_b3 not in self.seen, "replayed")
        must(self.committed_at <= committed_at <= payload["expires_at"], "time")
        check_quorum(payload, self.governance, approved)
        governance = self.succeed(payload)
        self.check_erasure(payload)
        descriptors = self.change(payload)
        root = self.root if descriptors is None else set_root(list(descriptors.items()))
        size = self.size if descriptors is None else len(descriptors)

        expected = {
            "approvals_b3": b3(approval_bytes),
            "committed_at": committed_at,
            "governance_version": 1 if is_genesis else self.governance["version"],
            "origin": payload["origin"],
            "payload_b3": payload_b3,
            "payload_bytes": len(payload_bytes),
            "prev_hash": self.entry_hash,
            "schema_version": "1.0.0",
            "set_root": "b3:" + root.hex(),
            "set_size": size,
            "type": payload["type"],
            "version": self.version + 1,
        }
        must(canonical(expected).encode() == leaf_bytes, "the leaf that payload and approvals give")
        self.registry, self.origin, self.governance = registry, payload["origin"], governance
        self.version, self.committed_at, self.entry_hash = self.version + 1, committed_at, b3(leaf_bytes)
        self.signer_keys.update({**self.keys_before(payload), **keys_of(governance)})
        self.set, self.root, self.size = descriptors, root, size
        self.seen.add(payload_b3)
        self.past.append((self.entry_hash, payload["type"]))
        if payload["type"] == "erase":
            self.erased[int(payload["version"])] = self.version
            self.waiting.pop(int(payload["version"]), None)

    def follow(self, leaf_bytes, approval_bytes=None):
        """Section 20: an entry without its payload, and one that was pruned without its approvals."""
        leaf = read_leaf(leaf_bytes)
        must(self.governance is not None, "a genesis first")
        expected = (self.version + 1, self.entry_hash, self.origin, self.governance["version"])
        given = tuple(leaf[name] for name in ("version", "prev_hash", "origin", "governance_version"))
        must(given == expected, "a leaf that follows")
        must(leaf["type"] not in ("genesis", "governance"), "a type that sets no governance")
        must(self.committed_at <= leaf["committed_at"], "time")
        must(leaf["payload_b3"] not in self.seen, "replayed")
        must((leaf["set_size"] == 0) == (from_hash(leaf["set_root"]) == ZERO), "set_size and set_root")
        if approval_bytes is None:
            self.pruned += 1
        else:
            must(leaf["type"] in ERASABLE, "descriptors or supersede")
            must(leaf["approvals_b3"] == b3(approval_bytes), "approvals_b3")
            self.check_erased_approvals(leaf, read_approvals(approval_bytes))
            self.waiting[self.version + 1] = b3(leaf_bytes)
        self.version, self.committed_at, self.entry_hash = self.version + 1, leaf["committed_at"], b3(leaf_bytes)
        self.set, self.root, self.size = None, from_hash(leaf["set_root"]), int(leaf["set_size"])
        self.seen.add(leaf["payload_b3"])
        self.past.append((self.entry_hash, leaf["type"]))

    def check_erased_approvals(self, leaf, approvals):
        keys, approved = keys_of(self.governance), set()
        for approval in approvals:
            public_key = keys.get(approval["signer_id"])
            must(public_key is not None, "unknown signer " + approval["signer_id"])
            lines = ("quorate/approval/v1", self.origin, self.registry, leaf["payload_b3"], approval["signed_at"])
            message = "".join(line + "\n" for line in lines).encode()
            signature = is_base64(approval["sig"], 64)
            must(valid_ed25519(is_base64(public_key, 32), message, signature), "signature")
            must(millis(approval["signed_at"]) <= millis(leaf["committed_at"]) + SKEW, "signed in time")
            approved.add(public_key)
        must(len(approved) >= self.governance["threshold"], "quorum: the governance in force")

    def known_set(self):
        """The set after the state's version, by its hashes where an entry before was gone."""
        if self.set is not None:
            return self.set
        items = self.hashes.get(self.version)
        must(items is not None, "the hashes of the set at version %d" % self.version)
        found = {from_hash(item["path"]): from_hash(item["value_hash"]) for item in items}
        must(len(found) == len(items) == self.size, "as many hashes as the leaf says")
        must(set_root(list(found.items())) == self.root, "the hashes of the set root")
        return found

    def check_approvals(self, payload, payload_b3, registry, approvals, committed_at):
        keys, approved = eligible(payload, self.governance), set()
        for approval in approvals:
            public_key = keys.get(approval["signer_id"])
            must(public_key is not None, "unknown signer " + approval["signer_id"])
            lines = ("quorate/approval/v1", payload["origin"], registry, payload_b3, approval["signed_at"])
            message = "".join(line + "\n" for line in lines).encode()
            signature = is_base64(approval["sig"], 64)
            must(valid_ed25519(is_base64(public_key, 32), message, signature), "signature")
            signed = millis(approval["signed_at"])
            earliest = millis(payload["created_at"]) - SKEW
            must(earliest <= signed <= millis(committed_at) + SKEW, "signed in time")
            approved.add(public_key)
        return approved

    def check_keys(self, payload):
        if "governance" not in payload:
            return
        known = set(keys_of(self.governance).values()) if self.governance else set()
        for key in set(keys_of(payload["governance"]).values()) - known:
            must(admit(is_base64(key, 32)), "a signer key of prime order")
        for text in payload["governance"]["log_keys"]:
            _, _, kind, key = parse_vkey(text)
            must(kind == 6 or admit(key), "a log key of prime order")

    def succeed(self, payload):
        if "governance" not in payload:
            return self.governance
        governance = payload["governance"]
        version = self.governance["version"] if self.governance else 0
        must(governance["version"] == version + 1, "governance version")
        if self.governance:
            must(payload["replaces"] == b3(canonical(self.governance).encode()), "governance fence")
        known = {**self.signer_keys, **self.keys_before(payload)}
        for signer_id, key in keys_of(governance).items():
            must(known.get(signer_id, key) == key, "an id keeps its key")
        return governance

    @staticmethod
    def keys_before(payload):
        return keys_of(payload["previous"]["governance"]) if "previous" in payload else {}

    def check_erasure(self, payload):
        if payload["type"] != "erase":
            return
        version = int(payload["version"])
        must(version <= self.version, "erases an earlier entry")
        entry_hash, kind = self.past[version]
        must(entry_hash == payload["erases"], "erases the entry of that version")
        must(kind in ERASABLE, "erases descriptors or supersede")
        must(version not in self.erased, "erases an entry once")

    def change(self, payload):
        if payload["type"] == "supersede":
            must(payload["supersedes"] == self.entry_hash, "supersedes the head")
        if not payload.get("changes"):
            return self.set
        before = self.known_set()
        descriptors = dict(before)
        for change in payload["changes"]:
            path = path_of(change["kind"], change["id"])
            fence = change["replaces"] and from_hash(change["replaces"])
            must(before.get(path) == fence, "fence of %s/%s" % (change["kind"], change["id"]))
            if change["op"] == "put":
                descriptors[path] = value_hash(change)
            else:
                del descriptors[path]
        return descriptors

    def summary(self):
        must(not self.waiting, "an entry that erases version %s" % list(self.waiting))
        return {
            "committed_at": self.committed_at,
            "entry_hash": self.entry_hash,
            "governance_version": int(self.governance["version"]) if self.governance else 0,
            "origin": self.origin,
            "registry": self.registry,
            "set_root": "b3:" + self.root.hex(),
            "set_size": self.size,
            "version": self.version,
        }
