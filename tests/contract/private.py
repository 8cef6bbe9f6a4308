"""Events with a subject, worked on to their end, and every byte of a database to look for their texts in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import make_url, select
from sqlmodel import SQLModel

from infra import database as databases
from infra.database import Database
from infra.store import LogPublisher, SqlStore
from infra.store.cache import Kept
from infra.store.erasure import Found
from infra.vault import Vault, vault
from pipeline.retention import PRUNED, account
from pipeline.subject import subject_hash
from pipeline.trail import noted
from schemas import review
from schemas.changeset import AuditRecord
from schemas.event import Received
from schemas.extraction import Attempt
from tests.builders import NOW, SCRIBE, STAMP
from tests.contract.scenes import LANE, note, succeeded, tried

OLD_KEY, NEW_KEY = "1" * 64, "2" * 64
VAULT: Final[Vault] = vault(OLD_KEY)
#: In every place that can hold a text: event, message key, CloudEvents subject, request, answer, complaint,
#: reason, result and message.
MARK: Final = "Imogen"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With the master key."""
    database = databases.connect(database_url, pool_size=8, vault=VAULT)
    yield database
    await database.close()


def whose(name: str) -> bytes:
    return subject_hash(STAMP.secret, name)


def about(name: str, number: int) -> Received:
    """An event of this subject, whose every text names it."""
    event = note(
        number, content=f'{{"text":"{number}.50, says {name}"}}'.encode(), key=f"{name}@home".encode()
    )
    return replace(event, subject=f"person/{name}", subject_hash=whose(name))


async def live(
    store: SqlStore, events: Sequence[Received], *, name: str = MARK, indexed: tuple[str, ...] = ()
) -> list[Attempt]:
    """Accept, try, decide and publish them; the even ones wait for a person. Their answers are cached."""
    await store.accept(events)
    made = []
    for claim in await store.claim(LANE, limit=len(events)):
        failed = tried(claim, 0, "check_failed", complaints=(f"city: {name} is no city",))
        good = tried(claim, 1, response=f'{{"city":"{name}"}}'.encode())
        await store.journal([(one, claim.event) for one in (failed, good)])
        await store.keep_answers([Kept(good.id.bytes, LANE, good.id, timedelta(days=1))])
        person = int(claim.event.identity.id.split("-")[1]) % 2 == 0
        decision = review(f"{name} is unknown") if person else None
        end = succeeded(claim, decision, city=name)
        message = [replace(one, value=one.value.replace(b"Oban", name.encode())) for one in end.outbox]
        await store.commit([replace(end, outbox=tuple(message), indexed=indexed)])
        made += [failed, good]
    await publish(store)
    return made


async def publish(store: SqlStore) -> None:
    messages = await store.unpublished(limit=1_000)
    await store.published(await LogPublisher(store.database).publish(messages))


def erasure(found: Found) -> AuditRecord:
    nonce = f"{found.events}/{found.keys}"
    return noted("erasure", {"events": found.events}, scribe=SCRIBE, now=NOW, nonce=nonce)


def pruned(kind: str, removed: Mapping[str, int], events: Sequence[UUID]) -> AuditRecord:
    return noted(PRUNED, account(kind, removed, events), scribe=SCRIBE, now=NOW, nonce=str(uuid4()))


async def everything(database: Database, *, without: Sequence[str] = ()) -> bytes:
    """Every value of every row but those of the tables `without`."""
    values = []
    async with database.read() as connection:
        for name, table in SQLModel.metadata.tables.items():
            if name not in without:
                for row in await connection.execute(select(table)):
                    values += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    return b"\n".join(values)


def files(url: str) -> bytes:
    """The database's file and what SQLite keeps beside it, as they are on the disk."""
    path = Path(make_url(url).database or "")
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))
