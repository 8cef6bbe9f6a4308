"""Which model answered last at an endpoint, as the journal knows it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from infra import tables as t
from infra.store import SqlStore
from infra.store.answered import last_answered
from tests.builders import NOW
from tests.contract.scenes import LANE, claimed, succeeded, tried

HERE = "gpt@here"


async def journalled(store: SqlStore, *changes: dict[str, Any]) -> None:
    """An event for each, decided a minute after the one before; each with an attempt as told."""
    for minute, (claim, change) in enumerate(zip(await claimed(store, len(changes)), changes, strict=True)):
        at = NOW + timedelta(minutes=minute)
        made = replace(tried(claim), **{"endpoint": HERE, "started_at": at, **change})
        await store.journal([(made, claim.event)])
        decided = succeeded(claim)
        await store.commit([replace(decided, result=replace(decided.result, decided_at=at))])


@pytest.mark.parametrize(
    ("changes", "answered"),
    [
        ([], None),
        ([{"model_answered": "gpt-1"}, {"model_answered": "gpt-2"}], "gpt-2"),
        ([{"model_answered": "gpt-1"}, {"model_answered": "other", "endpoint": "gpt@there"}], "gpt-1"),
        ([{"model_answered": "gpt-1"}, {"model_answered": "gpt-2", "failure": "truncated"}], "gpt-1"),
        ([{"model_answered": "gpt-1"}, {"model_answered": None}], "gpt-1"),
    ],
)
async def test_the_newest_good_answer_at_the_endpoint_counts(
    store: SqlStore, changes: Sequence[dict[str, Any]], answered: str | None
) -> None:
    if changes:
        await journalled(store, *changes)

    assert await last_answered(store.database, HERE, LANE) == answered
    assert await last_answered(store.database, HERE, "another workflow") is None


async def test_an_answer_from_the_cache_says_nothing_of_who_answers_now(store: SqlStore) -> None:
    await journalled(store, {"model_answered": "gpt-1"})
    async with store.database.write() as connection:
        await connection.execute(update(t.attempt).values(original_id=t.attempt.c.id))

    assert await last_answered(store.database, HERE, LANE) is None
