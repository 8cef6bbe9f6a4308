"""Judged answers in, how well the machine's own signals tell right from wrong out; no number from too few.

What was doubted was picked by the very signals that are measured: it says how to order a queue, nothing of
what nobody saw. Only the random sample does. So the two are never added up.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

from pipeline.judged import Judged, Signals

#: Of the right and of the wrong each: below, the interval of an AUROC spans a quarter of the scale or more.
MIN_OF_EACH: Final = 30
#: The AUROC of a signal that says nothing.
CHANCE: Final = 0.5
_LEVEL: Final = 0.95
_STEPS: Final = 10
_BISECTIONS: Final = 60

SIGNALS: Final[Mapping[str, Callable[[Signals], float]]] = {
    "score": lambda one: one.combined,
    "least_grounding": lambda one: one.least,
    "share_grounded": lambda one: one.grounded,
    "few_attempts": lambda one: one.attempts,
    "no_complaints": lambda one: one.complaints,
    "agreement": lambda one: one.agreement,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the items with a score of at least `threshold`: their share of all, and how many are wrong."""

    threshold: float
    share: float
    items: int
    wrong: int
    error: Estimate


@dataclass(frozen=True, slots=True)
class Quality:
    """What a group of judged items says. `separation` and `curve` are empty when `too_few` says why.

    `separation` is the AUROC of each signal: how often a right item has more of it than a wrong one, ties
    by halves. 0.5 is chance. `error` is None without an item.
    """

    right: int
    wrong: int
    error: Estimate | None
    separation: Mapping[str, Estimate]
    curve: tuple[Coverage, ...]
    too_few: str | None


def quality(items: Sequence[Judged]) -> Quality:
    """The measures of one group: all of them sampled, or all of them doubted."""
    right = [one.signals for one in items if one.right]
    wrong = [one.signals for one in items if not one.right]
    few = _too_few(len(right), len(wrong))
    separation = {} if few else {name: _separation(of, right, wrong) for name, of in SIGNALS.items()}
    return Quality(
        right=len(right),
        wrong=len(wrong),
        error=wilson(len(wrong), len(items)) if items else None,
        separation=separation,
        curve=() if few else coverages([(one.signals.combined, one.right) for one in items]),
        too_few=few,
    )


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The share of pairs in which the right one has the higher score, ties by halves; neither may be empty.

    The Mann-Whitney statistic (Hanley and McNeil, Radiology 143, 1982), by one sort.
    """
    ordered = sorted(wrong)
    halves = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in right)
    return halves / (2 * len(right) * len(wrong))


def auroc_interval(value: float, right: int, wrong: int) -> Estimate:
    """The 95 % interval of an AUROC from so many right and wrong ones.

    Newcombe's method 5 (Statistics in Medicine 25, 2006, p. 559): a score interval, which stays open at 1,
    where DeLong's has no width.
    """
    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    mean = (right + wrong) / 2 - 1

    def is_within(truth: float) -> bool:
        spread = 1 + mean * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        return abs(value - truth) <= z * sqrt(truth * (1 - truth) * spread / (right * wrong))

    return Estimate(value, _edge(is_within, value, 0.0), _edge(is_within, value, 1.0))


def wilson(count: int, of: int, *, level: float = _LEVEL) -> Estimate:
    """A share and its score interval (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def coverages(scored: Sequence[tuple[float, bool]]) -> tuple[Coverage, ...]:
    """Error at coverage, in ten steps: the best tenth, two tenths, ...; equal scores stay together.

    The risk-coverage curve of selective classification (El-Yaniv and Wiener, JMLR 11, 2010).
    """
    ordered = sorted((score for score, _ in scored), reverse=True)
    ends = {ordered[ceil(len(ordered) * step / _STEPS) - 1] for step in range(1, _STEPS + 1)}
    return tuple(_coverage(scored, threshold) for threshold in sorted(ends, reverse=True))


def threshold_for(error: float, curve: Sequence[Coverage]) -> Coverage | None:
    """The step with the most items whose error is at most `error`; None where none is known to be.

    All steps are looked at, so each bound takes its part of the 5 % (Bonferroni).
    """
    level = 1 - 2 * (1 - _LEVEL) / max(1, len(curve))  # one side of two
    fitting = [one for one in curve if wilson(one.wrong, one.items, level=level).high <= error]
    return max(fitting, key=lambda one: one.items, default=None)


def _too_few(right: int, wrong: int) -> str | None:
    if min(right, wrong) >= MIN_OF_EACH:
        return None
    return f"{right} right and {wrong} wrong; from {MIN_OF_EACH} of each on there are numbers"


def _separation(
    of: Callable[[Signals], float], right: Sequence[Signals], wrong: Sequence[Signals]
) -> Estimate:
    value = auroc([of(one) for one in right], [of(one) for one in wrong])
    return auroc_interval(value, len(right), len(wrong))


def _edge(is_within: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where `is_within` ends between the two, by halves."""
    if is_within(outside):
        return outside
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_within(middle) else (inside, middle)
    return inside


def _coverage(scored: Sequence[tuple[float, bool]], threshold: float) -> Coverage:
    taken = [right for score, right in scored if score >= threshold]
    wrong = taken.count(False)
    return Coverage(threshold, len(taken) / len(scored), len(taken), wrong, wilson(wrong, len(taken)))
