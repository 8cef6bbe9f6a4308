"""A type in, how two values of it are compared out: the declaration of a field says it, no configuration.

Two values are the same when their normal forms are equal:

- text: NFKC, case folded, apostrophes and invisible characters dropped, other punctuation read as white
  space, white space collapsed ("ACME, Inc." is "Acme Inc"); symbols such as + and $ count;
- amount and whole number: the exact value, 12.5 is 12.50;
- number: nine significant digits;
- date, moment: the day; the instant, in UTC where a zone is given;
- choice (enumerations, literals, booleans): the value, which must be one of the listed;
- set (every list): the elements' normal forms, in any order, each as often as it occurs;
- record (an object inside a list): all its fields; an object elsewhere is compared field by field;
- exact: the JSON text, for what is none of these;
- meaning: nothing, two sentences may say the same; mark such a field with `ByMeaning()`.
"""

import datetime
import json
import types
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel

#: The normal form of a value; raises ValueError for a value that is none of the type.
Normal = Callable[[Any], Hashable]


@dataclass(frozen=True, slots=True)
class ByMeaning:
    """Marks a field that is right in many words, and not scored: `Annotated[str, Text(300), ByMeaning()]`."""


@dataclass(frozen=True, slots=True)
class Comparator:
    """How the values of one field are compared: `kind` names it in reports, None for `normal`: not at all."""

    kind: str
    normal: Normal | None

    def same(self, one: object, other: object) -> bool:
        """Are both values of the type, and the same?"""
        if self.normal is None:
            return False
        try:
            return self.normal(one) == self.normal(other)
        except ValueError:
            return False


def comparators(extraction: type[BaseModel]) -> dict[str, Comparator]:
    """The comparator of every field, a nested object's as `address.city`, in the order of declaration."""
    found: dict[str, Comparator] = {}
    for name, field in extraction.model_fields.items():
        # Pydantic keeps the marks of the outermost Annotated apart.
        kind, marked = _bare(field.annotation)
        if marked or any(isinstance(mark, ByMeaning) for mark in field.metadata):
            found[name] = _BY_MEANING
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= {f"{name}.{deeper}": value for deeper, value in comparators(kind).items()}
        else:
            found[name] = _comparator(kind)
    return found


def says_nothing(value: object) -> bool:
    """Null, blank, or a list of nothing else: a label or an answer that the text does not say it."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, Sequence | Set):
        return all(says_nothing(item) for item in value)
    return value is None


def _bare(annotation: Any) -> tuple[Any, bool]:
    """An annotation without `| None` and `Annotated`, and whether it was marked as compared by meaning."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        kind, marked = _bare(inner)
        return kind, marked or any(isinstance(mark, ByMeaning) for mark in marks)
    if get_origin(annotation) in (Union, types.UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not type(None)]
        if len(choices) == 1:
            return _bare(choices[0])
    return annotation, False


def _comparator(annotation: Any) -> Comparator:
    kind, marked = _bare(annotation)
    if marked:
        return _BY_MEANING
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return Comparator("choice", _choice(arguments))
    if origin in (list, set, frozenset, Sequence) or (origin is tuple and arguments[1:] == (...,)):
        element = _comparator(arguments[0])
        return Comparator(f"set of {element.kind}", element.normal and _set(element.normal))
    if not isinstance(kind, type):
        return _EXACT
    if issubclass(kind, Enum):
        return Comparator("choice", _choice(tuple(member.value for member in kind)))
    if issubclass(kind, BaseModel):
        return Comparator("record", _record(comparators(kind)))
    # bool is an int and datetime a date: the narrower type stands first.
    return next((comparator for base, comparator in _BY_TYPE if issubclass(kind, base)), _EXACT)


def _text(value: object) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", str(value)).casefold())
    return " ".join("".join(map(_read_as, folded)).split()) or " ".join(folded.split())


def _read_as(character: str) -> str:
    if character in "'\u2019\u02bc" or unicodedata.category(character) == "Cf":
        return ""
    return " " if unicodedata.category(character).startswith("P") else character


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("is no amount") from error
    if not amount.is_finite():
        raise ValueError("is no finite amount")
    return amount


def _number(value: object) -> Decimal:
    return Context(prec=9).create_decimal(_amount(value))


def _date(value: object) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value))


def _moment(value: object) -> datetime.datetime:
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment


def _choice(values: tuple[object, ...]) -> Normal:
    def normal(value: object) -> str:
        plain = value.value if isinstance(value, Enum) else value
        if _exact(plain) not in map(_exact, values):
            raise ValueError(f"is none of {', '.join(map(str, values))}")
        return _exact(plain)

    return normal


def _set(element: Normal) -> Normal:
    def normal(value: Iterable[object]) -> Hashable:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise ValueError("is no list")
        return frozenset(Counter(element(item) for item in value if not says_nothing(item)).items())

    return normal


def _record(fields: Mapping[str, Comparator]) -> Normal:
    def normal(value: object) -> Hashable:
        found = []
        for name, comparator in fields.items():
            part = at(value, name)
            if comparator.normal is not None and not says_nothing(part):
                found.append((name, comparator.normal(part)))
        return tuple(found)

    return normal


def at(value: object, path: str, *, default: object = None) -> object:
    """What stands at `address.city`; None below a null, `default` where a name is missing."""
    for name in path.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def _exact(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


_BY_MEANING: Final = Comparator("meaning", None)
_EXACT: Final = Comparator("exact", _exact)
_BY_TYPE: Final[tuple[tuple[type, Comparator], ...]] = (
    (bool, Comparator("choice", _choice((True, False)))),
    (Decimal, Comparator("amount", _amount)),
    (int, Comparator("number", _amount)),
    (float, Comparator("number", _number)),
    (datetime.datetime, Comparator("moment", _moment)),
    (datetime.date, Comparator("date", _date)),
    (str, Comparator("text", _text)),
)
