"""API tokens: a random text for its holder, and the digest of it that the database keeps."""

import hashlib
import re
import secrets
from typing import Final

_PREFIX: Final = "pst_"
_TOKEN: Final = re.compile(_PREFIX + "[A-Za-z0-9_-]{43}")


def new_token() -> tuple[str, bytes]:
    """A token of 256 random bits and its digest; the text is shown once and kept nowhere."""
    text = _PREFIX + secrets.token_urlsafe(32)
    return text, digest(text)


def digest(text: str) -> bytes:
    """SHA-256: enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(text.encode()).digest()


def is_token(text: str) -> bool:
    """Could `new_token` have made it? Saves a look into the database for what it cannot have made."""
    return _TOKEN.fullmatch(text) is not None
