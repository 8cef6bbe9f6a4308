"""A workflow and an event in, what one call says to the model out."""

from dataclasses import dataclass
from uuid import UUID

from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.extract import Ask
from schemas.event import Event, Received


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: which model, and the texts; instructions are the workflow's own.

    `text` is the event's, `feedback` is empty but in a re-ask. They travel in messages of their
    own, never inside the instructions.
    """

    event: Received
    token: UUID
    revision: int
    step: int
    entry: Entry
    alias: str
    endpoint: str
    text: str
    feedback: str = ""
    larger: bool = False


#: A re-ask names at most this many fields: its size must not depend on the answer's.
MAX_COMPLAINTS = 8


def assemble(claimed: Claimed, entry: Entry, event: Event, ask: Ask, *, step: int) -> Call:
    """The call that `ask` wants. Lone surrogates in the text, which UTF-8 cannot carry, become "?"."""
    text = entry.workflow.text(event)
    return Call(
        event=claimed.event,
        token=claimed.token,
        revision=claimed.revision,
        step=step,
        entry=entry,
        alias=ask.alias,
        endpoint=ask.endpoint,
        larger=ask.larger,
        text=text.encode("utf-8", "replace").decode(),
        feedback=feedback(ask.complaints),
    )


def feedback(complaints: tuple[str, ...]) -> str:
    """What to tell the model about an answer that did not fit: fields and rules, never values."""
    if not complaints:
        return ""
    lines = "\n".join(f"- {complaint}" for complaint in complaints[:MAX_COMPLAINTS])
    return f"Your last answer did not fit the schema. Answer again, in full, and mend this:\n{lines}"
