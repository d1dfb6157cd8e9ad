"""Sections 1, 13 and 14 of docs/wire-format.md: verifier keys, notes, checkpoints, cosignatures, policies."""
import functools
import hashlib
import re
import urllib.parse

from .ed25519 import is_valid_signature
from .mldsa import is_valid_mldsa
from .reader import MAX_SAFE, is_base64, must

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
VKEY = re.compile("([^+%s\x00-\x1f\x7f-\x9f]+)\\+([0-9a-f]{8})\\+(.+)" % SPACES)
SIGNATURE = re.compile("\u2014 ([^+%s]+) ([A-Za-z0-9+/]+={0,2})" % SPACES)
KEY_BYTES = {1: 32, 4: 32, 6: 1312}
valid_ed25519 = functools.lru_cache(maxsize=None)(is_valid_signature)
valid_mldsa = functools.lru_cache(maxsize=None)(is_valid_mldsa)


def parse_vkey(text):
    """(name, key id, type, key)"""
    match = VKEY.fullmatch(text) if isinstance(text, str) else None
    must(match, "a verifier key")
    typed = is_base64(match[3])
    must(typed and len(typed) == 1 + KEY_BYTES.get(typed[0], -1), "a key of a known type")
    key_id = hashlib.sha256(match[1].encode() + b"\n" + typed).hexdigest()[:8]
    must(key_id == match[2], "the id of the key")
    return match[1], key_id, typed[0], typed[1:]


