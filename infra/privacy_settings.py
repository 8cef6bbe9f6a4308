"""The settings of what is kept of people's texts: under which key, and for how long."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from infra.section import Section
from pipeline.retention import Terms


class PrivacySettings(Section):
    master_key: SecretStr = Field(
        SecretStr(""),
        description="64 hex digits, for events with a subject; several with commas: the first one wraps.",
    )
    master_key_file: str = Field(
        "", description="The file that holds them instead; embedded mode makes one beside its database."
    )


class RetentionSettings(Section):
    """Days after the last decision on an event; unset keeps for ever."""

    content_days: int | None = Field(
        None, ge=1, description="Texts of decided events and of answers; unset keeps them for ever."
    )
    journal_days: int | None = Field(None, ge=1, description="The calls made for decided events.")
    results_days: int | None = Field(
        None, ge=1, description="Results, and all else of their events but their identities and records."
    )
    topics_days: int | None = Field(
        None, ge=1, description="Published messages in the outbox, and in the topics of embedded mode."
    )

    audit_days: int | None = Field(
        None,
        ge=1,
        description="Sealed batches of the audit trail, counted from their seal; not less than results.",
    )

    @model_validator(mode="after")
    def _results_go_first(self) -> Self:
        if self.audit_days is not None and (self.results_days or self.audit_days + 1) > self.audit_days:
            raise ValueError(
                "AUDIT_DAYS needs RESULTS_DAYS of as many days or fewer: results go before their records"
            )
        return self

    @property
    def terms(self) -> Terms:
        return Terms(
            content=_days(self.content_days),
            journal=_days(self.journal_days),
            results=_days(self.results_days),
            topics=_days(self.topics_days),
            audit=_days(self.audit_days),
        )


def _days(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)
