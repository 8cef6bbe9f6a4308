"""`penstock doctor`: looks at everything a deployment stands on, and says what to do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from infra.settings import Settings
    from pipeline.catalogue import Catalogue

State = Literal["ok", "warning", "problem"]

#: Bytes of a SHA-256 key; more add nothing, fewer can be guessed.
_STRONG_SECRET: Final = 32


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    state: State
    what: str
    found: str
    cure: str = ""


def doctor(*, as_json: Json = False) -> None:
    """Check settings, workflows, secret, database, clock, Redis, Kafka and models; say what to do.

    Each line is ok, a warning or a problem. Exit code 1 when there is a problem.
    """
    from consumers.cli import EXIT_FAILURE
    from consumers.commands.running import run

    findings = run(_examine())
    is_well = all(finding.state != "problem" for finding in findings)
    if as_json:
        output.emit_json({"ok": is_well, "findings": findings})
    else:
        for finding in findings:
            output.say(f"{finding.state:<8} {finding.what:<12} {finding.found}")
            if finding.cure:
                output.say(f"{'':<21} -> {finding.cure}")
    if not is_well:
        raise SystemExit(EXIT_FAILURE)


async def _examine() -> list[Finding]:
    from infra import logs
    from infra.settings import load
    from pipeline.errors import InvalidSettingsError

    try:
        settings = load()
    except InvalidSettingsError as error:
        return [Finding("problem", "settings", str(error), "Correct these variables.")]
    logs.configure(settings.log.model_copy(update={"level": "error"}), process="cli")
    findings = _settings(settings)
    catalogue, found = _workflows(settings)
    return [*findings, *found, *await _services(settings, catalogue)]


def _settings(settings: "Settings") -> list[Finding]:
    import os

    from consumers.commands import configuration

    mode = "embedded: topics are rows, one process does everything"
    if not settings.is_embedded:
        mode = "distributed: Kafka, Redis and a database"
    findings = [Finding("ok", "settings", mode)]
    findings += [
        Finding("warning", "settings", f"{name} is no setting", "Is it misspelt? See `penstock config show`.")
        for name in configuration.unknown(os.environ)
    ]
    return [*findings, *_secret(settings)]


def _secret(settings: "Settings") -> list[Finding]:
    secret = settings.secret.get_secret_value()
    if not secret and settings.is_embedded and settings.sqlite_path:
        return [Finding("ok", "secret", f"is kept beside the database, in {settings.sqlite_path}.secret")]
    cure = "Set PENSTOCK_SECRET to 32 random characters or more, the same for all processes, for ever."
    if not secret:
        return [Finding("problem", "secret", "is not set", cure)]
    if len(secret) < _STRONG_SECRET or len(set(secret)) < _STRONG_SECRET // 4:
        return [Finding("warning", "secret", "is short or repeats itself: it can be guessed", cure)]
    return [Finding("ok", "secret", f"{len(secret)} characters")]


def _workflows(settings: "Settings") -> "tuple[Catalogue | None, list[Finding]]":
    from pipeline import catalogue as catalogues
    from pipeline.errors import InvalidWorkflowError

    try:
        catalogue = catalogues.load(settings.workflows)
    except InvalidWorkflowError as error:
        return None, [
            Finding("problem", "workflows", f"{error.file}: {error.field}: {error.problem}", error.cure)
        ]
    names = ", ".join(catalogue.by_name)
    return catalogue, [Finding("ok", "workflows", names), *_aliases(settings, catalogue)]


def _aliases(settings: "Settings", catalogue: "Catalogue") -> list[Finding]:
    from pipeline import catalogue as catalogues
    from pipeline.errors import InvalidWorkflowError

    try:
        catalogues.check_aliases(catalogue, settings.models)
    except InvalidWorkflowError as error:
        if settings.is_embedded and not settings.models:
            cure = "For real answers set PENSTOCK_MODELS__<ALIAS>__MODEL, __BASE_URL and __API_KEY."
            return [Finding("warning", "models", "none is set: `penstock dev` uses the simulated one", cure)]
        return [Finding("problem", "models", f"{error.file}: {error.problem}", error.cure)]
    return _prices(settings, catalogue)


def _prices(settings: "Settings", catalogue: "Catalogue") -> list[Finding]:
    from consumers.wiring import clock
    from infra import prices
    from pipeline.errors import InvalidSettingsError

    try:
        prices.check(prices.priced(settings.models, now=clock()), catalogue.aliases)
    except InvalidSettingsError as error:
        return [Finding("problem", "prices", str(error), "Set them: no process starts without.")]
    return []


async def _services(settings: "Settings", catalogue: "Catalogue | None") -> list[Finding]:
    from consumers.commands import services

    looks: list[Callable[[], Awaitable[Sequence[Finding]]]] = [
        lambda: services.database(settings),
        lambda: services.models(settings),
    ]
    if settings.is_embedded:
        unused = [Finding("ok", name, "not used when embedded") for name in ("Redis", "Kafka")]
        return [
            *(one for found in await asyncio.gather(*(look() for look in looks)) for one in found),
            *unused,
        ]
    looks += [lambda: services.redis(settings), lambda: services.kafka(settings, catalogue)]
    return [one for found in await asyncio.gather(*(look() for look in looks)) for one in found]
