"""Keys and what they seal: opens with the same key about the same thing, else not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.vault import DamagedKey, Wrapped, new_master_key, opened, sealed, vault
from pipeline.errors import InvalidSettingsError

OLD, NEW = "1" * 64, "2" * 64
KEY, OTHER = bytes(32), bytes(31) + b"\1"
SUBJECT = b"subject"


@given(st.binary(max_size=200), st.binary(max_size=32))
def test_what_was_sealed_opens_again(text: bytes, about: bytes) -> None:
    assert opened(KEY, sealed(KEY, text, about=about), about=about) == text


@given(st.binary(max_size=50), st.integers(min_value=0))
def test_a_changed_byte_opens_nothing(text: bytes, place: int) -> None:
    kept = bytearray(sealed(KEY, text, about=b"a"))
    kept[place % len(kept)] ^= 1

    assert opened(KEY, bytes(kept), about=b"a") is None


@pytest.mark.parametrize(("key", "about"), [(OTHER, b"a"), (KEY, b"b")])
def test_another_key_or_another_place_opens_nothing(key: bytes, about: bytes) -> None:
    assert opened(key, sealed(KEY, b"text", about=b"a"), about=about) is None


@pytest.mark.parametrize("text", [b"", b"short"])
def test_what_was_never_sealed_opens_nothing(text: bytes) -> None:
    assert opened(KEY, text, about=b"a") is None


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert sealed(KEY, b"text", about=b"a") != sealed(KEY, b"text", about=b"a")


def test_the_first_master_key_wraps_and_all_unwrap() -> None:
    old, both, new = vault(OLD), vault(f"{NEW}, {OLD}"), vault(f"{NEW}\n")
    wrapped = old.new_key(SUBJECT)

    rewrapped = both.rewrap(wrapped, SUBJECT)

    assert (wrapped.master_key_id, rewrapped.master_key_id) == (old.current, new.current)
    assert {
        one.unwrap(kept, SUBJECT)
        for one, kept in ((old, wrapped), (both, wrapped), (both, rewrapped), (new, rewrapped))
    } == {old.unwrap(wrapped, SUBJECT)}
    with pytest.raises(InvalidSettingsError, match=old.current):
        new.unwrap(wrapped, SUBJECT)


def test_a_wrapped_key_is_of_use_to_its_own_subject_only() -> None:
    wrapped = vault(OLD).new_key(SUBJECT)

    for kept, subject in ((wrapped, b"another"), (Wrapped(b"x" * 60, wrapped.master_key_id), SUBJECT)):
        with pytest.raises(DamagedKey, match="was changed, or belongs to another"):
            vault(OLD).unwrap(kept, subject)


@pytest.mark.parametrize("text", ["", " ", "secret", "1" * 63, "G" * 64, f"{OLD},short"])
def test_what_is_no_master_key_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="PENSTOCK_PRIVACY__MASTER_KEY: write 64") as told:
        vault(text)

    assert not text.strip() or text not in str(told.value)


def test_a_new_master_key_is_one() -> None:
    assert vault(new_master_key()).keys != vault(new_master_key()).keys
