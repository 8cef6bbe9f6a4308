"""What somebody asks of the audit trail, on the command line or over HTTP: words in, a `Search` out."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from infra.store.search import Search
from schemas.decision import STATES
from schemas.kinds import RecordKind


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time before the year 1 or after the year 9999, in UTC") from error


def _pair(text: str) -> str:
    name, sign, _ = text.partition("=")
    if not (name and sign):
        raise ValueError("write NAME=VALUE")
    return text


def _state(text: str) -> str:
    if text not in STATES:
        raise ValueError(f"there is none of this name, but {', '.join(STATES)}")
    return text


#: Without the character that PostgreSQL does not take.
_Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
_Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Filters(BaseModel):
    """All that is named must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: _Moment | None = Field(None, description="From this time on (ISO 8601; UTC without a zone).")
    until: _Moment | None = Field(None, description="Before this time.")
    kind: RecordKind | None = Field(None, description="Of this kind.")
    event: UUID | None = Field(None, description="About the event with this event_id.")
    workflow: _Words | None = Field(None, description="Of this workflow.")
    version: _Words | None = Field(None, description="Of the workflow's version that begins so.")
    outcome: Annotated[str, AfterValidator(_state)] | None = Field(
        None, description=f"With this outcome: {', '.join(STATES)}."
    )
    model: _Words | None = Field(None, description="Decided on an answer of this model, by its own name.")
    actor: _Words | None = Field(None, description="By whom: the beginning of a name, such as os:ada.")
    reason: _Words | None = Field(
        None, description="A reason's code, or a part of it in words; # stands for any number."
    )
    cost: Annotated[Decimal, Field(ge=0, max_digits=12)] | None = Field(
        None, description="Cost at least so much."
    )
    took: Annotated[float, Field(ge=0, le=1e6)] | None = Field(
        None, description="Its calls took so many seconds."
    )
    field: tuple[Annotated[_Words, AfterValidator(_pair)], ...] = Field(
        (), max_length=10, description="NAME=VALUE of an indexed field of the result; may be given again."
    )
    text: _Words | None = Field(
        None, description="A part of an id, a name, a reason or an indexed field's value."
    )

    @property
    def search(self) -> Search:
        pairs = tuple((name, value) for name, _, value in (one.partition("=") for one in self.field))
        return Search(
            since=self.since,
            until=self.until,
            kind=self.kind,
            event_id=self.event,
            workflow=self.workflow,
            version=self.version,
            outcome=self.outcome,
            model=self.model,
            actor=self.actor,
            reason=self.reason,
            cost_micros=None if self.cost is None else int(self.cost * 1_000_000),
            took_ms=None if self.took is None else int(self.took * 1_000),
            fields=pairs,
            text=self.text,
        )
