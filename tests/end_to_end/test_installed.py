"""Penstock and ACME's workflows as installed wheels, run from a folder that has a `schemas/` of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.process import free_port
from tests.end_to_end.stack import SITE

ROOT: Final = Path(__file__).resolve().parents[2]
ACME: Final = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-workflows"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["acme"]
"""


@pytest.fixture(scope="module")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in an environment where both wheels are installed and nothing leads to this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    acme = folder / "acme-project"
    shutil.copytree(SITE / "acme", acme / "acme", ignore=shutil.ignore_patterns("__pycache__"))
    (acme / "pyproject.toml").write_text(ACME)
    wheels = [_build(ROOT, folder / "our-wheel"), _build(acme, folder / "their-wheel")]
    return _install(wheels, folder / "environment")


def _build(project: Path, into: Path) -> str:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into), cwd=project)
    (wheel,) = into.glob("*.whl")
    return str(wheel)


def _install(wheels: list[str], environment: Path) -> Path:
    """As `infra/local/setup.sh` does: by uv where it is there, else by pip."""
    python = environment / "bin" / "python"
    if uv := shutil.which("uv"):
        _run(uv, "venv", "--python", sys.executable, str(environment))
        _run(uv, "pip", "install", "--offline", "--no-deps", "--python", str(python), *wheels)
    else:
        _run(sys.executable, "-m", "venv", str(environment))
        _run(str(python), "-m", "pip", "install", "--no-index", "--no-deps", *wheels)
    # The dependencies are those of this environment; the .pth files of its own are not followed.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "penstock"


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody's project, whose own package has the name of one of ours."""
    package = tmp_path / "schemas"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('not the schemas that were meant')\n")
    return tmp_path


@pytest.fixture
def environment(foreign: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PYTHON"))}
    return ours | {
        "PENSTOCK_WORKFLOWS": "acme.workflows",
        "PENSTOCK_DATABASE__URL": f"sqlite:///{foreign}/penstock.db",
        "PENSTOCK_API__PORT": str(free_port()),
    }


def run(penstock: Path, *arguments: str, environment: dict[str, str], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [penstock, *arguments], capture_output=True, text=True, env=environment, cwd=folder, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def dev(penstock: Path, environment: dict[str, str], foreign: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (foreign / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [penstock, "dev"], env=environment, cwd=foreign, stderr=log, start_new_session=True
        )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_installed_workflows_are_found(
    penstock: Path, environment: dict[str, str], foreign: Path
) -> None:
    code, told, problem = run(penstock, "workflow", "list", "--json", environment=environment, folder=foreign)

    assert code == 0, problem
    listed = {entry["name"]: entry for entry in json.loads(told)}
    assert set(listed) == {"orders", "ledger"}
    assert listed["orders"]["consumes"] == "acme.orders.v1"
    assert len(listed["orders"]["version"]) == 64


def test_the_installed_workflows_work(
    penstock: Path, environment: dict[str, str], foreign: Path, dev: "subprocess.Popen[bytes]"
) -> None:
    (foreign / "order.json").write_text('{"text": "Order 1. Total: 12.50"}')

    def penstock_says(*arguments: str) -> str:
        """What a command says once it succeeds: `dev` makes the database first."""
        deadline = time.monotonic() + 60
        while True:
            code, told, problem = run(penstock, *arguments, environment=environment, folder=foreign)
            if code == 0:
                return told
            assert time.monotonic() < deadline, f"{problem}\n{(foreign / 'dev.log').read_text()}"

    (receipt,) = json.loads(penstock_says("emit", "acme.orders.v1", "order.json", "--json"))
    deadline = time.monotonic() + 60
    while json.loads(penstock_says("stats", "--json"))["in_flight"]:
        assert time.monotonic() < deadline, (foreign / "dev.log").read_text()
    stats = json.loads(penstock_says("stats", "--json"))

    assert receipt["status"] == "accepted"
    assert (stats["accepted"], stats["outcomes"], stats["balanced"]) == (1, {"succeeded": 1}, True)
    dev.terminate()
    assert dev.wait(timeout=30) == 0


def test_a_package_that_stands_before_ours_is_named(
    penstock: Path, environment: dict[str, str], foreign: Path
) -> None:
    shadowed = {**environment, "PYTHONPATH": str(foreign)}

    code, told, problem = run(penstock, "workflow", "list", environment=shadowed, folder=foreign)

    assert (code, told) == (2, "")
    assert str(foreign / "schemas") in problem
    assert "PYTHONPATH" in problem
