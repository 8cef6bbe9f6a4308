"""Master keys in, texts sealed and opened again out: AES-256-GCM, a data key per subject.

A data key is kept wrapped by a master key. Who destroys it has destroyed every text under it, in every copy
of the database. To change the master key, only data keys are wrapped anew.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.errors import Conflict, InvalidSettingsError

_NONCE_BYTES: Final = 12
_KEY: Final = re.compile(r"[0-9a-f]{64}")
#: What every complaint about a master key names.
VARIABLE: Final = "PENSTOCK_PRIVACY__MASTER_KEY"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key as the database keeps it, and which master key opens it."""

    key: bytes
    master_key_id: str


class DamagedKey(Conflict):
    """A wrapped data key was changed, or moved to another subject: nothing under it can be read."""

    def __init__(self, subject: bytes) -> None:
        super().__init__(
            f"the data key of the subject {subject.hex()[:16]} was changed, or belongs to another: "
            "restore its row of subject_key from a backup"
        )


@dataclass(frozen=True)
class Vault:
    """The master keys of a deployment by their ids: the first one wraps, all unwrap."""

    keys: Mapping[str, bytes]

    @property
    def current(self) -> str:
        """The id of the key that wraps."""
        return next(iter(self.keys))

    def new_key(self, subject: bytes) -> Wrapped:
        """A random data key for a subject (its hash), wrapped."""
        return self._wrap(AESGCM.generate_key(256), subject)

    def unwrap(self, wrapped: Wrapped, subject: bytes) -> bytes:
        """The data key; raises DamagedKey, and InvalidSettingsError without the master key that wraps it."""
        if wrapped.master_key_id not in self.keys:
            raise lacking(wrapped.master_key_id)
        key = opened(self.keys[wrapped.master_key_id], wrapped.key, about=subject)
        if key is None:
            raise DamagedKey(subject)
        return key

    def rewrap(self, wrapped: Wrapped, subject: bytes) -> Wrapped:
        """The same data key under the current master key; raises what `unwrap` does."""
        return self._wrap(self.unwrap(wrapped, subject), subject)

    def _wrap(self, key: bytes, subject: bytes) -> Wrapped:
        return Wrapped(sealed(self.keys[self.current], key, about=subject), self.current)


def sealed(key: bytes, text: bytes, *, about: bytes) -> bytes:
    """Nonce and ciphertext; opens only with the same `about`, so that no row can take another's place."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, about)


def opened(key: bytes, text: bytes, *, about: bytes) -> bytes | None:
    """What was sealed; None when it was sealed with another key, about something else, or was changed."""
    try:
        return AESGCM(key).decrypt(text[:_NONCE_BYTES], text[_NONCE_BYTES:], about)
    except (InvalidTag, ValueError):
        return None


def new_master_key() -> str:
    """32 random bytes as hexadecimal digits."""
    return secrets.token_hex(32)


def vault(text: str) -> Vault:
    """The keys in `text`, one per line or separated by commas; raises InvalidSettingsError."""
    found = text.replace(",", " ").split()
    if not found or not all(_KEY.fullmatch(key) for key in found):
        raise InvalidSettingsError(f"{VARIABLE}: write 64 hexadecimal digits, as `penstock privacy key` does")
    keys = [bytes.fromhex(key) for key in found]
    return Vault({_id(key): key for key in keys})


def lacking(master_key_id: str | None = None) -> InvalidSettingsError:
    """What to say where texts are encrypted and the key is not there."""
    which = f"the master key {master_key_id}" if master_key_id else "a master key"
    cure = f"set it, or {VARIABLE}_FILE; several are separated by commas, the first one wraps"
    return InvalidSettingsError(f"{VARIABLE}: texts are encrypted under {which}, which is not there; {cure}")


def _id(key: bytes) -> str:
    """Tells keys apart, and tells nothing about them."""
    return hashlib.sha256(b"penstock master key" + key).hexdigest()[:16]
