"""Sections 11 and 12 of docs/wire-format.md: the RFC 6962 tree, its proofs, tiles and entry bundles."""
import hashlib
import re

from .reader import MAX_SAFE, must


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


def tree_root(hashes):
    """Over leaf hashes."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else EMPTY_ROOT
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(tree_root(hashes[:half]), tree_root(hashes[half:]))


def is_index(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SAFE


def fold_inclusion(leaf, index, size, proof):
    must(is_index(index) and is_index(size) and index < size, "a leaf within the tree")
    must(all(len(each) == 32 for each in (leaf, *proof)), "hashes of 32 bytes")
    fn, sn, root, prefix = index, size - 1, leaf, leaf
    for p in proof:
        must(sn != 0, "a shorter proof")
        if fn & 1 or fn == sn:
            root, prefix = node_hash(p, root), node_hash(p, prefix)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, p)
        fn, sn = fn >> 1, sn >> 1
    must(sn == 0, "a longer proof")
    return root, prefix


def verify_consistency(first, size, proof, first_root, root):
    must(is_index(first) and is_index(size) and first <= size, "sizes in order")
    must(all(len(each) == 32 for each in (first_root, root, *proof)), "hashes of 32 bytes")
    if first == size or first == 0:
        must(not proof and first_root == (root if first == size else EMPTY_ROOT), "the same tree")
        return
    if first & first - 1 == 0:
        proof = [first_root, *proof]
    must(proof, "a proof")
    fn, sn = first - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    older = newer = proof[0]
    for p in proof[1:]:
        must(sn != 0, "a shorter proof")
        if fn & 1 or fn == sn:
            older, newer = node_hash(p, older), node_hash(p, newer)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            newer = node_hash(newer, p)
        fn, sn = fn >> 1, sn >> 1
    must(sn == 0 and older == first_root and newer == root, "a proof that leads from root to root")


# --- Tiles ---

PATH = re.compile(r"([0-9]{1,2}|entries)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


def tile_path(level, index, width):
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    partial = "" if width == 256 else ".p/%d" % width
    return "%s/%s%s" % (level, "/".join(["x" + g for g in groups[:-1]] + groups[-1:]), partial)


def parse_tile_path(path):
    """(level, index, width) of the one tile with this name."""
    match = PATH.fullmatch(path)
    must(match, "a tile's name")
    level = match[1] if match[1] == "entries" else int(match[1])
    index, width = int(match[2].replace("x", "").replace("/", "")), int(match[3] or 256)
    must(level == "entries" or level <= 63, "a level up to 63")
    must(index <= MAX_SAFE and 1 <= width <= 256, "a tile's place")
    must(tile_path(level, index, width) == path, "a tile's one name")
    return level, index, width


def tile_width(level, index, size):
    span = 1 if level == "entries" else 256**level
    return max(0, min(256, size // span - index * 256))


def tile_bytes(leaves, level, index, width):
    """What a tile of the tree over `leaves` holds."""
    must(width <= tile_width(level, index, len(leaves)), "a tile within the tree")
    if level == "entries":
        chosen = leaves[index * 256 : index * 256 + width]
        return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in chosen)
    span = 256**level
    begins = range(index * 256 * span, (index * 256 + width) * span, span)
    return b"".join(tree_root([leaf_hash(leaf) for leaf in leaves[i : i + span]]) for i in begins)


def split_bundle(data, count):
    leaves = []
    while data and len(leaves) < count:
        must(len(data) >= 2, "a leaf's length")
        end = 2 + int.from_bytes(data[:2], "big")
        must(len(data) >= end, "a whole leaf")
        leaves.append(data[2:end])
        data = data[end:]
    must(not data and len(leaves) == count, "%d leaves" % count)
    return leaves


def tiles_of(size):
    """(level, index, width) of every tile that the tree has: full ones, and the partial one of each level."""
    for level in ("entries", *range(64)):
        index, width = 0, tile_width(level, 0, size)
        if not width and level != "entries":
            return
        while width:
            yield level, index, width
            index += 1
            width = tile_width(level, index, size)
