"""`penstock audit explain|list|show|export`: questions to the audit trail."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from consumers.commands import output
from consumers.commands.output import Json
from consumers.filters import Filters

if TYPE_CHECKING:
    from consumers.exporting import Export, Form
    from infra.store.search import Count, Found
    from pipeline.seal import Seal

Asked = Annotated[Filters, Parameter(name="*", negative="")]
_NO_FILTERS = Filters()


def explain(
    reference: str,
    /,
    *,
    reveal: Annotated[
        bool, Parameter(negative="", help="Print texts and quotes too; that you read them goes on record.")
    ] = False,
    as_json: Json = False,
) -> None:
    """How an event came to its outcome, by Penstock's event id or the id that its sender gave.

    What came in, which version decided, what each model was asked and answered, what was checked and found
    where in the text, what it cost, who changed what, and where it went. Texts are told by size and salted
    SHA-256; with --reveal they are printed as they were stored. Exit code 1 when a stored text or result is
    not what its record names.
    """
    from consumers import explanation
    from consumers.commands import narration
    from consumers.commands.events import find, read_texts
    from consumers.commands.running import deployed, run

    async def work() -> dict[str, Any]:
        async with deployed() as deployment:
            event_id = await find(deployment, reference)
            texts = await read_texts(deployment, event_id) if reveal else None
            return await explanation.gather(deployment.database, deployment.catalogue, event_id, texts)

    told = run(work())
    if as_json:
        output.emit_json(told)
    else:
        narration.show(told)
    if told["deviations"]:
        raise SystemExit(1)


def list_records(
    *,
    filters: Asked = _NO_FILTERS,
    limit: Annotated[int, Parameter(help="At most so many.", validator=Number(gte=1, lte=1_000))] = 50,
    after: Annotated[str | None, Parameter(help="Go on behind this place, which --json names.")] = None,
    as_json: Json = False,
) -> None:
    """Audit records that match all filters, the newest first, and how many there are."""
    from consumers import records
    from consumers.commands.running import deployed, run
    from infra.store import search
    from infra.store.search import Place
    from pipeline.errors import InvalidSettingsError

    try:
        place = None if after is None else Place.parse(after)
    except ValueError as error:
        raise InvalidSettingsError(f"--after {after}: take what `--json` gives as next") from error

    async def work() -> "tuple[list[Found], Count]":
        async with deployed() as deployment:
            asked, database = filters.search, deployment.database
            return await search.page(database, asked, after=place, limit=limit), await search.count(
                database, asked
            )

    found, number = run(work())
    more = str(found[-1].place) if len(found) == limit else None
    if as_json:
        told = {"records": [records.summary(row) for row in found], "next": more}
        output.emit_json({**told, "count": number.records, "count_is_more": number.is_more})
        return
    columns = ("at", "kind", "outcome", "why", "workflow", "event", "by", "id")
    output.table(columns, [_row(row) for row in found])
    _note(number, more=more)


def _row(row: "Found") -> tuple[Any, ...]:
    return (
        row.occurred_at,
        row.kind,
        row.outcome,
        row.code,
        row.workflow,
        row.event_id,
        row.actor_name,
        row.id,
    )


def _note(number: "Count", *, more: str | None) -> None:
    if not number.records:
        output.note("No records.")
        return
    at_least = "more than " if number.is_more else ""
    output.note(
        f"{at_least}{number.records} records. One: penstock audit show ID; all: penstock audit export."
    )
    if more:
        output.note(f"The next page: --after {more}")


def show(record: str, /, *, as_json: Json = False) -> None:
    """One audit record, by its id or its leaf (`audit_leaf` of a message): all that it says, and when it was
    sealed. Hashes and references, no payload."""
    import json

    from consumers import records
    from consumers.commands.running import deployed, run
    from consumers.commands.verifying import record_named
    from infra.store import proofs, search
    from pipeline.copies import told

    wanted = record_named(record)

    async def work() -> "tuple[Found, tuple[int, Seal] | None]":
        async with deployed() as deployment:
            found = await search.one(deployment.database, wanted)
            async with deployment.database.read() as connection:
                return found, await proofs.seal_of(connection, found.id)

    found, sealed = run(work())
    place, seal = sealed or (None, None)
    if as_json:
        under = seal and {"place": place, "batch": seal.batch, "sealed_at": seal.sealed_at, "key": seal.key}
        output.emit_json({**records.whole(found), "seal": under})
        return
    output.say(json.dumps(told(found.id, found.canonical), indent=2, ensure_ascii=False))
    output.say(f"leaf {found.leaf.hex()}")
    if seal is None:
        output.say("not sealed yet")
    else:
        output.say(
            f"sealed {seal.sealed_at.isoformat()} at place {place}, in batch {seal.batch}, by {seal.key}"
        )


def export(
    *,
    filters: Asked = _NO_FILTERS,
    form: Annotated[
        Literal["jsonl", "csv", "proofs"],
        Parameter(
            name="--format",
            help="jsonl has the text of each record, csv its columns; proofs is for verify_export.py.",
        ),
    ] = "jsonl",
    reveal: Annotated[
        bool,
        Parameter(
            negative="",
            help="With proofs: the texts that the records name, too; that you read them goes on record.",
        ),
    ] = False,
    checkpoint: Annotated[
        Path | None,
        Parameter(help="With proofs: under the last checkpoint in this file, not under the newest seal."),
    ] = None,
) -> None:
    """All records that match, the oldest first, on stdout: up to now, or to --until.

    A line of jsonl has the record as `canonical`: SHA-256 of a zero byte and its UTF-8 bytes is its `leaf`.
    With `--format proofs` each record comes with its path to one signed checkpoint: whoever has the public
    keys checks it with infra/verify_export.py, which needs no Penstock and no database.
    """
    from consumers.commands.running import run
    from pipeline.errors import InvalidSettingsError

    if reveal and form != "proofs":
        raise InvalidSettingsError("--reveal discloses texts beside their proofs: add --format proofs")
    if checkpoint and form != "proofs":
        raise InvalidSettingsError("--checkpoint is what proofs lead to: add --format proofs")
    made = run(_export(filters, form, checkpoint, reveal=reveal))
    output.note(f"{made.written} records.")
    if made.unsealed:
        why = "came after that checkpoint" if checkpoint else "have no seal yet; ask again in a few seconds"
        output.note(f"{made.unsealed} more {why}.")


async def _export(filters: Filters, form: "Form", checkpoint: "Path | None", *, reveal: bool) -> "Export":
    from consumers import wiring
    from consumers.commands import verifying
    from consumers.commands.running import deployed
    from consumers.exporting import Export

    asked = replace(filters.search, until=filters.until or wiring.clock())
    async with deployed() as deployment:
        reader = replace(deployment.scribe, actor=wiring.operator()) if reveal else None
        size = None
        if checkpoint:
            size = await verifying.size_of(deployment.database, deployment.settings, checkpoint)
        made = Export(deployment.store, asked, form, wiring.clock, reader, size)
        async for chunk in made.chunks():
            sys.stdout.write(chunk)
    return made
