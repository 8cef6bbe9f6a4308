"""`penstock review bulk`, `penstock dlq replay-all`: what a search finds shown, then decided in one go."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from consumers.bulk import MAX_EVENTS, Action
from consumers.commands import output
from consumers.commands.output import Json
from consumers.filters import Filters

if TYPE_CHECKING:
    from consumers.bulk import Chosen, Outcome
    from consumers.desk import Desk
    from infra.store.bulk import Candidates, Which

Asked = Annotated[Filters, Parameter(name="*", negative="")]
Limit = Annotated[
    int, Parameter(help="At most so many, the oldest.", validator=Number(gte=1, lte=MAX_EVENTS))
]
DryRun = Annotated[bool, Parameter(negative="", help="Show which they are; decide nothing.")]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask.")]
_NO_FILTERS = Filters()
_Do = Callable[["Desk", "list[Chosen]"], Awaitable["Outcome"]]


def review_bulk(
    action: Action,
    /,
    *,
    comment: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="Why; a rejection needs it. Receivers see it.")
    ] = "",
    filters: Asked = _NO_FILTERS,
    limit: Limit = MAX_EVENTS,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Approve, reject or send back all that waits for a person and matches all filters, the oldest first.

    Shows them first, and asks. Each event is decided by itself, with its own audit record; what somebody
    else decided or claimed meanwhile is left out and named (exit code 4). A random sample is never among
    them. Nobody looked at each, so that they count neither for `review quality` nor as golden cases.
    """
    from consumers.bulk import resolve
    from pipeline.errors import InvalidCorrection

    if action == "reject" and not comment.strip():
        raise InvalidCorrection("--comment is missing: receivers of the dead topic are told why")

    async def do(desk: "Desk", chosen: "list[Chosen]") -> "Outcome":
        return await resolve(desk, action, chosen, comment=comment)

    verb = {"approve": "approved", "reject": "rejected", "back": "sent back"}[action]
    _run(filters, "waiting", do, verb, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json)


def replay_all(
    *,
    filters: Asked = _NO_FILTERS,
    limit: Limit = MAX_EVENTS,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put all dead events that match all filters back to work, the oldest first, under today's versions.

    Shows them first, and asks. Each has its own audit record; what somebody else replayed meanwhile is left
    out and named (exit code 4).
    """
    from consumers import bulk

    async def do(desk: "Desk", chosen: "list[Chosen]") -> "Outcome":
        return await bulk.replay_all(desk, chosen)

    _run(filters, "dead", do, "replayed", limit=limit, dry_run=dry_run, yes=yes, as_json=as_json)


def _run(
    filters: Filters,
    which: "Which",
    do: _Do,
    verb: str,
    *,
    limit: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from consumers import wiring
    from consumers.bulk import Chosen
    from consumers.cli import EXIT_CONFLICT
    from consumers.commands.running import deployed, run
    from consumers.desk import Desk
    from infra.store.bulk import candidates

    async def work() -> "tuple[Candidates, Outcome | None]":
        async with deployed() as deployment:
            found = await candidates(deployment.database, filters.search, which, limit=limit)
            if not as_json:
                _show(found)
            if dry_run or not found.rows or not _is_sure(found, verb, yes=yes):
                return found, None
            scribe = replace(deployment.scribe, actor=wiring.operator())
            desk = Desk(deployment.store, deployment.catalogue, scribe, wiring.clock)
            return found, await do(desk, [Chosen(one.event_id, one.revision) for one in found.rows])

    found, outcome = run(work())
    if as_json:
        output.emit_json(_told(found, outcome))
    elif outcome is not None:
        _tell(outcome, verb)
    if outcome is not None and outcome.skipped:
        raise SystemExit(EXIT_CONFLICT)


def _show(found: "Candidates") -> None:
    if not found.rows:
        output.note("Nothing matches.")
        return
    columns = ("event_id", "workflow", "id", "decided_at", "claimed_by", "reasons")
    output.table(columns, [_row(one) for one in found.rows])
    if found.count.records > len(found.rows):
        more = "more than " if found.count.is_more else ""
        output.note(f"The oldest {len(found.rows)} of {more}{found.count.records}.")


def _row(one: Any) -> tuple[Any, ...]:
    return one.event_id, one.workflow, one.id, one.decided_at, one.claimed_by, "; ".join(one.reasons)


def _is_sure(found: "Candidates", verb: str, *, yes: bool) -> bool:
    from pipeline.errors import InvalidSettingsError

    if yes:
        return True
    told = f"{len(found.rows)} events will be {verb}."
    if not sys.stdin.isatty():
        raise InvalidSettingsError(f"{told} Say --yes to do it, or --dry-run to see which they are")
    output.note(f"{told} Type yes:")
    if sys.stdin.readline().strip() != "yes":
        raise InvalidSettingsError(f"nothing was {verb}")
    return True


def _told(found: "Candidates", outcome: "Outcome | None") -> dict[str, Any]:
    head = {"found": found.count.records, "found_is_more": found.count.is_more}
    if outcome is None:
        return {**head, "events": list(found.rows)}
    done = [{"event_id": one.event_id, "state": one.state, "revision": one.revision} for one in outcome.done]
    return {**head, "done": done, "skipped": list(outcome.skipped)}


def _tell(outcome: "Outcome", verb: str) -> None:
    output.say(f"{len(outcome.done)} {verb}, {len(outcome.skipped)} left out.")
    for one in outcome.skipped:
        output.say(f"  {one.event_id}  {one.why}")
