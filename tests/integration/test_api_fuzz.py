"""Schemathesis against the whole API, by what it says of itself: nothing that is sent makes a bug of ours."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from infra.database import Database
from infra.signing import new_key, read_key
from infra.store import seals, search
from infra.store.search import Search
from tests.api_world import DIALECTS, TOPIC, Api, database, running
from tests.integration.test_api_reviews import doubt

#: Statuses from 500 on are what is looked for; that parameters make sense is up to the other tests.
_CHECKS: Final = ("--checks", "not_a_server_error")
_EXAMPLES: Final = "25"


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """In embedded mode, so that every route is open; with an event that waits, on record and sealed."""
    async with running(rows) as started:
        await started.post(headers={"Idempotency-Key": "n-1"})
        await doubt(started)
        await seals.seal(rows, read_key(new_key("tests.example/log")), limit=100)
        yield started


async def test_no_request_makes_a_server_error(api: Api, rows: Database, tmp_path: Path) -> None:
    (record, *_) = await search.page(rows, Search(kind="decision"))
    known = {"topic": TOPIC, "event_id": str(record.event_id), "record_id": str(record.id), "source": "desk"}
    config = tmp_path / "schemathesis.toml"
    lines = [f"{name} = {json.dumps([value, 'x'])}" for name, value in known.items()]
    config.write_text("[parameters]\n" + "\n".join(lines) + "\n")

    command = ["--config-file", str(config), "run", f"{api.url}/openapi.json", *_CHECKS]
    options = ["--max-examples", _EXAMPLES, "--phases", "coverage,fuzzing", "--seed", "1", "--no-color"]
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *command,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    told, _ = await process.communicate()

    assert process.returncode == 0, told.decode()[-4_000:]
    generated = re.search(rb"(\d+) generated", told)
    assert generated is not None
    assert int(generated[1]) > 500
