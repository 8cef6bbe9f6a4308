"""The only place that builds objects from Settings."""

import getpass
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pydantic import SecretStr

from consumers import keys
from consumers.api.context import ApiContext
from consumers.door import Door
from consumers.observed import Observed
from consumers.pruning import Pruner
from infra import database, prices, schema, sentry
from infra.answering import Answering
from infra.bell import Bell
from infra.cache import StoredCache
from infra.database import Database
from infra.endpoints import Endpoints
from infra.journal import BatchedJournal
from infra.ledger import StoredLedger
from infra.logs import logger
from infra.metrics import Metrics
from infra.settings import ModelSettings, Settings
from infra.store import SqlStore, administration, answered, contents, versions
from pipeline import catalogue as catalogues
from pipeline import errors
from pipeline.assess import Guard
from pipeline.breaker import Breaker
from pipeline.case import World
from pipeline.catalogue import Catalogue
from pipeline.errors import BreakerOpen
from pipeline.ports import Model
from pipeline.trail import noted
from schemas.changeset import Actor, Scribe

if TYPE_CHECKING:
    from infra.llm import OpenAIModel

#: Counter rows are spread over this many, so that accepting does not queue on one.
SHARDS = 16


def release() -> str:
    """Penstock's own version."""
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "unknown"


def clock() -> datetime:
    """Now, in UTC: the one clock of a process."""
    return datetime.now(UTC)


def operator() -> Actor:
    """Who sits at the command line."""
    return Actor("person", f"os:{getpass.getuser()}@{socket.gethostname()}")


def service() -> Actor:
    return Actor("service", f"penstock/{release()}")


@dataclass(frozen=True)
class Deployment:
    """What every process needs: settings, workflows, the database, who writes."""

    settings: Settings
    catalogue: Catalogue
    database: Database
    store: SqlStore
    scribe: Scribe
    secret: bytes
    metrics: Metrics

    async def close(self) -> None:
        await self.database.close()


def deploy(settings: Settings) -> Deployment:
    """Build from settings, with prices; connects to nothing.

    Raises InvalidSettingsError or InvalidWorkflowError. A price that is missing is the business of `start`:
    who only asks questions needs none.
    """
    catalogue = catalogues.load(settings.workflows)
    settings = settings.model_copy(update={"models": prices.priced(settings.models, now=clock())})
    connected = database.connect(
        settings.database.url,
        pool_size=settings.database.pool_size,
        vault=keys.vault_for(settings, catalogue),
    )
    scribe = Scribe(service(), release(), settings.kafka.max_message_bytes)
    store = SqlStore(
        database=connected,
        scribe=scribe,
        shard=secrets.randbelow(SHARDS),
        lease_seconds=settings.worker.lease_seconds,
        caps=settings.spend.caps,
    )
    return Deployment(settings, catalogue, connected, store, scribe, secret(settings), Metrics())


async def start(deployment: Deployment) -> None:
    """What every process does first: check the database's shape, register the workflows' versions."""
    await schema.check(deployment.database)
    await contents.check_master_keys(deployment.database)
    catalogues.check_aliases(deployment.catalogue, deployment.settings.models)
    prices.check(deployment.settings.models, deployment.catalogue.aliases)
    _check_caps(deployment)
    for found in await versions.incompatible(deployment.database, deployment.catalogue.entries):
        if not deployment.settings.is_embedded:
            raise found.error
        name = found.entry.workflow.name
        logger().warning("version.incompatible", workflow=name, cure=str(found.error))
    now = clock()
    records = [
        noted(
            "workflow_version",
            {"content_bytes": len(entry.content)},
            scribe=deployment.scribe,
            now=now,
            workflow=entry.workflow.name,
            version=entry.version,
        )
        for entry in deployment.catalogue.entries
    ]
    await administration.register_versions(
        deployment.database, deployment.catalogue.entries, records, release=release()
    )


def _check_caps(deployment: Deployment) -> None:
    """A cap with a slip in its name holds nothing back. Sources are not known beforehand."""
    known = deployment.catalogue.by_name
    if unknown := sorted(deployment.settings.spend.workflows.keys() - known.keys()):
        told = f"there is no workflow {unknown[0]!r}; there are {', '.join(sorted(known))}"
        raise errors.InvalidSettingsError(f"PENSTOCK_SPEND__WORKFLOWS: {told}")


