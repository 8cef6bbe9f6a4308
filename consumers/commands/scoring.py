"""A case and what became of it in, its scores out: as `pipeline.report` counts them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from consumers.commands.rehearsal import Rehearsed
from pipeline.cases import Case
from pipeline.catalogue import Entry
from pipeline.comparators import comparators
from pipeline.record import cost_of
from pipeline.report import CaseScore
from pipeline.retry import FATES, Fate
from pipeline.score import score
from schemas.decision import Outcome
from schemas.evidence import Grounding, Verdict
from schemas.extraction import Attempt

#: Failures of the way to a model, which say nothing about its answers.
_ELSEWHERE: Final = (Fate.RETRY, Fate.WAIT, Fate.END)


def case_score(entry: Entry, case: Case, end: Rehearsed) -> CaseScore:
    """The scores of one case, of no answer if it is undecided.

    An answer that goes to a person is scored as well: the report counts apart how often one is asked. One
    by the workflow's own rules is no model's, and is not.
    """
    result = end.changeset.result if end.changeset else None
    data = result.data if result and result.outcome is not Outcome.DEGRADED else None
    answers = [one for one in end.attempts if FATES.get(one.failure or "") not in _ELSEWHERE]
    groundings = list(_groundings(result.evidence if result else None))
    priced = all(one.cost_micros is not None for one in end.attempts)
    return CaseScore(
        id=case.id,
        verdicts=score(case.expected, data, comparators(entry.workflow.extraction)),
        answered=data is not None,
        valid_at_first=bool(answers) and answers[0].failure is None,
        re_asks=re_asks(answers),
        reviewed=result is not None and result.outcome is Outcome.NEEDS_REVIEW,
        quoted=len(groundings),
        grounded=sum(grounding.found for grounding in groundings),
        input_tokens=sum(one.usage.input_tokens for one in end.attempts),
        output_tokens=sum(one.usage.output_tokens for one in end.attempts),
        cost_micros=(cost_of(end.attempts) or 0) if priced else None,
        latency_ms=sum(one.latency_ms for one in end.attempts),
    )


def re_asks(answers: Sequence[Attempt]) -> int:
    """How often the same model was asked again for an answer that was not good enough.

    A repeat with a larger limit is none: nothing was wrong but the length.
    """
    return sum(
        before.alias == after.alias and before.larger == after.larger for before, after in pairwise(answers)
    )


def _groundings(evidence: Mapping[str, Any] | None) -> Iterator[Grounding]:
    """What the values of an answer rest on; what is not there needs no evidence."""
    for path, one in (evidence or {}).items():
        verdict = Verdict(one["verdict"])
        if verdict is not Verdict.ABSENT:
            yield Grounding(path, verdict)
