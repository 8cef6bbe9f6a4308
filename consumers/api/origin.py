"""A request in, whether it comes from our own pages out: what keeps other web sites from using a browser.

Pages are sent with `Referrer-Policy: no-referrer`, for which browsers name the origin of a form as `null`;
so Sec-Fetch-Site, which no page can set, comes first. Browsers send it over https and to this machine itself.
"""

import hmac
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from consumers.api.problems import Problem

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"
FORM: Final = "application/x-www-form-urlencoded"
_LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_MAX_FIELDS: Final = 1_000


def is_local(host: str) -> bool:
    """Does this Host header, or address with a port, name this machine itself?"""
    try:
        return urlsplit(f"//{host}").hostname in _LOCAL_NAMES
    except ValueError:
        return False


def check_host(request: Request) -> None:
    """Raise Problem 403 unless the client meant this machine.

    A web site whose name is made to point to 127.0.0.1 (DNS rebinding) still sends its own name.
    """
    host = request.headers.get("host", "")
    if not is_local(host):
        detail = f"the Host is {host[:100]!r}; embedded mode answers to 127.0.0.1, localhost and [::1] alone"
        raise Problem(403, "foreign_host", detail)


def check_not_foreign(request: Request) -> None:
    """Raise Problem 403 when a browser says that another web site sends this; curl says nothing."""
    if request.method not in SAFE_METHODS and _is_ours(request) is False:
        raise Problem(403, "foreign_origin", "another web site sent this request; it was not carried out")


def check_ours(request: Request) -> None:
    """Raise Problem 403 unless a browser says that one of our pages sends this."""
    ours = _is_ours(request)
    if ours is None:
        cure = "open Penstock over https, or send Origin; programs use a token"
        raise Problem(403, "unknown_origin", f"nothing says that one of our own pages sent this; {cure}")
    if not ours:
        raise Problem(403, "foreign_origin", "another web site sent this request; it was not carried out")


async def check_csrf(request: Request, expected: str) -> None:
    """Raise Problem 403 unless a request that changes something is ours and carries the session's token."""
    if request.method in SAFE_METHODS:
        return
    check_ours(request)
    given = request.headers.get(CSRF_HEADER.lower())
    if given is None and request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        given = (await form(request)).get(CSRF_FIELD)
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        where = f"{CSRF_HEADER}, or the field {CSRF_FIELD!r}"
        detail = f"the CSRF token ({where}) is missing or of another session; reload the page"
        raise Problem(403, "csrf", detail)


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form; raises Problem 411 or 413. Of a repeated field the last counts."""
    claimed = request.headers.get("content-length", "")
    if not (claimed.isascii() and claimed.isdigit()):
        raise Problem(411, "length_required", "send the form with a Content-Length")
    # Percent signs make three bytes of one.
    if len(claimed) > 9 or int(claimed) > 3 * request.app.state.max_body_bytes:
        raise Problem(413, "too_large", "the form is too large (PENSTOCK_API__MAX_BODY_BYTES)")
    fields = await request.form(max_fields=_MAX_FIELDS, max_files=0)
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _is_ours(request: Request) -> bool | None:
    """None where the client is no browser, or an old one that does not tell."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return None
    # What follows the scheme: behind a proxy with TLS we do not know ours.
    return origin.partition("://")[2].lower() == request.headers.get("host", "").lower() != ""
