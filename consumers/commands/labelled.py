"""A workflow, a file of labelled cases and what reviews gave in, the cases out; or what is wrong with them.

All of it is told before a model is paid: an answer can never agree with a label that is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from infra import samples
from pipeline import receive
from pipeline.cases import Case, InvalidCasesError, parse
from pipeline.catalogue import Entry
from pipeline.comparators import comparators
from pipeline.errors import InvalidEvent, NotFound
from pipeline.score import complaints

Origin = Literal["reviews", "files", "both"]

_EXAMPLES: Final = "pipeline.workflows"
_HOW: Final = (
    "Write a file with one JSON object per line and name it with --cases: "
    '{"id": "a-1", "data": {...what a sender emits}, "expected": {...the right value of each field, or null}}'
)
_ADD: Final = "Review events, then add them: penstock eval add-from-reviews {}"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Cases that can be run, and where they are from."""

    origin: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class BadCases(Exception):
    """Nothing can be run: every problem, with its line."""

    problems: tuple[str, ...]


def labelled(
    entry: Entry, file: Path | None, *, reviewed: Sequence[Case] = (), origin: Origin = "both"
) -> Labelled:
    """The cases of `file`, else our own samples for the workflow; and those that reviews gave.

    Raises NotFound or BadCases.
    """
    people = Labelled("reviews", tuple(reviewed))
    own = None if file else _own(entry)
    if origin == "reviews" or (origin == "both" and reviewed and not (file or own)):
        if not reviewed:
            raise NotFound(f"there are no cases from reviews. {_ADD.format(entry.workflow.name)}")
        return people
    found = own or _checked(entry, file)
    if origin == "files" or not reviewed:
        return found
    known = {case.id for case in found.cases}
    more = [case for case in people.cases if case.id not in known]
    return Labelled(f"{found.origin} and {len(more)} reviews", (*found.cases, *more))


def _own(entry: Entry) -> Labelled | None:
    """Our samples, which are right by a test of their own."""
    name = entry.workflow.name
    for example in get_args(samples.Name):
        if entry.workflow.extraction.__module__ == f"{_EXAMPLES}.{example}" and name == example:
            read = samples.read(example)
            cases = tuple(Case(one.id, one.data, one.expected) for one in read)
            return Labelled("Penstock's own samples", cases)
    return None


def _checked(entry: Entry, file: Path | None) -> Labelled:
    if file is None:
        raise NotFound(f"there are no cases for {entry.workflow.name!r}. {_HOW}")
    found, places = _read(file)
    wrong = tuple(problems(entry, found.cases, places))
    if wrong:
        raise BadCases(wrong)
    return found


def _read(file: Path) -> tuple[Labelled, list[str]]:
    try:
        text = file.read_text("utf-8")
        cases = parse(text)
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadCases((f"{file}: is not UTF-8 (at byte {error.start})",)) from error
    except InvalidCasesError as error:
        raise BadCases((f"{file}, {error}" if error.line else f"{file}: {error}. {_HOW}",)) from error
    return Labelled(str(file), cases), [f"{file}, line {number}" for number in _lines(text)]


def _lines(text: str) -> Iterator[int]:
    """The numbers of the lines that hold a case, as `pipeline.cases` counts them."""
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), start=1)
    return (number for number, line in lines if line.strip())


def problems(entry: Entry, cases: Sequence[Case], places: Sequence[str]) -> Iterator[str]:
    """What keeps these cases from being run or scored; `places` name them."""
    fields = comparators(entry.workflow.extraction)
    for case, place in zip(cases, places, strict=True):
        try:
            receive.read(entry, dict(case.data))
            receive.plain({}, source="eval", id=case.id, type=entry.workflow.consumes)
        except InvalidEvent as error:
            yield f"{place}: {error}"
        yield from (f"{place}: expected {complaint}" for complaint in complaints(case.expected, fields))
