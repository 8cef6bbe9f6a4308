"""What a call costs is a whole number of micro-units, never rounded in our favour."""

from decimal import Decimal

import pytest

from pipeline.record import cost_of
from pipeline.spend import Prices, cost_micros
from schemas.extraction import Usage
from tests.builders import attempt

PRICES = Prices(input=Decimal("2.50"), cached_input=Decimal("1.25"), output=Decimal(10))


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (Usage(), 0),
        (Usage(input_tokens=100, output_tokens=20), 450),
        (Usage(input_tokens=100, output_tokens=20, cached_tokens=60), 375),
        (Usage(input_tokens=1), 3),
        (Usage(input_tokens=5, cached_tokens=9), 12),
    ],
)
def test_tokens_times_prices_rounded_up(usage: Usage, micros: int) -> None:
    assert cost_micros(usage, PRICES) == micros


def test_without_prices_nothing_is_known_of_the_cost() -> None:
    assert cost_micros(Usage(100, 20), None) is None
    assert cost_of([attempt(cost_micros=None)]) is None


def test_attempts_add_up() -> None:
    assert cost_of([attempt(cost_micros=5), attempt(cost_micros=None), attempt(cost_micros=7)]) == 12
