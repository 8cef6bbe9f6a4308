"""`/live`: the overview as server-sent events, each the part of the page that changes."""

import asyncio
from collections.abc import AsyncIterable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from consumers.api.callers import Caller
from consumers.web.overview import Pictures
from consumers.web.site import Site
from infra.database import whole
from infra.store.overview import Span

_LOOK_SECONDS: Final = 2.0


def add(routes: APIRouter, site: Site, pictures: Pictures) -> None:
    """The stream."""

    @routes.get("/live", response_class=EventSourceResponse)
    async def follow(
        request: Request, caller: Annotated[Caller, Depends(site.reader)], span: Span = "day"
    ) -> AsyncIterable[ServerSentEvent]:
        """A new picture whenever it differs from the last; ends with the session, or the process."""
        stop: asyncio.Event = getattr(request.state, "stop", asyncio.Event())
        shown = None
        while not stop.is_set():
            picture = await pictures.newest(span)
            text = site.render("now.html", request, caller, picture=picture, span=span)
            if text != shown:
                shown = text
                yield ServerSentEvent(raw_data=text)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                if not await whole(site.callers.is_still_in(request)):
                    return
