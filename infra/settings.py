"""Environment in, one frozen `Settings` tree out; read once, at the door.

Variables are PENSTOCK_SECTION__NAME. Every field's description is its line in the README's table.
"""

import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from infra.access_settings import AccessSettings
from infra.model_settings import OPENAI_MODELS, EndpointSettings, ModelSettings, listed, told_apart
from infra.privacy_settings import PrivacySettings, RetentionSettings
from infra.section import Section
from pipeline.catalogue import DEFAULT_PACKAGES
from pipeline.errors import InvalidSettingsError
from pipeline.spend import Caps

_PREFIX: Final = "PENSTOCK_"

__all__ = ["EndpointSettings", "ModelSettings", "Section", "Settings", "load"]


class DatabaseSettings(Section):
    url: str = Field(
        "sqlite:///.penstock/penstock.db", description="PostgreSQL (postgresql+psycopg://...) or SQLite."
    )
    pool_size: int = Field(8, ge=1, le=200, description="Connections per process, on PostgreSQL.")

    @field_validator("url")
    @classmethod
    def _names_a_file(cls, url: str) -> str:
        if url in ("sqlite://", "sqlite:///"):
            raise ValueError("names no file; write sqlite:///.penstock/penstock.db")
        return url


class KafkaSettings(Section):
    bootstrap_servers: str = Field("", description="host:port,...; empty means embedded: topics are in SQL.")
    group: str = Field("penstock", description="Consumer group of `serve ingest`.")
    partitions: int = Field(6, ge=1, description="Partitions of a topic that `topics create` makes.")
    replication_factor: int = Field(1, ge=1, description="Replicas of a topic that `topics create` makes.")
    retention_hours: int = Field(168, ge=1, description="Retention of a topic that `topics create` makes.")
    max_message_bytes: int = Field(
        1_000_000, ge=65_536, description="Largest outgoing message: key, value and headers."
    )
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: str = Field("", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    sasl_username: str = Field("", description="User of the SASL mechanism.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Password of the SASL mechanism.")
    ssl_cafile: str = Field("", description="CA certificates; empty takes the system's.")


class RedisSettings(Section):
    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Celery's broker: doorbells only."
    )


class SourceSettings(Section):
    secrets: tuple[SecretStr, ...] = Field((), description="A JSON list; all are valid, for rotation.")
    topic: str = Field("", description="Declares a Standard Webhooks source by settings alone.")

    @field_validator("secrets", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return listed(value, 'write a JSON list of strings, such as ["whsec_..."]')


class ApiSettings(Section):
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8080, ge=0, le=65_535, description="Port that the API listens on.")
    max_body_bytes: int = Field(1_048_576, ge=1_024, description="A larger body is answered 413.")
    max_due: int = Field(50_000, ge=1, description="Due events above which the API answers 503.")


class MetricsSettings(Section):
    host: str = Field("127.0.0.1", description="Address of /metrics, /healthz and /readyz.")
    port: int | None = Field(
        None, ge=0, le=65_535, description="Their port; unset takes one per process kind."
    )


class IngestSettings(Section):
    batch: int = Field(500, ge=1, le=5_000, description="Records accepted in one transaction.")
    pause_above: int = Field(20_000, ge=1, description="Due events above which partitions are paused.")
    resume_below: int = Field(10_000, ge=0, description="Due events below which they are resumed.")

    @model_validator(mode="after")
    def _below(self) -> "IngestSettings":
        if self.resume_below > self.pause_above:
            raise ValueError("resume_below must not be more than pause_above")
        return self


class WorkerSettings(Section):
    slots: int = Field(128, ge=1, le=2_000, description="Events in flight in one worker process.")
    lane_slots: int = Field(
        96, ge=1, le=2_000, description="Events in flight of one workflow in one process."
    )
    lease_seconds: float = Field(60.0, gt=0, description="How long a claim holds without being renewed.")
    renew_seconds: float = Field(15.0, gt=0, description="How often claims are renewed.")
    look_seconds: float = Field(5.0, gt=0, description="How often a process looks for work, bell or not.")
    grace_seconds: float = Field(20.0, ge=0, description="Time for calls in flight when a worker stops.")
    watchdog_seconds: float = Field(30.0, gt=0, description="A loop blocked for longer ends the process.")

    @model_validator(mode="after")
    def _renewed_in_time(self) -> "WorkerSettings":
        if self.renew_seconds > self.lease_seconds / 2:
            raise ValueError("renew_seconds must be at most half of lease_seconds, or claims end while held")
        return self


#: From one millionth, the smallest that is counted, to what every column holds.
Cap = Annotated[Decimal, Field(ge=Decimal("0.000001"), le=Decimal(1_000_000_000))]


class SpendSettings(Section):
    per_event: Cap | None = Field(
        None, description="Most that one event may cost; above it a person decides."
    )
    per_day: Cap | None = Field(
        None, description="Most that a UTC day may cost; then events wait for the next."
    )
    per_workflow: Cap | None = Field(None, description="The same, of each workflow.")
    per_source: Cap | None = Field(None, description="The same, of each source.")
    workflows: Mapping[str, Cap] = Field({}, description="The same, of one workflow, by its name.")
    sources: Mapping[str, Cap] = Field({}, description="The same, of one source, by its name.")

    @property
    def caps(self) -> Caps:
        """In micro-units."""
        named = {f"workflow:{name}": cap for name, cap in self.workflows.items()}
        named |= {f"source:{name}": cap for name, cap in self.sources.items()}
        return Caps(
            event=_micros(self.per_event),
            total=_micros(self.per_day),
            workflow=_micros(self.per_workflow),
            source=_micros(self.per_source),
            named={scope: int(cap * 1_000_000) for scope, cap in named.items()},
        )


