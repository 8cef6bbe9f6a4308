"""Deployments on the services that the environment names, and what their processes said when a test fails."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from tests.conftest import Server
from tests.end_to_end import receipts
from tests.end_to_end.process import free_port
from tests.end_to_end.redis_server import Redis
from tests.end_to_end.stack import Stack
from tests.signing import STANDARD_SECRET

#: A webhook of the scanner's, by settings alone; the help desk's is declared in code.
_SOURCES: Final = {
    "PENSTOCK_SOURCES__SCANNER__TOPIC": "receipts.scanned.v1",
    "PENSTOCK_SOURCES__SCANNER__SECRETS": f'["{STANDARD_SECRET}"]',
    "PENSTOCK_SOURCES__HELPDESK__SECRETS": f'["{STANDARD_SECRET}"]',
}
_SHORT_LEASES: Final = {
    "PENSTOCK_WORKER__LEASE_SECONDS": "2",
    "PENSTOCK_WORKER__RENEW_SECONDS": "0.5",
    "PENSTOCK_WORKER__LOOK_SECONDS": "0.5",
}


@contextmanager
def _closing(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="package")
def running(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every process, with the settings and workflows that they come with."""
    with _closing(Stack(tmp_path_factory.mktemp("running"), postgresql.create(), _SOURCES)) as stack:
        stack.start_all(("simulator", "ingest", "api", "worker", "relay", "sweep"))
        yield stack


@pytest.fixture(scope="package")
def redis() -> Iterator[Redis]:
    """A Redis that may be stopped."""
    server = Redis(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def shaken(postgresql: Server, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """ACME's workflows, for accidents. Nothing of it runs yet.

    Its topics are not those of `running`, so that the two do not take each other's events.
    """
    settings = {"PENSTOCK_WORKFLOWS": "acme.workflows", "PENSTOCK_REDIS__URL": redis.url, **_SHORT_LEASES}
    with _closing(Stack(tmp_path_factory.mktemp("shaken"), postgresql.create(), settings)) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    stack = arguments.get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("the processes", stack.tails()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"end to end: {receipts.NUMBER} receipts of {receipts.origin()}")
