#!/usr/bin/env python3
"""A second verifier, written from docs/wire-format.md with nothing but Python's standard library.

It shares no code with the implementation: its own BLAKE3, Ed25519, ML-DSA, canonical JSON, set tree and
log tree. Slow and plain on purpose. Section numbers in comments are those of the document.

  verify.py registry DIR [POLICY]       audit a log as files: entries.ndjson, checkpoint, tile/..., hashes/VERSION
  verify.py bundle FILE PIN [POLICY]    verify a bundle from the registry or entry hash that is pinned
  verify.py proof FILE LEAF VKEY [POLICY]  verify a tlog-proof of the leaf bytes in a file
  verify.py evidence FILE VKEY...       say whether the holders of these keys made two histories
  verify.py ndjson FILE                 audit entries alone, one a line, from genesis; - reads standard input
  verify.py erased FILE                 audit erase-vectors.json: whole, erased, and pruned
  verify.py vectors FILE                audit wire-vectors.json: entries, roots, checkpoint, set proofs
  verify.py tlog FILE                   audit tlog-vectors.json: trees, proofs, tiles, notes
  verify.py cases FILE                  print the verdict on each of many small cases (see CASES)
  verify.py payloads FILE               print whether each payload, in hex, is well-formed
  verify.py ed25519 FILE                print the verdict of QV1 on each [public key, message, signature] in hex
  verify.py numbers COUNT               print the SHA-256 of COUNT generated numbers in canonical form
"""
import base64
import hashlib
import json
import math
import os
import struct
import sys

sys.dont_write_bytecode = True

from verifier.ed25519 import is_valid_signature
from verifier.mldsa import is_valid_mldsa
from verifier.notes import Checkpoint, Policy, parse_vkey
from verifier.offline import check_bundle, check_descriptor, check_evidence, check_proof, parse_proof
from verifier.reader import Invalid, canonical, canonical_number, members, must, to_double
from verifier.rules import Registry, check_set_proof, path_of, read_payload, set_root, value_hash
from verifier.tree import (
    fold_inclusion, leaf_hash, parse_tile_path, split_bundle, tile_bytes, tile_path, tile_width,
    tiles_of, tree_root, verify_consistency,
)


# --- Commands ---


def read_file(path):
    with open(0 if path == "-" else path, "rb") as file:
        return file.read()


def read_text(path):
    try:
        return read_file(path).decode("utf-8")
    except UnicodeError as error:
        raise Invalid("malformed: %s" % error)


def read_policy(rest):
    return Policy(read_text(rest[0])) if rest else None


def entries_of(lines):
    """(leaf, payload, approvals) of each line, as bytes."""
    for line in lines:
        try:
            entry = json.loads(line, parse_float=to_double, parse_int=to_double)
            written = canonical(entry).encode()
        except (ValueError, RecursionError) as error:
            raise Invalid("malformed: %s" % error)
        members(entry, "approvals", "leaf", "payload")
        must(written == line, "a canonical line")
        yield tuple(canonical(entry[part]).encode() for part in ("leaf", "payload", "approvals"))


def split_lines(data):
    return data.rstrip(b"\n").split(b"\n")


def audit_ndjson(lines):
    registry = Registry()
    for entry in entries_of(lines):
        registry.audit(*entry)
    return registry.summary()


def read_hashes(folder):
    """What /registry/<version>/set/hashes answered, in hashes/<version>, where the folder has any."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {int(name): json.loads(read_text(os.path.join(folder, name)))["items"] for name in names}


def audit_registry(folder, policy=None):
    """Everything that a log serves, from genesis to its checkpoint; entries beyond it are not looked at."""
    checkpoint, leaves = Checkpoint(read_text(os.path.join(folder, "checkpoint"))), []
    registry = Registry(read_hashes(os.path.join(folder, "hashes")))
    must(checkpoint.size > 0, "a checkpoint after genesis")
    lines = split_lines(read_file(os.path.join(folder, "entries.ndjson")))
    for entry in entries_of(lines[: checkpoint.size]):
        registry.audit(*entry)
        must(registry.origin == checkpoint.origin, "a checkpoint of this origin")
        leaves.append(entry[0])
    must(len(leaves) == checkpoint.size, "entries up to the checkpoint")
    must(tree_root([leaf_hash(leaf) for leaf in leaves]) == checkpoint.root, "the root of the entries")
    checkpoint.check_log_keys(registry.governance["log_keys"])
    time = policy.check(checkpoint) if policy else None
    tiles = audit_tiles(os.path.join(folder, "tile"), leaves)
    return {**registry.summary(), "size": checkpoint.size, "tiles": tiles, "time": time}


def audit_tiles(folder, leaves):
    """Every tile the tree has is there, and no file is anything else."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), folder)
            level, index, width = parse_tile_path(path)
            data = read_file(os.path.join(place, name))
            must(data == tile_bytes(leaves, level, index, width), "tile %s of these entries" % path)
            found.add((level, index, width))
    must(set(tiles_of(len(leaves))) <= found, "every tile of the tree")
    return len(found)


