"""`penstock link`: a way into the pages of embedded mode, which has no passwords."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from infra.database import Database


def link(
    *,
    port: Annotated[
        int | None, Parameter(help="Port of `penstock dev`, where it is not PENSTOCK_API__PORT's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a link that opens the pages of a running `penstock dev`, once, within an hour."""
    from consumers.commands.running import database, run, settings_for
    from pipeline.errors import InvalidSettingsError

    settings = settings_for("cli")
    if not settings.is_embedded:
        raise InvalidSettingsError(
            "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS is set: links are for `penstock dev`; "
            "`penstock user add` makes an account"
        )

    async def work() -> str:
        async with database(settings) as connected:
            return await new_link(connected)

    path = run(work())
    url = address(settings.api.host, settings.api.port if port is None else port) + path
    if as_json:
        output.emit_json({"url": url})
    else:
        output.say(url)


async def new_link(database: "Database", *, alone: bool = False) -> str:
    """The path of a new link; only its hash is kept. `alone` withdraws those before."""
    import secrets

    from infra import tokens
    from infra.store import sessions

    text = secrets.token_urlsafe(32)
    await sessions.add_link(database, tokens.digest(text), alone=alone)
    return f"/login/once?t={text}"


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
