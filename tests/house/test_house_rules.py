"""The rules that no linter knows."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "pipeline", "infra", "consumers")
TOP_LEVEL = re.compile(
    r"pyproject\.toml|pipeline|consumers|schemas|infra|tests|README\.md|LICENSE|CHANGELOG\.md|Makefile"
    r"|requirements[a-z-]*\.txt|\..*"
)
BANNED_WORDS = re.compile(r"(^|_)(manager|handler|helper|util|utils|processor)(_|$)|Manager|Helper|Util")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines()]


def _modules() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations/versions" not in path.as_posix():
                yield path.relative_to(ROOT), path.read_text("utf-8")


def _functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_only_the_fixed_names_stand_at_the_top_level() -> None:
    names = {path.parts[0] for path in _tracked()}

    assert [name for name in sorted(names) if not TOP_LEVEL.fullmatch(name)] == []


def test_no_module_is_longer_than_300_lines() -> None:
    long = {str(path): source.count("\n") for path, source in _modules() if source.count("\n") > 300}

    assert long == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, source in _modules()
        for node in _functions(source)
        if (node.end_lineno or 0) - node.lineno >= 40
    ]

    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [str(path) for path, source in _modules() if source and not ast.get_docstring(ast.parse(source))]

    assert silent == []


def test_names_are_from_the_glossary() -> None:
    found = []
    for path, source in _modules():
        names = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
        names += [node.name for node in _functions(source)] + [path.stem]
        found += [f"{path}: {name}" for name in names if BANNED_WORDS.search(name)]

    assert found == []


def test_only_wiring_and_the_doors_read_the_environment() -> None:
    readers = [
        str(path)
        for path, source in _modules()
        if re.search(r"os\.(environ|getenv)", source) and path.parts[0] in ("schemas", "pipeline")
    ]

    assert readers == []


@pytest.mark.parametrize("word", ["transactional_id", "init_transactions", "begin_transaction"])
def test_no_kafka_transactions(word: str) -> None:
    users = [str(path) for path, source in _modules() if word in source]

    assert users == []


def test_every_workflow_has_a_policy_test() -> None:
    examples = (ROOT / "tests/unit/test_workflows.py").read_text("utf-8")
    workflows = [path.stem for path in (ROOT / "pipeline/workflows").glob("*.md")]
    own = {path.stem.removeprefix("test_") for path in (ROOT / "tests/unit").glob("test_*.py")}

    assert [name for name in workflows if name not in examples and name not in own] == []
