"""A valid answer in, the workflow's decision out."""

from pipeline.catalogue import Entry
from schemas.decision import Decision
from schemas.event import Event
from schemas.extraction import Answer, Extraction


def decide(entry: Entry, event: Event, answer: Answer[Extraction]) -> Decision:
    """What the policy says; anything but a Decision is a bug in the policy, and raises TypeError."""
    decision = entry.workflow.policy(event, answer)
    if not isinstance(decision, Decision):
        raise TypeError(f"the policy of {entry.workflow.name!r} returned {type(decision).__name__}")
    return decision
