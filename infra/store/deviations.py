"""An event's audit records in, which of its stored texts are not the ones that they name out.

The audit log says what was; it does not keep anybody from writing other texts into the tables beside it.
A text that is not kept any longer is no deviation.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from infra import tables as t
from infra.database import Database
from infra.store import history
from infra.store.contents import read_where
from infra.store.disclosed import results
from infra.store.texts import Texts, texts
from pipeline.copies import said
from pipeline.receive import canonical
from schemas.event import Received
from schemas.extraction import Attempt

Told = Mapping[str, Any]

_PAGE: Final = 200

_SPELT: Final = {"model": "model", "cost_micros": "cost", "evidence": "evidence", "supersedes": "predecessor"}
_IDENTITY: Final = {"topic": "topic", "source": "source", "source_id": "id", "workflow": "workflow"}
_CALL: Final = (
    "version", "alias", "endpoint", "model_asked", "model_answered", "response_id", "latency_ms", "status",
    "finish_reason", "failure", "cost_micros", "is_unknown",
)  # fmt: skip


async def deviations(database: Database, event_id: UUID, records: Sequence[Told]) -> list[str]:
    """What differs, in words; `records` are the event's, read from their bytes. Raises NotFound."""
    event, _ = await history.newest(database, event_id)
    kept, decided = await texts(database, event_id), await results(database, event)
    by_revision = {row["revision"]: row for row in decided}
    found = (
        what
        for record in records
        for what in _of_record(event, record, kept, by_revision.get(record.get("revision")))
    )
    return [*await _unopened(database, event), *dict.fromkeys(found)]


async def every(database: Database) -> AsyncIterator[tuple[UUID, str]]:
    """Each event whose texts or results are not what its records name, with what differs; reads all."""
    own, record = t.event.c.event_id, t.audit_record.c
    last = UUID(int=0)
    while True:
        async with database.read() as connection:
            page = select(own).where(own > last).order_by(own).limit(_PAGE)
            ids = list(await connection.scalars(page))
            decided = record.event_id.in_(ids) & record.revision.is_not(None)
            query = select(record.event_id, record.kind, record.canonical).where(decided)
            rows = (await connection.execute(query)).all()
        for event_id in ids:
            records = [said(row.canonical, row.kind) for row in rows if row.event_id == event_id]
            for what in await _named(database, event_id, records):
                yield event_id, what
        if len(ids) < _PAGE:
            return
        last = ids[-1]


async def _unopened(database: Database, event: Received) -> list[str]:
    """Encrypted texts that are there and do not open: others were written over them."""
    if event.subject_hash is None:
        return []
    content = t.content.c
    filled = (content.event_id == event.event_id) & (func.length(content.data) > 0)
    async with database.read() as connection:
        ids = set(await connection.scalars(select(content.id).where(filled)))
        lost = ids - set(await read_where(connection, filled))
    return [f"a text of it, which does not open ({one})," for one in sorted(lost)]


async def _named(database: Database, event_id: UUID, records: Sequence[Told]) -> list[str]:
    """The same; rows that nobody can read are one more deviation, not the end of all comparing."""
    try:
        return await deviations(database, event_id, records)
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # SQLite keeps any type anywhere
        return [f"a row of it, which cannot be read ({error}),"]


def _of_record(event: Received, record: Told, kept: Texts, result: Told | None) -> Iterator[str]:
    own = {**asdict(event.identity), "workflow": event.workflow}
    for name, spelt in _IDENTITY.items():
        if name in record and own[spelt] != record[name]:
            yield f"the event's {spelt}"
    if result is not None:
        yield from _of_row(record, result)
    for one in record.get("attempts", ()):
        if (attempt := kept.attempts.get(UUID(one["id"]))) is not None:
            yield from _of_call(record, one, attempt)
    if not event.is_erased:
        yield from _of_texts(event, record, kept, result)


def _of_row(record: Told, result: Told) -> Iterator[str]:
    of = f"the result of revision {record['revision']}"
    for name, spelt in _SPELT.items():
        if name in record and result[name] != record[name]:
            yield f"the {spelt} in {of}"
    if result["decided_at"].isoformat() != record["occurred_at"]:
        yield f"the time of {of}"


def _of_call(record: Told, one: Told, attempt: Attempt) -> Iterator[str]:
    """What a call cost, who answered it, and how it ended."""
    told = {**asdict(attempt.usage), **{name: getattr(attempt, name) for name in _CALL}}
    for name, value in told.items():
        if name in one and value != one[name]:
            yield f"the {name} of call {one['step'] + 1}, revision {record['revision']}"


def _of_texts(event: Received, record: Told, kept: Texts, result: Told | None) -> Iterator[str]:
    if kept.content is not None and _differs(event, kept.content, record.get("input")):
        yield "the event's text"
    for one in record.get("attempts", ()):
        attempt = kept.attempts.get(UUID(one["id"]))
        if attempt is None or not attempt.request.skeleton:
            continue
        for what, text in (("request", attempt.request.body), ("response", attempt.response)):
            if text and event.salted(text).hex() != one[f"{what}_sha256"]:
                yield f"the {what} of call {one['step'] + 1}, revision {record['revision']}"
    if result is not None:
        yield from _of_result(event, record, result)


def _of_result(event: Received, record: Told, result: Told) -> Iterator[str]:
    of = f"the result of revision {record['revision']}"
    if "reasons_kept" in record:
        is_other = _differs(event, canonical(list(result["reasons"])), record["reasons_kept"])
    else:
        is_other = list(result["reasons"]) != record.get("reasons", result["reasons"])
    if is_other:
        yield f"the reasons in {of}"
    data = result["data"]
    if data is not None and _differs(event, canonical(data), record.get("after") or record.get("output")):
        yield of


def _differs(event: Received, text: bytes, named: Told | None) -> bool:
    sha256 = (named or {}).get("sha256")
    return sha256 is not None and sha256 != event.salted(text).hex()
