"""One way to write and to read on both engines: times, transactions, and what an absent database is."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect, cast, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, StatementError

from infra import database as databases
from infra import tables as t
from infra.columns import UtcTime, later
from infra.database import Database, whole
from infra.store import SqlStore
from pipeline.errors import InvalidSettingsError, StoreUnavailable
from tests.builders import NOW, SCRIBE
from tests.contract.scenes import amount_of, note, notes, refuse, rows


async def test_a_naive_time_raises(database: Database) -> None:
    with pytest.raises(StatementError, match="a time without a zone; use UTC"):
        async with database.write() as connection:
            await connection.execute(
                insert(t.lane).values(name="notes", paused_at=datetime(2024, 5, 17))  # noqa: DTZ001
            )

    assert await rows(database, t.lane) == []


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2024, 5, 17, 23, 30, 0, 1, tzinfo=timezone(timedelta(hours=-5))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
async def test_a_time_comes_back_in_utc_to_the_microsecond(database: Database, moment: datetime) -> None:
    async with database.write() as connection:
        await connection.execute(insert(t.lane).values(name="notes", paused_at=moment))

    (row,) = await rows(database, t.lane)
    assert row.paused_at == moment
    assert row.paused_at.utcoffset() == timedelta(0)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
def test_times_sort_as_text_on_sqlite_and_stay_themselves(moments: list[datetime]) -> None:
    dialect: Dialect = sqlite.dialect()
    texts = [UtcTime().process_bind_param(moment, dialect) for moment in moments]

    assert (texts[0] < texts[1]) == (moments[0] < moments[1])
    assert [UtcTime().process_result_value(text, dialect) for text in texts] == moments
    assert UtcTime().process_bind_param(moments[0], postgresql.dialect()) == moments[0]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.5, 90.25, 86_400.0 * 365])
async def test_later_is_the_databases_clock_and_some_seconds(database: Database, seconds: float) -> None:
    async with database.read() as connection:
        moment = (await connection.execute(select(cast(later(seconds), UtcTime())))).scalar_one()

    assert abs(moment - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=10)


async def test_the_clock_goes_on_within_a_transaction(database: Database) -> None:
    async with database.read() as connection:
        query = select(cast(later(0.0), UtcTime()))
        first = (await connection.execute(query)).scalar_one()
        await asyncio.sleep(0.02)
        second = (await connection.execute(query)).scalar_one()

    assert second > first


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(insert(t.lane).values(name="notes", paused_at=NOW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await rows(database, t.lane) == []


async def test_a_reader_sees_one_moment_and_keeps_no_writer_waiting(database: Database) -> None:
    async with database.read() as connection:
        before = (await connection.execute(select(t.lane))).all()
        async with database.write() as writing:
            await writing.execute(insert(t.lane).values(name="notes"))
        assert (await connection.execute(select(t.lane))).all() == before == []

    assert len(await rows(database, t.lane)) == 1


async def test_writers_of_two_processes_take_turns(database: Database, database_url: str) -> None:
    other = databases.connect(database_url)

    async def write(into: Database, name: int) -> None:
        async with into.write() as connection:
            await connection.execute(insert(t.lane).values(name=str(name)))
            await asyncio.sleep(0.002)

    await asyncio.gather(
        *(write(into, 2 * n + i) for n in range(10) for i, into in enumerate((database, other)))
    )

    assert await amount_of(database, t.lane) == 20
    await other.close()


async def test_an_error_of_the_database_never_quotes_an_events_text(store: SqlStore) -> None:
    await refuse(store.database, t.content, "NEW.event_id IS NOT NULL")

    with pytest.raises(DBAPIError) as caught:
        await store.accept([note(1, content=b"a secret")])

    assert "secret" not in f"{caught.value}{caught.value.__cause__}"
    assert await amount_of(store.database, t.event) == 0


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    database = databases.connect("postgresql+psycopg://penstock@127.0.0.1:1/penstock")

    with pytest.raises(StoreUnavailable):
        await SqlStore(database, SCRIBE).accept(notes(1))
    with pytest.raises(StoreUnavailable):
        await SqlStore(database, SCRIBE).depth(at_most=1)

    await database.close()


async def test_another_kind_of_url_is_a_wrong_setting() -> None:
    with pytest.raises(InvalidSettingsError, match="PENSTOCK_DATABASE__URL"):
        databases.connect("mysql://host/name")


async def test_a_sqlite_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "100 % für? alle#.db"
    database = databases.connect(f"sqlite:///{path}")

    async with database.write():
        pass

    assert path.exists()
    await database.close()


async def test_what_is_cancelled_is_run_to_its_end_before_the_cancellation_goes_on() -> None:
    ended: list[str] = []

    async def transaction() -> None:
        await asyncio.sleep(0.05)
        ended.append("transaction")

    waiting = asyncio.create_task(whole(transaction()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert ended == ["transaction"]
    assert time.monotonic() - started < 1


async def test_an_error_after_a_cancellation_is_not_heard_of() -> None:
    async def transaction() -> None:
        await asyncio.sleep(0.02)
        raise ZeroDivisionError

    waiting = asyncio.create_task(whole(transaction()))
    await asyncio.sleep(0.01)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(ZeroDivisionError):
        await whole(transaction())
