"""The exact cache in the story of an event: what is the same question, who takes and who leaves answers."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import cache
from pipeline.cache import Original, Parameters
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.normalise import normalise
from pipeline.process import process
from pipeline.spend import Reservation
from schemas.changeset import Changeset
from schemas.decision import Outcome
from schemas.extraction import Attempt, Charge, Request, Usage
from tests.builders import (
    GUARD,
    Facts,
    FakeJournal,
    FakeLedger,
    FakeModel,
    Note,
    attempt,
    claimed,
    entry,
    received,
    workflow,
    world,
)

GOOD: Final = {"city": "Oban", "amount": "12.50"}
LARGE: Final = {**GOOD, "amount": "100.01"}
WEEK: Final = timedelta(days=7)
CACHED: Final = entry(workflow(cache=WEEK))
ASKED: Final = Parameters("fast-1", 2_000)
TEXT: Final = "12.50 for the ferry to Oban"


def key_of(
    text: str = TEXT,
    *,
    version: str = "5" * 64,
    asked: Parameters = ASKED,
    release: str = "0.0.0",
    secret: bytes = GUARD.key,
) -> bytes:
    return cache.key(version, asked, text, release=release, secret=secret)


class FakeCache:
    """Answers by key; `kept` says which attempt is under which, `asked` what was looked up."""

    def __init__(self, *originals: Original) -> None:
        self.answers = {key_of(): original for original in originals}
        self.kept: dict[bytes, tuple[UUID, str, timedelta]] = {}
        self.asked: list[bytes] = []

    async def find(self, key: bytes, *, workflow: str) -> Original | None:
        self.asked.append(key)
        return self.answers.get(key)

    async def put(self, key: bytes, attempt: Attempt, *, workflow: str, ttl: timedelta) -> None:
        self.kept[key] = (attempt.id, workflow, ttl)


def original(answer: dict[str, Any] | None = None) -> Original:
    made = attempt(answer=answer)
    return Original(UUID(int=99), made.response, "stop", "fast-1-2024", "r-1", "fp")


async def run(
    model: FakeModel,
    kept: FakeCache,
    *,
    claim: Claimed | None = None,
    by: Entry = CACHED,
    journal: FakeJournal | None = None,
) -> Changeset:
    end = await process(claim or claimed(), by, world(model, journal, cache=kept))
    assert isinstance(end, Changeset)
    return end


SAME: Final = [
    ("a\nb", "a\r\nb"),
    ("a\nb", "a\rb"),
    ("a\nb", " \na  \nb\t\n\n"),
    ("caf\u00e9", "cafe\u0301"),
    ("a ?", "a \udcff"),  # as it is sent
]
OTHER: Final = [
    ("Oban", "oban"),
    ("12", "\uff11\uff12"),
    ("\ufb01", "fi"),
    ("10\u201311", "10-11"),
    ("1 000", "1  000"),
    ("12\n500", "12 500"),
    ("a\n\nb", "a\nb"),
    ("pay\u200bpal", "paypal"),
]


@pytest.mark.parametrize(("text", "again"), SAME)
def test_a_text_that_only_came_another_way_is_the_same_question(text: str, again: str) -> None:
    assert key_of(text) == key_of(again)


@pytest.mark.parametrize(("text", "other"), OTHER)
def test_a_text_that_may_mean_something_else_is_another_question(text: str, other: str) -> None:
    assert key_of(text) != key_of(other)


@given(st.text())
def test_what_is_the_same_for_the_cache_is_the_same_for_quotes(text: str) -> None:
    again = cache.normalised(text)

    assert cache.normalised(again) == again
    assert normalise(again).text.split() == normalise(text).text.split()


def test_whatever_shapes_the_answer_is_in_the_key() -> None:
    keys = {
        key_of(),
        key_of("another text"),
        key_of(version="6" * 64),
        key_of(asked=replace(ASKED, model="strong-1")),
        key_of(asked=replace(ASKED, max_output_tokens=4_000)),
        key_of(release="0.0.1"),
        key_of(secret=b"another deployment's"),
    }

    assert len(keys) == 7
    assert {len(key) for key in keys} == {32}


async def test_an_accepted_answer_to_the_first_call_is_kept() -> None:
    kept, journal = FakeCache(), FakeJournal()

    end = await run(FakeModel(GOOD), kept, journal=journal)

    assert end.result.outcome is Outcome.SUCCEEDED
    assert kept.kept == {key_of(): (journal.attempts[0].id, "notes", WEEK)}


async def test_an_answer_that_is_kept_takes_the_place_of_a_call() -> None:
    model, journal, kept = FakeModel(), FakeJournal(), FakeCache(original())

    end = await run(model, kept, journal=journal)

    assert (end.result.outcome, end.result.data, end.result.cost_micros) == (Outcome.SUCCEEDED, GOOD, 0)
    assert end.result.model == "fast-1-2024"
    assert model.calls == []
    (hit,) = journal.attempts
    assert (hit.original_id, hit.alias, hit.model_asked, hit.step) == (UUID(int=99), "fast", "fast-1", 0)
    assert (hit.request, hit.usage, hit.cost_micros, hit.latency_ms) == (Request(b"", ()), Usage(), 0, 0)
    assert (hit.finish_reason, hit.response_id, hit.system_fingerprint) == ("stop", "r-1", "fp")
    assert kept.kept == {}, "it ends when its time is over, however often it is found"


async def test_without_a_time_to_keep_answers_nothing_is_looked_up_or_kept() -> None:
    model, kept = FakeModel(GOOD), FakeCache(original())

    await run(model, kept, by=entry())

    assert len(model.calls) == 1
    assert (kept.asked, kept.kept) == ([], {})


@pytest.mark.parametrize("answer", [LARGE, {**GOOD, "city": None}])
async def test_an_answer_that_the_policy_does_not_accept_is_not_kept(answer: dict[str, Any]) -> None:
    kept = FakeCache()

    await run(FakeModel(answer), kept)

    assert len(kept.asked) == 1
    assert kept.kept == {}


async def test_an_answer_with_which_the_policy_is_not_content_now_is_no_success() -> None:
    end = await run(FakeModel(), FakeCache(original(LARGE)))

    assert end.result.outcome is Outcome.NEEDS_REVIEW


@pytest.mark.parametrize(
    "replies",
    [
        ("unusable_output", GOOD),  # the re-ask
        ("truncated", GOOD),  # with a larger limit
        ("unusable_output", "unusable_output", GOOD),  # the next model
    ],
)
async def test_only_the_first_calls_answer_is_kept(replies: tuple[Any, ...]) -> None:
    kept = FakeCache()

    end = await run(FakeModel(*replies), kept)

    assert end.result.outcome is Outcome.SUCCEEDED
    assert len(kept.asked) == 1
    assert kept.kept == {}


def no_islands(note: Note, facts: Facts, received_at: datetime) -> str | None:
    return "city: no island" if facts.city == "Iona" else None


async def test_a_kept_answer_that_fails_a_check_now_is_a_failed_attempt_and_calls_follow() -> None:
    checking = entry(workflow(cache=WEEK, checks=(no_islands,)))
    model, journal = FakeModel(GOOD), FakeJournal()

    end = await run(model, FakeCache(original({**GOOD, "city": "Iona"})), by=checking, journal=journal)

    assert end.result.outcome is Outcome.SUCCEEDED
    (call,) = model.calls
    assert (call.alias, call.step, "- city: no island" in call.feedback) == ("fast", 1, True)
    assert [made.original_id for made in journal.attempts] == [UUID(int=99), None]
    assert end.result.cost_micros == 10


async def test_a_call_after_a_kept_answer_is_not_paid_by_what_the_claim_reserved_for_the_first() -> None:
    """Else a crash amid the call would find the kept answer in its place, and settle nothing."""
    ledger, checking = FakeLedger(), entry(workflow(cache=WEEK, checks=(no_islands,)))
    kept = FakeCache(original({**GOOD, "city": "Iona"}))

    end = await process(claimed(reserved=100), checking, world(FakeModel(GOOD), ledger=ledger, cache=kept))

    assert isinstance(end, Changeset)
    assert (ledger.asked, end.charge) == ([Reservation(1, 100)], Charge(10))


async def test_an_event_that_has_attempts_goes_on_from_them() -> None:
    model, kept = FakeModel(GOOD), FakeCache(original())

    await run(model, kept, claim=claimed(attempts=(attempt("model_timeout"),)))

    assert len(model.calls) == 1
    assert (kept.asked, kept.kept) == ([], {})


async def test_attempts_of_another_version_do_not_count() -> None:
    old = attempt("model_timeout", version="4" * 64)
    model = FakeModel()

    end = await run(model, FakeCache(original()), claim=claimed(attempts=(old,)))

    assert end.result.outcome is Outcome.SUCCEEDED
    assert model.calls == []


async def test_a_replay_by_a_person_asks_anew_and_leaves_its_answer() -> None:
    model, kept = FakeModel(GOOD), FakeCache(original())

    await run(model, kept, claim=claimed(revision=3))

    assert len(model.calls) == 1
    assert kept.asked == []
    assert list(kept.kept) == [key_of()]


async def test_an_endpoint_that_may_not_be_called_is_not_probed_for_a_kept_answer() -> None:
    model = FakeModel(probed=["fast-1@here"])

    end = await run(model, FakeCache(original()))

    assert end.result.outcome is Outcome.SUCCEEDED
    assert model.closed == set()


async def test_a_text_that_came_another_way_finds_the_answer() -> None:
    event = received({"text": f"{TEXT}\r\n"}, id="note-2")
    model = FakeModel()

    end = await run(model, FakeCache(original()), claim=claimed(event))

    assert end.result.outcome is Outcome.SUCCEEDED
