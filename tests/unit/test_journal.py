"""The journal's writer: a row that the database refuses is its own event's trouble."""

import asyncio
from collections.abc import Sequence

import pytest

from infra.journal import BatchedJournal
from infra.store import SqlStore
from schemas.event import Received
from schemas.extraction import Attempt
from tests.builders import attempt, received


class Refusing(SqlStore):
    """Refuses every batch with a timed-out attempt in it."""

    __slots__ = ()

    async def journal(self, attempts: Sequence[tuple[Attempt, Received]]) -> None:
        if any(one.failure == "model_timeout" for one, _ in attempts):
            raise ValueError("refused")


async def test_a_refused_attempt_raises_for_its_own_event_only() -> None:

    journal = BatchedJournal(Refusing(None, None))  # type: ignore[arg-type]
    event = received()

    results = await asyncio.gather(
        journal.journal(attempt(), event),
        journal.journal(attempt("model_timeout"), event),
        journal.journal(attempt(), event),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    with pytest.raises(ValueError, match="refused"):
        await journal.journal(attempt("model_timeout"), event)
