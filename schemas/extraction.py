"""What the model gives back: an `Extraction`, the `Attempt`s that led to it, and both as an `Answer`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from schemas.evidence import EvidenceMap, support
from schemas.text import refuse_unclean


class Extraction(BaseModel):
    """The base of every workflow's answer schema; what a model may not say never gets past it.

    Extra fields, NaN and infinities, NUL and other control characters and lone surrogates are
    refused wherever they stand in the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_clean_values(cls, value: Any) -> Any:
        leaves = _leaves(value)
        refuse_unclean("".join([leaf for leaf in leaves if isinstance(leaf, str)]))
        if any(isinstance(leaf, float) and not math.isfinite(leaf) for leaf in leaves):
            raise ValueError("holds NaN or infinity")
        return value


def _leaves(value: Any) -> list[Any]:
    """Every key and value that holds no others, in no order."""
    leaves: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            leaves.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        else:
            leaves.append(item)
    return leaves


#: What the wire schema promises; Decimal itself also takes "1E+5", "1_000" and any script's digits.
_AMOUNT = "-?[0-9]{1,12}([.][0-9]{1,4})?"


def _amount(value: Any) -> Any:
    if not isinstance(value, str | Decimal):
        raise ValueError('write the amount as a string, such as "12.50": JSON numbers lose digits')
    if re.fullmatch(_AMOUNT, _plain(value)) is None:
        raise ValueError('write the amount in plain digits with at most four decimals, such as "1200.50"')
    return value


def _plain(value: str | Decimal) -> str:
    return format(value, "f") if isinstance(value, Decimal) else value


#: An amount of money: a string on the wire (JSON numbers lose digits), a Decimal in code.
Money = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(_plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_AMOUNT}$", "maxLength": 18}),
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counted them; `cached_tokens` is a part of `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All of them, as a provider's limit per minute counts."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """What calls have cost, in micro-units; `unknown` is the part that the provider did not tell.

    It is counted at its worst case.
    """

    micros: int = 0
    unknown: int = 0

    def __add__(self, other: "Charge") -> "Charge":
        return Charge(self.micros + other.micros, self.unknown + other.unknown)


NO_CHARGE: Final = Charge()


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes of a call: a skeleton with a NUL byte wherever a text of `texts` goes.

    JSON text never holds a NUL byte, so the mark cannot be mistaken. The skeleton is the same from
    event to event; the texts are what an erasure removes.
    """

    skeleton: bytes
    texts: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        parts = self.skeleton.split(b"\0")
        return parts[0] + b"".join(text + part for text, part in zip(self.texts, parts[1:], strict=True))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a model, kept whether it answered or failed.

    `failure` is None for a valid answer, else the stable reason of an error in `pipeline.errors`;
    `complaints` says which fields were wrong, without their values; `cost_micros` is in millionths
    of the currency of the prices (None: no price is set). `larger` asked for more output than usual;
    `is_unknown` says that the provider did not tell what it charged, so that `cost_micros` is the
    worst case. `original_id` is the attempt whose answer the cache gave: no call was made for this one.
    """

    id: UUID
    event_id: UUID
    revision: int
    step: int
    version: str
    alias: str
    endpoint: str
    model_asked: str
    request: Request
    request_sha256: bytes
    started_at: datetime
    latency_ms: int
    response: bytes = b""
    failure: str | None = None
    complaints: tuple[str, ...] = ()
    status: int | None = None
    retry_after_seconds: float | None = None
    finish_reason: str | None = None
    model_answered: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_micros: int | None = None
    larger: bool = False
    is_unknown: bool = False
    original_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model answered, taken apart: the value, and its quotes by path (`amount`, `parties[0]`)."""

    value: Extraction
    quotes: Mapping[str, str] = field(default_factory=dict)


X_co = TypeVar("X_co", bound=Extraction, covariant=True)


@dataclass(frozen=True, slots=True)
class Answer(Generic[X_co]):
    """A valid extraction together with the attempts that led to it: what a policy decides on."""

    value: X_co
    attempts: tuple[Attempt, ...]
    evidence: EvidenceMap = field(default_factory=EvidenceMap)

    @property
    def model(self) -> str:
        """The model that answered, by its own name."""
        last = self.attempts[-1]
        return last.model_answered or last.model_asked

    @property
    def score(self) -> float:
        """How well it is supported, up to 100; `penstock review quality` measures it and names a limit."""
        return support((self.evidence[path] for path in self.evidence), attempts=len(self.attempts))

    @property
    def usage(self) -> Usage:
        """Tokens of all attempts, failed ones included."""
        return sum((attempt.usage for attempt in self.attempts), Usage())
