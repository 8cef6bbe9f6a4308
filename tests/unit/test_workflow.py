"""A wrong declaration is refused with file, field and cure."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pipeline import PromptFile, Source
from pipeline.bounds import unbounded
from pipeline.errors import InvalidWorkflowError
from schemas import Answer, Decision, Extraction, Money, Text, accept
from tests.builders import NOTES, Facts, Note, workflow


async def waits(note: Note, answer: Answer[Facts]) -> Decision:
    return accept()


def reads_another_event(note: Facts, answer: Answer[Facts]) -> Decision:
    return accept()


def takes_a_bare_answer(note: Note, answer: Facts) -> Decision:
    return accept()


class Other(Extraction):
    city: Annotated[str, Text(10)]


def takes_another_answer(note: Note, answer: Answer[Other]) -> Decision:
    return accept()


def returns_a_word(note: Note, answer: Answer[Facts]) -> str:
    return "accept"


def takes_one(note: Note) -> Decision:
    return accept()


def names_the_unknown(note: "Nobody", answer: Answer[Facts]) -> Decision:  # type: ignore[name-defined]  # noqa: F821
    return accept()


def has_no_annotations(note, answer):  # type: ignore[no-untyped-def]
    return accept()


def answers_something_else(note: Note) -> Other | None:
    return None


def answers_another_event(facts: Facts) -> Facts | None:
    return None


async def answers_later(note: Note) -> Facts | None:
    return None


def answers_always(note: Note) -> Facts:
    return Facts(city=None, amount=None)


def answers_sometimes(note: Note) -> Facts | None:
    return None


def answers_sometimes_as_of_old(note: Note) -> Optional[Facts]:  # noqa: UP045
    return None


def complains(note: Note, facts: Facts, received_at: datetime) -> str | None:
    return None


async def complains_later(note: Note, facts: Facts, received_at: datetime) -> str | None:
    return None


def holds(note: Note, facts: Facts, received_at: datetime) -> bool:
    return True


class Empty(Extraction):
    pass


class Person(BaseModel):
    born: date = Field(serialization_alias="birthday")


class Renamed(Extraction):
    class_: Annotated[str, Text(20)] = Field(alias="class")
    person: Person


def by_rules(fallback: object) -> dict[str, Any]:
    return {"on_failure": "degraded", "fallback": fallback}


PROMPT_OF_ELEVEN_LINES = "\n".join(["Find the city."] * 11)

WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"name": "Notes"}, "name", "is no name", "a-z"),
    ({"name": "n" * 41}, "name", "is no name", "at most 40"),
    ({"name": ""}, "name", "is no name", "a-z"),
    ({"consumes": "notes written"}, "consumes", "is no topic", "domain.fact.v1"),
    ({"produces": ""}, "produces", "is no topic", "domain.fact.v1"),
    ({"produces": "notes.written.v1"}, "produces", "consumes", "their own topic"),
    ({"produces": "notes.written.v1.dead"}, "produces", "consumes", "their own topic"),
    ({"models": ()}, "models", "names no model", '("fast", "strong")'),
    ({"models": ("Fast!",)}, "models", "names no model", '("fast", "strong")'),
    ({"models": "fast"}, "models", "names no model", '("fast", "strong")'),
    ({"models": ("fast", "fast")}, "models", "twice", "once"),
    ({"event": dict}, "event", "is no Event", "Derive it"),
    ({"extraction": Note}, "extraction", "is no Extraction", "Derive it"),
    ({"extraction": Renamed}, "extraction", "has aliases: birthday, class", "such as class_"),
    ({"extraction": Empty}, "extraction", "has no field", "Declare"),
    ({"prompt": " \n"}, "prompt", "is empty", "Say what"),
    ({"prompt": PROMPT_OF_ELEVEN_LINES}, "prompt", "more than 10 lines", 'PromptFile("notes.md")'),
    ({"text": "text"}, "text", "is no function", "text=lambda"),
    ({"checks": complains}, "checks", "no tuple of functions", "checks=(adds_up,)"),
    ({"checks": ("adds up",)}, "checks", "no tuple of functions", "checks=(adds_up,)"),
    ({"checks": (takes_one,)}, "checks(takes_one)", "three arguments", "(event, value, received_at)"),
    ({"checks": (holds,)}, "checks(holds)", "returns a bool", "in words, or None"),
    ({"checks": (complains_later,)}, "checks(complains_later)", "is async", "waits for nothing"),
    ({"suspicious": "reveiw"}, "suspicious", "'reveiw' is no answer", '"review" or "note"'),
    ({"max_tokens": 0}, "max_tokens", "0 is no number", "max_tokens=32_000"),
    ({"cache": timedelta(0)}, "cache", "no time to keep", "timedelta(days=7)"),
    ({"cache": timedelta(days=-1)}, "cache", "no time to keep", "timedelta(days=7)"),
    ({"cache": timedelta(days=90, microseconds=1)}, "cache", "no time to keep", "at most 90 days"),
    ({"cache": 3600}, "cache", "3600 is no time", "timedelta(days=7)"),
    ({"cache": True}, "cache", "True is no time", "timedelta(days=7)"),
    ({"policy": None}, "policy", "is no function", "policy(event, answer)"),
    ({"policy": takes_one}, "policy", "does not take two arguments", "policy(event, answer)"),
    ({"policy": waits}, "policy", "is async", "waits for nothing"),
    ({"policy": names_the_unknown}, "policy", "'Nobody'", "Import it"),
    ({"policy": reads_another_event}, "policy(note)", "declared as Facts", "Declare it as Note"),
    ({"policy": takes_a_bare_answer}, "policy(answer)", "declared as Facts", "as Answer[Facts]"),
    ({"policy": takes_another_answer}, "policy(answer)", "as Answer[Other]", "as Answer[Facts]"),
    ({"policy": returns_a_word}, "policy(return)", "declared as str", "as Decision"),
    ({"deadline": timedelta(0)}, "deadline", "no time", "100 ms to an hour"),
    ({"deadline": timedelta(seconds=-1)}, "deadline", "no time", "100 ms to an hour"),
    ({"deadline": timedelta(hours=1, seconds=1)}, "deadline", "no time", "100 ms to an hour"),
    ({"deadline": 300}, "deadline", "300", "100 ms to an hour"),
    ({"audit_share": 1.5}, "audit_share", "1.5 is no share", "audit_share=0.02"),
    ({"audit_share": True}, "audit_share", "True is no share", "audit_share=0.02"),
    ({"audit_share": float("nan")}, "audit_share", "nan is no share", "audit_share=0.02"),
    ({"on_failure": "retry"}, "on_failure", "'retry'", '"review", "dead" or "degraded"'),
    ({"fallback": answers_sometimes}, "fallback", "never asked", 'on_failure="degraded"'),
    (
        {"fallback": answers_sometimes, "on_failure": "dead"},
        "fallback",
        "never asked",
        'on_failure="degraded"',
    ),
    ({"on_failure": "degraded"}, "fallback", "is no function", "fallback(event) -> Facts | None"),
    (by_rules(takes_another_answer), "fallback", "does not take one argument", "fallback(event) -> Facts"),
    (by_rules(answers_later), "fallback", "is async", "waits for nothing"),
    (by_rules(answers_another_event), "fallback(facts)", "declared as Facts", "as Note"),
    (by_rules(answers_something_else), "fallback(return)", "as Other | None", "as Facts | None"),
]


@pytest.mark.parametrize(("change", "field", "problem", "cure"), WRONG)
def test_a_wrong_declaration_names_field_problem_and_cure(
    change: dict[str, Any], field: str, problem: str, cure: str
) -> None:
    with pytest.raises(InvalidWorkflowError) as raised:
        workflow(**change)

    assert raised.value.field == field
    assert problem in raised.value.problem
    assert cure in raised.value.cure


def test_the_message_starts_with_the_file_of_the_policy() -> None:
    with pytest.raises(InvalidWorkflowError) as raised:
        workflow(policy=returns_a_word)

    assert raised.value.file == __file__
    assert str(raised.value).startswith(f"{__file__}: policy(return): is declared as str. ")


def test_answers_are_kept_for_ninety_days_at_most_and_not_at_all_unless_asked_for() -> None:
    assert workflow().cache is None
    assert workflow(cache=timedelta(days=90)).cache == timedelta(days=90)


def test_a_policy_without_annotations_is_taken_at_its_word() -> None:
    assert workflow(policy=has_no_annotations).policy is has_no_annotations


@pytest.mark.parametrize(
    "fallback", [answers_always, answers_sometimes, answers_sometimes_as_of_old, lambda note: None]
)
def test_a_fallback_answers_always_or_sometimes(fallback: Any) -> None:
    assert workflow(**by_rules(fallback)).fallback is fallback


@pytest.mark.parametrize("deadline", [timedelta(milliseconds=100), timedelta(minutes=5), timedelta(hours=1)])
def test_a_deadline_is_at_most_an_hour(deadline: timedelta) -> None:
    assert workflow(deadline=deadline).deadline == deadline


def test_mypy_refuses_a_wrong_fallback_too() -> None:
    """An ignore that mypy does not need is an error."""
    with pytest.raises(InvalidWorkflowError):
        replace(NOTES, on_failure="degraded", fallback=answers_something_else)  # type: ignore[arg-type]
    with pytest.raises(InvalidWorkflowError):
        replace(NOTES, on_failure="degraded", fallback=answers_another_event)  # type: ignore[arg-type]
    with pytest.raises(InvalidWorkflowError):
        replace(NOTES, on_failure="degraded", fallback=answers_later)  # type: ignore[arg-type]


def test_a_prompt_of_ten_lines_stays_in_the_declaration() -> None:
    prompt = "\n".join(["Find the city."] * 10) + "\n"

    assert workflow(prompt=prompt).prompt == prompt


class Open(BaseModel):
    note: str


class Node(BaseModel):
    next: Optional["Node"]


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


BOUNDED = Annotated[str, Text(10)]

UNBOUNDED: list[tuple[Any, str, str]] = [
    (str, "f", "string without a length"),
    (str | None, "f", "string without a length"),
    (str | int, "f", "string without a length"),
    (bytes, "f", "string without a length"),
    (list[BOUNDED], "f", "list without a length"),
    (set[int], "f", "list without a length"),
    (Annotated[list[str], Field(max_length=3)], "f[]", "string without a length"),
    (tuple[int, str], "f[]", "string without a length"),
    (tuple[int, ...], "f", "list without a length"),
    (dict[str, int], "f", "open mapping"),
    (dict[str, BOUNDED], "f", "open mapping"),
    (Anything, "f", "open mapping"),
    (Any, "f", "takes any value"),
    (object, "f", "takes any value"),
    (Open, "f.note", "string without a length"),
    (Annotated[list[Open], Field(max_length=3)], "f[].note", "string without a length"),
    (Node, "f.next", "refers to itself"),
]


def extraction_with(kind: Any) -> type[Extraction]:
    return type("Made", (Extraction,), {"__annotations__": {"f": kind}})


@pytest.mark.parametrize(("kind", "path", "problem"), UNBOUNDED)
def test_what_has_no_bound_is_named_by_its_path(kind: Any, path: str, problem: str) -> None:
    (found,) = unbounded(extraction_with(kind))

    assert found[0] == path
    assert problem in found[1]


def test_a_bare_decimal_is_told_to_be_money() -> None:
    ((path, _, cure),) = unbounded(extraction_with(Decimal))

    assert path == "f"
    assert "Money" in cure


@pytest.mark.parametrize(
    "kind",
    [
        BOUNDED,
        BOUNDED | None,
        Money,
        int,
        float,
        bool,
        Literal["a", "b"],
        date,
        UUID,
        Annotated[list[BOUNDED], Field(max_length=3)],
        tuple[int, BOUNDED],
        Facts,
    ],
)
def test_what_has_a_bound_is_taken(kind: Any) -> None:
    assert list(unbounded(extraction_with(kind))) == []


def test_a_workflow_with_an_unbounded_field_names_the_field() -> None:
    def decides(note: Note, answer: Any) -> Decision:
        return accept()

    with pytest.raises(InvalidWorkflowError, match=r"Made\.f: is a string without a length\. Write"):
        workflow(extraction=extraction_with(str), policy=decides)


@pytest.mark.parametrize("name", ["Shop", "", "s" * 41, "my shop"])
def test_a_source_needs_a_name(name: str) -> None:
    with pytest.raises(InvalidWorkflowError, match="name: is no name"):
        Source(name=name, topic="notes.written.v1")


def test_a_prompt_may_be_a_file() -> None:
    assert workflow(prompt=PromptFile("x.md")).prompt != NOTES.prompt
