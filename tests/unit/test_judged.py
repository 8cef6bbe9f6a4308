"""What a person found of the machine's answer, told from audit records alone."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.judged import Judged, judged
from pipeline.process import process
from pipeline.record import degraded
from pipeline.resolve import Subject, Verdict, approve, correct, reject, send_back
from schemas import Answer, Decision, review
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, Facts, FakeModel, Note, claimed, entry, workflow, world

GOOD = {"city": "Oban", "amount": "12.50"}
DOUBTED = {**GOOD, "amount": "100.01"}
VERDICT = Verdict(SCRIBE, NOW)


async def decided(*answers: dict[str, Any], **declared: Any) -> Changeset:
    end = await process(claimed(), entry(workflow(**declared)), world(FakeModel(*answers)))
    assert isinstance(end, Changeset)
    return end


def subject(end: Changeset) -> Subject:
    return Subject(end.event, NOW, end.result)


def approved(end: Changeset) -> Changeset:
    return approve(subject(end), entry(), VERDICT)


def corrected(end: Changeset, **changes: str) -> Changeset:
    return correct(subject(end), entry(), {**(end.result.data or {}), **changes}, VERDICT)


def rejected(end: Changeset) -> Changeset:
    return reject(subject(end), entry(), VERDICT)


def found(*ends: Changeset) -> Judged | None:
    return judged([json.loads(end.audit[0].canonical) for end in ends])


async def test_what_stands_is_right_and_what_was_mended_or_rejected_is_wrong() -> None:
    machine = await decided(DOUBTED)

    for end, right in ((approved(machine), True), (corrected(machine, city="Mull"), False)):
        judgement = found(machine, end)
        assert judgement
        assert (judgement.right, judgement.sampled) == (right, False)
    rejection = found(machine, rejected(machine))
    assert rejection
    assert not rejection.right


async def test_what_was_decided_on_many_at_once_says_nothing() -> None:
    machine = await decided(DOUBTED)
    at_once = replace(VERDICT, in_bulk=True)

    for end in (approve(subject(machine), entry(), at_once), reject(subject(machine), entry(), at_once)):
        assert found(machine, end) is None


async def test_the_last_word_counts_by_what_stands_in_the_end() -> None:
    machine = await decided(DOUBTED)
    mended = corrected(machine, city="Mull")
    approved_again = approved(rejected(machine))

    for ends, right in (
        ((mended, approved(rejected(mended))), False),
        ((mended, corrected(mended, city="Oban")), True),
        ((rejected(machine), approved_again), True),
    ):
        judgement = found(machine, *ends)
        assert judgement
        assert judgement.right is right


async def test_a_policy_sees_the_score_that_is_measured() -> None:
    seen: list[float] = []

    def watching(note: Note, answer: Answer[Facts]) -> Decision:
        seen.append(answer.score)
        return review("large amount")

    machine = await decided(DOUBTED, policy=watching)
    judgement = found(machine, approved(machine))

    assert judgement
    assert seen == [judgement.signals.combined]


async def test_who_is_drawn_at_random_is_told_apart() -> None:
    machine = await decided(GOOD, audit_share=1.0)

    judgement = found(machine, approved(machine))

    assert judgement
    assert (judgement.right, judgement.sampled) == (True, True)


async def test_what_nobody_judged_or_no_model_answered_is_none() -> None:
    machine = await decided(DOUBTED)
    facts = Facts.model_validate(GOOD)
    unasked = await decided(GOOD)
    by_rules = degraded(claimed(), entry(), facts, (), reason="model_timeout", now=NOW, scribe=SCRIBE)

    assert found(machine) is None
    assert found(machine, send_back(subject(machine), entry(), VERDICT)) is None
    assert found(by_rules, approved(by_rules)) is None
    assert found(unasked, corrected(unasked, city="Mull")) is None


def no_skye(note: Any, facts: Facts, received_at: Any) -> str | None:
    return "Skye has no ferry" if facts.city == "Skye" else None


@pytest.mark.parametrize(
    ("answers", "attempts", "complaints", "agreement"),
    [
        ((DOUBTED,), -1, 0, 1),
        (({**GOOD, "city": "Skye"}, DOUBTED), -2, -1, 0),
        (({**GOOD, "city": "Skye"}, {**GOOD, "city": "Skye"}), -2, -2, 1),
    ],
)
async def test_signals_say_what_it_took(
    answers: Sequence[dict[str, Any]], attempts: float, complaints: float, agreement: float
) -> None:
    machine = await decided(*answers, checks=(no_skye,))

    judgement = found(machine, approved(machine))

    assert judgement
    signals = judgement.signals
    assert (signals.attempts, signals.complaints, signals.agreement) == (attempts, complaints, agreement)
    assert (signals.least, signals.grounded) == (100, 1)
    assert signals.combined == pytest.approx(100 + (attempts + 1) / 100)
