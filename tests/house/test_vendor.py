"""The files of others are those that versions.json names, and say under which licence they are."""

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "consumers/web/static/vendor"


def register() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VENDOR / "versions.json").read_text("utf-8"))
    return found


def test_each_file_is_the_one_that_was_fetched() -> None:
    named = {place: digest for entry in register() for place, digest in entry["sha256"].items()}

    found = {place: hashlib.sha256((ROOT / place).read_bytes()).hexdigest() for place in named}

    assert found == named, "run `make vendor`"


def test_no_file_is_there_that_the_register_does_not_know() -> None:
    named = {place for entry in register() for place in entry["files"].values()}

    found = {path.relative_to(ROOT).as_posix() for path in VENDOR.iterdir() if path.suffix != ".json"}

    assert found == {place for place in named if place.startswith("consumers")}


def test_each_package_comes_with_its_licence() -> None:
    for entry in register():
        assert entry["licence"]
        assert any(member == "LICENSE" for member in entry["files"])
