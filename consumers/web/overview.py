"""`/`: what flows through, what waits for whom, what it costs."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from consumers.commands.waiting import sentence
from consumers.web.site import Site
from infra.database import whole
from infra.store import administration, endpoints, windows
from infra.store import overview as store
from infra.store.overview import Overview, Slot, Span
from infra.store.windows import Budget
from pipeline.spend import TOTAL
from schemas.decision import Outcome

#: States as the chart and its legend show them, from the bottom of a bar to its top.
_GROUPS: Final[tuple[tuple[str, str, frozenset[str]], ...]] = (
    ("may be acted on", "good", frozenset(one for one in Outcome if one.may_be_acted_on)),
    ("for a person", "wait", frozenset({Outcome.NEEDS_REVIEW})),
    ("to the dead topic", "bad", frozenset(one for one in Outcome if one.is_dead_letter)),
)
#: A picture is good for this long, and for ten times as long as it took: everybody shares it.
_FRESH_SECONDS: Final = 1.0
_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """All that the page shows. `holds` are caps and breakers that hold events up, as sentences."""

    seen: Overview
    total: Budget | None
    paused: Mapping[str, str]
    holds: tuple[str, ...]
    charts: Mapping[str, Any]
    groups: tuple[tuple[str, str, int], ...]

    @property
    def is_calm(self) -> bool:
        return not (self.seen.failures or self.seen.reviews or self.paused or self.holds)


@dataclass
class Pictures:
    """The newest picture of each span; asked for by many, drawn once."""

    site: Site
    _kept: dict[Span, tuple[float, Picture]] = field(default_factory=dict)
    _drawing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def newest(self, span: Span) -> Picture:
        """Drawn to its end even when who asked is gone: a query that is cancelled keeps its connection."""
        return await whole(self._newest(span))

    async def _newest(self, span: Span) -> Picture:
        async with self._drawing:
            good_until, picture = self._kept.get(span, (0.0, None))
            if picture is not None and time.monotonic() < good_until:
                return picture
            began = time.monotonic()
            picture = await _draw(self.site, span)
            ended = time.monotonic()
            self._kept[span] = (ended + max(_FRESH_SECONDS, _SHARE * (ended - began)), picture)
            return picture


def add(routes: APIRouter, site: Site, pictures: Pictures) -> None:
    """The page."""

    @routes.get("/")
    async def show_overview(request: Request, span: Span = "day") -> HTMLResponse:
        caller = await site.reader(request)
        picture = await pictures.newest(span)
        # The stream is a page's: without tokens, nothing but a browser that is logged in can follow it.
        embedded = site.context.embedded
        return site.page("overview.html", request, caller, picture=picture, span=span, embedded=embedded)


async def _draw(site: Site, span: Span) -> Picture:
    database, spend = site.context.store.database, site.context.settings.spend
    seen = await store.overview(database, tuple(site.context.catalogue.by_name), span)
    budgets = await windows.budgets(database)
    breakers = [one for one in await endpoints.breakers(database) if not one.is_closed]
    held = [sentence(one, spend) for one in budgets if one.holds]
    open_now = [
        f"{one.endpoint} is not called ({one.reason}); a probe looks whether it is back" for one in breakers
    ]
    return Picture(
        seen=seen,
        total=next((one for one in budgets if one.scope == TOTAL), None),
        paused=await administration.paused_lanes(database),
        holds=(*held, *open_now),
        charts=_charts(seen),
        groups=tuple(
            (name, tone, sum(amount for state, amount in seen.outcomes.items() if state in states))
            for name, tone, states in _GROUPS
        ),
    )


def _charts(seen: Overview) -> dict[str, Any]:
    """The data of each chart, as penstock.js reads it."""
    slots = seen.slots
    times = [int(slot.begin.timestamp()) for slot in slots]
    axis = {"times": times, "step": times[1] - times[0]}
    ended = [
        {"tone": tone, "values": values, "whole": sum(values)}
        for _, tone, states in _GROUPS
        for values in [[_in(slot, states) for slot in slots]]
    ]
    # The last of a stack is drawn over the others, from the ground up.
    return {
        "outcomes": {**axis, "unit": "count", "bars": True, "series": ended[::-1]},
        "latency": {
            **axis,
            "unit": "ms",
            "bars": False,
            "series": [
                {"tone": "info", "values": [slot.p95_ms for slot in slots], "whole": seen.p95_ms},
                {"tone": "accent", "values": [slot.p50_ms for slot in slots], "whole": seen.p50_ms},
            ],
        },
        "cost": {
            **axis,
            "unit": "money",
            "bars": True,
            "series": [
                {
                    "tone": "accent",
                    "values": [slot.cost_micros for slot in slots],
                    "whole": seen.cost_micros,
                }
            ],
        },
    }


def _in(slot: Slot, states: frozenset[str]) -> int:
    return sum(amount for state, amount in slot.outcomes.items() if state in states)
