"""An audit record in, the texts that it names out: its hashes turned back into words, for who may see them.

Nothing says which text is which: a text belongs to a record when its salted hash stands there. So a
disclosure can prove no more and no less than the record does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from infra import tables as t
from infra.database import Database
from infra.store import history
from infra.store.texts import Texts, texts
from infra.store.words import restored
from pipeline.receive import canonical
from schemas.event import Received


async def disclosed(database: Database, event_id: UUID, record: bytes) -> list[tuple[bytes, bytes]]:
    """(salt, bytes) of each text of the event that `record` names and that is kept; raises NotFound."""
    event, _ = await history.newest(database, event_id)
    if event.is_erased:
        return []
    named = record.decode()
    found = dict.fromkeys(_texts(await texts(database, event_id), await results(database, event)))
    return [(event.salt, text) for text in found if event.salted(text).hex() in named]


async def results(database: Database, event: Received) -> list[Mapping[str, Any]]:
    """Every revision of the event, whole."""
    query = select(t.result).where(t.result.c.event_id == event.event_id).order_by(t.result.c.revision)
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
        found = [{**row, "subject_hash": event.subject_hash} for row in rows]
        return list(await restored(connection, found))


def _texts(kept: Texts, results: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Every text that a record of the event may name."""
    if kept.content is not None:
        yield kept.content
    for attempt in kept.attempts.values():
        yield from (attempt.request.body, attempt.response)
        yield from (complaint.encode("utf-8", "replace") for complaint in attempt.complaints)
    for result in results:
        yield canonical(list(result["reasons"]))
        yield from (canonical(value) for value in _parts(result["data"]))


def _parts(value: Any) -> Iterator[Any]:
    """A result and all that is in it: a correction's patch names the values that it sets."""
    yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _parts(one)
