"""Ed25519 keys in and out: made, written, read; signatures made and checked, by `cryptography`.

A signing key is written `NAME:SEED`, the seed as 64 hexadecimal digits, so that a shell can make one.
The name is the origin of the log that it signs.
"""

import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import InvalidSettingsError
from pipeline.note import InvalidNote, PublicKey
from pipeline.seal import Signer

_SEED: Final = re.compile("[0-9a-f]{64}")


def new_key(name: str) -> str:
    """A new signing key, written."""
    written = f"{name}:{Ed25519PrivateKey.generate().private_bytes_raw().hex()}"
    read_key(written)
    return written


def read_key(written: str) -> Signer:
    """The signer of a written signing key; raises InvalidSettingsError, which does not quote the seed."""
    name, _, seed = written.strip().rpartition(":")
    if not _SEED.fullmatch(seed):
        raise InvalidSettingsError(
            "the audit log's signing key is not written NAME:SEED, with 64 hexadecimal digits in small "
            "letters; `penstock audit key new NAME` makes one"
        )
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    try:
        return Signer(PublicKey(name, private.public_key().public_bytes_raw()), private.sign)
    except InvalidNote as error:
        raise InvalidSettingsError(f"{name!r} is no name for a signing key: {error}") from error


def check(public: bytes, signature: bytes, text: bytes) -> bool:
    """Is this the signature of the text by the private half of this key?"""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
