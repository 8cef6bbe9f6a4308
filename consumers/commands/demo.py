"""`penstock demo`: 300 events through embedded mode, and what became of them."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import aiohttp
from cyclopts import Parameter
from sqlalchemy import select

from consumers import story, wiring
from consumers.commands.dev import until_stopped
from consumers.commands.output import Json, emit_json, say, table
from consumers.commands.progress import progress
from consumers.commands.running import run
from consumers.commands.story import show as show_story
from consumers.embedded import Embedded, embedded
from infra import logs, samples
from infra import tables as t
from infra.settings import DatabaseSettings, LogSettings, Settings, load
from infra.simulator.script import text_hash
from infra.store import reconciliation, seals
from infra.store.reconciliation import Balance
from pipeline import receive
from pipeline.errors import InvalidEvent
from pipeline.receive import Record

EVENTS: Final = 300
_SHARES: Final[tuple[tuple[str, samples.Name, int], ...]] = (
    ("receipts.scanned.v1", "receipts", 150),
    ("support.messages.v1", "support", 95),
    ("contracts.received.v1", "contracts", 39),
)
#: What the simulator is told to do wrong on some texts: each shows another way to an outcome.
_FAULTS: Final[tuple[dict[str, str | int], ...]] = (
    {"fault": "invalid_json", "times": 1},
    {"fault": "refusal"},
    {"fault": "500", "times": 1},
    {"fault": "truncated"},
    {"fault": "429_retry_after", "times": 1, "retry_after": 1},
    {"fault": "missing_field"},
)
_CHUNK: Final = 25
_STRIDE: Final = 47
_LOOK_SECONDS: Final = 0.1
_TIMEOUT_SECONDS: Final = 120


@dataclass(frozen=True)
class Finished:
    """What the demo reports."""

    balances: dict[str, Balance]
    seconds: float
    database: Path
    story: dict[str, Any]

    @property
    def total(self) -> Balance:
        return reconciliation.total(self.balances.values())


def demo(
    *,
    stays: Annotated[
        bool,
        Parameter(name="--open", negative="", help="Then serve its pages until Ctrl-C; a link is printed."),
    ] = False,
    json: Json = False,
) -> None:
    """Run 300 sample events through everything, on a database of its own; exit 1 unless all adds up."""
    path = Path(tempfile.mkdtemp(prefix="penstock-demo-")) / "penstock.db"
    finished = run(_demo(_settings(path), path))
    if json:
        _report_json(finished)
    else:
        _report(finished)
    if not finished.total.balanced or finished.total.in_flight:
        raise SystemExit(1)
    if stays:
        say("")
        run(until_stopped(_settings(path).model_copy(update={"api": load().api})))


def _settings(path: Path) -> Settings:
    """Those of a bare machine, whatever the environment says: the examples, SQLite, the simulator."""
    settings = Settings.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{path}"), log=LogSettings(level="error")
    )
    logs.configure(settings.log, process="demo")
    return settings


async def _demo(settings: Settings, path: Path) -> Finished:
    async with embedded(settings) as running:
        records = _records()
        await _script(running, records)
        started = time.monotonic()
        await _run(running, records)
        seconds = time.monotonic() - started
        database = running.deployment.database
        balances = await reconciliation.balances(database, workflows=running.deployment.catalogue.by_name)
        return Finished(balances, seconds, path, await story.gather(database, await _example(running)))


def _records() -> list[Record]:
    """The samples, repeated with new offsets until there are EVENTS, malformed ones among them."""
    bad = [(one.topic, one.body) for one in samples.malformed()]
    good = [
        (topic, json.dumps(dict(sample.data)).encode())
        for topic, name, count in _SHARES
        for sample in islice(cycle(samples.read(name)), count)
    ]
    # A stride that shares no factor with the number of events mixes them, the same way every time.
    mixed = sorted(enumerate((good + bad)[:EVENTS]), key=lambda pair: pair[0] * _STRIDE % EVENTS)
    return [
        Record("demo", topic, partition=0, offset=offset, key=None, value=body, headers=())
        for offset, (_, (topic, body)) in enumerate(mixed)
    ]


async def _script(running: Embedded, records: Sequence[Record]) -> None:
    """Tell the simulator what to do wrong, on one text for each fault."""
    by_topic = running.deployment.catalogue.by_topic
    texts = []
    for record in records:
        with contextlib.suppress(InvalidEvent):
            entry = by_topic[record.topic]
            texts.append(entry.workflow.text(receive.read(entry, receive.parse(record.value or b""))))
    rules = [
        {"sha256": text_hash(text), **fault}
        for text, fault in zip(dict.fromkeys(texts[::_STRIDE]), _FAULTS, strict=False)
    ]
    async with aiohttp.ClientSession() as client:
        answer = await client.post(f"{running.simulator}/script", json={"rules": rules})
        answer.raise_for_status()


async def _run(running: Embedded, records: Sequence[Record]) -> None:
    """Send everything, then wait until nothing is in flight, unsealed or unpublished."""
    door = wiring.door(running.deployment, ring=lambda lane: None)
    with progress("events", len(records)) as tell:
        for start in range(0, len(records), _CHUNK):
            await door.accept(records[start : start + _CHUNK])
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while True:
                balance = reconciliation.total(
                    (await reconciliation.balances(running.deployment.database)).values()
                )
                tell(sum(balance.outcomes.values()))
                if balance.in_flight == 0 and await _is_settled(running):
                    return
                await asyncio.sleep(_LOOK_SECONDS)


async def _is_settled(running: Embedded) -> bool:
    """Seals last but one: each makes a message."""
    deployment = running.deployment
    if await seals.unsealed(deployment.database, at_most=1):
        return False
    return not await deployment.store.unpublished(limit=1)


async def _example(running: Embedded) -> UUID:
    """An event worth reading: one that took more than one attempt."""
    query = select(t.attempt.c.event_id).where(t.attempt.c.step == 1).order_by(t.attempt.c.event_id)
    async with running.deployment.database.read() as connection:
        found: UUID = (await connection.execute(query.limit(1))).scalar_one()
    return found


def _report_json(finished: Finished) -> None:
    total = finished.total
    emit_json(
        {
            "accepted": total.accepted,
            "outcomes": total.outcomes,
            "in_flight": total.in_flight,
            "seconds": round(finished.seconds, 3),
            "events_per_second": round(total.accepted / finished.seconds, 1),
            "database": str(finished.database),
        }
    )


def _report(finished: Finished) -> None:
    total = finished.total
    names = sorted(total.outcomes)
    rows = [
        (name, *(balance.outcomes.get(outcome, 0) for outcome in names), balance.accepted)
        for name, balance in finished.balances.items()
    ]
    rows.append(("total", *(total.outcomes[outcome] for outcome in names), total.accepted))
    say("")
    table(("workflow", *names, "accepted"), rows)
    rate = total.accepted / finished.seconds
    say(f"\n{total.accepted} events in {finished.seconds:.1f} s ({rate:.0f}/s), by a SIMULATED model.")
    verdict = "holds" if total.balanced else "DOES NOT HOLD"
    outcomes = sum(total.outcomes.values())
    say(f"accepted {total.accepted} = outcomes {outcomes} + in flight {total.in_flight}: it {verdict}.")
    for difference in total.differences:
        say(f"  {difference.workflow}: {difference.what} ({difference.count})")
    say("\nOne event's full story, of one that took more than one attempt:\n")
    show_story(finished.story)
    say(f"\nThe database stays, at {finished.database}. Look further with:")
    say(f"  export PENSTOCK_DATABASE__URL=sqlite:///{finished.database}")
    say("  penstock stats; penstock dlq list; penstock tail receipts.extracted.v1; penstock audit verify")
    say("  penstock workflow new invoices      # your own, in five minutes: see README.md")
