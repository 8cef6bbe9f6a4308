"""A template and values in, a page out: what all pages have in common, and the one way to make one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from consumers.api.callers import Caller, Callers
from consumers.api.context import ApiContext
from consumers.api.door import Door
from consumers.api.problems import Problem
from consumers.commands.output import money
from consumers.quality import Measures
from consumers.web.assets import Assets, load
from infra.store.overview import CAPPED
from pipeline.errors import StoreUnavailable

#: The pages of the navigation that exist: path, name, icon.
PAGES: Final = (
    ("/", "Overview", "gauge"),
    ("/review", "Review", "inbox"),
    ("/audit", "Audit", "list"),
    ("/failures", "Failures", "dead"),
    ("/workflows", "Workflows", "flow"),
    ("/spend", "Spend", "coin"),
)
#: What a page may say after something was done; the code is in its address.
SAID: Final = {
    "paused": "Paused. New events are accepted and wait; nothing of this workflow is worked on.",
    "resumed": "Running again.",
    "approved": "Approved. Receivers have the result, or are about to.",
    "corrected": "Corrected, and on its way to receivers.",
    "rejected": "Rejected; receivers of the dead topic are told why.",
    "reopened": "Sent back to the machine, under today's version.",
    "unchanged": "It was so already; nothing was changed.",
    "replayed": "Back to work, under today's version. It waits behind live events.",
    "sent": "The event is stored. This page follows it until it has an outcome.",
    "duplicate": "The same event was stored before: this is it.",
}
_THEMES: Final = ("light", "dark")
#: Stands where there is no number.
_NONE: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class Site:
    """What pages are made of."""

    context: ApiContext
    callers: Callers
    door: Door
    assets: Assets = field(default_factory=load)
    templates: Environment = field(
        default_factory=lambda: Environment(
            loader=PackageLoader("consumers.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    )

    @cached_property
    def measures(self) -> Measures:
        """What people found of each workflow's answers."""
        return Measures(self.context.store.database)

    def __post_init__(self) -> None:
        self.templates.globals.update(asset=self.assets.url, pages=PAGES, CAPPED=CAPPED)
        self.templates.filters.update(
            money=_money,
            price=_price,
            count=_count,
            capped=_capped,
            share=_share,
            when=_when,
            words=_words,
            ms=_ms,
        )

    async def reader(self, request: Request) -> Caller:
        """Who looks at a page; what they may do was asked at the gate."""
        return await self.callers.identify(request)

    async def tell(self, request: Request, problem: Problem) -> HTMLResponse | None:
        """A problem as a page for a browser; who has to log in first is told elsewhere."""
        if problem.status == 401 or "text/html" not in request.headers.get("accept", ""):
            return None
        try:
            caller = await self.callers.visitor(request)
        except (Problem, StoreUnavailable):
            caller = None
        return self.page("error.html", request, caller, status=problem.status, problem=problem)

    def render(self, template: str, request: Request, caller: Caller | None, **values: Any) -> str:
        """A template as text, with what every page needs."""
        theme = request.cookies.get("theme", "")
        return self.templates.get_template(template).render(
            caller=caller,
            csrf=caller.csrf if caller else None,
            may_operate=caller is not None and caller.may("operate"),
            path=request.url.path,
            base=str(request.base_url).rstrip("/"),
            theme=theme if theme in _THEMES else "",
            said=SAID.get(request.query_params.get("said", "")),
            **values,
        )

    def page(
        self, template: str, request: Request, caller: Caller | None, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A whole page."""
        return HTMLResponse(self.render(template, request, caller, **values), status)


def _money(micros: int | None) -> str:
    return money(micros) or _NONE


def _price(micros: int | None) -> str:
    """Money at a glance: two decimals, or three digits of what is less."""
    if not micros or micros >= 1_000_000:
        return _NONE if micros is None else f"{micros / 1_000_000:,.2f}"
    return _money(round(micros, 3 - len(str(micros))))


def _count(number: int | None) -> str:
    return _NONE if number is None else f"{number:,}"


def _capped(number: int) -> str:
    return f"{CAPPED:,}+" if number > CAPPED else f"{number:,}"


def _share(share: float | None) -> str:
    return _NONE if share is None else f"{share:.0%}"


def _ms(latency_ms: int | None) -> str:
    if latency_ms is None:
        return _NONE
    return f"{latency_ms} ms" if latency_ms < 1_000 else f"{latency_ms / 1_000:.1f} s"


def _when(moment: datetime) -> str:
    """What a browser without script shows."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _words(name: str) -> str:
    return name.replace("_", " ")
