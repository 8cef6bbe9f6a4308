"""`penstock privacy` and `penstock hold`: master keys, and what may not be removed."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from consumers.wiring import Deployment
    from infra.store.holds import Hold
    from schemas.changeset import AuditRecord
    from schemas.kinds import RecordKind

app = App(name="privacy", help="The master keys of encrypted texts.")
hold = App(name="hold", help="Legal holds: what is neither erased nor pruned.")


@app.command(name="key")
def new_key() -> None:
    """Print a new master key: 64 hexadecimal digits. Keep a copy apart from the database.

    To change keys: put the new one before the old one in PENSTOCK_PRIVACY__MASTER_KEY, after a comma,
    in all processes; then `penstock privacy rotate`; then take the old one away.
    """
    from infra.vault import new_master_key

    output.say(new_master_key())


@app.command
def rotate(*, as_json: Json = False) -> None:
    """Wrap every data key anew by the first master key; texts stay as they are. May be run twice."""
    from consumers.commands.running import deployed, run
    from infra.store import rotation

    async def work() -> int:
        async with deployed() as deployment:

            def record(body: dict[str, Any]) -> "AuditRecord":
                return _noted(deployment, "keys_rewrapped", body)

            return await rotation.rewrap(deployment.database, record)

    number = run(work())
    if as_json:
        output.emit_json({"rewrapped": number})
    else:
        output.say(f"{number} data keys were wrapped anew; other master keys may go.")


@hold.command(name="add")
def add_hold(
    *,
    subject: Annotated[
        str | None,
        Parameter(
            help="Every event of this subject; - reads it from standard input.", allow_leading_hyphen=True
        ),
    ] = None,
    event: Annotated[str | None, Parameter(help="One event, by Penstock's id or its sender's.")] = None,
    workflow: Annotated[str | None, Parameter(help="Every event of this workflow.")] = None,
    reason: Annotated[str, Parameter(help="Why, for those who come after.")],
    as_json: Json = False,
) -> None:
    """Keep a subject, an event or a workflow from being erased or pruned. On record in the audit trail."""
    from consumers.commands.running import deployed, run
    from infra.store import holds
    from pipeline.errors import InvalidSettingsError

    if sum(one is not None for one in (subject, event, workflow)) != 1:
        raise InvalidSettingsError("name one of --subject, --event and --workflow")

    async def work() -> "Hold":
        async with deployed() as deployment:
            made = await _hold(deployment, subject=subject, event=event, workflow=workflow, reason=reason)
            await holds.add_hold(deployment.database, made, _noted(deployment, "hold_added", _told(made)))
            return made

    made = run(work())
    if as_json:
        output.emit_json(_told(made))
    else:
        output.say(f"{made.what} is kept: hold {made.id}")


@hold.command(name="remove")
def remove_hold(hold_id: UUID, /, *, as_json: Json = False) -> None:
    """Let go of what a hold keeps; retention and `penstock erase` apply again. On record."""
    from consumers.commands.running import deployed, run
    from infra.store import holds

    async def work() -> None:
        async with deployed() as deployment:
            record = _noted(deployment, "hold_removed", {"hold": str(hold_id)})
            await holds.remove_hold(deployment.database, hold_id, record)

    run(work())
    if as_json:
        output.emit_json({"removed": hold_id})
    else:
        output.say(f"Hold {hold_id} is removed.")


@hold.command(name="list")
def list_holds(*, as_json: Json = False) -> None:
    """Every hold: what it keeps, why, since when, by whom."""
    from consumers.commands.running import deployed, run
    from infra.store import holds

    async def work() -> "list[Hold]":
        async with deployed() as deployment:
            return await holds.holds(deployment.database)

    found = run(work())
    if as_json:
        output.emit_json([{**_told(one), "created_at": one.created_at} for one in found])
    elif not found:
        output.note("No holds.")
    else:
        output.table(
            ("hold", "keeps", "because", "since", "by"),
            [(one.id, one.what, one.reason, one.created_at, one.created_by) for one in found],
        )


async def _hold(
    deployment: "Deployment", *, subject: str | None, event: str | None, workflow: str | None, reason: str
) -> "Hold":
    from uuid import uuid4

    from consumers import wiring
    from consumers.commands.erase import spelt
    from consumers.commands.events import find
    from infra.store.holds import Hold
    from pipeline.subject import subject_hash

    return Hold(
        id=uuid4(),
        reason=reason,
        created_at=wiring.clock(),
        created_by=wiring.operator().name,
        event_id=await find(deployment, event) if event else None,
        workflow=deployment.catalogue.named(workflow).workflow.name if workflow else None,
        subject_hash=subject_hash(deployment.secret, spelt(subject)) if subject else None,
    )


def _told(made: "Hold") -> dict[str, Any]:
    return {
        "hold": str(made.id),
        "event_id": str(made.event_id) if made.event_id else None,
        "workflow": made.workflow,
        "subject_hash": made.subject_hash.hex() if made.subject_hash else None,
        "reason": made.reason,
        "created_by": made.created_by,
    }


def _noted(deployment: "Deployment", kind: "RecordKind", body: dict[str, Any]) -> "AuditRecord":
    from dataclasses import replace

    from consumers import wiring
    from pipeline.trail import noted

    scribe = replace(deployment.scribe, actor=wiring.operator())
    return noted(kind, body, scribe=scribe, now=wiring.clock())
