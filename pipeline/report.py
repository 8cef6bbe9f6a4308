"""The scores of labelled cases in, a report out: figures, and JSON for the next one to be compared with."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pipeline.score import Verdict

#: A field is as labelled, null included.
_EXACT: Final = (Verdict.RIGHT, Verdict.RIGHTLY_NULL)


class InvalidReportError(Exception):
    """A text is no report of an evaluation, or is one of another workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """One case: the verdicts of `pipeline.score`, and what it took to get there.

    `answered`: a valid answer came in the end; `valid_at_first`: it was the first attempt's;
    `quoted` counts the fields that came with evidence, `grounded` those whose evidence held.
    `cost_micros` is None where no price is set.
    """

    id: str
    verdicts: Mapping[str, Verdict]
    answered: bool
    valid_at_first: bool
    re_asks: int = 0
    reviewed: bool = False
    quoted: int = 0
    grounded: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = None
    latency_ms: int = 0

    def is_exact(self, field: str) -> bool:
        """Is the field as labelled? None of a case is that never got an answer."""
        return self.answered and self.verdicts.get(field) in _EXACT

    @property
    def is_all_exact(self) -> bool:
        return bool(self.verdicts) and all(self.is_exact(field) for field in self.verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldScore:
    """Verdicts of one field, counted. A share is None where there is nothing to have a share of.

    Precision is the share of what was answered that is right, recall that of what there was to find.
    """

    cases: int
    right: int
    wrong: int
    omitted: int
    invented: int
    rightly_null: int
    exact: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report in figures. `overall` counts all fields together, `macro_f1` is the mean over the fields."""

    cases: int
    answered: int
    exact_documents: int
    fields: Mapping[str, FieldScore]
    overall: FieldScore
    macro_f1: float | None
    valid_at_first_share: float | None
    re_asked_share: float | None
    reviewed_share: float | None
    grounded_share: float | None
    input_tokens: int
    output_tokens: int
    cost_micros: int | None
    latency_p50_ms: int | None
    latency_p95_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation of one version with one model; its cases are kept, to be paired with another's."""

    workflow: str
    version: str
    model: str
    cases: tuple[CaseScore, ...]

    def __post_init__(self) -> None:
        twice = [case for case, count in Counter(case.id for case in self.cases).items() if count > 1]
        if twice:
            raise ValueError(f"the case {twice[0]!r} stands in the report twice")

    @cached_property
    def summary(self) -> Summary:
        """The figures; they do not depend on the order of the cases."""
        return _summary(self.cases)


def write(report: Report) -> str:
    """A report as JSON: its figures first, for readers that are no program of ours."""
    head = {"workflow": report.workflow, "version": report.version, "model": report.model}
    cases = [asdict(case) for case in report.cases]
    return json.dumps(
        {**head, "summary": asdict(report.summary), "cases": cases}, indent=2, ensure_ascii=False
    )


def read(text: str) -> Report:
    """What `write` wrote, its figures counted anew; raises InvalidReportError."""
    try:
        return _REPORT.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "text"
        raise InvalidReportError(f"this is no report: {place}: {first['msg']}") from error


def field_score(cases: Iterable[CaseScore], fields: Sequence[str]) -> FieldScore:
    """The verdicts of `fields`, counted together."""
    verdicts = [
        (case.verdicts[field], case.is_exact(field))
        for case in cases
        for field in fields
        if field in case.verdicts
    ]
    counts = Counter(verdict for verdict, _ in verdicts)
    right, wrong, omitted = counts[Verdict.RIGHT], counts[Verdict.WRONG], counts[Verdict.OMITTED]
    invented = counts[Verdict.INVENTED]
    return FieldScore(
        cases=len(verdicts),
        right=right,
        wrong=wrong,
        omitted=omitted,
        invented=invented,
        rightly_null=counts[Verdict.RIGHTLY_NULL],
        exact=sum(exact for _, exact in verdicts),
        precision=_share(right, right + wrong + invented),
        recall=_share(right, right + wrong + omitted),
        f1=_share(2 * right, 2 * right + 2 * wrong + invented + omitted),
    )


def _summary(cases: Sequence[CaseScore]) -> Summary:
    # As a dict, not a set: the order of the fields is that of the declaration.
    names = list(
        dict.fromkeys(field for case in sorted(cases, key=lambda c: c.id) for field in case.verdicts)
    )
    fields = {name: field_score(cases, [name]) for name in names}
    f1 = [field.f1 for field in fields.values() if field.f1 is not None]
    costs = [case.cost_micros for case in cases if case.cost_micros is not None]
    latencies = sorted(case.latency_ms for case in cases)
    return Summary(
        cases=len(cases),
        answered=sum(case.answered for case in cases),
        exact_documents=sum(case.is_all_exact for case in cases),
        fields=fields,
        overall=field_score(cases, names),
        macro_f1=_share(sum(f1), len(f1)),
        valid_at_first_share=_share(sum(case.valid_at_first for case in cases), len(cases)),
        re_asked_share=_share(sum(case.re_asks > 0 for case in cases), len(cases)),
        reviewed_share=_share(sum(case.reviewed for case in cases), len(cases)),
        grounded_share=_share(sum(case.grounded for case in cases), sum(case.quoted for case in cases)),
        input_tokens=sum(case.input_tokens for case in cases),
        output_tokens=sum(case.output_tokens for case in cases),
        cost_micros=sum(costs) if len(costs) == len(cases) else None,
        latency_p50_ms=_percentile(latencies, 50),
        latency_p95_ms=_percentile(latencies, 95),
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest rank: the smallest value that `percent` of all do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


_REPORT: Final = TypeAdapter(Report)
