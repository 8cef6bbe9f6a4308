"""`penstock erase`: everything that is kept of a subject, destroyed; what is out of reach is told."""

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from consumers.wiring import Deployment
    from infra.store.erasure import Copies, Found
    from schemas.changeset import AuditRecord

Subject = Annotated[
    str,
    Parameter(
        help="The subject, spelt as the workflow names it; - reads it from standard input.",
        allow_leading_hyphen=True,
    ),
]


def erase(
    *,
    subject: Subject,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Tell what would be erased; erase nothing.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase every text of a subject: events, what models were asked and answered, results, messages.

    The data key is destroyed, so that copies of the database hold nothing to read either. Decisions,
    numbers and the audit trail stay, without the texts; the erasure is on record. Not reached: messages on
    Kafka until their retention ends and files exported before (both are listed), what model providers keep.
    Exit code 3 when nothing is kept of the subject, 4 when it is in flight, not yet published, or on hold.
    """
    from consumers.commands.running import deployed, run

    async def work() -> "tuple[Found, list[dict[str, Any]]]":
        async with deployed() as deployment:
            found = await _erased(deployment, spelt(subject), dry_run=dry_run, yes=yes)
            return found, _copies(deployment, found)

    found, copies = run(work())
    if as_json:
        output.emit_json(
            {
                **_counts(found),
                "erased": not dry_run,
                "obstacles": found.obstacles,
                "kafka": copies,
                "exports": found.exports,
            }
        )
    else:
        _show(found, copies, done=not dry_run)


def spelt(subject: str) -> str:
    """The subject itself, which need not stand in a shell's history."""
    from pipeline.errors import InvalidSettingsError

    found = sys.stdin.readline().rstrip("\r\n") if subject == "-" else subject
    if not found:
        raise InvalidSettingsError("--subject is empty; name whose texts it is about")
    return found


async def _erased(deployment: "Deployment", subject: str, *, dry_run: bool, yes: bool) -> "Found":
    from dataclasses import replace

    from consumers import wiring
    from infra.database import whole
    from infra.store import erasure
    from pipeline.errors import Conflict
    from pipeline.subject import subject_hash
    from pipeline.trail import ERASURE, noted

    own = subject_hash(deployment.secret, subject)
    found = await erasure.look(deployment.database, own)
    if dry_run:
        return found
    if found.obstacles:
        raise Conflict("nothing was erased: " + "; ".join(found.obstacles))
    _confirm(found, yes=yes)
    scribe = replace(deployment.scribe, actor=wiring.operator())

    def record(found: "Found") -> "AuditRecord":
        body = {"subject_hash": own.hex(), **_counts(found)}
        return noted(ERASURE, body, scribe=scribe, now=wiring.clock())

    return await whole(erasure.erase(deployment.database, own, record))


def _confirm(found: "Found", *, yes: bool) -> None:
    from pipeline.errors import InvalidSettingsError

    if yes:
        return
    told = f"{found.events} events with all their texts will be erased; nothing brings them back."
    if not sys.stdin.isatty():
        raise InvalidSettingsError(f"{told} Say --yes to do it, or --dry-run to see what they are")
    output.note(f"{told} Type yes:")
    if sys.stdin.readline().strip() != "yes":
        raise InvalidSettingsError("nothing was erased")


def _counts(found: "Found") -> dict[str, int]:
    return {
        "events": found.events,
        "contents": found.contents,
        "results": found.results,
        "messages": found.messages,
        "answers": found.answers,
    }


def _copies(deployment: "Deployment", found: "Found") -> list[dict[str, Any]]:
    """What Kafka still has; embedded topics are rows, which are emptied."""
    if deployment.settings.is_embedded:
        return []
    kept = timedelta(hours=deployment.settings.kafka.retention_hours)
    return [
        {"topic": one.topic, "messages": one.messages, "keys": list(found.keys), "until": _until(one, kept)}
        for one in found.copies
    ]


def _until(copies: "Copies", kept: timedelta) -> datetime:
    return copies.last + kept


def _show(found: "Found", copies: list[dict[str, Any]], *, done: bool) -> None:
    verb = "Erased" if done else "Would erase"
    output.say(
        f"{verb} {found.events} events: {found.contents} texts, {found.results} results, "
        f"{found.messages} messages, {found.answers} cached answers."
    )
    for obstacle in found.obstacles:
        output.say(f"Not now: {obstacle}")
    if copies:
        output.say(
            "\nKafka keeps copies, by PENSTOCK_KAFKA__RETENTION_HOURS, unless a topic has its own retention:"
        )
        output.table(
            ("topic", "messages", "keys", "until"),
            [(one["topic"], one["messages"], _keys(one["keys"]), one["until"]) for one in copies],
        )
    if found.exports:
        output.say("\nExports that its texts were in; destroy them where they are:")
        output.table(("export", "by", "at"), [(one.id, one.by, one.at) for one in found.exports])
    if done:
        output.note("Files exported before, and what model providers keep, are out of reach.")


def _keys(keys: list[bytes]) -> str:
    return ", ".join(key.decode("utf-8", "replace") for key in keys)
