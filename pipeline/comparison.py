"""Two reports on the same cases in, how much better or worse the second is and how sure that is out.

Pairs count, not averages: only cases that stand in both reports, case by case. The interval of a
difference is the 2.5 % to 97.5 % percentile of a paired bootstrap (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 13): cases are drawn with replacement, both reports from the same draw.
McNemar's counts (Psychometrika 12, 1947) are the cases in which only one of the two is right; their
p-value is the exact two-sided binomial one.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import shake_256
from math import comb
from typing import Final

from pipeline.report import CaseScore, InvalidReportError, Report

Pair = tuple[CaseScore, CaseScore]

RESAMPLES: Final = 10_000
#: A field that may have lost more than this share of its exact answers regresses.
MARGIN: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDifference:
    """The share that is exact in the baseline and in the candidate, and what lies between.

    `better` and `worse` count where only the candidate or only the baseline is exact; `p_value` is
    None where these counts are not of independent cases (all fields together).
    """

    name: str
    count: int
    baseline: float
    candidate: float
    difference: float
    low: float
    high: float
    better: int
    worse: int
    p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`overall` counts fields, `documents` cases with each of these exact; `unpaired` are left out of all."""

    cases: int
    unpaired: tuple[str, ...]
    overall: ShareDifference
    documents: ShareDifference
    fields: tuple[ShareDifference, ...]


@dataclass(frozen=True, slots=True)
class _Series:
    """Of each pair: how many of its cells only one side has exact, and how many cells there are."""

    name: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    weights: tuple[int, ...]
    better: int
    worse: int


def compare_reports(
    baseline: Report, candidate: Report, *, seed: int, resamples: int = RESAMPLES
) -> Comparison:
    """The candidate against the baseline; the same seed gives the same intervals on every machine.

    Raises InvalidReportError for reports that have no case in common or are of different workflows.
    """
    if baseline.workflow != candidate.workflow:
        raise InvalidReportError(f"one report is of {baseline.workflow}, the other of {candidate.workflow}")
    before, after = ({case.id: case for case in report.cases} for report in (baseline, candidate))
    pairs = [(before[id_], after[id_]) for id_ in sorted(before.keys() & after.keys())]
    names = [name for name in baseline.summary.fields if any(_both_have(name, pair) for pair in pairs)]
    if not names:
        raise InvalidReportError("the two reports have no labelled case in common")
    series = [
        _series("overall", pairs, names),
        _documents(pairs, names),
        *(_series(name, pairs, [name]) for name in names),
    ]
    intervals = _intervals(series, seed, resamples)
    overall, documents, *fields = (
        _difference(one, interval) for one, interval in zip(series, intervals, strict=True)
    )
    return Comparison(
        cases=len(pairs),
        unpaired=tuple(sorted(before.keys() ^ after.keys())),
        overall=overall,
        documents=documents,
        fields=tuple(fields),
    )


def regressions(comparison: Comparison, *, margin: float = MARGIN) -> tuple[ShareDifference, ...]:
    """Fields, and all together, that got worse and may have lost more than `margin`, by the interval.

    A field that got no worse is none, however few the cases: a wide interval alone blocks nobody.
    """
    judged = (comparison.overall, *comparison.fields)
    return tuple(one for one in judged if one.difference < 0 and one.low < -margin)


def _both_have(field: str, pair: Pair) -> bool:
    return all(field in case.verdicts for case in pair)


def _series(name: str, pairs: Sequence[Pair], fields: Sequence[str]) -> _Series:
    return _counted(
        name, [[_exactness(pair, field) for field in fields if _both_have(field, pair)] for pair in pairs]
    )


def _exactness(pair: Pair, field: str) -> tuple[bool, bool]:
    return pair[0].is_exact(field), pair[1].is_exact(field)


def _documents(pairs: Sequence[Pair], fields: Sequence[str]) -> _Series:
    """By the labels of both: a field that only one report knows makes no document worse."""
    exact = ([_exactness(pair, field) for field in fields if _both_have(field, pair)] for pair in pairs)
    whole = [
        [(all(old for old, _ in cells), all(new for _, new in cells))] if cells else [] for cells in exact
    ]
    return _counted("documents", whole)


def _counted(name: str, cells: Sequence[Sequence[tuple[bool, bool]]]) -> _Series:
    flat = [cell for row in cells for cell in row]
    return _Series(
        name=name,
        before=tuple(sum(old for old, _ in row) for row in cells),
        after=tuple(sum(new for _, new in row) for row in cells),
        weights=tuple(map(len, cells)),
        better=sum(new and not old for old, new in flat),
        worse=sum(old and not new for old, new in flat),
    )


def _difference(series: _Series, interval: tuple[float, float]) -> ShareDifference:
    count = sum(series.weights)
    independent = max(series.weights) <= 1
    return ShareDifference(
        name=series.name,
        count=count,
        baseline=sum(series.before) / count,
        candidate=sum(series.after) / count,
        difference=(sum(series.after) - sum(series.before)) / count,
        low=interval[0],
        high=interval[1],
        better=series.better,
        worse=series.worse,
        p_value=_mcnemar(series.better, series.worse) if independent else None,
    )


def _mcnemar(better: int, worse: int) -> float:
    """How often a fair coin is at least as far from even."""
    total = better + worse
    tail = sum(comb(total, count) for count in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / (1 << total))


def _intervals(series: Sequence[_Series], seed: int, resamples: int) -> list[tuple[float, float]]:
    """Of each series, from the same draws."""
    sampled = [_resampled(one) if one.better or one.worse else None for one in series]
    found: list[list[float]] = [[] for _ in series]
    if any(sampled):
        for draw in _draws(seed, len(series[0].weights), resamples):
            for values, resample in zip(found, sampled, strict=True):
                if resample is not None:
                    values.append(resample(draw))
    return [_percentiles(sorted(values)) if values else (0.0, 0.0) for values in found]


def _resampled(series: _Series) -> Callable[[Sequence[int]], float]:
    deltas = [new - old for old, new in zip(series.before, series.after, strict=True)]
    weights = series.weights
    same: int | None = weights[0] if len(set(weights)) == 1 else None

    def difference(draw: Sequence[int]) -> float:
        count: int = sum(map(weights.__getitem__, draw)) if same is None else same * len(draw)
        total: int = sum(map(deltas.__getitem__, draw))
        return total / count if count else 0.0

    return difference


def _percentiles(ordered: Sequence[float]) -> tuple[float, float]:
    cut = len(ordered) // 40
    return ordered[cut], ordered[-1 - cut]


def _draws(seed: int, count: int, resamples: int) -> Iterator[list[int]]:
    """Indices below `count`, `count` at a time, from SHAKE-256 of the seed and the number of the draw.

    32 bits modulo `count`: the bias is below one in a million up to 4,000 cases.
    """
    for number in range(resamples):
        stream = shake_256(f"penstock bootstrap {seed} {number}".encode()).digest(4 * count)
        yield [word % count for word in struct.unpack(f"<{count}I", stream)]
