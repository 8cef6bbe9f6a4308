"""A signature holds for the bytes, the secret and the time it was made for, and for nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from pipeline.signatures import flaw, is_signed
from pipeline.source import Scheme
from tests.signing import SCHEMES, SECRETS, SIGN, SIGNATURE_HEADERS, STANDARD_SECRET, Headers, mac

BODY: Final = b'{"test": 2432232314}'
SENT: Final = 1_614_265_330
NOW: Final = datetime.fromtimestamp(SENT, UTC)
SLACK_BODY: Final = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
    b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

TIMED: Final[tuple[Scheme, ...]] = ("standard", "stripe", "slack")


def check(
    scheme: Scheme, headers: Headers, *, body: bytes = BODY, now: datetime = NOW, secret: str | None = None
) -> bool:
    return is_signed(scheme, [secret or SECRETS[scheme]], headers, body, now=now)


@pytest.mark.parametrize(
    ("scheme", "sent", "body", "headers"),
    [
        # Standard Webhooks' reference libraries test with this one.
        (
            "standard",
            SENT,
            BODY,
            {
                "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp": "1614265330",
                "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            },
        ),
        # docs.github.com, "Validating webhook deliveries".
        (
            "github",
            SENT,
            b"Hello, World!",
            {
                "x-hub-signature-256": "sha256="
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            },
        ),
        # docs.slack.dev, "Verifying requests from Slack".
        (
            "slack",
            1_531_420_618,
            SLACK_BODY,
            {
                "x-slack-request-timestamp": "1531420618",
                "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            },
        ),
    ],
)
def test_the_examples_in_the_senders_own_documentation_hold(
    scheme: Scheme, sent: int, body: bytes, headers: Headers
) -> None:
    assert check(scheme, headers, body=body, now=datetime.fromtimestamp(sent, UTC))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signature_holds_for_its_own_body_and_secret_only(scheme: Scheme) -> None:
    headers = SIGN[scheme](SECRETS[scheme], BODY, SENT)
    other = "whsec_" + "A" * 32

    assert check(scheme, headers)
    assert not check(scheme, headers, body=BODY + b" ")
    assert not check(scheme, headers, secret=other)
    assert not is_signed(scheme, [], headers, BODY, now=NOW)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_during_a_rotation_both_secrets_are_valid(scheme: Scheme) -> None:
    old, new = SECRETS[scheme], "whsec_" + "B" * 32

    for secret in (old, new):
        headers = SIGN[scheme](secret, BODY, SENT)

        assert is_signed(scheme, [new, old], headers, BODY, now=NOW)
        assert is_signed(scheme, [old, new], headers, BODY, now=NOW)


@pytest.mark.parametrize("scheme", ["standard", "stripe"])
def test_one_of_several_signatures_is_enough(scheme: Scheme) -> None:
    headers = dict(SIGN[scheme](SECRETS[scheme], BODY, SENT))
    name = SIGNATURE_HEADERS[scheme]
    wrong = {"standard": "v1,AAAA v1a,é v2 ", "stripe": "v1=00,v1=é,"}[scheme]

    assert check(scheme, {**headers, name: wrong + headers[name]})
    assert not check(scheme, {**headers, name: wrong.rstrip(" ,")})


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(0, True), (-300, True), (300, True), (-301, False), (301, False), (115 * 86_400, False)],
)
def test_a_signed_time_may_be_five_minutes_off_either_way(
    scheme: Scheme, seconds: int, *, holds: bool
) -> None:
    headers = SIGN[scheme](SECRETS[scheme], BODY, SENT)

    assert check(scheme, headers, now=NOW - timedelta(seconds=seconds)) is holds


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "nan",
        "inf",
        "-1",
        "1e9",
        "1614265330.9",
        " 1614265330",
        "+1614265330",
        "1_614_265_330",
        "٣",
        "9" * 30,
    ],
)
def test_a_time_in_any_other_spelling_is_invalid(scheme: Scheme, timestamp: str) -> None:
    headers = {
        name: value.replace(str(SENT), timestamp)
        for name, value in SIGN[scheme](SECRETS[scheme], BODY, SENT).items()
    }
    signed = {
        "stripe": {
            "stripe-signature": f"t={timestamp},"
            f"v1={mac(SECRETS['stripe'], timestamp.encode() + b'.' + BODY).hex()}"
        },
        "slack": {
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": "v0="
            + mac(SECRETS["slack"], b"v0:" + timestamp.encode() + b":" + BODY).hex(),
        },
    }.get(scheme, headers)

    assert not check(scheme, headers)
    assert not check(scheme, signed)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "signature",
    [
        *("", " ", ",", "\x00", "=,=,=", "A" * 4_000, "\ud800"),
        *("v1", "v1,", "v1,%%%", "v1,AAA", "v1,é", "v1,A,B", "v0=", "v0=é", "sha256=", "sha256=é"),
        *("t=,v1=", "v1=00", f"t={SENT}", f"t={SENT},t={SENT},v1=00"),
    ],
)
def test_a_malformed_signature_is_invalid(scheme: Scheme, signature: str) -> None:
    headers = {**SIGN[scheme](SECRETS[scheme], BODY, SENT), SIGNATURE_HEADERS[scheme]: signature}

    assert not check(scheme, headers)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_missing_header_is_invalid(scheme: Scheme) -> None:
    headers = SIGN[scheme](SECRETS[scheme], BODY, SENT)

    for name in headers:
        assert not check(scheme, {other: value for other, value in headers.items() if other != name})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_body_that_is_no_text_can_be_signed(scheme: Scheme) -> None:
    body = b"\xff\x00\xfe"

    assert check(scheme, SIGN[scheme](SECRETS[scheme], body, SENT), body=body)


def test_the_library_of_standard_webhooks_signs_as_we_check() -> None:
    signature = Webhook(STANDARD_SECRET).sign("msg_1", NOW, BODY.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(SENT), "webhook-signature": signature}

    assert check("standard", headers)


@given(
    scheme=st.sampled_from(SCHEMES),
    values=st.lists(st.text(max_size=80), min_size=2, max_size=2),
    body=st.binary(max_size=80),
    secret=st.text(max_size=40),
)
def test_whatever_comes_is_answered_and_never_raises(
    scheme: Scheme, values: list[str], body: bytes, secret: str
) -> None:
    names = SIGN[scheme](SECRETS[scheme], BODY, SENT)
    headers = {"webhook-id": "msg_1", **dict(zip(names, values, strict=False))}

    assert not check(scheme, headers, body=body, secret=secret or "none")


@pytest.mark.parametrize(
    ("scheme", "secret", "problem"),
    [
        ("standard", STANDARD_SECRET, None),
        ("standard", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_"),
        ("standard", "whsec_", "fewer than 24"),
        ("standard", "whsec_c2hvcnQ=", "fewer than 24"),
        ("standard", "whsec_é", "base64"),
        ("github", "", "empty"),
        ("github", "anything", None),
    ],
)
def test_a_useless_secret_is_named(scheme: Scheme, secret: str, problem: str | None) -> None:
    found = flaw(scheme, secret)

    assert found is None if problem is None else problem in (found or "")
