"""The script that verifies an export with nothing but Python: it agrees with our own code, and finds all."""

import base64
import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import verify_export
from pipeline import disclosure
from pipeline.audit import leaf
from pipeline.merkle import Tree
from pipeline.note import PublicKey
from pipeline.seal import Signer, seal

SCRIPT: Final = Path(verify_export.__file__)
NOW: Final = datetime(2026, 11, 21, tzinfo=UTC)
SECRET: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY: Final = PublicKey("log.example", SECRET.public_key().public_bytes_raw())
SEALED: Final = "a signed checkpoint of 7 records, sealed 2026-11-21T00:00:00.000000+00:00"
SHOWN: Final = "1 of the 1 texts that they name came with them"
SALT, TEXT = b"\1" * 16, "Kaffee, 2 €".encode()


def records(amount: int) -> list[bytes]:
    named = hashlib.sha256(SALT + TEXT).hexdigest()
    return [f'{{"id":{number},"reason":"größer","sha256":"{named}"}}'.encode() for number in range(amount)]


@dataclass
class Export:
    """An export as a list of lines, and where it is checked."""

    folder: Path
    lines: list[str]
    key: PublicKey = KEY
    above: int = 0
    more: str = ""
    keys: bytes | None = None

    def check(self, *wanted: str) -> tuple[int, str]:
        (self.folder / "export.jsonl").write_text("".join(self.lines), "utf-8", "surrogateescape")
        keys = f"# as `penstock audit key list` prints them\n\n{self.key} {self.above} 2026-11-21\n"
        (self.folder / "keys.txt").write_bytes(
            (keys + self.more).encode() if self.keys is None else self.keys
        )
        command = [sys.executable, "-I", str(SCRIPT), "export.jsonl", "keys.txt", *wanted]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout

    def change(self, number: int, change: Callable[[dict[str, Any]], object]) -> None:
        value = json.loads(self.lines[number])
        change(value)
        self.lines[number] = json.dumps(value) + "\n"


@pytest.fixture
def export(tmp_path: Path) -> Export:
    texts = records(7)
    tree = Tree([leaf(text) for text in texts])
    sealed = seal(None, [leaf(text) for text in texts], sealed_at=NOW, signer=Signer(KEY, SECRET.sign))
    lines = [
        disclosure.line(text, number, tree.inclusion(number), [(SALT, TEXT)])
        for number, text in enumerate(texts)
    ]
    return Export(tmp_path, [disclosure.head(sealed.note), *lines])


def test_the_record_of_a_message_is_in_the_export_or_that_is_a_difference(export: Export) -> None:
    own, other = leaf(records(7)[3]).hex(), "0" * 64

    assert export.check(own)[0] == 0
    code, told = export.check(other)
    assert (code, f"no record here has the leaf {other}" in told) == (1, True)


def test_the_beginning_of_a_text_cannot_be_passed_off_as_its_salt(export: Export) -> None:
    def shorten(line: dict[str, Any]) -> None:
        content = line["contents"][0]
        text = base64.b64decode(content["bytes"])
        content["salt"] += text[:6].hex()
        content["bytes"] = base64.b64encode(text[6:]).decode()

    export.change(3, shorten)

    code, told = export.check()
    assert (code, "names no such text" in told) == (1, True)


def test_a_key_signs_no_log_that_is_older_than_it(export: Export) -> None:
    export.above = 7

    assert export.check() == (1, "DIFFERENCE: no key that you trust has signed the checkpoint\n")


