"""A webhook's raw body, its headers and the secrets in; did its sender sign it, out. Time is an argument.

Whatever is wrong with a signature has the same answer, so that who guesses learns nothing.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from pipeline.source import Scheme

#: How far a signed timestamp may be from our clock, either way: Stripe's and Standard Webhooks' 5 minutes.
TOLERANCE_SECONDS: Final = 300

_STANDARD_PREFIX: Final = "whsec_"
#: Standard Webhooks 1.0 asks for 24 to 64 bytes.
_MIN_SECRET_BYTES: Final = 24
#: Seconds since 1970 take 10 digits until the year 2286.
_MAX_TIMESTAMP_DIGITS: Final = 11


def is_signed(
    scheme: Scheme, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: datetime
) -> bool:
    """Did the holder of one of `secrets` sign `body`, within the tolerance where the scheme has a time?

    `headers` have lower-case names. Never raises.
    """
    return any(_holds(scheme, secret, headers, body, now) for secret in secrets)


def flaw(scheme: Scheme, secret: str) -> str | None:
    """What is wrong with a secret, in words that do not quote it."""
    if scheme != "standard":
        return None if secret else "is empty"
    if not secret.startswith(_STANDARD_PREFIX):
        return f"does not start with {_STANDARD_PREFIX}"
    try:
        key = _standard_key(secret)
    except ValueError:
        return f"is not base64 after {_STANDARD_PREFIX}"
    return None if len(key) >= _MIN_SECRET_BYTES else f"holds fewer than {_MIN_SECRET_BYTES} bytes"


def _standard_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_STANDARD_PREFIX) + "==")  # more padding than needed is none


def _holds(scheme: Scheme, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    try:
        return _SCHEMES[scheme](secret, headers, body, now)
    except Exception:  # noqa: BLE001 - a missing header, bad base64, no UTF-8: the libraries raise what they like
        return False


def _standard(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    # Over the bytes: the library takes text alone, and who signed other bytes is to be told what is wrong.
    timestamp = headers["webhook-timestamp"]
    content = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(_standard_key(secret), content, hashlib.sha256)).decode()
    fresh = _is_fresh(_seconds(timestamp), now)
    return fresh and _matches(f"v1,{signature}", headers["webhook-signature"].split(" "))


def _stripe(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    parts = [part.partition("=") for part in headers["stripe-signature"].split(",")]
    (timestamp,) = [value for name, _, value in parts if name == "t"]
    expected = _hmac(secret, timestamp.encode() + b"." + body).hex()
    fresh = _is_fresh(_seconds(timestamp), now)
    return fresh and _matches(expected, [value for name, _, value in parts if name == "v1"])


def _github(secret: str, headers: Mapping[str, str], body: bytes, _: datetime) -> bool:
    return _matches("sha256=" + _hmac(secret, body).hex(), [headers["x-hub-signature-256"]])


def _shopify(secret: str, headers: Mapping[str, str], body: bytes, _: datetime) -> bool:
    expected = base64.b64encode(_hmac(secret, body)).decode()
    return _matches(expected, [headers["x-shopify-hmac-sha256"]])


def _slack(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    timestamp = headers["x-slack-request-timestamp"]
    expected = "v0=" + _hmac(secret, b"v0:" + timestamp.encode() + b":" + body).hex()
    return _is_fresh(_seconds(timestamp), now) and _matches(expected, [headers["x-slack-signature"]])


_SCHEMES: Final[Mapping[Scheme, Callable[[str, Mapping[str, str], bytes, datetime], bool]]] = {
    "standard": _standard,
    "stripe": _stripe,
    "github": _github,
    "shopify": _shopify,
    "slack": _slack,
}


def _hmac(secret: str, content: bytes) -> bytes:
    return hmac.digest(secret.encode(), content, hashlib.sha256)


def _matches(expected: str, candidates: Sequence[str]) -> bool:
    # As bytes: compare_digest raises for a str that is not ASCII.
    return any(hmac.compare_digest(expected.encode(), candidate.encode()) for candidate in candidates)


def _seconds(text: str) -> int:
    """Plain digits only: float() would take "1e9", "nan" and "1700000000.9"."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIMESTAMP_DIGITS):
        raise ValueError("no timestamp")
    return int(text)


def _is_fresh(timestamp: int, now: datetime) -> bool:
    return abs(now.timestamp() - timestamp) <= TOLERANCE_SECONDS
