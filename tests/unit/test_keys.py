"""Keys in files: made once, rotated with a trace, and the list of those to trust."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.keys import KeyFile
from infra.signing import new_key, read_key
from pipeline import keyring
from pipeline.errors import Conflict, InvalidSettingsError
from pipeline.keyring import TrustedKey

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys" / "audit-key")


def test_a_key_is_made_once_for_its_owner_alone(file: KeyFile) -> None:
    made = file.make("a.example/log", now=NOW)

    assert file.signer().key == made.key
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.public.read_text() == f"{made.key} 0 2026-11-21T10:00:00+00:00\n"
    with pytest.raises(Conflict, match="rotate"):
        file.make("a.example/log", now=NOW)
    assert file.signer().key == made.key


def test_a_rotation_keeps_the_name_and_the_old_public_key(file: KeyFile) -> None:
    old = file.make("a.example/log", now=NOW)

    draft = file.rotated(above=40, now=NOW)
    assert file.signer().key == old.key
    draft.use()

    new = file.signer()
    assert new.key == draft.signer.key
    assert (new.key.name, new.key.public != old.key.public) == ("a.example/log", True)
    trusted = keyring.parse(file.public.read_text())
    assert [(one.key, one.above) for one in trusted] == [(old.key, 0), (new.key, 40)]
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["audit-key", "audit-key.pub"]


@pytest.mark.parametrize("content", [None, b"\xff", b"no key"])
def test_a_file_without_a_key_is_named_or_the_cure_is(file: KeyFile, content: bytes | None) -> None:
    file.path.parent.mkdir()
    if content is not None:
        file.path.write_bytes(content)

    with pytest.raises(InvalidSettingsError, match="penstock audit key new"):
        file.signer()


def test_the_list_of_keys_may_hold_remarks_and_keys_without_a_size() -> None:
    key = read_key(new_key("a.example/log")).key

    found = keyring.parse(f"# ours\n\n{key}\n{key} 7\n{key} 8 made by hand\n")

    assert found == (TrustedKey(key), TrustedKey(key, 7), TrustedKey(key, 8, "made by hand"))
    assert keyring.parse("".join(one.line for one in found)) == found


@pytest.mark.parametrize("line", ["key", "a+b+c 1", "{key} many"])
def test_a_line_that_is_no_key_is_named_by_its_number(line: str) -> None:
    key = read_key(new_key("a.example/log")).key

    with pytest.raises(InvalidSettingsError, match="line 2 of the public keys"):
        keyring.parse(f"{key}\n{line.format(key=key)}\n")
