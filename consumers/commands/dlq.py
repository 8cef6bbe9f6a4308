"""`penstock dlq`: events that ended dead: which, why, and once more."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from uuid import UUID

    from consumers.wiring import Deployment
    from schemas.changeset import Result

app = App(name="dlq", help="Dead letters: list, show, replay.")
app.command(
    "consumers.commands.bulk:replay_all", name="replay-all", help="Put all that a search finds back to work."
)

_COLUMNS = ("event_id", "workflow", "topic", "source", "source_id", "revision", "reasons", "decided_at")


@app.command(name="list")
def list_letters(
    *,
    workflow: Annotated[str | None, Parameter(help="Only of this workflow.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Events whose newest outcome is dead, the newest first."""
    from consumers.commands.running import deployed, run
    from infra.store import read

    async def work() -> list[dict[str, Any]]:
        async with deployed() as deployment:
            if workflow is not None:
                deployment.catalogue.named(workflow)
            rows = await read.dead_letters(deployment.database, workflow=workflow, limit=limit)
            return [{column.replace("source_id", "id"): row[column] for column in _COLUMNS} for row in rows]

    letters = run(work())
    if as_json:
        output.emit_json(letters)
    elif not letters:
        output.note("No dead letters.")
    else:
        for row in letters:
            output.say(f"{row['event_id']}  {row['workflow']}  {row['id']}")
            output.say(f"    {'; '.join(row['reasons'])}")
        output.note("The whole story: penstock dlq show ID. Once more: penstock dlq replay ID.")


@app.command
def show(reference: str, /, *, as_json: Json = False) -> None:
    """The whole story of one dead letter; ID is Penstock's event id or the sender's."""
    from consumers import story
    from consumers.commands.running import deployed, run
    from consumers.commands.story import show as show_story

    async def work() -> dict[str, Any]:
        async with deployed() as deployment:
            event_id = await _found(deployment, reference)
            return await story.gather(deployment.database, event_id)

    told = run(work())
    if as_json:
        output.emit_json(told)
        return
    show_story(told)
    if told["state"] == "dead":
        output.note(f"Once more: penstock dlq replay {told['event_id']}")
    else:
        output.note(f"This event is {told['state']}, no dead letter.")


@app.command(name="replay")
def replay_letter(reference: str, /, *, as_json: Json = False) -> None:
    """Put a dead event back to work, under today's version of its workflow; it waits behind live events.

    On record in the audit trail. Exit code 4 when the event is not dead, or somebody else was faster.
    """
    from consumers import wiring
    from consumers.commands.running import deployed, run
    from consumers.replay import replay

    async def work() -> "Result":
        async with deployed() as deployment:
            event_id = await _found(deployment, reference)
            return await replay(deployment.store, deployment.catalogue, event_id, actor=wiring.operator())

    result = run(work())
    if as_json:
        told = {"event_id": result.event_id, "state": result.state, "revision": result.revision}
        output.emit_json({**told, "supersedes": result.supersedes, "version": result.version})
    else:
        output.say(f"{result.event_id} is in flight again, as revision {result.revision}.")
        output.note(f"What became of it: penstock event show {result.event_id}")


async def _found(deployment: "Deployment", reference: str) -> "UUID":
    from consumers.commands.events import find

    return await find(deployment, reference)
