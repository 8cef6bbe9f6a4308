"""What `penstock review quality` prints of measured groups."""

import pytest

from consumers.commands import quality
from consumers.quality import Measured
from pipeline.confidence import quality as measured
from pipeline.judged import Judged, Signals


def judgements(number: int, least: float, *, right: bool, sampled: bool = True) -> list[Judged]:
    return [Judged(right=right, sampled=sampled, signals=Signals(least, least, 1.0, -1.0, 0.0, 1.0))] * number


def printed(capsys: pytest.CaptureFixture[str], sample: list[Judged], waiting: int = 0) -> str:
    quality._show(Measured("notes", measured(sample), measured([]), waiting), 0.01)
    return capsys.readouterr().out


def test_a_signal_is_told_with_its_interval_and_a_threshold_with_what_it_rests_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = printed(capsys, judgements(940, 100, right=True) + judgements(60, 91, right=False), waiting=3)

    assert "1000 judged, 60 wrong: 6.0% (4.7% to 7.6%)" in told
    assert "score            AUROC 1.00 (0.98 to 1.00)\n" in told
    assert "agreement        AUROC 0.50 (0.43 to 0.57)  no better than chance" in told
    assert "the best  94% (score 100.00): 0.0% (0.0% to 0.4%) wrong" in told
    assert "accept where answer.score >= 100.00: 94% of what succeeds, 0 of 940 judged wrong" in told
    assert "3 of the sample still wait" in told


def test_where_no_error_is_small_enough_for_sure_none_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, judgements(60, 100, right=True) + judgements(40, 91, right=False))

    assert "No threshold keeps errors under 1.0% for sure" in told
