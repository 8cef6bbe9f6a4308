"""The contracts of a catalogue's topics as files: where they are, how they differ, written anew."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pipeline.catalogue import DEFAULT_PACKAGES, Catalogue
from pipeline.contracts import contracts, written

State = Literal["same", "differs", "missing", "stale"]


def folder_of(package: str) -> Path:
    """`schemas/contracts` for the examples, `contracts` inside any other package."""
    owner = "schemas" if package in DEFAULT_PACKAGES else package
    spec = importlib.util.find_spec(owner)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return Path(next(iter(places))) / "contracts"


def compare(catalogue: Catalogue, folder: Path) -> dict[str, State]:
    """The state of every file by name; stale is the contract of a topic that nobody writes to any more."""
    states: dict[str, State] = {}
    for topic, contract in contracts(catalogue).items():
        path = folder / f"{topic}.json"
        if not path.exists():
            states[path.name] = "missing"
        else:
            states[path.name] = "same" if path.read_text("utf-8") == written(contract) else "differs"
    return {**states, **{path.name: "stale" for path in _ours(folder) if path.name not in states}}


def write(catalogue: Catalogue, folder: Path) -> None:
    """Make the folder say what the catalogue does; files that are no contracts of ours stay."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = contracts(catalogue)
    for topic, contract in wanted.items():
        (folder / f"{topic}.json").write_text(written(contract), "utf-8")
    for path in _ours(folder):
        if path.stem not in wanted:
            path.unlink()


def _ours(folder: Path) -> Iterator[Path]:
    """The files that say by their $id that they are contracts; a folder may hold others."""
    for path in sorted(folder.glob("*.json")):
        try:
            named = json.loads(path.read_text("utf-8"))["$id"]
        except (ValueError, KeyError, TypeError):
            continue
        if named == f"penstock:contracts/{path.name}":
            yield path
