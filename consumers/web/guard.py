"""A request for a page in, its visitor out, or the way to the login and back."""

from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response

from consumers.api.callers import Caller, Callers
from consumers.api.origin import SAFE_METHODS

HOME: Final = "/"
_AT_THE_DESK: Final = ("decide", "claim")


class LoginNeeded(Exception):
    """Nobody is logged in who could see this."""


async def visitor(request: Request, callers: Callers) -> Caller:
    """Who looks at a page; raises LoginNeeded, or Problem 403 for a request that is another web site's."""
    found = await callers.visitor(request)
    if found is None:
        raise LoginNeeded
    return found


def install(app: FastAPI) -> None:
    """Answer LoginNeeded with the way to the login: htmx goes there whole, not into a part of the page."""

    async def ask(request: Request, _: Exception) -> Response:
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"HX-Redirect": _login(_shown(request))})
        return Response(status_code=303, headers={"Location": _login(_asked(request))})

    app.add_exception_handler(LoginNeeded, ask)


def local_path(text: str) -> str:
    """`text` where it is a path of ours; the home page for anything that a browser may take elsewhere."""
    # Browsers read a backslash as a slash, and drop tabs and line ends.
    is_plain = text.isprintable() and "\\" not in text
    return text if is_plain and text.startswith("/") and not text.startswith("//") else HOME


def _login(path: str) -> str:
    return f"/login?next={quote(path, safe='/')}" if path != HOME else "/login"


def _asked(request: Request) -> str:
    """What was asked for; a form that was posted cannot be asked for again, the desk it came from can."""
    if request.method not in SAFE_METHODS:
        desk, _, what = request.url.path.rpartition("/")
        return local_path(desk) if what in _AT_THE_DESK else HOME
    query = request.url.query
    return local_path(request.url.path + (f"?{query}" if query else ""))


def _shown(request: Request) -> str:
    """The page that a part was asked for."""
    shown = urlsplit(request.headers.get("hx-current-url", ""))
    return local_path(shown.path + (f"?{shown.query}" if shown.query else ""))