def audit_erased(vectors):
    """The same log three times: whole, with payloads erased, and pruned below a version."""
    hashes = {each["version"]: each["items"] for each in vectors["set_hashes"]}
    erased = {each["version"] for each in vectors["erased"]}
    entries = [tuple(entry[part].encode() for part in ("leaf", "payload", "approvals")) for entry in vectors["entries"]]
    whole, without, pruned = Registry(), Registry(hashes), Registry(hashes)
    for version, (leaf, payload, approvals) in enumerate(entries):
        whole.audit(leaf, payload, approvals)
        must(whole.entry_hash == vectors["entries"][version]["entry_hash"], "entry hash of the vectors")
        without.audit(leaf, b"null" if version in erased else payload, approvals)
        if version < vectors["oldest"] and json.loads(payload)["type"] not in ("genesis", "governance"):
            pruned.follow(leaf)
        else:
            pruned.audit(leaf, payload, approvals)
        must(whole.entry_hash == without.entry_hash == pruned.entry_hash, "one head")
    must(set_root(list(pruned.known_set().items())) == whole.root == without.root, "one set")
    return {**without.summary(), "erased": len(without.erased), "pruned": pruned.pruned}


def audit_vectors(vectors):
    registry, hashes = Registry(), []
    for entry in vectors["entries"]:
        registry.audit(*(entry[part].encode() for part in ("leaf", "payload", "approvals")))
        must(registry.entry_hash == entry["entry_hash"], "entry hash of the vectors")
        hashes.append(leaf_hash(entry["leaf"].encode()))
        must(hashes[-1].hex() == entry["merkle_leaf_sha256_hex"], "leaf hash of the vectors")
        root = base64.b64encode(tree_root(hashes)).decode()
        must(root == entry["merkle_root_base64_at_size"], "root of the vectors")
    checkpoint = Checkpoint(vectors["final_checkpoint"])
    must((checkpoint.origin, checkpoint.size, checkpoint.root)
         == (registry.origin, len(hashes), tree_root(hashes)), "checkpoint of the vectors")
    checkpoint.check_log_keys(registry.governance["log_keys"])
    must(registry.registry == vectors["registry"], "registry of the vectors")

    def service(i):
        return {"id": "svc-%d" % i, "kind": "service", "spec": {"port": 1000 + i}}

    def items(n):
        return [(path_of("service", "svc-%d" % i), value_hash(service(i))) for i in range(n)]

    for each in vectors["set_roots"]:
        must("b3:" + set_root(items(each["n"])).hex() == each["set_root"], "set root of %d" % each["n"])
    ten = dict(items(10))
    for proof in vectors["set_proofs_in_the_set_of_10"]:
        path = path_of(proof["kind"], proof["id"])
        shown = {"leaf": proof["leaf"], "siblings": proof["siblings"]}
        must(check_set_proof(set_root(list(ten.items())), path, shown) == ten.get(path), proof["id"])
    return registry.summary()


def audit_tlog(vectors):
    def unhex(texts):
        return [bytes.fromhex(text) for text in texts]

    leaves, roots = unhex(vectors["leaves_hex"]), unhex(vectors["roots_hex"])
    hashes = [leaf_hash(leaf) for leaf in leaves]
    must(hashes == unhex(vectors["leaf_hashes_hex"]), "leaf hashes")
    must(roots == [tree_root(hashes[:n]) for n in range(len(roots))], "roots")
    for each in vectors["inclusion"]:
        index, size = each["index"], each["size"]
        root, prefix = fold_inclusion(hashes[index], index, size, unhex(each["proof_hex"]))
        must((root, prefix) == (roots[size], roots[index + 1]), "inclusion")
    for each in vectors["consistency"]:
        old, new = each["old"], each["new"]
        verify_consistency(old, new, unhex(each["proof_hex"]), roots[old], roots[new])
    log, witness = (vectors["keys"][name]["vkey"] for name in ("log", "witness"))
    notes = [Checkpoint(vectors[name]) for name in ("checkpoint_3", "checkpoint_8", "checkpoint_8_cosigned")]
    for checkpoint in notes:
        checkpoint.check_log_keys([log])
        must(checkpoint.root == roots[checkpoint.size], "the root of a checkpoint")
    must(len(notes[2].signers([log, witness])) == 2, "a cosignature")
    check_proof(vectors["tlog_proof_index_5_of_8"], leaves[5], [log])
    must(tile_bytes(leaves[:3], 0, 0, 3).hex() == vectors["tile_0_000_p_3_hex"], "a tile")
    must(tile_bytes(leaves[:3], "entries", 0, 3).hex() == vectors["entry_bundle_first3_hex"], "a bundle")
    for number, path in vectors["tile_path_examples"].items():
        must(tile_path(0, int(number), 256) == "0/" + path, "a tile's name")
        must(parse_tile_path("0/" + path) == (0, int(number), 256), "a tile's name")
    message = notes[1].subtree("witness.example/w1", 1763683200)
    must(message.hex() == vectors["mldsa44_cosigned_message_8_hex"], "what an ML-DSA cosigner signs")
    return {"inclusion": len(vectors["inclusion"]), "consistency": len(vectors["consistency"])}


