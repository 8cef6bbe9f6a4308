"""How well signals tell right from wrong: against plain definitions, and silent where there is too little."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.confidence import (
    MIN_OF_EACH,
    auroc,
    auroc_interval,
    coverages,
    quality,
    threshold_for,
    wilson,
)
from pipeline.judged import Judged, Signals

#: Few different scores, so that ties are common.
SCORES = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40)


def naive(right: Sequence[float], wrong: Sequence[float]) -> float:
    pairs = [(one > other) + (one == other) / 2 for one in right for other in wrong]
    return sum(pairs) / len(pairs)


def item(score: float, *, right: bool) -> Judged:
    return Judged(right=right, sampled=True, signals=Signals(score, score, score / 100, -1.0, 0.0, 1.0))


def items(right: Sequence[float], wrong: Sequence[float]) -> list[Judged]:
    return [item(one, right=True) for one in right] + [item(one, right=False) for one in wrong]


@given(SCORES, SCORES)
def test_auroc_is_the_share_of_pairs_that_are_in_order(right: list[float], wrong: list[float]) -> None:
    assert auroc(right, wrong) == pytest.approx(naive(right, wrong))
    assert auroc(right, wrong) + auroc(wrong, right) == pytest.approx(1)


@given(SCORES, SCORES)
def test_only_the_order_of_scores_counts(right: list[float], wrong: list[float]) -> None:
    assert auroc([one**3 for one in right], [one**3 for one in wrong]) == auroc(right, wrong)


@given(st.floats(0, 1), st.integers(2, 5_000), st.integers(2, 5_000))
def test_an_interval_holds_its_value_and_has_width(value: float, right: int, wrong: int) -> None:
    found = auroc_interval(value, right, wrong)
    mirrored = auroc_interval(1 - value, right, wrong)

    assert 0 <= found.low <= value <= found.high <= 1
    assert found.high > found.low
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high), abs=1e-6)


def test_about_95_of_100_intervals_hold_the_truth() -> None:
    draw, held = random.Random(7), 0  # noqa: S311
    for _ in range(400):
        right = [draw.gauss(1, 1) for _ in range(60)]
        wrong = [draw.gauss(0, 1) for _ in range(35)]
        found = auroc_interval(auroc(right, wrong), 60, 35)
        held += found.low <= 0.76025 <= found.high  # Phi(1 / sqrt 2)

    assert 370 <= held <= 396


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_a_share_has_wilson_s_interval(count: int, of: int, low: float, high: float) -> None:
    found = wilson(count, of)

    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 5).map(float), st.booleans()), min_size=1, max_size=60))
def test_coverage_grows_to_all_and_equal_scores_stay_together(scored: list[tuple[float, bool]]) -> None:
    curve = coverages(scored)

    assert curve[-1].items == len(scored)
    assert curve[-1].share == 1
    assert [one.items for one in curve] == sorted({one.items for one in curve})
    for one in curve:
        taken = [right for score, right in scored if score >= one.threshold]
        assert (one.items, one.wrong) == (len(taken), taken.count(False))


def test_a_threshold_is_suggested_only_when_its_error_is_known_to_be_small() -> None:
    scored = [(float(score), score >= 40) for score in range(100) for _ in range(20)]
    curve = coverages(scored)

    found = threshold_for(0.01, curve)

    assert found
    assert (found.threshold, found.items, found.wrong) == (40, 1_200, 0)
    assert threshold_for(0.001, curve) is None
    everything = threshold_for(0.5, curve)
    assert everything
    assert everything.share == 1


def test_there_is_no_number_from_too_few_of_either_class() -> None:
    many, few = [90.0] * 500, [10.0] * (MIN_OF_EACH - 1)

    for found in (quality(items(many, few)), quality(items(few, many)), quality([])):
        assert (found.separation, found.curve) == ({}, ())
        assert "right and" in (found.too_few or "")
    assert quality([]).error is None
    assert quality(items(many, few)).error

    enough = quality(items(many, [*few, 10.0]))
    assert enough.too_few is None
    assert enough.separation["score"].value == 1
    assert 0.9 < enough.separation["score"].low < 1
    assert enough.separation["agreement"].value == 0.5
