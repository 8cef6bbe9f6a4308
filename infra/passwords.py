"""A password in, its argon2id hash out; and whether one is right, in the same time whoever is asked for."""

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipeline.errors import InvalidSettingsError

#: NIST SP 800-63B asks for length, and for nothing that people then work around.
MIN_LENGTH: Final = 12
#: Longer ones would only cost our CPU.
MAX_LENGTH: Final = 1_000

#: The library's defaults: RFC 9106's second choice, 64 MiB and some 50 ms.
_HASHER: Final = PasswordHasher()


def hashed(password: str) -> str:
    """The hash that the database keeps; raises InvalidSettingsError for a password that is too short."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidSettingsError(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters; choose another")
    return _HASHER.hash(password)


def nobodys() -> str:
    """A hash that no password has: what is compared with where there is no user, so that it takes as long."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def is_right(password: str, password_hash: str) -> bool:
    """Was `password_hash` made of this password? Takes CPU and 64 MiB; not for the loop."""
    try:
        return _HASHER.verify(password_hash, password[: MAX_LENGTH + 1])
    except (VerificationError, InvalidHashError):
        return False
