"""What the store's tests are about: events by number, and what becomes of them, as changesets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, delete, func, select, text, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from infra.store.reconciliation import Balance, balances
from pipeline.claim import Claimed
from pipeline.errors import InvalidEvent
from pipeline.extract import GiveUp
from pipeline.record import dead_at_the_door, decided, degraded, given_up
from pipeline.resolve import reopen
from schemas import Decision, accept
from schemas.changeset import Actor, Changeset, Result
from schemas.event import Received
from schemas.extraction import Attempt, Request
from tests.builders import NOW, SCRIBE, Facts, answer_of, attempt, entry, received

LANE = "notes"
PERSON = Actor("os", "ada@desk")
FACTS = Facts.model_validate({"city": "Oban", "amount": "12.50"})


def note(number: int, **changes: Any) -> Received:
    """The event of this number; the same number is the same event."""
    return received({"text": f"{number}.50 for the ferry"}, **({"id": f"note-{number}"} | changes))


def notes(amount: int, **changes: Any) -> list[Received]:
    return [note(number, **changes) for number in range(amount)]


def succeeded(
    claim: Claimed, decision: Decision | None = None, *, sampled: bool = False, **data: Any
) -> Changeset:
    """The policy's decision on an answer; `data` replaces fields of the result's data."""
    at = NOW + timedelta(seconds=1)
    changeset = decided(
        claim, entry(), decision or accept(), answer_of(FACTS), now=at, scribe=SCRIBE, sampled=sampled
    )
    if data:
        result = replace(changeset.result, data={**(changeset.result.data or {}), **data})
        return replace(changeset, result=result)
    return changeset


def gave_up(claim: Claimed) -> Changeset:
    return given_up(claim, entry(), GiveUp("model_timeout", dead=True), (), now=NOW, scribe=SCRIBE)


def by_rules(claim: Claimed) -> Changeset:
    """No model helped: the workflow's own rules answer."""
    return degraded(claim, entry(), FACTS, (), reason="model_timeout", now=NOW, scribe=SCRIBE)


def dead_on_arrival(event: Received, why: str = "not JSON") -> Changeset:
    return dead_at_the_door(event, entry(), InvalidEvent(why), now=NOW, scribe=SCRIBE)


def oversized(changeset: Changeset) -> Changeset:
    """Its first message is larger than Kafka would take."""
    first, *others = changeset.outbox
    large = replace(first, value=b"x" * SCRIBE.max_message_bytes)
    return replace(changeset, outbox=(large, *others))


def replayed(dead: Changeset, actor: Actor = PERSON) -> Changeset:
    """A person puts the dead event back to work."""
    return replay_of(dead.event, dead.result, actor)


def replay_of(event: Received, newest: Result, actor: Actor = PERSON) -> Changeset:
    return reopen(event, newest, version="6" * 64, actor=actor, release="0.0.0", now=NOW)


def tried(claim: Claimed, step: int = 0, failure: str | None = None, **changes: Any) -> Attempt:
    """An attempt on a claimed event, with its own id and texts."""
    request = Request(
        b'{"a":"\0","b":"\0"}', (f"text {claim.event.identity.id}".encode(), f"mend {step}".encode())
    )
    return replace(
        attempt(failure, step=step),
        id=uuid4(),
        event_id=claim.event.event_id,
        revision=claim.revision,
        request=request,
        **changes,
    )


async def claimed(store: SqlStore, amount: int) -> list[Claimed]:
    """Accept this many events and claim them, in the order of their numbers."""
    await store.accept(notes(amount))
    claims = await store.claim(LANE, limit=amount)
    assert len(claims) == amount
    return sorted(claims, key=lambda claim: int(claim.event.identity.id.split("-")[1]))


async def dead(store: SqlStore) -> Changeset:
    """One event that the machine has given up."""
    (claim,) = await claimed(store, 1)
    changeset = gave_up(claim)
    await store.commit([changeset])
    return changeset


async def rows(database: Database, table: Table) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(select(table))).all())


async def amount_of(database: Database, table: Table) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def outcomes(database: Database) -> dict[UUID, str]:
    """The state of the newest revision of each event."""
    found = sorted(await rows(database, t.result), key=lambda row: int(row.revision))
    return {row.event_id: row.state for row in found}


async def states(database: Database, events: Sequence[Received]) -> list[str | None]:
    found = await outcomes(database)
    return [found.get(event.event_id) for event in events]


async def balance(database: Database) -> Balance:
    return (await balances(database, workflows=[LANE]))[LANE]


async def expire_leases(database: Database) -> None:
    """As if their processes had died long ago; locked in the store's order, so as to wait in no ring."""
    leased = select(t.work.c.seq).where(t.work.c.token.is_not(None)).order_by(t.work.c.event_id)
    async with database.write() as connection:
        seqs = (await connection.scalars(leased.with_for_update())).all()
        await connection.execute(update(t.work).where(t.work.c.seq.in_(seqs)).values(lease_until=NOW))


async def make_due(database: Database) -> None:
    """As if every wait were over."""
    async with database.write() as connection:
        await connection.execute(update(t.work).values(due_at=NOW))


async def remove(database: Database, table: Table, event_id: UUID) -> None:
    """Take the rows of an event away by hand."""
    async with database.write() as connection:
        await connection.execute(delete(table).where(table.c.event_id == event_id))


async def refuse(database: Database, table: Table, condition: str) -> None:
    """A trigger of the test: the database itself refuses rows for which `condition` on NEW holds."""
    name = f"refuse_{table.name}"
    if database.dialect == "sqlite":
        commands = [
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
        ]
    else:
        commands = [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$",
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION {name}()",
        ]
    async with database.write() as connection:
        for command in commands:
            await connection.execute(text(command))


def quoted(database: Database, event_id: UUID) -> str:
    """An id as a literal of the engine's: SQLite keeps 32 hexadecimal digits."""
    return f"'{event_id.hex}'" if database.dialect == "sqlite" else f"'{event_id}'::uuid"
