"""The call journal: every attempt is kept as it was made, once, however often it is written."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from infra import tables as t
from infra.store import SqlStore
from pipeline.claim import Claimed, Release
from schemas.extraction import Attempt, Request, Usage
from tests.contract.scenes import LANE, amount_of, claimed, rows, tried


async def read_back(store: SqlStore, claim: Claimed) -> tuple[Attempt, ...]:
    """The attempts as the next claim gets them."""
    await store.release([Release(claim, timedelta(0), "cancelled")])
    (again,) = await store.claim(LANE, limit=1)
    return again.attempts


async def test_an_attempt_comes_back_with_all_that_was_known_of_it(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    attempt = replace(
        tried(claim, failure="unusable_output"),
        complaints=("amount: Field required", "city: ✓"),
        status=200,
        retry_after_seconds=2.5,
        finish_reason="stop",
        model_answered="fast-2",
        response_id="r-1",
        system_fingerprint="fp",
        response=b"\x00 no JSON \xff",
        usage=Usage(2**40, 2**41, 3),
        cost_micros=2**50,
        endpoint="m@models.example/v1",
        larger=True,
        is_unknown=True,
        original_id=UUID(int=99),
    )

    await store.journal([(attempt, claim.event)])

    assert await read_back(store, claim) == (attempt,)


async def test_an_attempt_of_which_little_is_known_comes_back_too(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    attempt = replace(
        tried(claim, failure="cancelled"), request=Request(b"", ()), model_answered=None, cost_micros=None
    )

    await store.journal([(attempt, claim.event)])

    assert await read_back(store, claim) == (attempt,)


async def test_an_attempt_written_twice_is_one_row(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    attempt, other = tried(claim), tried(claim, 1)

    await store.journal([(attempt, claim.event), (attempt, claim.event)])
    await store.journal([(attempt, claim.event), (other, claim.event)])

    assert await amount_of(store.database, t.attempt) == 2
    assert await read_back(store, claim) == (attempt, other)


async def test_nothing_is_written_from_an_empty_batch(store: SqlStore) -> None:
    await store.journal([])

    assert await amount_of(store.database, t.attempt) == 0


async def test_the_stable_part_of_a_prompt_is_stored_once(store: SqlStore) -> None:
    claims = await claimed(store, 3)

    await store.journal([(tried(claim, step), claim.event) for claim in claims for step in (0, 1)])

    async with store.database.read() as connection:
        query = select(t.content.c.data).where(t.content.c.event_id.is_(None))
        assert (await connection.scalars(query)).all() == [b'{"a":"\0","b":"\0"}']


async def test_equal_texts_of_an_event_are_stored_once_and_erased_with_it(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    first, second = tried(claim, 0), tried(claim, 1)

    await store.journal([(first, claim.event), (second, claim.event)])

    texts = [row for row in await rows(store.database, t.content) if row.data == first.request.texts[0]]
    assert [(row.event_id, row.salt) for row in texts] == [(claim.event.event_id, claim.event.salt)]


async def test_a_workflow_that_sends_another_text_in_its_next_version_keeps_both(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    old, new = tried(claim, 0, version="5" * 64), tried(claim, 1, version="6" * 64)
    new = replace(new, request=replace(new.request, texts=(b"another text", b"mend")))

    await store.journal([(old, claim.event)])
    await store.journal([(new, claim.event)])

    back = await read_back(store, claim)
    assert [attempt.request.body for attempt in back] == [old.request.body, new.request.body]
