"""`penstock emit`, `penstock tail` and `penstock event show`: events in, messages out, one event's story."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from consumers.commands.sending import Receipt
    from consumers.wiring import Deployment
    from infra.database import Database
    from infra.settings import Settings
    from infra.store.texts import Texts
    from pipeline.catalogue import Catalogue
    from pipeline.receive import Record

app = App(name="event", help="The whole story of one event.")

_LOOK_SECONDS: Final = 0.2
_PAGE: Final = 500


def emit(
    topic: str,
    /,
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    event_id: Annotated[str | None, Parameter(name="--id", help="The event's id, for a single one.")] = None,
    as_json: Json = False,
) -> None:
    """Send the events in FILES to TOPIC; - is standard input.

    A file holds one JSON value, a JSON array (each element is one event) or JSON lines (each line is
    one). An event is plain data, which gets the source `emit` and a new id, or a CloudEvents envelope
    in structured JSON. Nothing is sent unless every event parses and fits the topic's schema.

    Without Kafka the events are accepted into the database, and each is told to be accepted, a duplicate
    or, when another one has its id, id_reused. With Kafka they are sent and told to be sent, or
    unacknowledged; what sees to them is `penstock serve ingest`. Exit code 1 if any was refused.
    """
    from consumers.commands import reading, sending
    from consumers.commands.running import deployed, run, settings_for
    from pipeline import catalogue as catalogues
    from pipeline.errors import InvalidEvent

    if not files or any(name.startswith("-") and name != "-" for name in files):
        raise InvalidEvent("name files, or - for standard input; see penstock emit --help")
    settings = settings_for("cli")
    entry = catalogues.load(settings.workflows).consuming(topic)
    lines = reading.read(files)

    async def work() -> "list[Receipt]":
        if not settings.is_embedded:
            parcels = sending.prepare(lines, entry, id=event_id, secret=b"")
            return await sending.produce(settings, parcels)
        async with deployed(settings) as deployment:
            parcels = sending.prepare(lines, entry, id=event_id, secret=deployment.secret)
            return await sending.accept(deployment, parcels)

    receipts = run(work())
    _tell_receipts(receipts, entry.workflow.produces, as_json=as_json)
    _end(receipts)


def _tell_receipts(receipts: "Sequence[Receipt]", produces: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(list(receipts))
        return
    for receipt in receipts:
        output.say(f"{receipt.status:<9} {receipt.event_id}  {receipt.id}")
    if {"accepted", "sent"} & {receipt.status for receipt in receipts}:
        output.note(f"Results come out on {produces}: penstock tail -f {produces}")


def _end(receipts: "Sequence[Receipt]") -> None:
    """Say what was refused, and end with the exit code for it."""
    from consumers.cli import EXIT_FAILURE, EXIT_UNAVAILABLE

    statuses = [receipt.status for receipt in receipts]
    if lost := statuses.count("unacknowledged"):
        output.note(
            f"{lost} of {len(statuses)} were not acknowledged, and may or may not be on the topic. "
            "Is it there (penstock topics create)? Is Kafka (penstock doctor)?"
        )
        raise SystemExit(EXIT_UNAVAILABLE)
    if reused := statuses.count("id_reused"):
        output.note(f"{reused} refused: an event with this source and id exists, with other data.")
        raise SystemExit(EXIT_FAILURE)


def tail(
    topic: str,
    /,
    *,
    last: Annotated[int, Parameter(name=["-n", "--last"], help="How many of the newest messages.")] = 10,
    from_beginning: Annotated[
        bool, Parameter(name="--from-beginning", negative="", help="All messages instead.")
    ] = False,
    follow: Annotated[
        bool, Parameter(name=["-f", "--follow"], negative="", help="Then wait for new ones, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the last 10 messages of TOPIC and end, like tail(1); -f goes on.

    One JSON object per line, with or without --json: topic, partition, offset, key, headers, value.
    What is no JSON or no UTF-8 is given as `value_base64` or `key_base64`.
    """
    from consumers.commands.running import run, settings_for

    settings = settings_for("cli")
    newest = None if from_beginning else max(last, 0)
    if settings.is_embedded:
        printed = run(_tail_log(settings, topic, last=newest, follow=follow))
    else:
        printed = _tail_kafka(settings, topic, last=newest, follow=follow)
    if not printed:
        output.note(f"No messages on {topic}; -f waits for them.")


