"""An answer that fits its schema in, what it is worth out: grounded or not, and what the checks say.

Deterministic in event, version and attempt: an answer taken from the journal is judged alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.catalogue import Entry
from pipeline.errors import CheckFailed, Leaked, ReturnTypeError, Ungrounded
from pipeline.ground import ground, ungrounded
from pipeline.leak import canary, leaks
from schemas.event import Event
from schemas.evidence import EvidenceMap, Grounding, Verdict
from schemas.extraction import Attempt, Extraction, Reading
from schemas.text import clean

#: A complaint goes into the re-ask and to the reviewer; one that quotes the event stays short.
MAX_COMPLAINT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Guard:
    """What must not get out: `key` makes fences and canaries, `secrets` are our own, such as API keys."""

    key: bytes
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Assessment:
    """The value with ungrounded optional fields made null, its evidence, and what is wrong with it.

    `checks` are the workflow's checks that complain, by name.
    """

    value: Extraction
    evidence: EvidenceMap
    failure: str | None = None
    complaints: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def of(self, attempt: Attempt) -> Attempt:
        """The attempt as the ladder sees it: one whose answer is not good enough failed."""
        if self.failure is None:
            return attempt  # most are, and a copy of so many fields takes a while
        return replace(attempt, failure=self.failure, complaints=self.complaints)


def assess(
    entry: Entry, event: Event, reading: Reading, *, text: str, received_at: datetime, guard: Guard
) -> Assessment:
    """Judge a reading: first what it gives away, then the workflow's checks, which a re-ask may mend,
    then its grounding."""
    value, evidence = ground(reading.value, reading.quotes, text=text)
    word = canary(guard.key, entry.version)
    told = [reading.value.model_dump(mode="json"), dict(reading.quotes)]
    if found := leaks(told, canary=word, secrets=guard.secrets):
        return Assessment(value, evidence, Leaked.reason, found)
    if failed := _failed_checks(entry, event, value, received_at=received_at):
        checks, complaints = zip(*failed, strict=True)
        return Assessment(value, evidence, CheckFailed.reason, complaints, checks)
    if doubtful := ungrounded(entry.workflow.extraction, evidence):
        return Assessment(value, evidence, Ungrounded.reason, tuple(map(_said, doubtful)))
    return Assessment(value, evidence)


def complaints_about(
    entry: Entry, event: Event, value: Extraction, *, received_at: datetime
) -> tuple[str, ...]:
    """What the workflow's checks say against `value`."""
    return tuple(said for _, said in _failed_checks(entry, event, value, received_at=received_at))


def _failed_checks(
    entry: Entry, event: Event, value: Extraction, *, received_at: datetime
) -> list[tuple[str, str]]:
    """Each check that complains, by its name, and its complaint."""
    return [
        (name, clean(complaint, max_length=MAX_COMPLAINT_LENGTH))
        for name, complaint in checked(entry, event, value, received_at=received_at)
        if complaint is not None
    ]


def checked(
    entry: Entry, event: Event, value: Extraction, *, received_at: datetime
) -> Iterator[tuple[str, str | None]]:
    """What each check says, by its name; raises ReturnTypeError for what is neither a complaint nor None."""
    for check in entry.workflow.checks:
        name, said = getattr(check, "__name__", "check"), check(event, value, received_at)
        if said is not None and not isinstance(said, str):
            raise ReturnTypeError(f"the check {name!r}", entry.workflow.name, said)
        yield name, said


def _said(grounding: Grounding) -> str:
    if grounding.verdict is Verdict.CONTRADICTED:
        return f"{grounding.path}: the quoted passage does not say this value"
    return f"{grounding.path}: the quote is not in the text"
