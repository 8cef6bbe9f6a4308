"""What pages in a browser stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.database import Database
from tests.api_world import database


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Database]:
    """A database of its own for each test."""
    async with database("sqlite", tmp_path) as made:
        yield made
