"""A template and values in, a page out."""

from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from consumers.api.callers import Caller

_TEMPLATES: Final = Environment(
    loader=PackageLoader("consumers.web"), autoescape=True, undefined=StrictUndefined
)


def page(
    template: str, request: Request, caller: Caller | None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A whole page."""
    text = _TEMPLATES.get_template(template).render(caller=caller, path=request.url.path, **values)
    return HTMLResponse(text, status)
