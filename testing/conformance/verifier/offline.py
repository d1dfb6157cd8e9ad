"""Sections 15, 18 and 19 of docs/wire-format.md: proofs to keep, bundles, evidence of a fork."""
import re

from .blake3 import b3
from .notes import Checkpoint, parse_vkey
from .reader import MAX_SAFE, canonical, is_base64, is_hash, is_list, members, must, read_json
from .rules import Registry, check_quorum, check_set_proof, from_hash, keys_of, path_of, read_approvals, \
    read_leaf, read_payload, value_hash
from .tree import fold_inclusion, leaf_hash


# --- C2SP tlog-proof, section 15 ---


def parse_proof(text):
    """(index, hashes, note)"""
    head, empty, note = text.partition("\n\n")
    must(empty, "an empty line")
    lines = head.split("\n")
    must(lines.pop(0) == "c2sp.org/tlog-proof@v1", "the first line of a tlog-proof")
    if lines and lines[0].startswith("extra "):
        is_base64(lines.pop(0)[6:])
    index = re.fullmatch("index (0|[1-9][0-9]{0,15})", lines.pop(0) if lines else "")
    must(index and int(index[1]) <= MAX_SAFE, "an index")
    must(len(lines) <= 63, "at most 63 hashes")
    return int(index[1]), [is_base64(line, 32) for line in lines], note


def check_proof(text, leaf, vkeys, policy=None):
    """`leaf`: bytes. The checkpoint that the leaf is in."""
    index, hashes, note = parse_proof(text)
    checkpoint = Checkpoint(note)
    checkpoint.check_log_keys(vkeys)
    check_included(leaf_hash(leaf), index, hashes, checkpoint)
    time = policy.check(checkpoint) if policy else None
    return {"index": index, "size": checkpoint.size, "time": time}


def check_included(record, index, hashes, checkpoint):
    root, _ = fold_inclusion(record, index, checkpoint.size, hashes)
    must(root == checkpoint.root, "a proof that leads to the checkpoint")


def check_descriptor(answer, kind, name, vkeys, policy=None):
    """An answer of /registry/head/descriptors/...?proof=1 tied to its checkpoint: what stands there."""
    checkpoint = Checkpoint(answer["checkpoint"])
    checkpoint.check_log_keys(vkeys)
    if policy:
        policy.check(checkpoint)
    data = canonical(answer["leaf"]).encode()
    leaf = read_leaf(data)
    hashes = [is_base64(text, 32) for text in is_list(answer["inclusion_proof"], 0, 63)]
    check_included(leaf_hash(data), int(leaf["version"]), hashes, checkpoint)
    must(leaf["origin"] == checkpoint.origin, "the leaf of this log")
    must(leaf["set_root"] == answer["set_root"], "the set root of the leaf")
    found = check_set_proof(from_hash(leaf["set_root"]), path_of(kind, name), answer["proof"])
    descriptor = answer["descriptor"]
    must((found is None) == (descriptor is None), "what the proof shows")
    if descriptor is not None:
        must((descriptor["kind"], descriptor["id"]) == (kind, name), "the descriptor that was asked for")
        must(value_hash(descriptor) == found, "the value that the proof shows")
    return descriptor


# --- Bundles, section 18 ---


def parse_bundle(data):
    """(note, [(leaf, payload, approvals, hashes)])"""
    must(len(data) <= 64 * 1024 * 1024, "too_large")
    document = read_json(data, 40, 10_000_000)
    note, entries, schema = members(document, "checkpoint", "entries", "schema")
    must(schema == "quorate/bundle/v1" and isinstance(note, str), "schema and checkpoint")
    found = []
    for entry in is_list(entries, 1, 10_000):
        approvals, leaf, payload, proof = members(entry, "approvals", "leaf", "payload", "proof")
        hashes = [is_base64(text, 32) for text in is_list(proof, 0, 63)]
        found.append((*(canonical(part).encode() for part in (leaf, payload, approvals)), hashes))
    return note, found


