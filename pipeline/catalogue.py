"""Packages of workflows in, one checked `Catalogue` out: every workflow with its prompt and version."""

import ast
import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Final

from pipeline.errors import InvalidWorkflowError, NotFound
from pipeline.source import Source
from pipeline.workflow import AnyWorkflow, PromptFile, Workflow

DEFAULT_PACKAGES: Final = ("pipeline.workflows",)


@dataclass(frozen=True, slots=True)
class Entry:
    """A workflow that can run: the declaration, its prompt as read, and the version of both.

    `version` is the SHA-256 (hex) of `content`: the workflow's file, its prompt file, both
    generated schemas and the modules it imports from its own package, as one canonical text.
    """

    workflow: AnyWorkflow
    instructions: str
    content: str
    version: str


@dataclass(frozen=True)
class Catalogue:
    """All that this deployment runs."""

    entries: tuple[Entry, ...]
    sources: tuple[Source, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Entry]:
        return {entry.workflow.name: entry for entry in self.entries}

    @cached_property
    def by_topic(self) -> Mapping[str, Entry]:
        return {entry.workflow.consumes: entry for entry in self.entries}

    @cached_property
    def aliases(self) -> frozenset[str]:
        """The model aliases that workflows name."""
        return frozenset(alias for entry in self.entries for alias in entry.workflow.models)

    def named(self, name: str) -> Entry:
        """The workflow called `name`; raises NotFound, which lists the ones there are."""
        if name not in self.by_name:
            raise NotFound(f"no workflow {name!r}; there are: {', '.join(sorted(self.by_name)) or 'none'}")
        return self.by_name[name]

    def consuming(self, topic: str) -> Entry:
        """The workflow that consumes `topic`; raises NotFound, which lists the topics."""
        if topic not in self.by_topic:
            raise NotFound(f"no workflow consumes {topic!r}; topics: {', '.join(sorted(self.by_topic))}")
        return self.by_topic[topic]


def load(packages: Sequence[str] = DEFAULT_PACKAGES) -> Catalogue:
    """Import `packages` and read their WORKFLOWS and SOURCES; raises InvalidWorkflowError."""
    entries: list[Entry] = []
    sources: list[Source] = []
    for name in packages:
        package = _import(name)
        workflows = getattr(package, "WORKFLOWS", None)
        if not isinstance(workflows, tuple) or not all(isinstance(w, Workflow) for w in workflows):
            raise InvalidWorkflowError(
                _file(package), "WORKFLOWS", "is no tuple of workflows", "Write WORKFLOWS = (mine.workflow,)."
            )
        entries += (_entry(workflow, package) for workflow in workflows)
        sources += getattr(package, "SOURCES", ())
    catalogue = Catalogue(tuple(entries), tuple(sources))
    _check(catalogue)
    return catalogue


def check_aliases(catalogue: Catalogue, aliases: Collection[str]) -> None:
    """Raise InvalidWorkflowError for a model alias that is not among `aliases`, those that settings map."""
    for entry in catalogue.entries:
        for alias in entry.workflow.models:
            if alias not in aliases:
                problem = f"no endpoint for the alias {alias!r}"
                variable = f"PENSTOCK_MODELS__{alias.upper()}__"
                cure = f"Set {variable}MODEL and {variable}BASE_URL."
                raise InvalidWorkflowError(entry.workflow.file, "models", problem, cure)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            cure = "Install it, or correct PENSTOCK_WORKFLOWS."
            raise InvalidWorkflowError(name, "package", "cannot be found", cure) from error
        raise _not_imported(name, error) from error
    except ImportError as error:
        raise _not_imported(name, error) from error
    except SyntaxError as error:
        cure = f"Correct it: {error.text.strip()}" if error.text else "Correct it."
        raise InvalidWorkflowError(error.filename or name, f"line {error.lineno}", error.msg, cure) from error


def _not_imported(package: str, error: ImportError) -> InvalidWorkflowError:
    """The file and the line that import what is not there: the innermost of the importing ones."""
    steps = traceback.extract_tb(error.__traceback__)
    places = [step for step in steps if not step.filename.startswith("<") and step.filename != __file__]
    places = [step for step in places if Path(step.filename) != Path(importlib.__file__)]
    file, field = (places[-1].filename, f"line {places[-1].lineno}") if places else (package, "package")
    return InvalidWorkflowError(file, field, str(error), "Correct the import, or install what it names.")


