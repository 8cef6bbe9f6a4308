"""`python -m infra.bench.audit`: a synthetic audit log, how long it takes to seal and to verify it.

In: `--database` (a PostgreSQL server's URL; SQLite in a temporary folder unless given), `--records`. Out:
seconds to seal them, to verify all, to verify what came after a checkpoint kept `--newer` records before
the end, to prune the older half, and to verify the rest. The database is made for the run, and removed at
its end.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import psycopg
from psycopg import sql
from sqlalchemy import delete, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import database as databases
from infra import schema
from infra import tables as t
from infra.database import Database
from infra.signing import check, new_key, read_key
from infra.store import SqlStore, audit, seals, trimming
from infra.store.commit import audit_row
from infra.store.statements import insert
from infra.store.trimming import Cut
from pipeline import checkpoint, note, trail
from pipeline.audit import leaf
from pipeline.checkpoint import Checkpoint
from pipeline.keyring import TrustedKey
from pipeline.retention import TRIMMED
from pipeline.verify import Trust
from schemas.changeset import Actor, AuditRecord, Result, Scribe
from schemas.event import NAMESPACE, Identity, Received

_NOW: Final = datetime(2026, 11, 21, 10, tzinfo=UTC)
_BATCH: Final = 2_000
_CHUNK: Final = 10_000
_MARK: Final = UUID(int=0)
_SCRIBE: Final = Scribe(Actor("service", "bench"), "bench", 1_000_000)

_EVENT: Final = Received(
    event_id=_MARK,
    identity=Identity("receipts.scanned.v1", "till-7", "scan-17"),
    workflow="receipts",
    type="scan",
    key=b"",
    content=b"",
    salt=b"",
    fingerprint=b"",
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Decision records and their results, alike but for their ids: only verifying is measured."""

    record: dict[str, Any]
    result: dict[str, Any]
    marked_id: str
    marked_event: str

    def numbered(self, first: int, end: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for number in range(first, end):
            event, own = uuid5(NAMESPACE, f"event {number}"), uuid5(NAMESPACE, f"record {number}")
            told: str = self.record["canonical"].decode() + "\0" + self.record["words"]
            told = told.replace(self.marked_id, str(own)).replace(self.marked_event, str(event))
            text, _, words = told.partition("\0")
            content = text.encode()
            record = {
                **self.record,
                "id": own,
                "event_id": event,
                "canonical": content,
                "leaf": leaf(content),
                "words": words,
            }
            yield record, {**self.result, "event_id": event, "id": own}


def sample() -> Rows:
    """What one decision writes, about a kilobyte of it."""
    result = Result(
        id=_MARK,
        event_id=_MARK,
        revision=1,
        workflow="receipts",
        version="5" * 64,
        state="succeeded",
        reasons=(),
        decided_at=_NOW,
        data={"company": "Corner Books", "total": "8.99"},
    )
    attempt = {"request_sha256": "0" * 64, "response_sha256": "0" * 64, "endpoint": "fast-1@here"}
    hashes = {"input": {"sha256": "0" * 64}, "output": {"sha256": "0" * 64}}
    record = trail.about(
        result,
        _EVENT,
        kind="decision",
        body={**hashes, "attempts": [{**attempt, "latency_ms": 40}], "code": "accepted"},
        actor=Actor("service", "penstock/0.1.0"),
        release="0.1.0",
    )
    columns = {name: getattr(result, name) for name in Result.__slots__}
    return Rows(audit_row(record), {**columns, "reasons": []}, str(record.id), str(_MARK))


async def fill(database: Database, rows: Rows, first: int, end: int) -> None:
    for start in range(first, end, _CHUNK):
        pairs = list(rows.numbered(start, min(end, start + _CHUNK)))
        async with database.write() as connection:
            await _insert(
                connection, database, [record for record, _ in pairs], [result for _, result in pairs]
            )


async def _insert(
    connection: AsyncConnection,
    database: Database,
    records: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> None:
    if database.dialect == "sqlite":
        await connection.execute(insert(database, t.audit_record), records)
        await connection.execute(insert(database, t.result), results)
        return
    raw: Any = (await connection.get_raw_connection()).driver_connection
    for table, rows in ((t.audit_record, records), (t.result, results)):
        names = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
        async with raw.cursor().copy(command) as copy:
            for row in rows:
                await copy.write_row(
                    [json.dumps(v) if isinstance(v, dict | list) else v for v in row.values()]
                )


async def measure(database: Database, records: int, newer: int) -> None:
    signer = read_key(new_key("bench.example/log"))
    rows = sample()
    await schema.upgrade(database)
    began = time.monotonic()
    await fill(database, rows, 0, records - newer)
    _tell(f"{records - newer} records of {len(rows.record['canonical'])} bytes written", began)
    began = time.monotonic()
    while await seals.seal(database, signer, limit=_BATCH):
        continue
    _tell(f"sealed, {_BATCH} at a time", began)
    kept = await _newest(database)
    await fill(database, rows, records - newer, records)
    while await seals.seal(database, signer, limit=_BATCH):
        continue
    await _gather_statistics(database)
    trust = Trust([TrustedKey(signer.key)], check)
    await _verify(database, trust, f"{records} verified")
    await _verify(database, trust, f"{newer} verified since a checkpoint", kept)
    began = time.monotonic()
    removed = await _cut_in_half(database, records)
    _tell(f"the older {removed} records pruned", began)
    while await seals.seal(database, signer, limit=_BATCH):  # that they were is on record
        continue
    await _verify(database, trust, "the rest verified")


async def _verify(database: Database, trust: Trust, what: str, since: Checkpoint | None = None) -> None:
    began = time.monotonic()
    async with database.read() as connection:
        report = await audit.verify(connection, trust, since=since, progress=lambda *_: None)
    _tell(f"{what}: {report.records} records, {report.findings.total} differences", began)


async def _cut_in_half(database: Database, records: int) -> int:
    """Prune the older half, and its results: an event of the middle is still there, and holds the rest."""
    own = t.audit_leaf.c
    middle = replace(_EVENT, event_id=uuid5(NAMESPACE, f"event {records // 2}"))
    await SqlStore(database, _SCRIBE).accept([middle])
    async with database.write() as connection:
        due = select(own.record_id).where(own.sequence < records // 2)
        await connection.execute(delete(t.result).where(t.result.c.id.in_(due)))
    removed = await trimming.trim(database, timedelta(0), _trimmed)
    return removed["audit_record"]


def _trimmed(cut: Cut) -> AuditRecord:
    body = {**asdict(cut), "root": cut.root.hex()}
    return trail.noted(TRIMMED, body, scribe=_SCRIBE, now=datetime.now(UTC))


async def _gather_statistics(database: Database) -> None:
    """A log that grew in months has them from autovacuum; one that was filled in a minute has none."""
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))


async def _newest(database: Database) -> Checkpoint:
    last = await seals.last(database)
    return checkpoint.parse(note.parse(last.note if last else "").text)


@asynccontextmanager
async def database_for(server: str | None) -> AsyncIterator[Database]:
    if server is None:
        with tempfile.TemporaryDirectory() as folder:
            database = databases.connect(f"sqlite:///{Path(folder) / 'audit.db'}")
            yield database
            await database.close()
        return
    name = f"bench_audit_{time.time_ns()}"
    plain = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = databases.connect(
            make_url(server).set(database=name).render_as_string(hide_password=False)
        )
        try:
            yield database
        finally:
            await database.close()
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _tell(what: str, began: float) -> None:
    sys.stdout.write(f"{time.monotonic() - began:8.2f} s  {what}\n")
    sys.stdout.flush()


async def _run(server: str | None, records: int, newer: int) -> None:
    async with database_for(server) as database:
        await measure(database, records, newer)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.audit")
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--newer", type=int, default=10_000, metavar="N")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.database, arguments.records, arguments.newer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
