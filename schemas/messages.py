"""What leaves by a topic: one Pydantic model per kind of message; `schemas/contracts/` comes from them."""

from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.extraction import Extraction

X = TypeVar("X", bound=Extraction)


class Message(BaseModel):
    """The base of every outgoing message; a receiver must tolerate fields that are added later."""

    model_config = ConfigDict(frozen=True)

    event_id: UUID = Field(description="Penstock's id of the event: uuid5 of topic, source and id.")
    workflow: str
    version: str = Field(description="SHA-256 of the workflow that decided, as hex.")
    revision: int = Field(description="1 for the first decision on the event, one more for each later one.")
    source: str = Field(description="The event's CloudEvents source.")
    id: str = Field(description="The event's CloudEvents id.")


class ResultMessage(Message, Generic[X]):
    """A result that may be acted on."""

    kind: Literal["result"] = "result"
    outcome: Literal["succeeded", "degraded", "approved", "corrected"] = Field(
        description="degraded: no model had an answer, `data` is by the workflow's own rules."
    )
    supersedes: int | None = Field(default=None, description="The revision that this one replaces.")
    data: X
    model: str | None = Field(description="The model that answered, by its own name; null: none did.")
    reasons: list[str]
    accepted_at: AwareDatetime
    decided_at: AwareDatetime


class WithdrawnMessage(Message):
    """A published result no longer stands: undo what was done on it."""

    kind: Literal["withdrawn"] = "withdrawn"
    supersedes: int = Field(description="The published revision that no longer stands.")
    reasons: list[str]
    decided_at: AwareDatetime


class ContentReference(BaseModel):
    """Bytes too large for a message: `content` row `id`, and SHA-256 of salt and bytes as hex."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    sha256: str
    bytes: int


class DeadLetter(Message):
    """An event that is not to be acted on: malformed, refused, rejected or given up."""

    kind: Literal["dead_letter"] = "dead_letter"
    outcome: Literal["rejected", "refused_input", "dead"]
    reason: str = Field(description="A stable code, for counting and routing.")
    reasons: list[str] = Field(description="What happened, in words.")
    topic: str = Field(description="The topic that the event came for.")
    partition: int | None = Field(default=None, description="Where on Kafka it was read, if it was.")
    offset: int | None = None
    original_base64: str | None = Field(default=None, description="The bytes as they were received.")
    original: ContentReference | None = Field(default=None, description="In place of bytes over the limit.")
    decided_at: AwareDatetime


class AuditMessage(BaseModel):
    """One audit record: its canonical text and leaf. It holds hashes and references, no payload."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    record: Annotated[str, Field(description="The RFC 8785 canonical text whose UTF-8 bytes were hashed.")]
    leaf: Annotated[str, Field(description="SHA-256(0x00 || bytes) as hex: an RFC 6962 leaf hash.")]


class CheckpointMessage(BaseModel):
    """A seal of the audit log, for whoever keeps watch: who has the newest one sees a log that was cut."""

    model_config = ConfigDict(frozen=True)

    batch: int = Field(description="Number of the seal: 1 for the first, then without a gap.")
    size: int = Field(description="Records under the seal, all of the log so far.")
    sealed_at: AwareDatetime
    checkpoint: Annotated[str, Field(description="The signed note, as C2SP tlog-checkpoint has it.")]


def published(extraction: type[Extraction]) -> Any:
    """The type of what a workflow's topic carries."""
    return ResultMessage[extraction] | WithdrawnMessage  # type: ignore[valid-type]
