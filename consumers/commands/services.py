"""Settings in, what `penstock doctor` finds at each service out."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final

from consumers.commands.configuration import masked
from consumers.commands.doctor import Finding
from consumers.commands.waiting import look
from infra import database as databases
from infra import probes, schema
from infra.database import Database
from infra.settings import ModelSettings, Settings
from infra.store import administration
from infra.store.seals import lag_seconds
from pipeline import contracts
from pipeline.catalogue import Catalogue
from pipeline.errors import InvalidSettingsError, StoreUnavailable

#: Leases and due times go by the database's clock alone; what is written in records by the process's.
_SKEW_SECONDS: Final = 2.0
#: The sealer comes by every second or so.
_LAG_SECONDS: Final = 60.0


async def database(settings: Settings) -> Sequence[Finding]:
    """Is it there, has it our tables, does its clock agree with ours, does anything wait?"""
    try:
        connected = databases.connect(settings.database.url, pool_size=1)
    except InvalidSettingsError as error:
        return [Finding("problem", "database", "the address is none of ours", str(error))]
    where = masked(settings.database.url)
    try:
        skew = abs((await probes.clock_skew(connected)).total_seconds())
        findings = [Finding("ok", "database", where), _clock(skew)]
        try:
            await schema.check(connected)
        except InvalidSettingsError as error:
            return [*findings, _unmigrated(settings, str(error))]
        paused = await administration.paused_lanes(connected)
        waiting = [*await look(connected, settings.spend), *await _sealing(connected, settings)]
    except StoreUnavailable:
        cure = "Start it, or correct PENSTOCK_DATABASE__URL."
        return [Finding("problem", "database", f"{where} does not answer", cure)]
    finally:
        await connected.close()
    return [*findings, *(_paused(lane, who) for lane, who in sorted(paused.items())), *waiting]


def _clock(skew: float) -> Finding:
    if skew > _SKEW_SECONDS:
        found = f"this machine and the database are {skew:.1f} s apart"
        return Finding("warning", "clock", found, "Set both clocks by NTP.")
    return Finding("ok", "clock", f"within {skew:.3f} s of the database's")


def _unmigrated(settings: Settings, found: str) -> Finding:
    cure = "Run: penstock db upgrade"
    if settings.is_embedded:
        return Finding("warning", "tables", found.partition(";")[0], f"{cure}, or: penstock dev")
    return Finding("problem", "tables", found.partition(";")[0], cure)


async def _sealing(connected: Database, settings: Settings) -> Sequence[Finding]:
    async with connected.read() as connection:
        lag = await lag_seconds(connection)
    if settings.is_embedded or lag <= _LAG_SECONDS:  # embedded: sealed while `penstock dev` runs
        return []
    found = f"the oldest audit record has waited {lag:.0f} s for its seal"
    return [Finding("warning", "audit", found, "Start `penstock serve seal`; its log says what is wrong.")]


def _paused(lane: str, who: str) -> Finding:
    return Finding("warning", "workflow", f"{lane} is paused by {who}", f"penstock workflow resume {lane}")


async def redis(settings: Settings) -> Sequence[Finding]:
    """Does it answer PING?"""
    where = masked(settings.redis.url)
    try:
        await probes.redis(settings.redis)
    except probes.Away as error:
        cure = "Start it, or correct PENSTOCK_REDIS__URL. Without it nothing is lost, but all is slower."
        return [Finding("problem", "Redis", f"{where}: {error}", cure)]
    return [Finding("ok", "Redis", where)]


async def kafka(settings: Settings, catalogue: Catalogue | None) -> Sequence[Finding]:
    """Is the cluster there, and are our topics?"""
    wanted = contracts.topics(catalogue) if catalogue else []
    try:
        cluster, missing = await asyncio.to_thread(probes.cluster, settings.kafka, wanted)
    except probes.Away as error:
        return [Finding("problem", "Kafka", str(error), "Start it, or correct PENSTOCK_KAFKA__*.")]
    findings = [Finding("ok", "Kafka", f"{settings.kafka.bootstrap_servers}, cluster {cluster}")]
    if missing:
        findings.append(
            Finding("problem", "topics", f"missing: {', '.join(missing)}", "penstock topics create")
        )
    elif wanted:
        findings.append(Finding("ok", "topics", f"all {len(wanted)} are there"))
    return findings


async def models(settings: Settings) -> Sequence[Finding]:
    """What each alias's endpoint says to our key; the same one is asked for each alias, at no cost."""
    named = sorted(settings.models.items())
    return await asyncio.gather(*(_model(alias, model) for alias, model in named))


async def _model(alias: str, settings: ModelSettings) -> Finding:
    what, variable = "model", f"PENSTOCK_MODELS__{alias.upper()}"
    where = f"{alias} = {settings.model} at {masked(settings.base_url)}"
    key = settings.api_key.get_secret_value() or os.environ.get("OPENAI_API_KEY", "")
    try:
        seen = await probes.endpoint(settings, key)
    except probes.Away as error:
        cure = f"Start it, or correct {variable}__BASE_URL."
        return Finding("problem", what, f"{where}: {error}", cure)
    if seen.status in (401, 403):
        return Finding("problem", what, f"{where} refuses our key", f"Correct {variable}__API_KEY.")
    if seen.status >= 500:
        return Finding("problem", what, f"{where} answers HTTP {seen.status}", "Look at its own logs.")
    if seen.simulated or settings.model.startswith("simulated"):
        cure = "Its answers are made by rules: for trials, not for business."
        return Finding("warning", what, f"{where} is the simulated model", cure)
    if seen.models is None:
        return Finding("warning", what, f"{where} lists no models (HTTP {seen.status})", "It may still work.")
    if settings.model not in seen.models:
        return Finding(
            "warning", what, f"{where}: it does not list that model", f"Correct {variable}__MODEL."
        )
    return Finding("ok", what, where)
