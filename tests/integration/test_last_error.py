"""An error that ends a process: one event at Sentry and one line on stderr, whoever saw it before."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.sentry_project import project_of_the_test

TEXT = "Paid by: Ottoline Quill"

#: A process that does what a door does first, then ends by an error of its own.
_DOOR = """
import sys
from pydantic import SecretStr
from infra import logs, sentry
from infra.settings import LogSettings, SentrySettings
logs.configure(LogSettings(json_lines=True), process="relay")
sentry.init(SentrySettings(dsn=SecretStr(sys.argv[1])), release="0.0.0", process="relay")
error = RuntimeError(sys.argv[2])
if sys.argv[3] == "reported":
    sentry.report(error)
raise error
"""


@pytest.mark.parametrize("seen", ["reported", "unseen"])
async def test_an_error_that_ends_a_process_is_one_error_and_one_line(seen: str) -> None:
    async with project_of_the_test() as project:
        ended = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _DOOR, project.dsn, TEXT, seen),
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": "."},
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, said = await ended.communicate()
        errors = await project.items("event")

    (line,) = [json.loads(line) for line in said.splitlines()]
    assert ended.returncode == 1
    assert (line["name"], line["process"], line["error"]) == ("process.failed", "relay", "RuntimeError")
    assert TEXT.encode() not in said
    assert len(errors) == 1
    assert project.holds(TEXT) == []
