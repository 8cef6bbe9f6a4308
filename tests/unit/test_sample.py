"""The random audit sample: drawn by the event's id alone, published all the same."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process import process
from pipeline.sample import SAMPLED, is_drawn
from schemas.changeset import Changeset
from schemas.decision import Outcome
from tests.builders import FakeModel, claimed, entry, workflow, world

KEY = b"key of the tests"
GOOD = {"city": "Oban", "amount": "12.50"}
SHARES = st.floats(0, 1)


async def decided(answer: dict[str, Any], share: float) -> Changeset:
    end = await process(claimed(), entry(workflow(audit_share=share)), world(FakeModel(answer)))
    assert isinstance(end, Changeset)
    return end


async def test_a_sampled_event_is_published_and_waits_for_a_person_beside() -> None:
    plain, sampled = await decided(GOOD, 0), await decided(GOOD, 1)

    assert plain.review is None
    assert sampled.review
    assert (sampled.review.sampled, sampled.review.reasons) == (True, (SAMPLED,))
    assert sampled.result == plain.result
    assert sampled.result.state == Outcome.SUCCEEDED
    assert len(sampled.outbox) == len(plain.outbox) == 2
    assert [json.loads(end.audit[0].canonical)["sampled"] for end in (plain, sampled)] == [False, True]


@pytest.mark.parametrize("answer", [{**GOOD, "amount": "100.01"}, {**GOOD, "city": None}])
async def test_what_did_not_succeed_is_never_part_of_the_sample(answer: dict[str, Any]) -> None:
    end = await decided(answer, 1)

    assert end.review is None or not end.review.sampled
    assert json.loads(end.audit[0].canonical)["sampled"] is False


@given(st.uuids(), SHARES, SHARES)
def test_who_is_drawn_for_a_share_is_drawn_for_a_larger_one(event_id: UUID, one: float, other: float) -> None:
    small, large = sorted((one, other))

    def drawn(share: float) -> bool:
        return is_drawn(event_id, workflow="notes", share=share, key=KEY)

    assert drawn(large) or not drawn(small)
    assert (drawn(0), drawn(1)) == (False, True)


def test_the_share_of_events_is_drawn_and_another_key_or_workflow_draws_others() -> None:
    def drawn(name: str, key: bytes) -> set[int]:
        ids = range(20_000)
        return {one for one in ids if is_drawn(UUID(int=one), workflow=name, share=0.05, key=key)}

    ours = drawn("notes", KEY)

    assert 900 < len(ours) < 1_100
    for others in (drawn("notes", b"another key of the tests"), drawn("receipts", KEY)):
        assert len(ours & others) < 120
