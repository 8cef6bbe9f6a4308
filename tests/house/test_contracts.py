"""The contracts that are checked in are the ones that the workflows keep."""

from pathlib import Path

from consumers.commands.contract_files import compare, folder_of, write
from pipeline.catalogue import DEFAULT_PACKAGES, load


def test_the_files_are_what_the_workflows_say() -> None:
    """When this fails: penstock workflow contracts --write."""
    states = compare(load(), folder_of(DEFAULT_PACKAGES[0]))

    assert {name: state for name, state in states.items() if state != "same"} == {}


def test_the_files_stand_beside_the_schemas() -> None:
    assert folder_of(DEFAULT_PACKAGES[0]) == Path(__file__).resolve().parents[2] / "schemas" / "contracts"


def test_a_file_that_differs_or_is_missing_or_stale_is_named(tmp_path: Path) -> None:
    write(load(), tmp_path)
    (tmp_path / "receipts.extracted.v1.json").write_text("{}")
    (tmp_path / "support.tickets.v1.json").unlink()
    (tmp_path / "old.v1.json").write_text('{"$id": "penstock:contracts/old.v1.json"}')
    (tmp_path / "package.json").write_text('{"name": "somebody else"}')

    states = compare(load(), tmp_path)

    assert {name: state for name, state in states.items() if state != "same"} == {
        "receipts.extracted.v1.json": "differs",
        "support.tickets.v1.json": "missing",
        "old.v1.json": "stale",
    }


def test_writing_mends_all_and_leaves_what_is_no_contract(tmp_path: Path) -> None:
    (tmp_path / "old.v1.json").write_text('{"$id": "penstock:contracts/old.v1.json"}')
    (tmp_path / "package.json").write_text('{"name": "somebody else"}')

    write(load(), tmp_path)

    assert set(compare(load(), tmp_path).values()) == {"same"}
    assert (tmp_path / "package.json").exists()
    assert not (tmp_path / "old.v1.json").exists()
