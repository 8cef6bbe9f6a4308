"""One short look at each service, for `penstock doctor`: what is there, or an error that says what is not."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select

from infra.database import Database
from infra.kafka import connection
from infra.kafka_tail import hush
from infra.settings import KafkaSettings, ModelSettings, RedisSettings
from infra.store.statements import NOW

_SECONDS: Final = 5.0


class Away(ConnectionError):
    """A service does not answer; the message says which, and how."""


async def clock_skew(database: Database) -> timedelta:
    """How far the database's clock is ahead of ours, give or take the way there and back."""
    async with database.read() as connection:
        before = datetime.now(UTC)
        theirs: datetime = (await connection.execute(select(NOW))).scalar_one()
        after = datetime.now(UTC)
    return theirs - (before + (after - before) / 2)


async def redis(settings: RedisSettings) -> None:
    """PING; raises Away."""
    client = Redis.from_url(
        settings.url.get_secret_value(), socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
    )
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise Away(f"Redis does not answer: {type(error).__name__}") from error
    finally:
        await client.aclose()


def cluster(settings: KafkaSettings, wanted: Collection[str] = ()) -> tuple[str, list[str]]:
    """The cluster's id, and those of `wanted` topics that it lacks; raises Away. Blocks."""
    hush()
    options = {**connection(settings), "bootstrap_timeout_ms": int(_SECONDS * 1000)}
    try:
        admin = KafkaAdminClient(**options)
        try:
            missing = sorted(set(wanted) - set(admin.list_topics()))
            return str(admin.describe_cluster().get("cluster_id") or "unknown"), missing
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise Away(
            f"Kafka at {settings.bootstrap_servers} does not answer: {type(error).__name__}"
        ) from error


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a model's server says to GET /models; `models` is None where it lists none."""

    status: int
    models: frozenset[str] | None
    simulated: bool


async def endpoint(settings: ModelSettings, api_key: str) -> Endpoint:
    """Ask for the list of models, which costs nothing; raises Away."""
    url = f"{settings.base_url.rstrip('/')}/models"
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with httpx2.AsyncClient(timeout=_SECONDS) as client:
            response = await client.get(url, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Away(f"the model does not answer: {type(error).__name__}") from error
    try:
        listed = [dict(one) for one in response.json()["data"]] if response.is_success else None
        models = None if listed is None else frozenset(str(one["id"]) for one in listed)
    except (ValueError, KeyError, TypeError):
        listed, models = None, None
    simulated = any(one.get("owned_by") == "simulated" for one in listed or ())
    return Endpoint(response.status_code, models, simulated)