def test_a_key_signs_no_log_that_its_successor_had_taken_over(export: Export) -> None:
    successor = PublicKey("log.example", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    told = "DIFFERENCE: another key had taken over from the one that signed the checkpoint\n"

    export.more = f"{successor} 6\n"
    assert export.check() == (1, told)
    export.more = f"{successor} 7\n"
    assert export.check()[0] == 0


@pytest.mark.parametrize(
    "keys", [f"{KEY} 5x".encode(), b"\xff\xfe", b"a+b+c", "log.example+1+\u00e9".encode()]
)
def test_keys_that_cannot_be_read_are_no_difference(export: Export, keys: bytes) -> None:
    export.keys = keys

    code, told = export.check()
    assert (code, told.startswith("cannot be read: ")) == (2, True)


@pytest.mark.parametrize("line", ["[" * 100_000, "5", '{"canonical": 5, "sequence": 1}', "\udcff", "{"])
def test_a_line_that_cannot_be_read_is_named(export: Export, line: str) -> None:
    export.lines.append(line + "\n")

    code, told = export.check()
    assert (code, "DIFFERENCE: line 9 cannot be read" in told) == (1, True)


@pytest.mark.parametrize("line", ["[" * 100_000, "5", '{"checkpoint": 5}', "\udcff", ""])
def test_an_export_without_a_checkpoint_proves_nothing(export: Export, line: str) -> None:
    export.lines[0] = line + "\n"

    code, told = export.check()
    assert (code, told.startswith("DIFFERENCE: ")) == (1, True)


def test_a_whole_log_that_nobody_touched_has_no_difference(export: Export) -> None:
    assert export.check() == (0, f"{SEALED}; the whole log: 0 differences\n{SHOWN}\n")


def test_a_part_of_the_log_is_told_as_one(export: Export) -> None:
    del export.lines[2:5]

    assert export.check() == (0, f"{SEALED}; 4 of them: 0 differences\n{SHOWN}\n")


@pytest.mark.parametrize("contents", [[], [{"salt": SALT.hex(), "bytes": ""}]], ids=["none", "another"])
def test_a_text_that_is_named_and_did_not_come_is_told(export: Export, contents: list[Any]) -> None:
    for number in range(1, len(export.lines)):
        export.change(number, lambda one: one.update(contents=contents))

    assert "0 of the 1 texts that they name came with them" in export.check()[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda one: one.update(canonical=one["canonical"].replace("größer", "kleiner")),
            "not what was sealed",
        ),
        (lambda one: one.update(sequence=one["sequence"] + 1), "not what was sealed at place 3"),
        (lambda one: one["path"].pop(), "not what was sealed"),
        (lambda one: one["path"].append(one["path"][0]), "not what was sealed"),
        (
            lambda one: one["contents"][0].update(bytes=base64.b64encode(b"Tee").decode()),
            "names no such text",
        ),
        (lambda one: one["contents"][0].update(salt="00"), "names no such text"),
        (lambda one: one.pop("path"), "cannot be read"),
        (lambda one: one.update(sequence=-1), "not what was sealed"),
    ],
    ids=["text", "place", "short path", "long path", "content", "salt", "no path", "negative"],
)
def test_a_changed_record_is_named(
    export: Export, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    export.change(3, change)

    code, out = export.check()

    assert code == 1
    assert "DIFFERENCE: line 4 " in out
    assert told in out


def test_a_record_that_stands_there_twice_is_named(export: Export) -> None:
    export.lines.append(export.lines[3])

    assert "line 9 repeats place 2" in export.check()[1]


def test_a_checkpoint_of_another_key_or_with_another_size_counts_for_nothing(export: Export) -> None:
    other = PublicKey("log.example", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert Export(export.folder, export.lines, other).check() == (
        1,
        "DIFFERENCE: no key that you trust has signed the checkpoint\n",
    )

    export.change(0, lambda one: one.update(checkpoint=one["checkpoint"].replace("\n7\n", "\n8\n")))
    assert export.check() == (1, "DIFFERENCE: the checkpoint's signature is wrong\n")


@settings(max_examples=15)
@given(secret=st.binary(min_size=32, max_size=32), text=st.binary(max_size=80), flip=st.integers(0, 511))
def test_its_ed25519_is_that_of_the_library(secret: bytes, text: bytes, flip: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(text)
    wrong = bytearray(signature)
    wrong[flip // 8] ^= 1 << flip % 8

    assert verify_export.is_signed(public, signature, text)
    with contextlib.suppress(ValueError):  # the first half may be no point of the curve any longer
        assert not verify_export.is_signed(public, bytes(wrong), text)