def secret(settings: Settings) -> bytes:
    """The key of fingerprints: from settings, or in embedded mode from a file beside the database."""
    given = settings.secret.get_secret_value()
    if given:
        return given.encode()
    path = settings.sqlite_path
    if path is None or not settings.is_embedded:
        raise errors.InvalidSettingsError(
            "PENSTOCK_SECRET: set it to 32 random characters or more, the same for all processes"
        )
    return keys.kept(path.with_name(path.name + ".secret"))


def world(deployment: Deployment, model: Model) -> World:
    """The surroundings of `process` in this process."""
    answering = Answering(deployment.metrics, partial(answered.last_answered, deployment.database))
    return World(
        model=Observed(model, deployment.metrics, answering),
        journal=BatchedJournal(deployment.store),
        ledger=StoredLedger(deployment.store),
        scribe=deployment.scribe,
        clock=clock,
        jitter=random.random,
        guard=Guard(deployment.secret, own_secrets(deployment.settings)),
        cache=StoredCache(deployment.store, hit=deployment.metrics.cache_hit),
    )


def pruner(deployment: Deployment) -> Pruner:
    """What keeps to the retention settings."""
    terms = deployment.settings.retention.terms
    return Pruner(deployment.store, terms, deployment.scribe, clock)


def own_secrets(settings: Settings) -> frozenset[str]:
    """Our own secrets, which no answer may hold."""
    keys = {
        endpoint.api_key.get_secret_value()
        for model in settings.models.values()
        for endpoint in model.all_endpoints
    }
    return frozenset(keys - {""})


def model(deployment: Deployment) -> "OpenAIModel":
    """The models behind the aliases; make it on the loop that uses it."""
    from infra.llm import OpenAIModel  # two seconds of CPU that only workers should spend

    endpoints = Endpoints(deployment.settings.models, deployment.store, clock, opened=_warn)
    return OpenAIModel(endpoints, clock)


def _warn(breaker: Breaker) -> None:
    """An open breaker is for a person to look at: it is logged, and shown to Sentry."""
    logger().error("breaker.opened", endpoint=breaker.endpoint, reason=breaker.reason)
    sentry.report(BreakerOpen(), endpoint=breaker.endpoint, reason=breaker.reason or "")


def bell(settings: Settings, metrics: Metrics) -> Bell:
    """Doorbells over Redis."""
    from infra import celery

    send = celery.sender(celery.create_app(settings.redis))
    return Bell(send, rung=metrics.bell_rung, failed=metrics.bell_failed)


def door(deployment: Deployment, ring: Callable[[str], None]) -> Door:
    """Where records of a log come in."""
    return Door(
        store=deployment.store,
        catalogue=deployment.catalogue,
        scribe=deployment.scribe,
        secret=deployment.secret,
        clock=clock,
        ring=ring,
    )


def api(deployment: Deployment, ring: Callable[[str], None]) -> ApiContext:
    """What the API stands on; without tokens in embedded mode."""
    return ApiContext(
        settings=deployment.settings,
        catalogue=deployment.catalogue,
        store=deployment.store,
        scribe=deployment.scribe,
        secret=deployment.secret,
        clock=clock,
        salt=lambda: secrets.token_bytes(16),
        ring=ring,
        embedded=deployment.settings.is_embedded,
        owner=operator(),
    )


def simulated(settings: Settings, url: str) -> Settings:
    """The same settings with the simulator at `url` behind every alias that a workflow names."""
    aliases = sorted(catalogues.load(settings.workflows).aliases)
    models = {
        alias: ModelSettings(base_url=f"{url}/v1", model=f"simulated-{alias}", api_key=SecretStr("simulated"))
        for alias in aliases
    }
    return settings.model_copy(update={"models": models})


def environment(models: Mapping[str, ModelSettings]) -> dict[str, str]:
    """`models` as the variables of a child process."""
    variables = {}
    for alias, model in models.items():
        prefix = f"PENSTOCK_MODELS__{alias.upper()}__"
        variables[prefix + "BASE_URL"] = model.base_url
        variables[prefix + "MODEL"] = model.model
        variables[prefix + "API_KEY"] = model.api_key.get_secret_value()
        if model.prices:  # the child charges as we do
            variables[prefix + "INPUT_PRICE"] = str(model.prices.input)
            variables[prefix + "CACHED_INPUT_PRICE"] = str(model.prices.cached_input)
            variables[prefix + "OUTPUT_PRICE"] = str(model.prices.output)
    return variables
