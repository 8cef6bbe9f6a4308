"""What a person wrote in place of an extraction in, checked data out; and the evidence that it leaves."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from pipeline.catalogue import Entry
from pipeline.errors import InvalidCorrection, InvalidEvent
from pipeline.receive import parse

#: More problems than these are not read anyway.
_NAMED: Final = 5
#: What Pydantic says of these is for programmers.
_TOLD: Final = {
    "list_type": 'write a list as JSON, such as ["one", "two"]',
    "model_type": 'write it as JSON, such as {"name": "one"}',
    "model_attributes_type": 'write it as JSON, such as {"name": "one"}',
}
_STEP: Final = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


def checked(entry: Entry, data: Any) -> dict[str, Any]:
    """`data` as the workflow's schema spells it; strict: nothing is converted, no field is unknown.

    Raises InvalidCorrection, which names the fields.
    """
    problems = list(_problems(entry, data))
    if problems:
        told = "; ".join(f"{place or 'the result'}: {message}" for place, message in problems[:_NAMED])
        fields = {place.partition(".")[0].partition("[")[0] for place, _ in problems}
        raise InvalidCorrection(f"does not fit {entry.workflow.name}: {told}", fields=fields)
    value: dict[str, Any] = _read(entry, data).model_dump(mode="json")
    return value


def edited(entry: Entry, data: Mapping[str, Any] | None, settings: Mapping[str, str]) -> dict[str, Any]:
    """`data`, or nulls, with fields set to what a person typed; raises InvalidCorrection.

    A typed value is a text where the field takes one, else JSON; `null` is null where the field takes it.
    Blanks around it, which nobody sees, count where the field takes them.
    """
    fields = entry.workflow.extraction.model_fields
    made = dict.fromkeys(fields) if data is None else dict(data)
    for name, typed in settings.items():
        if name not in fields:
            raise InvalidCorrection(f"there is no field {name!r}; fields: {', '.join(fields)}")
        meant = list(_meant(typed))
        # Of what does not fit, a list or an object is told of by its parts.
        otherwise = meant[-1] if isinstance(meant[-1], (list, dict)) else typed
        made[name] = next((one for one in meant if _takes(fields[name], one)), otherwise)
    return made


def still_true(
    evidence: Mapping[str, Any], before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> dict[str, Any]:
    """The evidence (by path, such as `amount` or `parties[0]`) of values that are the same as before."""
    return {path: found for path, found in evidence.items() if _at(before, path) == _at(after, path)}


def _meant(typed: str) -> Iterator[Any]:
    if typed == "null":
        yield None
    yield typed
    yield typed.strip()
    try:
        yield parse(typed.encode())
    except (InvalidEvent, UnicodeEncodeError):
        return


def _takes(field: FieldInfo, value: Any) -> bool:
    """By itself: the other fields may still be wrong."""
    kind: Any = Annotated[field.annotation, field]
    adapter = TypeAdapter[Any](kind)
    try:
        read = adapter.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return not list(_converted(value, adapter.dump_python(read, mode="json"), ""))


def _problems(entry: Entry, data: Any) -> Iterator[tuple[str, str]]:
    """Place and message of whatever does not fit, without the values."""
    try:
        read = _read(entry, data).model_dump(mode="json")
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            told = _TOLD.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
            yield ".".join(map(str, detail["loc"])), told
    except ValueError as error:
        yield "", f"no JSON: {error}"
    else:
        yield from _converted(data, read, "")


def _converted(data: Any, read: Any, place: str) -> Iterator[tuple[str, str]]:
    """Where a value was taken for one of another kind, such as "5" for 5.

    Pydantic's strict mode cannot tell: behind a `before` validator it wants Python's own dates and decimals.
    """
    if isinstance(data, dict) and isinstance(read, dict):
        for name in data.keys() & read.keys():
            yield from _converted(data[name], read[name], f"{place}.{name}".lstrip("."))
    elif isinstance(data, list) and isinstance(read, list):
        for number, (one, other) in enumerate(zip(data, read, strict=False)):
            yield from _converted(one, other, f"{place}[{number}]")
    elif _kind(data) is not _kind(read):
        yield place, f"write it as {json.dumps(read)}"


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _read(entry: Entry, data: Any) -> Any:
    return entry.workflow.extraction.model_validate_json(json.dumps(data, allow_nan=False))


def _at(data: Any, path: str) -> Any:
    for name, number in _STEP.findall(path):
        try:
            data = data[int(number)] if number else data[name]
        except (KeyError, IndexError, TypeError):
            return None
    return data
