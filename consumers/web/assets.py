"""The files under `static/` in, addresses that name their content out: a browser keeps each for ever.

They are read once, at the start, so that no request reaches the file system.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request, Response

from consumers.api.problems import Problem

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file; `packed` is its body as gzip."""

    body: bytes
    packed: bytes
    media_type: str
    digest: str


@dataclass(frozen=True)
class Assets:
    """Every file that pages refer to, by its path under `static/`."""

    by_path: dict[str, Asset]

    def url(self, path: str) -> str:
        """Where the file of this content is; a path that does not exist is a bug, and a KeyError."""
        return f"/static/{self.by_path[path].digest}/{path}"

    @cached_property
    def router(self) -> APIRouter:
        """`GET /static/{digest}/{path}`; needs no login, for the login page needs it."""
        routes = APIRouter(include_in_schema=False)

        @routes.get("/static/{digest}/{path:path}")
        async def show_asset(digest: str, path: str, request: Request) -> Response:
            found = self.by_path.get(path)
            if found is None or found.digest != digest:
                raise Problem(404, "not_found", "no such file; reload the page that names it")
            headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
            if "gzip" in request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
                return Response(found.packed, headers=headers, media_type=found.media_type)
            return Response(found.body, headers=headers, media_type=found.media_type)

        return routes


def load() -> Assets:
    """Read `static/`."""
    return Assets(dict(_read(files("consumers.web").joinpath("static"), "")))


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        path = prefix + entry.name
        media_type = _TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if entry.is_dir():
            found += _read(entry, f"{path}/")
        elif media_type is not None:  # licences and the register are for readers of the source
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:16]
            found.append((path, Asset(body, gzip.compress(body, mtime=0), media_type, digest)))
    return found
