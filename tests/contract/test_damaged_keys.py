"""A data key that somebody changed: its subject's texts are unreadable, and nothing else is held up."""

import pytest
from sqlalchemy import update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, deviations
from infra.vault import DamagedKey
from tests.builders import SCRIBE
from tests.contract import private
from tests.contract.private import MARK, about, whose
from tests.contract.scenes import LANE, amount_of, note

database = private.database


@pytest.fixture
async def store(database: Database) -> SqlStore:
    """With an event of a subject whose key was changed."""
    store = SqlStore(database, SCRIBE)
    await store.accept([about(MARK, 1)])
    async with database.write() as connection:
        await connection.execute(update(t.subject_key).values(wrapped_key=b"x" * 60))
    return store


async def test_others_are_claimed_and_its_texts_read_as_missing(store: SqlStore) -> None:
    await store.accept([note(9), about("Ferdinand", 2)])

    claims = await store.claim(LANE, limit=3)

    assert sorted(claim.event.is_erased for claim in claims) == [False, False, True]


async def test_nothing_more_of_its_subject_is_accepted(store: SqlStore, database: Database) -> None:
    with pytest.raises(DamagedKey, match=f"{whose(MARK).hex()[:16]} was changed.*restore its row"):
        await store.accept([about(MARK, 3)])

    assert await amount_of(database, t.event) == 1


async def test_verifying_names_the_event(store: SqlStore, database: Database) -> None:
    found = [what async for what in deviations.every(database)]

    assert found
    assert {event_id for event_id, _ in found} == {about(MARK, 1).event_id}