def check_bundle(data, pin, policy=None):
    note, entries = parse_bundle(data)
    checkpoint, state = Checkpoint(note), Registry()
    for i, (leaf_bytes, payload_bytes, approval_bytes, hashes) in enumerate(entries):
        leaf, payload = read_leaf(leaf_bytes), read_payload(payload_bytes)
        approvals = read_approvals(approval_bytes)
        if i == 0:
            begin(state, pin, leaf_bytes, payload_bytes, approval_bytes)
        else:
            follow(state, leaf, payload, approvals, b3(payload_bytes))
        if payload["type"] != "genesis":
            check_leaf(state, leaf, payload, payload_bytes, approval_bytes, i == 0)
            state.registry, state.origin = payload["registry"], payload["origin"]
            state.governance = payload.get("governance", state.governance)
            state.signer_keys.update(keys_of(state.governance))
            state.version, state.committed_at = int(leaf["version"]), leaf["committed_at"]
            state.entry_hash = b3(leaf_bytes)
        must(leaf["origin"] == checkpoint.origin, "a checkpoint of this log")
        check_included(leaf_hash(leaf_bytes), int(leaf["version"]), hashes, checkpoint)
    checkpoint.check_log_keys(state.governance["log_keys"])
    time = policy.check(checkpoint) if policy else None
    return {"registry": state.registry, "version": state.version, "entry_hash": state.entry_hash,
            "entries": len(entries), "size": checkpoint.size, "time": time}


def begin(state, pin, leaf_bytes, payload_bytes, approval_bytes):
    payload = read_payload(payload_bytes)
    is_genesis = payload["type"] == "genesis"
    must(is_genesis or payload["type"] == "governance", "a first entry that set the governance")
    must(is_hash(pin) == b3(payload_bytes if is_genesis else leaf_bytes), "a bundle that begins at the pin")
    if is_genesis:
        state.audit(leaf_bytes, payload_bytes, approval_bytes)


def follow(state, leaf, payload, approvals, payload_b3):
    must(leaf["version"] > state.version, "ascending versions")
    must(payload["type"] != "genesis", "no second genesis")
    must((payload["origin"], payload["registry"]) == (state.origin, state.registry), "this registry")
    must(state.committed_at <= leaf["committed_at"] <= payload["expires_at"], "time")
    committed_at = leaf["committed_at"]
    approved = state.check_approvals(payload, payload_b3, state.registry, approvals, committed_at)
    state.check_keys(payload)
    check_quorum(payload, state.governance, approved)
    state.succeed(payload)


def check_leaf(state, leaf, payload, payload_bytes, approval_bytes, is_first):
    before = payload["governance"]["version"] - 1 if is_first else state.governance["version"]
    expected = {
        "approvals_b3": b3(approval_bytes), "origin": payload["origin"], "payload_b3": b3(payload_bytes),
        "payload_bytes": len(payload_bytes), "type": payload["type"], "governance_version": before,
    }
    must(all(leaf[name] == value for name, value in expected.items()), "the leaf of payload and approvals")
    must(leaf["prev_hash"] is not None, "an entry before")
    is_next = not is_first and leaf["version"] == state.version + 1
    must(not is_next or leaf["prev_hash"] == state.entry_hash, "the entry before")
    must(leaf["prev_hash"] == payload.get("supersedes", leaf["prev_hash"]), "the entry that it supersedes")


# --- Evidence, section 19 ---


def parse_evidence(data):
    """(origin, log keys, older note, newer note, (leaf, hashes) or None)"""
    data = data.rstrip()
    must(len(data) <= 4 * 1024 * 1024, "too_large")
    document = read_json(data, 8, 10_000)
    must(isinstance(document, dict), "an object")
    names = ("log_keys", "newer", "older", "origin", "schema")
    log_keys, newer, older, origin, schema = members(
        document, *names, *(("proof",) if "proof" in document else ())
    )[:5]
    must(schema == "quorate/evidence/v1", "schema")
    must(all(isinstance(text, str) for text in (newer, older, origin, *is_list(log_keys, 0, 16))), "texts")
    if "proof" not in document:
        return origin, log_keys, older, newer, None
    inclusion, leaf = members(document["proof"], "inclusion", "leaf")
    hashes = [is_base64(text, 32) for text in is_list(inclusion, 0, 63)]
    return origin, log_keys, older, newer, (is_base64(leaf, 32), hashes)


def check_evidence(data, vkeys):
    """Invalid unless holders of `vkeys` made two histories."""
    origin, _, older, newer, proof = parse_evidence(data)
    must(all(parse_vkey(vkey)[2] in (1, 6) for vkey in vkeys), "log keys")
    older, newer = Checkpoint(older), Checkpoint(newer)
    for checkpoint in (older, newer):
        checkpoint.check_log_keys(vkeys)
        must(checkpoint.origin == origin, "checkpoints of one origin")
    must(older.size <= newer.size, "the older one first")
    if older.size == newer.size:
        must(older.root != newer.root, "two roots of one size")
    else:
        must(proof is not None and older.size > 0, "a proof")
        root, prefix = fold_inclusion(proof[0], older.size - 1, newer.size, proof[1])
        must(root == newer.root, "a leaf in the newer tree")
        must(prefix != older.root, "a newer tree that does not continue the older one")
    return {"origin": origin, "sizes": [older.size, newer.size]}
