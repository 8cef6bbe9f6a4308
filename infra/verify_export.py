#!/usr/bin/env python3
"""Verify an export of Penstock's audit log: python verify_export.py EXPORT.jsonl KEYS.txt [AUDIT_LEAF]

Needs nothing but Python 3.9 and these two files: not Penstock, no database, no library. Take the keys
from where whoever made the export could not write. With the `audit_leaf` of a message, its record must be
in the export, too. Exit code 0: every record is what was sealed; 1: not so, as named; 2: unreadable.

The first line of the export is {"checkpoint": "..."}: a C2SP checkpoint, signed (Ed25519). Each other line
is a record: {"canonical": its bytes as text, "sequence": its place, "path": [hashes, base64]}. A record's
leaf is SHA-256(0x00 || bytes); the path leads from it to the root that the checkpoint signs (RFC 6962).
Where a line has "contents": [{"salt": hex, "bytes": base64}, ...], each must be one whose SHA-256(salt ||
bytes) the record names: texts that were disclosed with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

# --- Ed25519, as in the reference code of RFC 8032 section 6; only for checking, so it needs not be fast ---

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two points in extended coordinates."""
    left, right = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: tuple[int, ...]) -> tuple[int, ...]:
    """The point added to itself."""
    total: tuple[int, ...] = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def point_of(encoded: bytes) -> tuple[int, ...]:
    """32 bytes as a point; raises ValueError when they are none."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("a key or a signature that is no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Did the owner of this public key sign the text?"""
    key, commitment = point_of(public), point_of(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % ORDER
    left, right = times(scalar, BASE), add(commitment, times(challenge, key))
    same = all((left[axis] * right[2] - right[axis] * left[2]) % P == 0 for axis in (0, 1))
    return same and len(signature) == 64 and scalar < ORDER


# --- the checkpoint: a C2SP signed note ---


def keys_of(text: str) -> dict[tuple[str, bytes], tuple[bytes, int]]:
    """Lines NAME+ID+BASE64 [SIZE [REMARK]], by what a signature says of its key: name and id.

    A key is told with the size above which it signs logs; smaller ones have its predecessor's signature.
    """
    keys = {}
    for words in map(str.split, text.splitlines()):
        if not words or words[0].count("+") < 2:
            continue
        name, key_id, encoded = words[0].split("+", 2)
        tagged = base64.b64decode(encoded)
        own_id = hashlib.sha256(name.encode() + b"\n" + tagged).digest()[:4]
        if own_id.hex() == key_id and tagged[:1] == b"\1":
            keys[name, own_id] = tagged[1:], int(words[1]) if words[1:] else 0
    return keys


def checkpoint_of(note: str, keys: dict[tuple[str, bytes], tuple[bytes, int]]) -> tuple[int, bytes, str]:
    """(size, root, time of the seal) that a known key signed; raises ValueError."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    origin, size, root, _, sealed = text.split("\n")[:5]
    for line in lines.strip("\n").split("\n"):
        name, _, encoded = line[2:].partition(" ")
        blob = base64.b64decode(encoded)
        public, above = keys.get((name, blob[:4]), (b"", 0))
        if public and name == origin and int(size) > above:
            if not is_signed(public, blob[4:], text.encode()):
                raise ValueError("the checkpoint's signature is wrong")
            if any(one[0] == name and above < later < int(size) for one, (_, later) in keys.items()):
                raise ValueError("another key had taken over from the one that signed the checkpoint")
            return int(size), base64.b64decode(root), sealed
    raise ValueError("no key that you trust has signed the checkpoint")


def is_included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Does the path lead from the leaf to the root? RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = hashlib.sha256(b"\1" + step + found).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + step).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def problem_with(record: Any, leaf: bytes, size: int, root: bytes) -> str | None:
    """What is wrong with one record; None when nothing is."""
    if not is_included(leaf, record["sequence"], size, list(map(base64.b64decode, record["path"])), root):
        return f"is not what was sealed at place {record['sequence']}"
    if set(map(salted, record.get("contents", ()))) - hashes(json.loads(record["canonical"])):
        return "names no such text as is disclosed with it"
    return None


def salted(content: dict[str, str]) -> str:
    """The hash by which a record names a text, its salt of one length: else a text could pass as its end."""
    salt, text = bytes.fromhex(content["salt"]), base64.b64decode(content["bytes"])
    return hashlib.sha256(salt + text).hexdigest() if len(salt) == 16 else ""


def hashes(value: object, name: str = "") -> set[str]:
    """The hashes of texts in a record: what stands under a name that ends so, or among complaints."""
    if isinstance(value, dict):
        return {one for key, inner in value.items() for one in hashes(inner, key)}
    if isinstance(value, list):
        return {one for inner in value for one in hashes(inner, name)}
    return {value} if isinstance(value, str) and name.endswith(("sha256", "complaints")) else set()


def main(export: Path, keys: Path, wanted: str | None = None) -> int:
    """Print each difference and a summary; returns the exit code."""
    known = keys_of(keys.read_text("utf-8"))
    with export.open(encoding="utf-8", errors="surrogateescape") as file:
        try:
            size, root, sealed = checkpoint_of(json.loads(file.readline())["checkpoint"], known)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            print(f"DIFFERENCE: {error}")
            return 1
        places, leaves, named, shown, differences = set(), set(), set(), set(), []
        for number, line in enumerate(file, 2):
            try:
                record = json.loads(line)
                leaf, place = hashlib.sha256(b"\0" + record["canonical"].encode()), record["sequence"]
                problem = problem_with(record, leaf.digest(), size, root)
                problem = problem or (f"repeats place {place}" if place in places else None)
                places.add(place)
                leaves.add(leaf.hexdigest())
                named |= hashes(json.loads(record["canonical"]))
                shown |= set(map(salted, record.get("contents", ())))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problem = f"cannot be read: {error!r}"
            if problem:
                differences.append(f"line {number} {problem}")
    if wanted and wanted.lower() not in leaves:
        differences.append(f"no record here has the leaf {wanted}")
    for difference in differences:
        print(f"DIFFERENCE: {difference}")
    part = "the whole log" if len(places) == size else f"{len(places)} of them"
    print(f"a signed checkpoint of {size} records, {sealed}; {part}: {len(differences)} differences")
    print(f"{len(named & shown)} of the {len(named)} texts that they name came with them")
    return 1 if differences else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        print(__doc__)
        sys.exit(2)
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
    except (OSError, ValueError) as error:
        print(f"cannot be read: {error}")
        sys.exit(2)
