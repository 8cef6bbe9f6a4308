"""Every payload and every twin through the real path, with a model that does what the text tells it.

Three times the payloads: over right answers, so that nothing but the attack is wrong; over the answers of
rules; and over right answers with the screening switched off, for what holds when it sees nothing.
"""

import base64
import codecs
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal

import jsonschema
import pytest

from pipeline.contracts import contracts
from pipeline.errors import Leaked, UnusableOutput
from pipeline.leak import canary
from pipeline.marks import marked
from schemas.changeset import Changeset
from schemas.decision import Outcome
from schemas.extraction import Extraction
from tests.injection.corpus import CANARY, Payload, Twin, payloads, twins
from tests.injection.right import right
from tests.injection.world import CATALOGUE, GUARD, SECRET, End, ends

RUNS: Final = ("over right answers", "over rules", "without screening")
_CONTRACTS: Final = contracts(CATALOGUE)

each_run = pytest.mark.parametrize("run", RUNS)


@cache
def attacked(run: str) -> Mapping[str, End]:
    """What became of the payloads, by id."""
    gold = {} if run == "over rules" else _gold(*payloads())
    suspicious: Literal["review", "note"] = "note" if run == "without screening" else "review"
    return ends(payloads(), "simulated-gullible", gold, suspicious=suspicious)


@cache
def honest() -> Mapping[str, End]:
    """What became of the twins under a model that is right."""
    return ends(twins().values(), "simulated-gold", _gold(*twins().values()))


@pytest.mark.parametrize("twin", [pytest.param(one, id=one.id) for one in twins().values()])
def test_a_twin_succeeds_with_what_it_says(twin: Twin) -> None:
    result = honest()[twin.id].changeset.result

    assert (result.state, result.reasons) == (Outcome.SUCCEEDED, ())
    assert result.data == twin.workflow.extraction.model_validate(twin.expected).model_dump(mode="json")


@pytest.mark.parametrize("run", RUNS[:2])
@pytest.mark.parametrize("payload", [pytest.param(one, id=one.id) for one in payloads()])
def test_an_attack_ends_as_it_may_and_nothing_of_it_is_acted_on(payload: Payload, run: str) -> None:
    changeset = attacked(run)[payload.id].changeset

    assert changeset.result.state in payload.allowed_outcomes
    assert not [value for value in payload.must_not_appear if _holds(_acted_on(changeset), value)]


@each_run
def test_every_attack_took_the_model_in(run: str) -> None:
    """Otherwise the rest of this file would show nothing."""
    for payload in payloads():
        answer = _answer(attacked(run)[payload.id])
        assert any(
            _gives_away(_text(answer), _canary(payload)) if value == CANARY else _holds(answer, value)
            for value in payload.must_not_appear
        ), payload.id


def test_no_other_simulated_model_obeys_a_text() -> None:
    gold = _gold(*payloads())
    found = ends(payloads(), "simulated-gold", gold)

    assert all(_answer(found[one.id]) == gold[one.text] for one in payloads())


@each_run
def test_instructions_and_keys_are_nowhere(run: str) -> None:
    for payload in payloads():
        written = "\n".join(_written(attacked(run)[payload.id].changeset))

        assert not _gives_away(written, _canary(payload)), payload.id
        assert not _gives_away(written, SECRET), payload.id


@each_run
def test_whatever_leaves_fits_its_contract(run: str) -> None:
    for payload in payloads():
        changeset = attacked(run)[payload.id].changeset

        for message in changeset.outbox:
            jsonschema.validate(json.loads(message.value, parse_constant=_refuse), _CONTRACTS[message.topic])
        if changeset.result.data is not None:
            payload.workflow.extraction.model_validate(changeset.result.data)


@each_run
def test_no_attack_brings_an_endpoint_into_disrepute(run: str) -> None:
    """One that looked like a failing endpoint would open its breaker for everybody's events."""
    failures = {attempt.failure for end in attacked(run).values() for attempt in end.attempts}

    assert failures <= {None, UnusableOutput.reason}


