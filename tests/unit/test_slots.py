"""A process's slots are shared fairly: no lane starves another, no slot idles without need."""

from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.slots import Slots

LANES = ["contracts", "receipts", "support"]
SIZES = st.integers(0, 40)
HELD = st.dictionaries(st.sampled_from(LANES), st.integers(0, 12))


def test_a_lone_lane_takes_all_that_its_cap_allows() -> None:
    slots = Slots(total=10, per_lane=6, lanes=1)

    assert slots.share("receipts", ["receipts"]) == 6


def test_two_due_lanes_take_half_each() -> None:
    slots = Slots(total=10, per_lane=10, lanes=2)

    first = slots.share("receipts", LANES[:2])
    slots.take("receipts", first)
    second = slots.share("contracts", LANES[:2])

    assert (first, second) == (5, 5)


def test_a_late_lane_gets_the_free_slots_first() -> None:
    slots = Slots(total=10, per_lane=10, lanes=2, held={"receipts": 6})

    assert slots.share("receipts", ["receipts", "support"]) == 0
    assert slots.share("support", ["receipts", "support"]) == 4


def test_a_slot_given_back_is_free_again() -> None:
    slots = Slots(total=2, per_lane=2, lanes=1)
    slots.take("receipts", 2)

    slots.give_back("receipts")

    assert slots.free == 1
    assert slots.share("receipts", ["receipts"]) == 1


def test_half_of_all_slots_are_kept_for_the_other_lanes() -> None:
    slots = Slots(total=12, per_lane=12, lanes=3)

    greedy = slots.share("receipts", ["receipts"])
    slots.take("receipts", greedy)

    assert slots.guarantee == 2
    assert greedy == 8
    assert slots.share("receipts", ["receipts"]) == 0
    assert [slots.share(lane, [lane]) for lane in ("contracts", "support")] == [2, 2]


@given(SIZES, SIZES, st.integers(1, 3), st.lists(st.tuples(st.sampled_from(LANES), st.integers(0, 40))))
def test_however_the_others_hang_a_lane_with_none_in_flight_gets_its_guarantee(
    total: int, cap: int, lanes: int, turns: list[tuple[str, int]]
) -> None:
    """The others take all that they are given, or give something back, in any order."""
    late, *others = LANES[:lanes]
    slots = Slots(total, cap, lanes=lanes)

    for lane, ended in turns:
        if lane in others:
            slots.take(lane, slots.share(lane, {lane}))
            slots.give_back(lane, min(ended, slots.held[lane]))

    assert slots.guarantee == min(cap, total // (2 * lanes))
    assert slots.share(late, {late}) >= slots.guarantee
    assert slots.share(late, LANES[:lanes]) >= slots.guarantee


@given(SIZES, SIZES, HELD, st.sampled_from(LANES), st.sets(st.sampled_from(LANES)))
def test_a_share_never_exceeds_what_is_free_or_the_cap(
    total: int, cap: int, held: dict[str, int], lane: str, due: set[str]
) -> None:
    slots = Slots(total, cap, lanes=len(LANES), held=held)

    share = slots.share(lane, due)

    assert 0 <= share <= max(slots.free, 0)
    assert share == 0 or held.get(lane, 0) + share <= cap


@given(SIZES, SIZES, HELD, st.permutations(LANES))
def test_when_all_lanes_are_due_no_slot_idles_and_none_runs_ahead(
    total: int, cap: int, held: dict[str, int], order: list[str]
) -> None:
    assume(sum(held.values()) <= total and all(count <= cap for count in held.values()))
    before = {lane: held.get(lane, 0) for lane in LANES}
    slots = Slots(total, cap, lanes=len(LANES), held=dict(held))

    for _ in range(3):
        for lane in order:
            slots.take(lane, slots.share(lane, LANES))

    assert sum(slots.held.values()) == min(total, cap * len(LANES))
    poorest = min(slots.held.get(lane, 0) for lane in LANES)
    for lane in LANES:
        assert slots.held[lane] == before[lane] or slots.held[lane] <= poorest + 1
