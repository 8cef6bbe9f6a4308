"""A valid answer in, the workflow's decision out."""

from pipeline.catalogue import Entry
from pipeline.errors import ReturnTypeError
from schemas.decision import Decision
from schemas.event import Event
from schemas.extraction import Answer, Extraction


def decide(entry: Entry, event: Event, answer: Answer[Extraction]) -> Decision:
    """What the policy says; anything but a Decision is a bug in the policy, and raises ReturnTypeError."""
    decision = entry.workflow.policy(event, answer)
    if not isinstance(decision, Decision):
        raise ReturnTypeError("the policy", entry.workflow.name, decision)
    return decision
