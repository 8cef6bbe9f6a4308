"""The catalogue, on packages written for the test: what it refuses, and what a version is made of."""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.catalogue import Catalogue, load
from pipeline.errors import InvalidWorkflowError, NotFound

MODULE = '''"""A workflow."""

from typing import Annotated

from pipeline import PromptFile, Workflow
from schemas import Answer, Decision, Event, Extraction, Text, accept, review

from .limits import LIMIT


class Note(Event):
    text: Annotated[str, Text(100)]


class Facts(Extraction):
    city: Annotated[str, Text(100)] | None


def policy(note: Note, answer: Answer[Facts]) -> Decision:
    return accept() if len(answer.value.city or "") < LIMIT else review("a long name")


workflow = Workflow(
    name="notes",
    consumes="notes.written.v1",
    produces="notes.facts.v1",
    event=Note,
    extraction=Facts,
    text=lambda note: note.text,
    prompt=PromptFile("notes.md"),
    models=("fast",),
    policy=policy,
)
'''
FILES = {
    "__init__.py": "from . import notes\n\nWORKFLOWS = (notes.workflow,)\n",
    "notes.py": MODULE,
    "notes.md": "Find the city.",
    "limits.py": "from .deeper import far\n\nLIMIT = far.AWAY\n",
    "deeper/__init__.py": "",
    "deeper/far.py": "AWAY = 20\n",
    "neighbour.py": "UNUSED = 1\n",
}

Load = Callable[..., Catalogue]


@pytest.fixture(name="loaded")
def fixture_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write FILES with changes as a package of its own, and load it."""
    monkeypatch.syspath_prepend(tmp_path)

    def loaded(changes: Mapping[str, str] | None = None) -> Catalogue:
        files = {**FILES, **(changes or {})}
        unique = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:12]
        package = f"acme_{unique}_{tmp_path.name}"
        for name, text in files.items():
            path = tmp_path / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        importlib.invalidate_caches()
        return load([package])

    return loaded


def version(catalogue: Catalogue) -> str:
    return catalogue.named("notes").version


@pytest.mark.parametrize(
    "changes",
    [
        {"notes.py": MODULE + "# a comment\n"},
        {"notes.py": MODULE.replace("Text(100)] | None", "Text(99)] | None")},
        {"notes.py": MODULE.replace("policy=policy,", 'policy=policy,\n    on_failure="dead",')},
        {"notes.md": "Find the town."},
        {"limits.py": "LIMIT = 30\n"},
        {"deeper/far.py": "AWAY = 21\n"},
    ],
    ids=["its file", "its schema", "its rules", "its prompt", "what it imports", "what that imports"],
)
def test_the_version_changes_with(loaded: Load, changes: dict[str, str]) -> None:
    assert version(loaded(changes)) != version(loaded())


def test_the_version_does_not_change_with_a_neighbour_or_the_package_name(loaded: Load) -> None:
    assert version(loaded({"neighbour.py": "UNUSED = 2\n"})) == version(loaded())


def test_the_version_is_the_hash_of_the_content(loaded: Load) -> None:
    entry = loaded().named("notes")

    assert entry.version == hashlib.sha256(entry.content.encode()).hexdigest()


def test_the_prompt_file_is_read_beside_the_workflow(loaded: Load) -> None:
    assert loaded({"notes.md": "\nFind the city.\n\n"}).named("notes").instructions == "Find the city."


def test_a_missing_prompt_file_is_named(loaded: Load) -> None:
    with pytest.raises(InvalidWorkflowError, match=r"prompt: .*missing\.md does not exist"):
        loaded({"notes.py": MODULE.replace('PromptFile("notes.md")', 'PromptFile("missing.md")')})


def test_an_empty_prompt_file_is_named(loaded: Load) -> None:
    with pytest.raises(InvalidWorkflowError, match=r"prompt: .*notes\.md is empty"):
        loaded({"notes.md": " \n"})


TWO = "from pipeline import Source\nfrom dataclasses import replace\nfrom .notes import workflow\n"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ('consumes="others.v1"', "name: 'notes' is taken"),
        ('name="others"', "consumes: 'notes.written.v1' is taken"),
        (
            'name="others", consumes="others.v1", produces="notes.written.v1.dead"',
            "produces: 'notes.written.v1.dead' is taken",
        ),
    ],
)
def test_two_workflows_do_not_share(loaded: Load, change: str, problem: str) -> None:
    with pytest.raises(InvalidWorkflowError, match=problem):
        loaded({"__init__.py": f"{TWO}WORKFLOWS = (workflow, replace(workflow, {change}))\n"})


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ('Source(name="shop", topic="others.v1"),', "'shop': topic: has no workflow. Name one of: notes"),
        ('Source(name="shop", topic="notes.written.v1"),' * 2, "'shop': name: is taken"),
    ],
)
def test_a_source_has_a_name_of_its_own_and_a_known_topic(loaded: Load, sources: str, problem: str) -> None:
    with pytest.raises(InvalidWorkflowError, match=problem):
        loaded({"__init__.py": f"{TWO}WORKFLOWS = (workflow,)\nSOURCES = ({sources})\n"})


@pytest.mark.parametrize("workflows", ["", "WORKFLOWS = []", "WORKFLOWS = (1,)", "WORKFLOWS = workflow"])
def test_a_package_without_a_tuple_of_workflows_is_told_so(loaded: Load, workflows: str) -> None:
    with pytest.raises(InvalidWorkflowError, match="WORKFLOWS: is no tuple of workflows"):
        loaded({"__init__.py": f"{TWO}{workflows}\n"})


def test_an_unknown_package_is_named_with_the_setting_to_correct() -> None:
    with pytest.raises(InvalidWorkflowError, match=r"acme\.nothing: package: .*PENSTOCK_WORKFLOWS"):
        load(["acme.nothing"])


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("\nimport nowhere\n", "line 2", "No module named 'nowhere'"),
        ("from .deeper import nowhere\n", "line 1", "cannot import name 'nowhere'"),
        ("LIMIT = 1\nLIMIT = (\n", "line 2", r"'\(' was never closed"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line(
    loaded: Load, text: str, line: str, problem: str
) -> None:
    with pytest.raises(InvalidWorkflowError, match=problem) as refused:
        loaded({"limits.py": text})

    assert refused.value.file.endswith("limits.py")
    assert refused.value.field == line


def test_unknown_names_and_topics_are_answered_with_those_there_are() -> None:
    catalogue = load()

    with pytest.raises(NotFound, match="'nothing'; there are: ") as unnamed:
        catalogue.named("nothing")
    with pytest.raises(NotFound, match="'x'; topics: ") as unconsumed:
        catalogue.consuming("x")

    examples = {"contracts", "receipts", "support"}
    topics = {"contracts.received.v1", "receipts.scanned.v1", "support.messages.v1"}
    assert examples <= set(str(unnamed.value).partition("are: ")[2].split(", "))
    assert topics <= set(str(unconsumed.value).partition("topics: ")[2].split(", "))