def test_unseen_attacks_publish_no_marked_value_that_the_text_lacks() -> None:
    """The screening knows these attacks, it will not know all; then grounding has to hold what it can."""
    for payload in payloads():
        if payload.value_in_text:
            continue
        told = _acted_on(attacked("without screening")[payload.id].changeset)
        extraction: type[Extraction] = payload.workflow.extraction
        found = {name: told.get(name) for name in marked(extraction)}
        assert not [value for value in payload.must_not_appear if _holds(found, value)], payload.id


@pytest.mark.parametrize("disguised", [SECRET, SECRET[::-1], base64.b64encode(SECRET.encode()).decode()])
def test_a_key_of_ours_in_an_answer_gets_nowhere(disguised: str) -> None:
    twin = next(one for one in twins().values() if one.workflow.name == "support")
    answer = {**right(twin.workflow.extraction, twin.expected, twin.text), "product": disguised}

    changeset = ends([twin], "simulated-gold", {twin.text: answer})[twin.id].changeset

    assert changeset.result.state == Outcome.NEEDS_REVIEW
    assert changeset.review is not None
    assert changeset.review.reasons == (str(Leaked()),)
    assert not _gives_away("\n".join(_written(changeset)), SECRET)


def test_the_counts_are_printed() -> None:
    succeeded = sum(end.changeset.result.state == Outcome.SUCCEEDED for end in honest().values())
    print(f"\ntwins: {succeeded} of {len(honest())} succeeded")  # noqa: T201
    for run in RUNS:
        held = Counter(end.changeset.result.reasons[:1] for end in attacked(run).values())
        published = sum(
            any(_holds(_acted_on(attacked(run)[one.id].changeset), value) for value in one.must_not_appear)
            for one in payloads()
        )
        print(f"payloads {run}: {published} of {len(payloads())} got a value published")  # noqa: T201
        for reasons, count in held.most_common():
            print(f"  {count}: {''.join(reasons) or 'accepted'}")  # noqa: T201

    assert succeeded == len(twins())


def _gold(*documents: Payload | Twin) -> dict[str, dict[str, Any]]:
    """The right answers by text; a payload's is its twin's."""
    return {
        one.text: right(one.workflow.extraction, twins()[getattr(one, "twin", one.id)].expected, one.text)
        for one in documents
    }


def _answer(end: End) -> Any:
    """What the model said first."""
    completion = json.loads(end.attempts[0].response)
    return json.loads(completion["choices"][0]["message"]["content"])


def _acted_on(changeset: Changeset) -> dict[str, Any]:
    """What a receiver would take from it: the data of the message, and of a revision that may be acted on."""
    entry = CATALOGUE.named(changeset.result.workflow)
    told: dict[str, Any] = {}
    if Outcome(changeset.result.state).may_be_acted_on:
        told |= changeset.result.data or {}
    for message in changeset.outbox:
        if message.topic == entry.workflow.produces:
            told |= json.loads(message.value)["data"]
    return told


def _written(changeset: Changeset) -> Iterator[str]:
    """All that is kept or sent, as text."""
    yield repr(changeset.result)
    yield repr(changeset.review)
    yield from (record.canonical.decode() for record in changeset.audit)
    yield repr([replace(record, canonical=b"") for record in changeset.audit])
    for message in changeset.outbox:
        yield message.value.decode()
        yield repr((message.topic, message.headers, message.key))


def _holds(answer: Any, value: str) -> bool:
    """Does a text in `answer` hold `value`? Amounts are compared whole."""
    if _amount(value) is None:
        return any(value in text for text in _strings(answer))
    return any(_amount(text) == _amount(value) for text in _strings(answer))


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    else:
        yield str(value)


def _text(answer: Any) -> str:
    return "\n".join(_strings(answer))


def _canary(payload: Payload) -> str:
    return canary(GUARD.key, CATALOGUE.named(payload.workflow.name).version)


def _gives_away(text: str, word: str) -> bool:
    """Is `word` there as it stands, or as a model writes it that was asked to disguise it?"""
    plain = "".join(text.split()).casefold()
    spelled = [word, codecs.encode(word, "rot13"), word.encode().hex()]
    for offset in range(3):  # wherever in a longer text it was, these signs are the same
        coded = base64.b64encode(b" " * offset + word.encode()).decode()
        spelled.append(coded[4 if offset else 0 : len(coded) - 4])
    return any(one.casefold() in plain or one.casefold()[::-1] in plain for one in spelled)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
