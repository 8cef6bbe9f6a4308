"""Every route and what its caller must be allowed to do: one table, and the gate in front of all of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts

from consumers import roles
from consumers.api.callers import Caller, Callers
from consumers.api.problems import Problem
from consumers.roles import Need
from consumers.web.guard import visitor

#: Any of these is enough; none where the caller proves itself otherwise, or need not.
Needs = tuple[Need, ...]

OPEN: Final[Needs] = ()

#: For programs: who is not known is answered 401.
API: Final[Mapping[str, Needs]] = {
    "POST /webhooks/{source}": OPEN,  # signed by their senders
    "POST /topics/{topic}/events": ("send",),
    "GET /events/{event_id}": ("read", "send"),  # a sender sees its own events
    "GET /api/reviews": ("read",),
    "GET /api/reviews/quality": ("read",),
    "GET /api/reviews/bulk": ("review",),
    "POST /api/reviews/bulk": ("review",),
    "GET /api/failures/bulk": ("operate",),
    "POST /api/failures/bulk": ("operate",),
    "GET /api/reviews/{event_id}": ("read",),
    "POST /api/reviews/next": ("review",),
    "POST /api/reviews/{event_id}/claim": ("review",),
    "POST /api/reviews/{event_id}/release": ("review",),
    "POST /api/reviews/{event_id}/approve": ("review",),
    "POST /api/reviews/{event_id}/correct": ("review",),
    "POST /api/reviews/{event_id}/reject": ("review",),
    "POST /api/reviews/{event_id}/back": ("review",),
    "GET /api/audit/records": ("read",),
    "GET /api/audit/count": ("read",),
    "GET /api/audit/export": ("read",),  # with texts only for who may reveal them
    "GET /api/audit/records/{record_id}": ("read",),
    "GET /api/audit/records/{record_id}/proof": ("read",),
    "GET /api/audit/events/{event_id}": ("read",),  # as the export
    "GET /openapi.json": OPEN,
}
#: For people: who is not known is sent to the login.
PAGES: Final[Mapping[str, Needs]] = {
    "GET /login": OPEN,
    "POST /login": OPEN,
    "GET /login/once": OPEN,
    "POST /logout": OPEN,  # ends the caller's own session, and checks that its page asks for it
    "GET /static/{digest}/{path:path}": OPEN,
    "GET /": ("read",),
    "GET /live": ("read",),
    "GET /review": ("read",),
    "GET /review/bulk": ("review",),
    "POST /review/bulk": ("review",),
    "GET /failures/bulk": ("operate",),
    "POST /failures/bulk": ("operate",),
    "POST /review/next": ("review",),
    "GET /review/{event_id}": ("review",),  # shows the event's text
    "POST /review/{event_id}/claim": ("review",),
    "GET /review/{event_id}/decide": ("review",),
    "POST /review/{event_id}/decide": ("review",),
    "GET /audit": ("read",),
    "GET /audit/count": ("read",),
    "GET /audit/{record_id}": ("read",),
    "GET /events/{event_id}/story": ("read",),
    "POST /events/{event_id}/texts": ("reveal",),
    "POST /events/{event_id}/replay": ("operate",),
    "GET /failures": ("read",),
    "GET /failures/events": ("read",),
    "GET /spend": ("read",),
    "GET /workflows": ("read",),
    "GET /workflows/{name}": ("read",),
    "POST /workflows/{name}/pause": ("operate",),
    "POST /workflows/{name}/resume": ("operate",),
    "POST /workflows/{name}/test": ("operate",),
}


def gate(callers: Callers) -> Callable[[Request], Awaitable[None]]:
    """The dependency of the whole application: raises Problem 401 or 403, or sends to the login."""

    async def check(request: Request) -> None:
        route = f"{request.method} {request.scope['route'].path}"
        needs = PAGES[route] if route in PAGES else API.get(route)
        if needs is None:
            raise Problem(500, "undeclared", f"{route} is not in the table of needs, so nobody may use it")
        if needs:
            identify = _visitor(callers) if route in PAGES else callers.identify
            _require(await identify(request), needs)

    return check


def undeclared(app: FastAPI) -> list[str]:
    """The routes that no table above names, and the lines that name none."""
    found = set(routes(app))
    return sorted(found ^ {*API, *PAGES})


def routes(app: FastAPI) -> list[str]:
    """Every route of an application, as the tables name it.

    One that is included under a prefix is named as no line can be: the gate sees its path without that.
    """
    found = []
    for context in iter_route_contexts(app.routes):
        own, whole = getattr(context.original_route, "path", ""), context.path
        path = own if own == whole else f"{whole} (write the path out, without a prefix)"
        methods = getattr(context.original_route, "methods", None) or {"MOUNT"}
        found += [f"{method} {path}" for method in sorted(methods - {"HEAD"})]
    return found


def _visitor(callers: Callers) -> Callable[[Request], Awaitable[Caller]]:
    async def identify(request: Request) -> Caller:
        return await visitor(request, callers)

    return identify


def _require(caller: Caller, needs: Needs) -> None:
    if not any(caller.may(need) for need in needs):
        may = " or ".join(dict.fromkeys(roles.holders(need) for need in needs))
        raise Problem(403, "forbidden", f"the role {caller.role!r} may not do this; {may} may")