def _tail_kafka(settings: "Settings", topic: str, *, last: int | None, follow: bool) -> int:
    from consumers.commands.messages import as_line
    from infra import kafka_tail

    printed = 0
    for message in kafka_tail.read(settings.kafka, topic, last=last, follow=follow):
        _print(as_line(message))
        printed += 1
    return printed


async def _tail_log(settings: "Settings", topic: str, *, last: int | None, follow: bool) -> int:
    from consumers.commands.messages import as_line
    from consumers.commands.running import deployed

    printed = 0
    async with deployed(settings) as deployment:
        _check_topic(deployment.catalogue, topic)
        async for message in _log(deployment.database, topic, last=last, follow=follow):
            _print(as_line(message))
            printed += 1
    return printed


async def _log(
    database: "Database", topic: str, *, last: int | None, follow: bool
) -> AsyncIterator["Record"]:
    """The messages of an embedded topic."""
    from infra.store import read
    from pipeline.receive import Record

    end = await read.log_end(database, topic)
    after = -1 if last is None else max(end - last, -1)
    while True:
        rows = await read.tail(database, topic, after=after, limit=_PAGE)
        for row in rows:
            headers = tuple((name, value.encode()) for name, value in row["headers"].items())
            after = row["offset"]
            # What was erased is told as Kafka tells it: no value.
            yield Record("", topic, 0, after, row["key"], row["value"] or None, headers)
        if rows:
            continue
        if not follow:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _check_topic(catalogue: "Catalogue", topic: str) -> None:
    """Embedded topics are the ones that are written to."""
    from pipeline.contracts import contracts
    from pipeline.errors import NotFound

    known = contracts(catalogue)
    if topic in catalogue.by_topic and topic not in known:
        raise NotFound(
            f"without Kafka, incoming events are no topic but rows; `penstock event show ID` shows one, "
            f"`penstock tail {catalogue.by_topic[topic].workflow.produces}` what comes of them"
        )
    if topic not in known:
        raise NotFound(f"no workflow writes to {topic!r}; topics: {', '.join(known)}")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@app.command
def show(
    reference: str,
    /,
    *,
    reveal: Annotated[
        bool, Parameter(negative="", help="Print the texts too; that you read them goes on record.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The whole story of one event, by Penstock's event id or the id that its sender gave.

    Where it came from, what the models were asked and answered, what was decided and why, what went
    out. Texts of the event and of the models are told by size and salted hash, unless --reveal is given.
    """
    from consumers import story
    from consumers.commands.running import deployed, run
    from consumers.commands.story import show as show_story

    async def work() -> dict[str, Any]:
        async with deployed() as deployment:
            event_id = await find(deployment, reference)
            texts = await read_texts(deployment, event_id) if reveal else None
            return await story.gather(deployment.database, event_id, texts)

    told = run(work())
    if as_json:
        output.emit_json(told)
    else:
        show_story(told)


async def read_texts(deployment: "Deployment", event_id: UUID) -> "Texts":
    """The event's texts, for who sits at the command line; that they read them is on record."""
    from dataclasses import replace

    from consumers import wiring
    from consumers.reveal import reveal

    scribe = replace(deployment.scribe, actor=wiring.operator())
    return await reveal(deployment.store, event_id, scribe=scribe, now=wiring.clock())


async def find(deployment: "Deployment", reference: str) -> UUID:
    """The one event that `reference` names; raises NotFound, or Conflict, which lists the several."""
    from infra.store import history, read
    from pipeline.errors import Conflict, NotFound

    found = await read.find_events(deployment.database, reference)
    if not found:
        raise NotFound(f"no event {output.printable(reference)!r}")
    if len(found) > 1:
        named = await history.identities(deployment.database, found)
        lines = [f"  {event_id}  {who.topic}  {who.source}" for event_id, who in named.items()]
        listed = output.printable("\n".join(lines))
        raise Conflict(f"several events have the id {reference!r}; name one of these:\n{listed}")
    return found[0]
