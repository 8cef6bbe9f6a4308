"""`penstock dev`: everything in one process, on SQLite; needs nothing but Python."""

import asyncio

from consumers import trust, wiring
from consumers.api.app import create_app
from consumers.api.serve import serve
from consumers.commands.link import address, new_link
from consumers.commands.output import note
from consumers.commands.running import run, settings_for
from consumers.embedded import Embedded, embedded
from consumers.serving import on_signals
from infra import sentry
from infra.settings import Settings
from pipeline.errors import InvalidSettingsError


def dev() -> None:
    """Run everything in one process until Ctrl-C: workers, relay, sealer, API. A second start resumes."""
    settings = settings_for("dev")
    if not settings.is_embedded:
        raise InvalidSettingsError(
            "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS is set: `dev` runs without Kafka; unset it, or use `serve`"
        )
    sentry.init(settings.sentry, release=wiring.release(), process="dev")
    run(until_stopped(settings))


async def until_stopped(settings: Settings) -> None:
    """Serve an embedded deployment until Ctrl-C, and say where."""
    stop = asyncio.Event()
    on_signals(stop)
    async with embedded(settings) as running:
        app = create_app(wiring.api(running.deployment, ring=lambda lane: None))
        link = await new_link(running.deployment.database, alone=True)
        await serve(
            app,
            settings.api.host,
            settings.api.port,
            stop=stop,
            bound=lambda port: _greet(running, port, link),
        )


def _greet(running: Embedded, port: int, link: str) -> None:
    settings = running.deployment.settings
    topics = sorted(running.deployment.catalogue.by_topic)
    note(f"Penstock runs on {settings.database.url}; Ctrl-C stops it.")
    note(f"  open    {address(settings.api.host, port)}{link}")
    note("          It works once; `penstock link` prints another.")
    note(f"  API     {address(settings.api.host, port)}/openapi.json")
    note(f"  topics  {', '.join(topics)}")
    if running.simulator:
        note(f"  model   SIMULATED, at {running.simulator}: answers are made by rules, not for business.")
        note("          Set OPENAI_API_KEY, or PENSTOCK_MODELS__FAST__BASE_URL and __MODEL, for a real one.")
    else:
        for alias, model in sorted(settings.models.items()):
            note(f"  model   {alias}: {model.model} at {model.base_url}")
    if file := trust.key_file(settings):
        note(f"  audit   signed by {file.path}; public keys in {file.public}: keep a copy elsewhere.")
    note(f"  try     penstock emit {topics[0]} FILE; penstock stats")
