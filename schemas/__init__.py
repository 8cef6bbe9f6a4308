"""The nouns that a workflow's author needs; the rest is in the modules."""

from schemas.decision import Decision, accept, reject, review
from schemas.event import Event, Text
from schemas.evidence import Evidence
from schemas.extraction import Answer, Extraction, Money

__all__ = [
    "Answer",
    "Decision",
    "Event",
    "Evidence",
    "Extraction",
    "Money",
    "Text",
    "accept",
    "reject",
    "review",
]
