"""Sources from code and settings in, the webhook senders that this deployment knows out."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.logs import logger
from infra.settings import Settings, SourceSettings
from pipeline import signatures
from pipeline.catalogue import Catalogue, Entry
from pipeline.errors import InvalidSettingsError
from pipeline.source import Source

log = logger()


@dataclass(frozen=True, slots=True)
class Sender:
    """A webhook sender: what is declared of it, the workflow of its topic, its secrets."""

    source: Source
    entry: Entry
    secrets: tuple[str, ...]


def senders(settings: Settings, catalogue: Catalogue) -> dict[str, Sender]:
    """The senders by name; raises InvalidSettingsError, which names the variable to correct.

    A declared source without secrets takes nothing: no signature is right. The examples have one.
    """
    declared = {source.name: source for source in catalogue.sources}
    by_settings = {
        name: _by_settings(name, source, declared) for name, source in sorted(settings.sources.items())
    }
    return {
        name: Sender(source, _entry(source, catalogue), _secrets(source, settings.sources))
        for name, source in sorted({**by_settings, **declared}.items())
    }


def _by_settings(name: str, found: SourceSettings, declared: Mapping[str, Source]) -> Source:
    if name in declared:
        if found.topic:
            raise InvalidSettingsError(f"{_variable(name, 'TOPIC')}: the topic is declared in code; unset it")
        return declared[name]
    if not found.topic:
        cure = "correct the name, or set the topic to declare a Standard Webhooks source"
        raise InvalidSettingsError(f"{_variable(name, 'TOPIC')}: no source {name!r} in code; {cure}")
    return Source(name=name, topic=found.topic)


def _entry(source: Source, catalogue: Catalogue) -> Entry:
    entry = catalogue.by_topic.get(source.topic)
    if entry is None:
        topics = ", ".join(sorted(catalogue.by_topic))
        raise InvalidSettingsError(
            f"{_variable(source.name, 'TOPIC')}: no workflow consumes {source.topic!r}; name one of: {topics}"
        )
    return entry


def _secrets(source: Source, settings: Mapping[str, SourceSettings]) -> tuple[str, ...]:
    variable = _variable(source.name, "SECRETS")
    found = settings.get(source.name, SourceSettings()).secrets
    if not found:
        log.warning("source.closed", source=source.name, cure=f'set {variable}, such as ["whsec_..."]')
    secrets = tuple(secret.get_secret_value() for secret in found)
    for number, secret in enumerate(secrets, start=1):
        flaw = signatures.flaw(source.scheme, secret)
        if flaw:
            raise InvalidSettingsError(f"{variable}: secret {number} {flaw}")
    return secrets


def _variable(name: str, field: str) -> str:
    return f"PENSTOCK_SOURCES__{name.upper()}__{field}"
