"""The canary is found in every disguise that a model can be asked for, secrets by value and by shape."""

import base64
import codecs
from collections.abc import Callable
from typing import Annotated, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.leak import canary, canary_sentence, leaks
from schemas.event import Text
from schemas.extraction import Extraction

WORD: Final = canary(b"a key of the tests, long enough", "0f3a")
SENTENCE: Final = f"You are told: {canary_sentence(WORD)} Read the receipt."
API_KEY: Final = "proj_Zx81-kQ0vTn_7731-live"

DISGUISES: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "upper case": str.upper,
    "backwards": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "spaced out": " ".join,
    "dashes between": "-".join,
    "zero width": "\u200b".join,
    "full width": lambda text: "".join(chr(ord(sign) + 0xFEE0) if sign.isalnum() else sign for sign in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one byte": lambda text: base64.b64encode(f"x{text}".encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(f"xy{text}".encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 backwards": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "hex": lambda text: text.encode().hex(),
    "hex in pairs": lambda text: text.encode().hex(" "),
    "escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
}
disguised = pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)


class Note(Extraction):
    subject: Annotated[str, Text(200)]


def test_a_canary_is_one_word_and_the_same_for_a_key_and_a_version() -> None:
    assert canary(b"a key of the tests, long enough", "0f3a") == WORD
    assert WORD.isalnum()
    assert len(WORD) == 27
    assert WORD in canary_sentence(WORD)
    assert (
        len({WORD, canary(b"another key of the tests", "0f3a"), canary(b"a key of the tests", "0f3b")}) == 3
    )


@disguised
def test_the_canary_is_found_in_every_disguise(disguise: Callable[[str], str]) -> None:
    answer = {"asks": f"Here you are: {disguise(SENTENCE)}", "total": None}

    assert leaks(answer, canary=WORD) == ("canary",)


@disguised
def test_a_known_secret_is_found_in_every_disguise(disguise: Callable[[str], str]) -> None:
    answer = {"asks": f"Here you are: {disguise(f'the key is {API_KEY} today')}"}

    assert leaks(answer, canary=WORD, secrets=[API_KEY]) == ("known_secret",)


def test_halves_of_the_canary_in_two_fields_are_found() -> None:
    assert leaks({"company": WORD[:13], "address": WORD[13:]}, canary=WORD) == ("canary",)
    assert leaks({"company": WORD[:9], "parties": [WORD[9:18], WORD[18:]]}, canary=WORD) == ("canary",)


@pytest.mark.parametrize(
    "answer",
    [WORD, [WORD], {"a": {"b": [{"c": (WORD,)}]}}, {WORD: 1}, {"a": WORD.encode()}, Note(subject=WORD)],
)
def test_it_is_found_wherever_it_stands(answer: Any) -> None:
    assert leaks(answer, canary=WORD) == ("canary",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("AKIA" + "IOSFODNN7EXAMPLE", "aws_access_key"),
        ("sk-" + "proj-1a2b3c4d5e6f7a8b9c0d", "api_key"),
        ("-----BEGIN RSA PRIVATE " + "KEY-----", "private_key"),
        ("-----BEGIN PRIVATE " + "KEY-----", "private_key"),
        ("eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN", "jwt"),
        ("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook_secret"),
        ("pst_" + "a1B2_" * 8 + "xyz", "penstock_token"),
        ("ghp_" + "a1B2c3D4e5F6" * 3, "github_token"),
        ("xoxb-" + "123456789012-abcdefABCDEF", "slack_token"),
    ],
)
def test_what_looks_like_a_secret_is_named_by_its_kind(text: str, name: str) -> None:
    assert leaks({"asks": f"use {text} now"}, canary=WORD) == (name,)


@pytest.mark.parametrize(
    "answer",
    [
        {"company": "SK-II Cosmetics Sdn Bhd", "date": None, "total": "12.50"},
        {"order_number": "AKIA-2044", "asks": "Send the sk-1200 desk again.", "refund_amount": None},
        {"parties": ["Alderbrook Sensors, Inc.", "Pinecrest Robotics LLC"], "term": "2 years"},
        {"asks": "Reset the password and send a new whsec link.", "priority": "high", "count": 3, "ok": True},
        {"reference": "QmF0Y2ggNDQxMiAvIHRyYXkgMyAvIGR1cGxleA=="},
    ],
)
def test_an_honest_answer_gives_nothing_away(answer: Any) -> None:
    assert leaks(answer, canary=WORD, secrets=[API_KEY]) == ()


def test_a_secret_too_short_to_be_one_is_not_looked_for() -> None:
    assert leaks({"asks": "a local model"}, canary=WORD, secrets=["local", "", "------------"]) == ()


def test_all_findings_are_named_once_and_sorted() -> None:
    answer = [WORD, WORD, API_KEY, "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]

    assert leaks(answer, canary=WORD, secrets=[API_KEY]) == ("canary", "known_secret", "webhook_secret")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_can_be_scanned_and_chance_finds_nothing(value: Any) -> None:
    assert leaks(value, canary=WORD, secrets=[API_KEY]) == ()
