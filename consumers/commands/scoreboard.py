"""An evaluation in, what a person reads or (as JSON) a program out; at most 100 columns wide."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consumers.commands import output
from pipeline.comparison import ShareDifference
from pipeline.report import FieldScore, Report, Summary
from pipeline.report import write as written

if TYPE_CHECKING:
    from consumers.commands.eval import Evaluated

_BANNER: Final = "SIMULATED: these figures tell how good the simulator's rules are, nothing about a model."
_NAME_WIDTH: Final = 24


def _told(done: "Evaluated") -> dict[str, Any]:
    """All of it for a program; the report is the one that `--out` writes."""
    import json

    return {
        "report": json.loads(written(done.report)),
        "cases_from": done.origin,
        "seconds": round(done.seconds, 3),
        "simulated": done.simulated,
        "left_out": dict(done.left_out),
        "bugs": dict(done.bugs),
        "comparison": done.comparison,
        "regressions": [one.name for one in done.regressions],
    }


def show(done: "Evaluated", *, margin: float, against: str, out: Path | None, as_json: bool) -> None:
    """Print it."""
    if as_json:
        output.emit_json(_told(done))
    else:
        _show(done, margin=margin, against=against, out=out)


def _show(done: "Evaluated", *, margin: float, against: str, out: Path | None) -> None:
    report = done.report
    if done.simulated:
        output.say(f"{_BANNER}\n")
    output.say(f"{report.workflow}, version {report.version[:12]}, answered by {report.model}")
    output.say(f"{len(report.cases)} cases from {done.origin} in {done.seconds:.1f} s\n")
    for line in (*_fields(report.summary), "", *_facts(report.summary)) if report.cases else ():
        output.say(line)
    for reason, count in done.left_out.items():
        output.say(f"LEFT OUT     {count} cases that no model could be asked for: {reason}")
    for error, count in done.bugs.items():
        output.say(f"FAULTY       {count} cases ended by {error} in the workflow's code: try one of them")
    if done.comparison is not None and done.baseline is not None:
        _show_comparison(done, done.baseline, margin=margin, against=against)
    if out is not None and report.cases:
        output.note(f"The report is in {out}; compare the next one with --against {out}")


def _fields(summary: Summary) -> Iterator[str]:
    """`null` counts the fields that are rightly null; exact is right or rightly null."""
    head = ("cases", "right", "wrong", "omitted", "invented", "null", "exact", "precision", "recall")
    yield f"{'field':<{_NAME_WIDTH}}" + "".join(f"{name:>{max(len(name), 5) + 1}}" for name in head)
    for name, field in {**summary.fields, "all together": summary.overall}.items():
        yield f"{_cut(name):<{_NAME_WIDTH}}" + "".join(_cells(field, head))


def _cells(field: FieldScore, head: tuple[str, ...]) -> Iterator[str]:
    counts = (field.cases, field.right, field.wrong, field.omitted, field.invented, field.rightly_null)
    shares = (field.exact / field.cases if field.cases else None, field.precision, field.recall)
    shown = (*map(str, counts), *(_percent(share) for share in shares))
    for name, cell in zip(head, shown, strict=True):
        yield f"{cell:>{max(len(name), 5) + 1}}"


def _facts(summary: Summary) -> Iterator[str]:
    cases = summary.cases
    yield f"documents    {summary.exact_documents} of {cases} with every field exact"
    first, again = _percent(summary.valid_at_first_share), _percent(summary.re_asked_share)
    yield f"answers      {summary.answered} of {cases}; valid at the first try {first}, asked again {again}"
    yield f"reviews      {_percent(summary.reviewed_share)} of the cases go to a person"
    if summary.grounded_share is not None:
        yield f"evidence     holds for {_percent(summary.grounded_share)} of the values that need it"
    yield f"tokens       {summary.input_tokens:,} in, {summary.output_tokens:,} out"
    if summary.cost_micros is None:
        yield "cost         unknown: no price is set"
    else:
        each = summary.cost_micros / cases / 1_000_000
        yield f"cost         {summary.cost_micros / 1_000_000:.6f}, {each:.6f} for each case"
    yield f"latency      p50 {summary.latency_p50_ms} ms, p95 {summary.latency_p95_ms} ms"


def _show_comparison(done: "Evaluated", baseline: Report, *, margin: float, against: str) -> None:
    comparison = done.comparison
    if comparison is None:
        return
    output.say(f"\nAgainst {against}: version {baseline.version[:12]}, answered by {baseline.model}")
    unpaired = f"; {len(comparison.unpaired)} cases are in only one" if comparison.unpaired else ""
    output.say(f"{comparison.cases} cases are in both{unpaired}. Shares are of exact fields.\n")
    output.say(
        f"{'field':<{_NAME_WIDTH}}{'before':>8}{'now':>8}{'change':>9}"
        f"{'95 % interval':>19}{'better':>8}{'worse':>7}{'p':>7}"
    )
    for one in (*comparison.fields, comparison.overall, comparison.documents):
        output.say(_difference(one, is_worse=one in done.regressions))
    names = ", ".join(_NAMES.get(one.name, one.name) for one in done.regressions)
    verdict = f"REGRESSION: {names}" if names else "No regression"
    output.say(f"\n{verdict} (a loss of up to {margin:.1%} is none)")


def _difference(one: ShareDifference, *, is_worse: bool) -> str:
    interval = f"[{one.low:+.1%}, {one.high:+.1%}]"
    p_value = "-" if one.p_value is None else f"{one.p_value:.3f}"
    name = _NAMES.get(one.name, one.name)
    return (
        f"{_cut(name):<{_NAME_WIDTH}}{one.baseline:>8.1%}{one.candidate:>8.1%}{one.difference:>+9.1%}"
        f"{interval:>19}{one.better:>8}{one.worse:>7}{p_value:>7}" + ("  WORSE" if is_worse else "")
    )


_NAMES: Final[Mapping[str, str]] = {"overall": "all together", "documents": "whole documents"}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _cut(name: str) -> str:
    return name if len(name) < _NAME_WIDTH else f"{name[: _NAME_WIDTH - 2]}…"
