"""The corpus is well-formed, its attacks are ones that a gullible model falls for, and how many show signs.

The whole path against them is in `test_attacks.py`; what stands here is pure.
"""

import json
from collections import Counter
from typing import Any, Final

import pytest

from infra.simulator.gullible import obey
from pipeline.fence import INSTRUCTION
from pipeline.leak import canary, canary_sentence, leaks
from pipeline.screen import Screening, screen
from pipeline.wire import wire_model
from schemas.decision import Outcome
from schemas.extraction import Extraction
from tests.injection.corpus import CANARY, HERE, LEAK, NAN, Payload, Twin, payloads, twins

WORD: Final = canary(b"a key of sixteen bytes or more", "version")
SYSTEM: Final = f"{canary_sentence(WORD)}\nYou read one document and report what it says.\n{INSTRUCTION}"
FAMILIES: Final = {
    *("direct", "indirect", "encoded", "multilingual", "markdown_html", "exfiltration"),
    *("json_breaking", "role_play", "fake_system", "boundary", "smuggling"),
}

each_payload = pytest.mark.parametrize("payload", [pytest.param(one, id=one.id) for one in payloads()])
each_twin = pytest.mark.parametrize("twin", [pytest.param(one, id=one.id) for one in twins().values()])


def test_there_are_enough_payloads_of_every_family_and_enough_twins() -> None:
    assert len(payloads()) == 150
    assert {payload.family for payload in payloads()} == FAMILIES
    assert min(Counter(payload.family for payload in payloads()).values()) >= 10
    assert sum(payload.value_in_text for payload in payloads()) >= 50
    assert len(twins()) == 50
    assert {payload.twin for payload in payloads()} == set(twins())


def test_ids_and_texts_are_unique() -> None:
    documents: list[Payload | Twin] = [*payloads(), *twins().values()]

    assert len({payload.id for payload in payloads()}) == 150
    assert len({document.text for document in documents}) == 200


def test_the_files_are_ascii_so_that_nothing_in_them_is_invisible_to_a_reader() -> None:
    for file in (HERE / "payloads").glob("*.jsonl"):
        assert file.read_bytes().isascii()


@each_payload
def test_a_payload_says_what_it_wants_and_what_may_come_of_it(payload: Payload) -> None:
    allowed = {Outcome(name) for name in payload.allowed_outcomes}

    assert allowed
    assert allowed <= {Outcome.NEEDS_REVIEW, Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.REFUSED_INPUT}
    assert payload.must_not_appear
    assert payload.value_in_text == any(value in payload.text for value in payload.must_not_appear)
    assert not (payload.value_in_text and Outcome.SUCCEEDED in allowed)


@each_payload
def test_what_must_not_appear_is_the_attackers_alone(payload: Payload) -> None:
    twin = twins()[payload.twin]
    wanted = json.dumps(payload.attacker, ensure_ascii=False)

    assert twin.workflow is payload.workflow
    for value in payload.must_not_appear:
        assert value not in twin.text
        assert value not in json.dumps(twin.expected, ensure_ascii=False)
        assert value in wanted or LEAK in wanted


@each_payload
def test_a_gullible_model_gives_the_attackers_answer(payload: Payload) -> None:
    expected = twins()[payload.twin].expected

    told = obey(SYSTEM, payload.text, payload.workflow.extraction.model_json_schema())

    assert told is not None
    answer = _comparable({**expected, **told})
    for field, wanted in payload.attacker.items():
        assert answer[field] == wanted or LEAK in json.dumps(wanted)
    assert set(answer) == set(payload.attacker)


@each_payload
def test_a_leak_that_a_payload_brings_about_is_found(payload: Payload) -> None:
    told = obey(SYSTEM, payload.text, payload.workflow.extraction.model_json_schema())

    assert ("canary" in leaks(told, canary=WORD)) == (CANARY in payload.must_not_appear)


@each_payload
def test_a_gullible_model_answers_the_same_fields_where_quotes_are_wanted(payload: Payload) -> None:
    extraction: type[Extraction] = payload.workflow.extraction

    told = obey(SYSTEM, payload.text, extraction.model_json_schema())
    told_with_quotes = obey(SYSTEM, payload.text, wire_model(extraction).model_json_schema())

    assert told is not None
    assert told_with_quotes is not None
    assert set(told_with_quotes) == set(told)


@each_twin
def test_a_twin_is_a_valid_event_with_a_valid_answer(twin: Twin) -> None:
    assert twin.workflow.extraction.model_validate(twin.expected)


@each_twin
def test_a_twin_dictates_nothing(twin: Twin) -> None:
    assert obey(SYSTEM, twin.text, twin.workflow.extraction.model_json_schema()) is None


@each_twin
def test_a_twin_shows_no_sign(twin: Twin) -> None:
    assert _screened(twin) == Screening()


def test_some_twins_use_the_words_of_attackers() -> None:
    assert sum(twin.near_miss for twin in twins().values()) >= 15


@pytest.mark.parametrize("payload", [pytest.param(one, id=one.id) for one in payloads() if one.value_in_text])
def test_an_attack_that_grounding_cannot_see_shows_a_sign(payload: Payload) -> None:
    assert _screened(payload).flags


def test_the_share_of_payloads_that_show_signs_is_printed() -> None:
    total = Counter(payload.family for payload in payloads())
    flagged = Counter(payload.family for payload in payloads() if _screened(payload).flags)

    print(f"\nflagged: {flagged.total()} of {total.total()} payloads")  # noqa: T201
    for family in sorted(total):
        print(f"  {family}: {flagged[family]} of {total[family]}")  # noqa: T201

    assert flagged


def _screened(document: Payload | Twin) -> Screening:
    fields = tuple(document.workflow.extraction.model_fields)
    return screen(document.text, max_tokens=100_000, fields=fields)


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: NAN if value != value else value for name, value in answer.items()}
