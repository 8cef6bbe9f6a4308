"""`penstock review`: what waits for a person, the oldest first; and what they decide."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from uuid import UUID

    from consumers.desk import Desk, Said
    from infra.store.reviews import Item, Order
    from schemas.changeset import Result

app = App(name="review", help="What waits for a person: look, and decide.")
app.command(
    "consumers.commands.quality:quality",
    name="quality",
    help="How often people found the machine wrong, and whether its signals told.",
)
app.command(
    "consumers.commands.bulk:review_bulk",
    name="bulk",
    help="Approve, reject or send back all that a search finds.",
)

Workflow = Annotated[str | None, Parameter(help="Only of this workflow.")]
Ordered = Annotated[
    Literal["oldest", "doubted"],
    Parameter(
        help="doubted: what has the lowest score first; of one workflow, and only where people's decisions "
        "show that its score tells right from wrong (exit code 4)."
    ),
]
Comment = Annotated[str, Parameter(allow_leading_hyphen=True, help="Why; receivers of the result see it.")]
Revision = Annotated[
    int | None, Parameter(help="The revision that you looked at; if there is a newer one, nothing is done.")
]
Reveal = Annotated[
    bool,
    Parameter(
        negative="",
        help="Print the source text, and what was extracted of an event with a subject; on record.",
    ),
]


@app.command(name="list")
def list_items(
    *,
    workflow: Workflow = None,
    limit: Annotated[int, Parameter(help="At most so many, the oldest first.")] = 50,
    after: Annotated[
        str | None, Parameter(help="Go on behind this place, which the page before named.")
    ] = None,
    order: Ordered = "oldest",
    as_json: Json = False,
) -> None:
    """Events that wait for a person, and who looks at which."""
    from consumers.commands import reviewing
    from infra.store import reviews

    async def work() -> "list[Item]":
        async with _desk() as (desk, _):
            if workflow is not None:
                desk.catalogue.named(workflow)
            await _check_order(desk, workflow, order)
            database = desk.store.database
            return await reviews.waiting(database, workflow=workflow, after=after, limit=limit, order=order)

    reviewing.tell_page(_run(work()), limit=limit, order=order, as_json=as_json)


@app.command(name="next")
def next_item(
    *, workflow: Workflow = None, order: Ordered = "oldest", reveal: Reveal = False, as_json: Json = False
) -> None:
    """Claim the first item that nobody else looks at, for 15 minutes, and show it."""
    from consumers.commands import reviewing

    async def work() -> dict[str, Any]:
        async with _desk() as (desk, _):
            await _check_order(desk, workflow, order)
            found = await desk.claim_next(workflow, order)
            return await reviewing.gather(desk, found.event_id, reveal=reveal)

    reviewing.tell(_run(work()), as_json=as_json)


@app.command
def show(reference: str, /, *, reveal: Reveal = False, as_json: Json = False) -> None:
    """What was extracted from an event, why a person is asked, and what each value rests on."""
    from consumers.commands import reviewing

    async def work() -> dict[str, Any]:
        async with _desk() as (desk, find):
            return await reviewing.gather(desk, await find(reference), reveal=reveal)

    reviewing.tell(_run(work()), as_json=as_json)


@app.command
def claim(reference: str, /, *, as_json: Json = False) -> None:
    """Tell others that you look at it, for 15 minutes; again for longer. Exit code 4: somebody else does."""

    async def work() -> "Item":
        async with _desk() as (desk, find):
            return await desk.claim(await find(reference))

    found = _run(work())
    if as_json:
        output.emit_json(found)
    else:
        output.say(f"{found.event_id} is yours until {found.claimed_until:%H:%M} UTC.")


@app.command
def release(reference: str, /, *, as_json: Json = False) -> None:
    """Give back what you have claimed."""

    async def work() -> "UUID":
        async with _desk() as (desk, find):
            event_id = await find(reference)
            await desk.release(event_id)
            return event_id

    event_id = _run(work())
    if as_json:
        output.emit_json({"event_id": event_id})
    else:
        output.say(f"{event_id} is free.")


@app.command
def approve(
    reference: str, /, *, comment: Comment = "", revision: Revision = None, as_json: Json = False
) -> None:
    """The result is right as it is: it is published, unless receivers have it already."""
    _decide(reference, comment, revision, lambda desk, at, said: desk.approve(at, said), as_json=as_json)


@app.command
def correct(
    reference: str,
    /,
    *,
    settings: Annotated[
        tuple[str, ...],
        Parameter(name="--set", negative="", help="FIELD=VALUE, may be given again; `null` empties a field."),
    ] = (),
    file: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="A JSON object with every field, instead of what was extracted; - is standard input.",
        ),
    ] = None,
    comment: Comment = "",
    revision: Revision = None,
    as_json: Json = False,
) -> None:
    """Say what is right. It is published, with the link to what it replaces.

    A VALUE is a text where the field takes one, else JSON. Exit code 2 names the field that does not fit.
    """
    from consumers.commands import reviewing

    typed, data = reviewing.typed(settings), None if file is None else reviewing.read(file)
    _decide(
        reference,
        comment,
        revision,
        lambda desk, at, said: desk.correct(at, said, data, settings=typed),
        as_json=as_json,
    )


@app.command
def reject(reference: str, /, *, comment: Comment, revision: Revision = None, as_json: Json = False) -> None:
    """Not to be acted on: a dead letter with your comment as reason; what was published is withdrawn."""
    _decide(reference, comment, revision, lambda desk, at, said: desk.reject(at, said), as_json=as_json)


@app.command
def back(
    reference: str, /, *, comment: Comment = "", revision: Revision = None, as_json: Json = False
) -> None:
    """Send it back to the machine, under today's version of its workflow; it waits behind live events."""
    _decide(reference, comment, revision, lambda desk, at, said: desk.send_back(at, said), as_json=as_json)


async def _check_order(desk: "Desk", workflow: str | None, order: "Order") -> None:
    from consumers.quality import measure

    if order == "doubted" and workflow is not None:
        (await measure(desk.store.database, desk.catalogue.named(workflow).workflow.name)).must_rank()


_Decision = Callable[["Desk", "UUID", "Said"], Awaitable["Result"]]


def _decide(
    reference: str, comment: str, revision: int | None, decision: _Decision, *, as_json: bool
) -> None:
    from consumers.commands import reviewing
    from consumers.desk import Said

    async def work() -> "Result":
        async with _desk() as (desk, find):
            return await decision(desk, await find(reference), Said(comment, revision))

    reviewing.tell_result(_run(work()), as_json=as_json)


@asynccontextmanager
async def _desk() -> "AsyncIterator[tuple[Desk, Callable[[str], Awaitable[UUID]]]]":
    """The desk of who sits here, and what finds an event by either of its ids."""
    from dataclasses import replace

    from consumers import wiring
    from consumers.commands.events import find
    from consumers.commands.running import deployed
    from consumers.desk import Desk

    async with deployed() as deployment:
        scribe = replace(deployment.scribe, actor=wiring.operator())
        desk = Desk(deployment.store, deployment.catalogue, scribe, wiring.clock)
        yield desk, lambda reference: find(deployment, reference)


def _run(work: Any) -> Any:
    from consumers.commands.running import run

    return run(work)
