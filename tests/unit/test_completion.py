"""Answers of servers that are compatible with OpenAI's, more or less."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from infra.completion import read_completion, told, usage_of
from schemas.extraction import Usage


def answer(**changes: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "{}"}}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**whole, **changes}).encode()


@pytest.mark.parametrize("reason", [None, "eos"])
def test_a_finish_reason_that_openai_does_not_know_is_no_failure(reason: str | None) -> None:
    message = {"role": "assistant", "content": '{"a": 1}'}
    body = answer(choices=[{"index": 0, "finish_reason": reason, "message": message}])

    completion = read_completion(body)

    assert completion.choices[0].message.content == '{"a": 1}'


@pytest.mark.parametrize("body", [b"[]", b"{}", answer(choices=["x"]), answer(choices=None)])
def test_what_is_no_completion_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        read_completion(body)


def test_token_counts_stay_within_what_a_row_can_hold() -> None:
    counts = {"prompt_tokens": 10**30, "completion_tokens": 5, "total_tokens": 1}

    assert usage_of(read_completion(answer(usage=counts))) == Usage(2**40, 5)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        5,
        {"prompt_tokens": 10},
        {"input_tokens": 1, "output_tokens": 3},
        {"prompt_tokens": 10, "completion_tokens": -5},
        {"prompt_tokens": "12", "completion_tokens": "x"},
        {"prompt_tokens": 1.5, "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    ],
)
def test_a_usage_that_tells_no_counts_is_unknown(usage: Any) -> None:
    assert usage_of(read_completion(answer(usage=usage))) is None


@pytest.mark.parametrize("details", [5, [], {"cached_tokens": "x"}, {"cached_tokens": None}])
def test_details_that_cannot_be_read_tell_of_no_cache(details: Any) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": details}

    assert usage_of(read_completion(answer(usage=usage))) == Usage(7, 2)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 112}, Usage(10, 102)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": None}, Usage(10, 2)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 11}, Usage(10, 2)),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 90}},
            Usage(100, 2, 90),
        ),
    ],
)
def test_counts_that_have_two_readings_are_read_as_the_dearer(usage: dict[str, Any], counted: Usage) -> None:
    assert usage_of(read_completion(answer(usage=usage))) == counted


def test_a_word_of_the_provider_is_cleaned_and_cut() -> None:
    assert told("a\0b" * 1_000) == ("a\ufffdb" * 1_000)[:200]
