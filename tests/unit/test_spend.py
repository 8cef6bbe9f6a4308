"""What a call costs is a whole number of micro-units, never rounded in our favour."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import cost_of
from pipeline.spend import Caps, Prices, Rate, asked_of, charge_of, cost_micros, fit, worst_case_micros
from schemas.extraction import Charge, Usage
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


def test_a_rate_rounds_up() -> None:
    assert Rate(100, 1024).of(3) == 103
    assert Rate(100, 1).of(3) == 101
    assert Rate(100, 1).of(0) == 100


@given(size=st.integers(0, 10_000_000), price=st.integers(0, 100_000))
def test_a_rate_is_never_less_than_its_share(size: int, price: int) -> None:
    assert Rate(0, price).of(size) * 1024 >= size * price


def test_caps_of_one_scope_go_before_those_of_all() -> None:
    caps = Caps(total=9, workflow=5, source=3, named={"workflow:notes": 7})

    scopes = ("total", "workflow:notes", "workflow:other", "source:mail")
    assert [caps.of(scope) for scope in scopes] == [9, 7, 5, 3]


def test_what_is_more_than_a_cap_is_never_allowed() -> None:
    caps = Caps(event=10, total=20)

    assert caps.allow(("total",), 10)
    assert not caps.allow(("total",), 11)
    assert not caps.allow(("total",), 5, spent=6)
    assert not Caps(total=20).allow(("total",), 21)


def test_room_goes_to_those_who_come_first_and_smaller_ones_may_pass() -> None:
    free = {"total": 100, "a": 50}
    needs = [{"a": 40, "total": 40}, {"a": 20, "total": 20}, {"b": 60, "total": 60}, {"total": 1}]

    assert fit(needs, free) == [None, "a", None, "total"]


@given(needs=st.lists(st.dictionaries(st.sampled_from("abt"), st.integers(0, 30))))
def test_no_scope_gives_more_than_it_has(needs: list[dict[str, int]]) -> None:
    free = {"a": 40, "b": 25, "t": 60}

    full = fit(needs, free)

    for scope, room in free.items():
        granted = [need for need, blocking in zip(needs, full, strict=True) if blocking is None]
        assert sum(need.get(scope, 0) for need in granted) <= room


def test_a_charge_counts_what_nobody_told_apart() -> None:
    calls = [
        attempt(cost_micros=10),
        attempt(cost_micros=None),
        replace(attempt(cost_micros=7), is_unknown=True),
    ]

    assert charge_of(calls) == Charge(17, unknown=7)


def test_who_was_asked_is_told_by_the_last_call_and_whether_the_first_model_was_enough() -> None:
    failed = attempt("unusable_output")
    strong = replace(attempt(step=1), alias="strong", model_asked="large")
    hit = replace(attempt(), original_id=uuid4())

    told = [asked_of(attempts) for attempts in ([failed, strong], [failed], [attempt()], [hit])]

    assert [one and (one.model, one.answered, one.answered_by_first) for one in told] == [
        ("large", True, False),
        (failed.model_asked, False, False),
        (failed.model_asked, True, True),
        (hit.model_asked, False, False),
    ]
    assert asked_of([]) is None