def _check(catalogue: Catalogue) -> None:
    names = [entry.workflow.name for entry in catalogue.entries]
    produced = [entry.workflow.produces for entry in catalogue.entries]
    consumed = [entry.workflow.consumes for entry in catalogue.entries]
    for entry in catalogue.entries:
        workflow = entry.workflow
        if names.count(workflow.name) > 1:
            raise InvalidWorkflowError(
                workflow.file, "name", f"{workflow.name!r} is taken", "Choose another."
            )
        if consumed.count(workflow.consumes) > 1:
            cure = "One topic has one workflow: give this one a topic of its own."
            raise InvalidWorkflowError(workflow.file, "consumes", f"{workflow.consumes!r} is taken", cure)
        if produced.count(workflow.produces) > 1:
            cure = "One topic has one schema: give this one a topic of its own."
            raise InvalidWorkflowError(workflow.file, "produces", f"{workflow.produces!r} is taken", cure)
        if workflow.produces in {other.workflow.dead_topic for other in catalogue.entries}:
            cure = "Dead letters have it: give results a topic of their own."
            raise InvalidWorkflowError(workflow.file, "produces", f"{workflow.produces!r} is taken", cure)
    _check_sources(catalogue.sources, set(consumed))


def _check_sources(sources: Sequence[Source], topics: set[str]) -> None:
    names = [source.name for source in sources]
    for source in sources:
        if names.count(source.name) > 1:
            raise InvalidWorkflowError(f"source {source.name!r}", "name", "is taken", "Choose another.")
        if source.topic not in topics:
            cure = f"Name one of: {', '.join(sorted(topics))}."
            raise InvalidWorkflowError(f"source {source.name!r}", "topic", "has no workflow", cure)


def _entry(workflow: AnyWorkflow, package: ModuleType) -> Entry:
    module = _module_of(workflow, package)
    instructions = _instructions(workflow, Path(_file(module)).parent)
    content = json.dumps(
        {
            "files": _own_files(module, package),
            "instructions": instructions,
            "event": workflow.event.model_json_schema(),
            "extraction": workflow.extraction.model_json_schema(),
        },
        sort_keys=True,
        ensure_ascii=False,
    )
    return Entry(workflow, instructions, content, hashlib.sha256(content.encode()).hexdigest())


def _module_of(workflow: AnyWorkflow, package: ModuleType) -> ModuleType:
    """The module of `package` that declares `workflow`: the one in whose namespace it stands."""
    for name, module in sorted(sys.modules.items()):
        inside = name.startswith(package.__name__ + ".")
        if inside and any(value is workflow for value in vars(module).values()):
            return module
    return package


def _own_files(module: ModuleType, package: ModuleType) -> dict[str, str]:
    """The text of `module` and of what it imports from its own package, at any depth, by relative name.

    Import statements are read, not namespaces: an imported constant does not say where it is from.
    """
    found: dict[str, str] = {}
    waiting = {module.__name__}
    while waiting:
        name = waiting.pop()
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.has_location or spec.origin is None:
            continue  # a namespace package
        text = Path(spec.origin).read_text("utf-8")
        found[name.removeprefix(package.__name__)] = text
        parent = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        for imported in _imports(text, parent):
            inside = imported.startswith(package.__name__ + ".")
            if inside and imported.removeprefix(package.__name__) not in found and _is_module(imported):
                waiting.add(imported)
    return found


def _imports(text: str, parent: str) -> Iterator[str]:
    """What the import statements of a module in the package `parent` may import; some are no modules."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), parent)
            yield from (origin, *(f"{origin}.{alias.name}" for alias in node.names))


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, no package
        return False


def _instructions(workflow: AnyWorkflow, folder: Path) -> str:
    if not isinstance(workflow.prompt, PromptFile):
        return workflow.prompt.strip()
    path = folder / workflow.prompt.name
    if not path.is_file():
        raise InvalidWorkflowError(
            workflow.file, "prompt", f"{path} does not exist", "Write the prompt there."
        )
    instructions = path.read_text("utf-8").strip()
    if not instructions:
        raise InvalidWorkflowError(workflow.file, "prompt", f"{path} is empty", "Say what to extract.")
    return instructions


def _file(module: ModuleType) -> str:
    return module.__file__ or module.__name__
