"""`penstock eval add-from-reviews`, and the golden cases that it made, as cases for an evaluation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

from cyclopts import Parameter

from consumers import wiring
from consumers.commands import output
from consumers.commands.labelled import problems
from consumers.commands.output import Json
from infra.store import administration, labels
from pipeline.cases import Case
from pipeline.trail import noted

if TYPE_CHECKING:
    from consumers.wiring import Deployment
    from infra.settings import Settings
    from infra.store.labels import Golden, Label
    from pipeline.catalogue import Entry
    from schemas.changeset import AuditRecord
    from schemas.kinds import RecordKind

#: So many events are named by one record of who reads them.
_NAMED: Final = 500


@dataclass(frozen=True, slots=True)
class Goldens:
    """Cases from reviews; of `gone` the text was erased or pruned, `misfits` do not fit today's schemas."""

    cases: tuple[Case, ...] = ()
    gone: int = 0
    misfits: int = 0


def add_from_reviews(
    name: str,
    /,
    *,
    since: Annotated[
        datetime | None, Parameter(help="Only what was decided from this time on (UTC without a zone).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add what people approved or corrected to the golden set of the workflow NAME; may be run again.

    `penstock eval NAME` reads them from then on. No text is copied: an erasure, the retention or a later
    decision on the event takes the case away.
    """
    from consumers.commands.running import deployed, run

    since = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since

    async def work() -> tuple[int, int]:
        async with deployed() as deployment:
            deployment.catalogue.named(name)
            added = await labels.add(
                deployment.database,
                name,
                who=wiring.operator().name,
                since=since,
                record=lambda found: _added(deployment, name, found),
            )
            return len(added), len(await labels.standing(deployment.database, name))

    added, standing = run(work())
    if as_json:
        output.emit_json({"workflow": name, "added": added, "cases": standing})
    else:
        output.say(f"{added} added; the golden set of {name} has {standing} cases from reviews.")
        output.note(f"Score the workflow on them: penstock eval {name} --from reviews")


async def goldens(settings: "Settings", entry: "Entry") -> Goldens:
    """The golden cases of a workflow; that they are read is on record before. None without a database."""
    from consumers.commands.running import deployed

    path = settings.sqlite_path
    if path is not None and not path.exists():
        return Goldens()
    async with deployed(settings) as deployment:
        standing = await labels.standing(deployment.database, entry.workflow.name)
        for start in range(0, len(standing), _NAMED):
            record = _read(deployment, entry.workflow.name, standing[start : start + _NAMED])
            await administration.write_record(deployment.database, record)
        found = await labels.read(deployment.database, standing)
    cases = [_case(golden) for golden in found]
    fitting = tuple(case for case in cases if not list(problems(entry, [case], [case.id])))
    return Goldens(fitting, gone=len(standing) - len(found), misfits=len(cases) - len(fitting))


def _case(golden: "Golden") -> Case:
    data = json.loads(golden.event.content)
    return Case(
        str(golden.event.event_id), data if isinstance(data, dict) else {}, dict(golden.result.data or {})
    )


def _added(deployment: "Deployment", workflow: str, found: "Sequence[Label]") -> "AuditRecord":
    return _record("labels_added", deployment, workflow, found)


def _read(deployment: "Deployment", workflow: str, found: "Sequence[Label]") -> "AuditRecord":
    return _record("labels_read", deployment, workflow, found)


def _record(
    kind: "RecordKind", deployment: "Deployment", workflow: str, found: "Sequence[Label]"
) -> "AuditRecord":
    """Which results were added or read, by event and revision."""
    from dataclasses import replace

    named = [{"event_id": str(label.event_id), "revision": label.revision} for label in found]
    return noted(
        kind,
        {"labels": named},
        scribe=replace(deployment.scribe, actor=wiring.operator()),
        now=wiring.clock(),
        workflow=workflow,
        nonce=str(uuid4()),
    )
