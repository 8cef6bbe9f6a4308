"""The audit trail's bytes: a record in, its canonical text and leaf hash out."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import rfc8785

#: Numbers that RFC 8785 writes otherwise than the standard library, or refuses: all but short integers.
#: One pattern for each sign before them, because a search jumps to a sign, but not to a class of signs.
_ODD_NUMBERS: Final = tuple(
    re.compile(sign + r"(?=[-\dNI])(?:NaN|-?Infinity|-?\d+(?:\d{15}|[.e][\de+-]*))[,}\]]")
    for sign in (":", ",", r"\[")
)


def canonical(record: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a record of strings, integers, booleans, nulls, lists and objects.

    Most records are ASCII with short integers, which the standard library writes alike, five times as
    fast; the order of other keys and what has to be refused are left to the reference library.
    """
    plain = json.dumps(dict(record), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if not plain.isascii() or any(odd.search(plain) for odd in _ODD_NUMBERS):
        return rfc8785.dumps(dict(record))
    return plain.encode()


def leaf(content: bytes) -> bytes:
    """The leaf hash of RFC 6962 section 2.1: SHA-256(0x00 || content)."""
    return hashlib.sha256(b"\x00" + content).digest()
