"""How each sender of webhooks signs, written down a second time, from its documentation."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, get_args

from pipeline.source import Scheme

STANDARD_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Headers = Mapping[str, str]
#: A secret, a body, seconds since 1970.
Sign = Callable[[str, bytes, int], Headers]

SCHEMES: Final[tuple[Scheme, ...]] = get_args(Scheme)
SECRETS: Final[Mapping[Scheme, str]] = {
    "standard": STANDARD_SECRET,
    "stripe": "whsec_5f1c",
    "github": "It's a Secret to Everybody",
    "shopify": "hush",
    "slack": "8f742231b10e8888abcd99yyyzzz85a5",
}


def mac(secret: str, content: bytes) -> bytes:
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


def standard(secret: str, body: bytes, sent: int) -> Headers:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, b"msg_1.%d.%s" % (sent, body), hashlib.sha256).digest())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(sent)}
    return {**headers, "webhook-signature": f"v1,{signature.decode()}"}


def stripe(secret: str, body: bytes, sent: int) -> Headers:
    return {"stripe-signature": f"t={sent},v1={mac(secret, b'%d.%s' % (sent, body)).hex()},v0=abc"}


def github(secret: str, body: bytes, _: int) -> Headers:
    return {"x-hub-signature-256": f"sha256={mac(secret, body).hex()}"}


def shopify(secret: str, body: bytes, _: int) -> Headers:
    return {"x-shopify-hmac-sha256": base64.b64encode(mac(secret, body)).decode()}


def slack(secret: str, body: bytes, sent: int) -> Headers:
    signature = f"v0={mac(secret, b'v0:%d:%s' % (sent, body)).hex()}"
    return {"x-slack-request-timestamp": str(sent), "x-slack-signature": signature}


SIGN: Final[Mapping[Scheme, Sign]] = {
    "standard": standard,
    "stripe": stripe,
    "github": github,
    "shopify": shopify,
    "slack": slack,
}
SIGNATURE_HEADERS: Final[Mapping[Scheme, str]] = {
    "standard": "webhook-signature",
    "stripe": "stripe-signature",
    "github": "x-hub-signature-256",
    "shopify": "x-shopify-hmac-sha256",
    "slack": "x-slack-signature",
}
