"""A workflow and an event in, what one call says to the model out."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.extract import Ask
from pipeline.fence import INSTRUCTION, fence
from pipeline.leak import canary, canary_sentence
from schemas.event import Received
from schemas.extraction import Request


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: which model, and the texts; instructions are the workflow's own.

    `instructions` are the same bytes for every event of a version. `text` is the event's, fenced;
    `feedback` is empty but in a re-ask. They travel in messages of their own. `timeout` is what the
    event's deadline leaves for the call; the endpoint's own may be shorter.
    """

    event: Received
    token: UUID
    revision: int
    step: int
    entry: Entry
    alias: str
    endpoint: str
    instructions: str
    text: str
    timeout: timedelta
    feedback: str = ""
    larger: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call with the bytes that it sends, and the most that it can need: in tokens, in micro-units."""

    call: Call
    request: Request
    worst_case_tokens: int
    worst_case_micros: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to make one call: is it a probe, and which minute was it drawn from, if there is one."""

    endpoint: str
    probe: bool = False
    minute: str = ""
    tokens: int = 0


#: A re-ask names at most this many fields: its size must not depend on the answer's.
MAX_COMPLAINTS = 8


def assemble(
    claimed: Claimed, entry: Entry, text: str, ask: Ask, *, step: int, key: bytes, timeout: timedelta
) -> Call:
    """The call that `ask` wants. Lone surrogates in the text, which UTF-8 cannot carry, become "?"."""
    encodable = text.encode("utf-8", "replace").decode()
    return Call(
        event=claimed.event,
        token=claimed.token,
        revision=claimed.revision,
        step=step,
        entry=entry,
        alias=ask.alias,
        endpoint=ask.endpoint,
        larger=ask.larger,
        instructions=instructions(entry, key=key),
        text=fence(encodable, key=key, event_id=claimed.event.event_id, step=step),
        timeout=timeout,
        feedback=feedback(ask.complaints),
    )


def instructions(entry: Entry, *, key: bytes) -> str:
    """The system message: a canary that must not come back, the prompt, how to read the fence."""
    word = canary(key, entry.version)
    return f"{canary_sentence(word)}\n\n{entry.instructions}\n\n{INSTRUCTION}"


def feedback(complaints: tuple[str, ...]) -> str:
    """What to tell the model about an answer that did not fit: fields and rules, never values."""
    if not complaints:
        return ""
    lines = "\n".join(f"- {complaint}" for complaint in complaints[:MAX_COMPLAINTS])
    return f"Your last answer did not fit the schema. Answer again, in full, and mend this:\n{lines}"