def b64(data):
    return base64.b64encode(data).decode()


def unb64(texts):
    return [base64.b64decode(text) for text in texts]


def note_case(note, vkeys, policy_text):
    """Who signed, when, and the time of the quorum of a policy, which may be null."""
    checkpoint = Checkpoint(note)
    signers = sorted(checkpoint.signers(vkeys).items())
    time = Policy(policy_text).check(checkpoint) if policy_text is not None else None
    return [checkpoint.origin, checkpoint.size, b64(checkpoint.root), signers, time]


def policy_case(text):
    policy = Policy(text)
    return [len(policy.logs), sorted(policy.witnesses), sorted(policy.groups), policy.quorum]


def vkey_case(text):
    name, key_id, kind, key = parse_vkey(text)
    return [name, key_id, kind, key.hex()]


def inclusion_case(record, index, size, proof):
    record, *proof = unb64([record, *proof])
    return list(map(b64, fold_inclusion(record, index, size, proof)))


def consistency_case(first, size, proof, first_root, root):
    first_root, root, *proof = unb64([first_root, root, *proof])
    verify_consistency(first, size, proof, first_root, root)
    return True


def registry_case(folder, policy):
    found = audit_registry(folder, policy and Policy(policy))
    return [found[name] for name in ("version", "entry_hash", "set_root", "size", "tiles", "time")]


def bundle_case(data, pin, policy):
    found = check_bundle(data, pin, policy and Policy(policy))
    return [found["registry"], found["version"], found["entry_hash"], found["size"], found["time"]]


def tiles_case(size):
    """The root, and one digest over the names and bytes of all tiles, of a tree over "leaf 0", "leaf 1", ..."""
    leaves, digest, count = [b"leaf %d" % i for i in range(size)], hashlib.sha256(), 0
    for level, index, width in tiles_of(size):
        digest.update(tile_path(level, index, width).encode() + b"\0")
        digest.update(tile_bytes(leaves, level, index, width))
        count += 1
    return [b64(tree_root([leaf_hash(leaf) for leaf in leaves])), digest.hexdigest(), count]


def proof_case(text):
    index, hashes, note = parse_proof(text)
    return [index, list(map(b64, hashes)), note]


# Each takes the rest of a case, [name, argument...], and returns what the bytes say, or raises Invalid.
CASES = {
    "bundle": lambda data, pin, policy=None: bundle_case(base64.b64decode(data), pin, policy),
    "consistency": consistency_case,
    "descriptor": check_descriptor,
    "entries": lambda data, count: [b64(leaf) for leaf in split_bundle(base64.b64decode(data), count)],
    "evidence": lambda data, vkeys: check_evidence(base64.b64decode(data), vkeys)["sizes"],
    "kept": lambda text, leaf, vkeys: check_proof(text, leaf.encode(), vkeys),
    "inclusion": inclusion_case,
    "mldsa": lambda *texts: is_valid_mldsa(*unb64(texts)),
    "note": note_case,
    "policy": policy_case,
    "proof": proof_case,
    "registry": registry_case,
    "tiles": tiles_case,
    "tile_path": lambda path: list(parse_tile_path(path)),
    "tile_width": lambda level, index, size: tile_width(level, index, size),
    "vkey": vkey_case,
}


def verdict(name, *arguments):
    try:
        return CASES[name](*arguments)
    except Invalid:
        return None


def is_payload(data):
    try:
        read_payload(data)
        return True
    except Invalid:
        return False


def numbers(count):
    """Doubles from a chain of SHA-256 that begins with 32 zero bytes; zeros, infinities and NaN are left out."""
    state, made, digest = bytes(32), 0, hashlib.sha256()
    while True:
        state = hashlib.sha256(state).digest()
        for value in struct.unpack("<4d", state):
            if value == 0 or math.isnan(value) or math.isinf(value):
                continue
            digest.update(("%s\n" % canonical_number(value)).encode())
            made += 1
            if made == count:
                return digest.hexdigest()


def main(command, argument, *rest):
    sys.setrecursionlimit(10_000)
    if command == "numbers":
        return numbers(int(argument))
    if command == "registry":
        return audit_registry(argument, read_policy(rest))
    data = read_file(argument)
    if command == "bundle":
        return check_bundle(data, rest[0], read_policy(rest[1:]))
    if command == "proof":
        return check_proof(read_text(argument), read_file(rest[0]), [rest[1]], read_policy(rest[2:]))
    if command == "evidence":
        return check_evidence(data, rest)
    if command == "ndjson":
        return audit_ndjson(split_lines(data))
    if command == "vectors":
        return audit_vectors(json.loads(data))
    if command == "erased":
        return audit_erased(json.loads(data))
    if command == "tlog":
        return audit_tlog(json.loads(data))
    if command == "cases":
        return [verdict(*case) for case in json.loads(data)]
    if command == "payloads":
        return [is_payload(bytes.fromhex(text)) for text in json.loads(data)]
    if command == "ed25519":
        return [is_valid_signature(*map(bytes.fromhex, case)) for case in json.loads(data)]
    raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except Invalid as error:
        raise SystemExit("invalid: %s" % error)
