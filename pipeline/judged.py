"""An event's audit records in, what a person found of the machine's answer and what the machine knew out.

Records hold no text, so this outlives the retention and an erasure. Right is what a person let stand as it
was; a correction or a rejection says that it was wrong. What was sent back says nothing, and neither does
what a person picked by themselves: nobody knows what they did not pick. Nor does what was decided for many
events at once: nobody looked at each of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.trail import IN_BULK
from schemas.decision import REOPENED, Outcome
from schemas.evidence import Grounding, Verdict, support

_LET_STAND: Final = frozenset({Outcome.APPROVED, Outcome.CORRECTED})

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signals:
    """What the machine knew of its own answer; of each, more should mean that it is right.

    `least` is the lowest grounding score (0 to 100) of the values that need evidence, 0 for one without, 100
    where none needs any; `grounded` the share of them with evidence. `attempts` and `complaints` are
    negative numbers. `agreement` is 0 when an answer given before, not good enough, was another one.
    `combined` is the answer's `score`, which a policy may decide by.
    """

    combined: float

    least: float
    grounded: float
    attempts: float
    complaints: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that a person judged; a `sampled` one was drawn at random, the others were doubted."""

    right: bool
    sampled: bool
    signals: Signals


def judged(records: Sequence[Record]) -> Judged | None:
    """Of an event's records the last answer of the machine and the last word of a person on it."""
    answer = verdict = None
    for told in sorted((one for one in records if one.get("revision")), key=lambda one: int(one["revision"])):
        if told["kind"] == "decision":
            answer, verdict = told, None
        elif told["outcome"] == REOPENED:
            answer = verdict = None
        elif told["kind"] == "review":
            verdict = told
    if answer is None or verdict is None or not answer["output"] or verdict.get("code") == IN_BULK:
        return None
    sampled = bool(answer.get("sampled"))
    if not sampled and answer["outcome"] != Outcome.NEEDS_REVIEW:
        return None
    stands = verdict["outcome"] in _LET_STAND
    right = stands and verdict["after"]["sha256"] == answer["output"]["sha256"]
    return Judged(right, sampled, signals(answer))


def last_answer(records: Sequence[Record]) -> Record | None:
    """Of an event's records the last decision of the machine, where it had an answer."""
    made = [one for one in records if one["kind"] == "decision" and one.get("revision")]
    newest = max(made, key=lambda one: int(one["revision"]), default=None)
    return newest if newest and newest["output"] else None


def signals(answer: Record) -> Signals:
    """What the record of a decision says of its answer."""
    found = list(_groundings(answer["evidence"]))
    assessed = [one["assessed"] for one in answer["attempts"] if one.get("assessed")]
    before = {one["output"] for one in assessed if one.get("output")}
    return Signals(
        combined=support(found, attempts=answer["attempts_made"]),
        least=support(found, attempts=1),
        grounded=sum(one.found for one in found) / len(found) if found else 1.0,
        attempts=-float(answer["attempts_made"]),
        complaints=-float(sum(len(one["checks"]) for one in assessed)),
        agreement=float(before <= {answer["output"]["sha256"]}),
    )


def _groundings(evidence: Record | None) -> Iterator[Grounding]:
    """Of the values that are there."""
    for path, one in (evidence or {}).items():
        if one["verdict"] != Verdict.ABSENT:
            yield Grounding(path, Verdict(one["verdict"]), score=one["score"])
