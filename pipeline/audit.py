"""The audit trail's bytes: a record in, its canonical text and leaf hash out."""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785


def canonical(record: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a record of strings, integers, booleans, nulls, lists and objects."""
    return rfc8785.dumps(dict(record))


def leaf(content: bytes) -> bytes:
    """The leaf hash of RFC 6962 section 2.1: SHA-256(0x00 || content)."""
    return hashlib.sha256(b"\x00" + content).digest()
