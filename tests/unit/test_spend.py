"""What a call costs is a whole number of micro-units, never rounded in our favour."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import cost_of
from pipeline.spend import Prices, cost_micros, worst_case_micros
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


def test_the_worst_case_takes_every_byte_for_a_token_and_every_answer_for_a_full_one() -> None:
    assert worst_case_micros(1_000, 200, PRICES) == 2_500 + 2_000
    assert worst_case_micros(1_000, 200, None) == 0


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.data())
def test_no_call_costs_more_than_its_worst_case(size: int, limit: int, data: st.DataObject) -> None:
    tokens = data.draw(st.integers(0, size))
    usage = Usage(tokens, data.draw(st.integers(0, limit)), data.draw(st.integers(0, tokens)))

    assert (cost_micros(usage, PRICES) or 0) <= worst_case_micros(size, limit, PRICES)


def test_attempts_add_up() -> None:
    assert cost_of([attempt(cost_micros=5), attempt(cost_micros=None), attempt(cost_micros=7)]) == 12
