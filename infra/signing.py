"""Ed25519 keys in and out: made, written, read; signatures made and checked, by `cryptography`.

A signing key is written as Go's note package writes it: `PRIVATE+KEY+name+id+base64`.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import InvalidSettingsError
from pipeline.note import InvalidNote, PublicKey
from pipeline.seal import Signer

_PREFIX: Final = "PRIVATE+KEY+"
_ED25519: Final = b"\x01"
_NO_KEY: Final = "the audit log's signing key cannot be read; `penstock audit key new` makes one"


def new_key(name: str) -> str:
    """A new signing key, written. Its name is the origin of the log that it signs."""
    seed = Ed25519PrivateKey.generate()
    try:
        label = PublicKey(name, seed.public_key().public_bytes_raw()).label
    except InvalidNote as error:
        raise InvalidSettingsError(f"{name!r} is no name for a key: {error}") from error
    return f"{_PREFIX}{label}+{base64.b64encode(_ED25519 + seed.private_bytes_raw()).decode()}"


def read_key(written: str) -> Signer:
    """The signer of a written signing key; raises InvalidSettingsError, which does not quote it."""
    name, _, rest = written.strip().removeprefix(_PREFIX).partition("+")
    id_, _, encoded = rest.partition("+")
    try:
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(encoded, validate=True)[1:])
        key = PublicKey(name, private.public_key().public_bytes_raw())
    except (binascii.Error, ValueError) as error:
        raise InvalidSettingsError(_NO_KEY) from error
    if key.id.hex() != id_ or not written.startswith(_PREFIX):
        raise InvalidSettingsError(_NO_KEY)
    return Signer(key, private.sign)


def check(public: bytes, signature: bytes, text: bytes) -> bool:
    """Is this the signature of the text by the private half of this key?"""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