def _micros(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 1_000_000)


class SweepSettings(Section):
    look_seconds: float = Field(1.0, gt=0, description="How often overdue work is looked for.")


class AuditSettings(Section):
    key: SecretStr = Field(
        SecretStr(""),
        description="Signing key of the audit log, NAME:SEED; `penstock audit key new` makes one.",
    )
    key_file: str = Field(
        "", description="The file that holds it instead; embedded mode makes one beside its database."
    )
    checkpoint_file: str = Field(
        "", description="Signed checkpoints are appended to it; embedded mode has one beside its database."
    )
    seal_seconds: float = Field(1.0, gt=0, le=10, description="How often committed records are sealed.")
    batch: int = Field(2_000, ge=1, le=20_000, description="Records under one seal at most.")


class SimulatorSettings(Section):
    host: str = Field("127.0.0.1", description="Address of the simulated model.")
    port: int = Field(8099, ge=0, le=65_535, description="Port of the simulated model.")
    latency_ms: int = Field(0, ge=0, description="How long the simulated model thinks.")


class SentrySettings(Section):
    dsn: SecretStr = Field(SecretStr(""), description="Sentry project; empty turns Sentry off.")
    environment: str = Field("production", description="Sentry environment.")
    traces_sample_rate: float = Field(
        0.0, ge=0, le=1, description="Share of events with a Sentry transaction."
    )


class LogSettings(Section):
    level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Lowest level written.")
    json_lines: bool | None = Field(None, description="JSON lines; unset means: unless on a terminal.")


class Settings(BaseSettings):
    """Everything that differs between deployments; what a workflow does is code."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    workflows: Annotated[tuple[str, ...], NoDecode] = Field(
        DEFAULT_PACKAGES, description="Packages with WORKFLOWS, separated by commas, instead of the examples."
    )
    secret: SecretStr = Field(
        SecretStr(""), description="Key of event fingerprints; the same in all processes, never changed."
    )
    database: DatabaseSettings = DatabaseSettings()
    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    models: Mapping[str, ModelSettings] = Field({}, description="Endpoints by alias.")
    sources: Mapping[str, SourceSettings] = Field({}, description="Webhook sources by name.")
    api: ApiSettings = ApiSettings()
    access: AccessSettings = AccessSettings()
    metrics: MetricsSettings = MetricsSettings()
    ingest: IngestSettings = IngestSettings()
    worker: WorkerSettings = WorkerSettings()
    spend: SpendSettings = SpendSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    sweep: SweepSettings = SweepSettings()
    audit: AuditSettings = AuditSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    sentry: SentrySettings = SentrySettings()
    log: LogSettings = LogSettings()

    _told_apart = field_validator("models")(staticmethod(told_apart))

    @field_validator("workflows", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @property
    def is_embedded(self) -> bool:
        """Without Kafka, the topics are in the database and one process does everything."""
        return not self.kafka.bootstrap_servers

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file, None on PostgreSQL."""
        prefix = "sqlite:///"
        return Path(self.database.url.removeprefix(prefix)) if self.database.url.startswith(prefix) else None


def _check_sections(settings: type[Settings], environment: Mapping[str, str]) -> None:
    """Raise InvalidSettingsError for a variable of a section that there is not: it would hold nothing.

    A name without a section may be another program's; Kubernetes makes some of a service's name.
    """
    sections = [name.upper() for name in settings.model_fields]
    for variable in environment:
        section, sign, _ = variable.upper().removeprefix(_PREFIX).partition("__")
        if variable.upper().startswith(_PREFIX) and sign and section not in sections:
            known = ", ".join(get_close_matches(section, sections, 1) or sections)
            raise InvalidSettingsError(f"{variable}: there is no section {section}, but {known}")


def _no_json(environment: Mapping[str, str]) -> Iterator[str]:
    """The variables that begin as JSON, and are none."""
    for variable, value in environment.items():
        if variable.upper().startswith(_PREFIX) and value.lstrip()[:1] in ("{", "["):
            try:
                json.loads(value)
            except ValueError as error:
                yield f"{variable}: this is no JSON: {error}"


def load() -> Settings:
    """Read the environment; raises InvalidSettingsError, which names each variable."""
    _check_sections(Settings, os.environ)
    try:
        settings = Settings()
    except SettingsError as error:
        raise InvalidSettingsError("\n".join(_no_json(os.environ)) or str(error)) from error
    except ValidationError as error:
        lines = []
        for detail in error.errors(include_input=False):
            variable = "PENSTOCK_" + "__".join(str(part).upper() for part in detail["loc"])
            lines.append(f"{variable}: {detail['msg']}")
        raise InvalidSettingsError("\n".join(lines)) from error
    if not settings.models and os.environ.get("OPENAI_API_KEY"):
        return settings.model_copy(update={"models": OPENAI_MODELS})
    return settings
