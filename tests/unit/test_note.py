"""Signed notes and checkpoints: the vectors of Go's note package and of C2SP, and what must not pass."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.signing import check, new_key, read_key
from pipeline import checkpoint, note
from pipeline.checkpoint import NOTHING_BEFORE, Checkpoint
from pipeline.errors import InvalidSettingsError
from pipeline.note import InvalidNote, PublicKey

#: golang.org/x/mod/sumdb/note, note_test.go.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:].hex()
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
BY_PETER = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNI"
    "uGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = (
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n"
    "2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
#: c2sp.org/signed-note.
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
BY_FOO = (
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncA"
    "lTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

SIGNER = read_key(new_key("example.com/log"))
STATE = Checkpoint(
    origin="example.com/log",
    size=3,
    root=bytes(range(32)),
    batch=2,
    sealed_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
    previous=NOTHING_BEFORE,
)


def keys(*written: str) -> list[PublicKey]:
    return [PublicKey.parse(one) for one in written]


def test_go_s_signature_is_ours_and_ours_is_go_s() -> None:
    signer = read_key(f"PeterNeumann:{PETERS_SEED}")

    assert str(signer.key) == PETER
    assert str(note.signed(TEXT, signer.key, signer.sign)) == f"{TEXT}\n{BY_PETER}"


@pytest.mark.parametrize(
    ("text", "signatures", "key"),
    [
        (TEXT, BY_PETER, PETER),
        (TEXT, BY_PETER + BY_ENOCH, ENOCH),
        ("This is an example message.\n", BY_FOO, FOO),
    ],
)
def test_notes_of_others_are_read_and_their_signer_is_found(text: str, signatures: str, key: str) -> None:
    read = note.parse(f"{text}\n{signatures}")

    assert read.text == text
    assert str(read) == f"{text}\n{signatures}"
    assert str(note.signer(read, keys(key), check)) == key


def test_a_note_counts_only_by_a_known_key_and_with_every_known_signature_right() -> None:
    both = note.parse(f"{TEXT}\n{BY_PETER}{BY_ENOCH}")
    forged = replace(both, text=TEXT.replace("answer", "question"))
    peter, enoch = both.signatures
    half = replace(both, signatures=(peter, replace(enoch, signature=bytes(64))))

    assert note.signer(both, keys(FOO), check) is None
    assert note.signer(forged, keys(PETER, ENOCH), check) is None
    assert note.signer(half, keys(PETER, ENOCH), check) is None
    assert str(note.signer(half, keys(PETER), check)) == PETER
    assert (
        note.signer(replace(both, signatures=(replace(peter, signature=b"x"),)), keys(PETER), check) is None
    )


@pytest.mark.parametrize(
    "written",
    [
        "",
        TEXT,
        f"{TEXT}{BY_PETER}",
        f"{TEXT}\n",
        f"{TEXT}\n{BY_PETER}".rstrip("\n"),
        f"{TEXT}\n{BY_PETER}\n",
        f"\n{BY_PETER}",
        f"{TEXT}\n\u2014 PeterNeumann\n",
        f"{TEXT}\n\u2014 PeterNeumann x08=\n",
        f"{TEXT}\n- {BY_PETER[2:]}",
        f"{TEXT}\t\n{BY_PETER}",
        f"{TEXT}\n{BY_PETER.replace('AM=', 'AN=')}",
    ],
)
def test_what_is_no_note_is_refused(written: str) -> None:
    with pytest.raises(InvalidNote):
        note.parse(written)


def test_a_verifier_key_with_any_character_changed_or_missing_is_refused() -> None:
    changed = [PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :] for at in range(len(PETER))]
    shorter = [PETER[:at] for at in range(len(PETER))]

    for written in (*changed, *shorter, PETER + "x", " " + PETER):
        with pytest.raises(InvalidNote):
            PublicKey.parse(written)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nline"])
def test_a_name_that_no_note_could_carry_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettingsError, match="no name for a signing key"):
        new_key(name)


@pytest.mark.parametrize(
    "written", ["", PETER, PETERS_SEED, f"a:{PETERS_SEED[:-1]}", f"a:{PETERS_SEED.upper()}"]
)
def test_what_is_no_signing_key_is_refused_and_not_quoted(written: str) -> None:
    with pytest.raises(InvalidSettingsError) as refused:
        read_key(written)

    assert PETERS_SEED[:8] not in str(refused.value).lower()


def test_a_checkpoint_is_c2sp_s_three_lines_and_three_of_ours() -> None:
    origin, size, root, *ours = STATE.text.splitlines()

    assert (origin, size, root) == ("example.com/log", "3", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    assert ours == ["batch 2", "sealed 2026-11-21T10:00:00.000000+00:00", f"previous {'A' * 43}="]
    assert checkpoint.parse(STATE.text) == STATE


@given(
    st.builds(
        Checkpoint,
        origin=st.sampled_from(["a", "example.com/log", "\u00e9"]),
        size=st.integers(1, 2**62),
        root=st.binary(min_size=32, max_size=32),
        batch=st.integers(1, 2**62),
        sealed_at=st.datetimes(timezones=st.just(UTC)),
        previous=st.binary(min_size=32, max_size=32),
    )
)
def test_what_is_written_is_read_again(state: Checkpoint) -> None:
    signed = note.signed(state.text, SIGNER.key, SIGNER.sign)

    read = note.parse(str(signed))

    assert read == signed
    assert note.signer(read, [SIGNER.key], check) == SIGNER.key
    assert checkpoint.parse(read.text) == state


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n3\n", "\n03\n"),
        ("batch 2", "batch 02"),
        ("batch 2", "batch 0"),
        ("+00:00", "Z"),
        ("+00:00", ""),
        (".000000", ""),
        ("A=\n", "B=\n"),
        ("Hh8=", "Hh8"),
        ("previous", "before"),
        ("example.com/log\n", ""),
    ],
)
def test_a_checkpoint_in_another_spelling_is_refused(old: str, new: str) -> None:
    changed = STATE.text.replace(old, new)
    assert changed != STATE.text

    with pytest.raises(InvalidNote):
        checkpoint.parse(changed)


def test_the_notes_of_a_file_are_read_whatever_a_crash_tore() -> None:
    notes = [note.signed(replace(STATE, batch=n).text, SIGNER.key, SIGNER.sign) for n in range(1, 5)]
    first, second, third, fourth = (str(one) for one in notes)
    expected = [str(one) for one in notes]

    assert [str(one) for one in note.each("")] == []
    assert [str(one) for one in note.each(f"{first}\n{second}\n{third}\n{fourth}\n")] == expected
    for cut in range(len(second)):
        torn = f"{first}\n{second[:cut]}\n\n{third}\n{fourth}\n"
        assert [str(one) for one in note.each(torn) if note.signer(one, [SIGNER.key], check)] == [
            first,
            *([second] if cut == len(second) - 1 else []),
            third,
            fourth,
        ]
