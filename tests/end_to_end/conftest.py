"""The services that the environment names, and what the processes said when a test fails."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.end_to_end.stack import Stack

#: Makes a deployment with these settings, none of its processes started.
Deploy = Callable[..., Stack]


@pytest.fixture(scope="module")
def deploy(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    made: list[Stack] = []

    def make(**settings: str) -> Stack:
        stack = Stack(tmp_path_factory.mktemp("stack"), postgresql.create(), settings)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Iterator[None]:
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("the processes", stack.tails()))
    return report