def parse_note(note):
    """(text, [(name, key id, signature bytes)])"""
    must(len(note.encode("utf-16-le")) // 2 <= 524_288, "a shorter note")
    must(not re.search("[\x00-\x09\x0b-\x1f]", note), "no control characters")
    end = note.rfind("\n\n")
    must(end >= 1, "an empty line after the text")
    text, lines = note[: end + 1], note[end + 2 :]
    must(lines.endswith("\n"), "signature lines")
    signatures = []
    for line in lines[:-1].split("\n"):
        match = SIGNATURE.fullmatch(line)
        must(match, "a signature line")
        data = is_base64(match[2])
        must(len(data) >= 5, "a signature")
        signatures.append((match[1], data[:4].hex(), data[4:]))
    must(len(signatures) <= 100, "at most 100 signatures")
    return text, signatures


def parse_checkpoint(text):
    """(origin, size, root)"""
    lines = text.split("\n")
    must(len(lines) >= 4 and lines.pop() == "" and "" not in lines[3:], "three lines")
    origin, size, root = lines[:3]
    must(origin and re.fullmatch("0|[1-9][0-9]{0,15}", size) and int(size) <= MAX_SAFE, "origin and size")
    return origin, int(size), is_base64(root, 32)


class Checkpoint:
    """A checkpoint in its note; judges no signature yet."""

    def __init__(self, note):
        self.note = note
        self.text, self.signatures = parse_note(note)
        self.origin, self.size, self.root = parse_checkpoint(self.text)

    def signers(self, vkeys):
        """The keys among `vkeys` that signed, each with the newest time it vouches for, or None."""
        keys = {}
        for vkey in vkeys:
            name, key_id, kind, key = parse_vkey(vkey)
            keys.setdefault((name, key_id), (vkey, kind, key))
        found = {}
        for name, key_id, data in self.signatures:
            if (name, key_id) not in keys:
                continue
            vkey, kind, key = keys[name, key_id]
            time = self.verify(name, kind, key, data)
            times = [t for t in (found.get(vkey), time) if t is not None]
            found[vkey] = max(times) if times else None
        return found

    def verify(self, name, kind, key, data):
        """The time of a signature that holds, None for 0."""
        if kind == 1:
            must(valid_ed25519(key, self.text.encode(), data), "a signature of a known key that verifies")
            return None
        must(len(data) == 8 + {4: 64, 6: 2420}[kind], "a cosignature's length")
        time = int.from_bytes(data[:8], "big")
        must(time <= MAX_SAFE, "a time")
        if kind == 4:
            message = "cosignature/v1\ntime %d\n%s" % (time, self.text)
            is_valid = valid_ed25519(key, message.encode(), data[8:])
        else:
            is_valid = valid_mldsa(key, self.subtree(name, time), data[8:])
        must(is_valid, "a cosignature of a known key that verifies")
        return time or None

    def subtree(self, cosigner, time):
        message = b"subtree/v1\n\0"
        for part in (cosigner, time, self.origin, 0, self.size):
            if isinstance(part, str):
                must(len(part.encode()) <= 255, "a name of at most 255 bytes")
                message += bytes([len(part.encode())]) + part.encode()
            else:
                message += part.to_bytes(8, "big")
        return message + self.root

    def check_log_keys(self, vkeys):
        must(self.signers(vkeys), "the signature of a log key in force")


class Policy:
    def __init__(self, text):
        self.logs, self.witnesses, self.groups, self.grouped = [], {}, {}, set()
        self.quorum, has_quorum = None, False
        for line in text.split("\n"):
            must(not re.search("[\x00-\x08\x0b-\x1f\x7f]", line), "no control characters")
            words = [word for word in re.split("[ \t]+", line) if word]
            if not words or words[0].startswith("#"):
                continue
            keyword, rest = words[0], words[1:]
            if keyword == "quorum":
                must(not has_quorum and len(rest) == 1, "one quorum")
                must(rest[0] == "none" or rest[0] in self.names(), "a name defined before")
                self.quorum, has_quorum = (None if rest[0] == "none" else rest[0]), True
            else:
                must(keyword in ("log", "witness", "group"), "a known line")
                getattr(self, "add_" + keyword)(*rest)
        must(has_quorum, "a quorum")

    def names(self):
        return {**self.witnesses, **self.groups}

    def new_name(self, name):
        must(name != "none" and name not in self.names(), "a new name")

    def add_log(self, *words):
        must(1 <= len(words) <= 2, "log <vkey> [url]")
        self.logs.append(self.key(words[0], (1, 6), self.logs))
        check_urls(words[1:])

    def add_witness(self, *words):
        must(2 <= len(words) <= 3, "witness <name> <vkey> [url]")
        self.new_name(words[0])
        self.key(words[1], (4, 6), self.witnesses.values())
        self.witnesses[words[0]] = words[1]
        check_urls(words[2:])

    def add_group(self, *words):
        must(len(words) >= 3, "group <name> <count> <members>")
        name, count, members = words[0], words[1], words[2:]
        must(re.fullmatch("all|any|[1-9][0-9]{0,3}", count), "a count")
        needed = {"all": len(members), "any": 1}.get(count) or int(count)
        must(needed <= len(members), "a count of members")
        for member in members:
            must(member in self.names() and member not in self.grouped, "a member, in one group")
            self.grouped.add(member)
        self.new_name(name)
        self.groups[name] = (needed, members)

    def key(self, vkey, kinds, others):
        kind, key = parse_vkey(vkey)[2:]
        must(kind in kinds, "a key of this use")
        must(key not in [parse_vkey(other)[3] for other in others], "each key once")
        return vkey

    def holds(self, name, cosigned):
        if name not in self.groups:
            return name in cosigned
        needed, members = self.groups[name]
        return sum(self.holds(member, cosigned) for member in members) >= needed

    def check(self, checkpoint):
        """The time of the quorum, None when none is asked for."""
        signed = checkpoint.signers(self.witnesses.values())
        times = {name: signed[vkey] for name, vkey in self.witnesses.items() if signed.get(vkey)}
        if self.quorum is None:
            return None
        for time in sorted(times.values(), reverse=True):
            if self.holds(self.quorum, {name for name in times if times[name] >= time}):
                return time
        must(False, "cosignatures that satisfy the policy")


def check_urls(urls):
    for url in urls:
        must(urllib.parse.urlsplit(url).scheme in ("http", "https"), "an http or https url")
