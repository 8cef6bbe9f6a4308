"""An extraction in, its fields marked `Evidence` out: the kind of each value, and each mark's flaws."""

import functools
import re
import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Final, Literal, Union

from annotated_types import BaseMetadata, GroupedMetadata
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.evidence import Evidence
from schemas.extraction import Extraction, Money

_WORD: Final = re.compile(r"[^\W_]+")


class Kind(StrEnum):
    """How a value is looked for in the stretch that is to prove it."""

    AMOUNT = "amount"
    NUMBER = "number"
    DATE = "date"
    WORD = "word"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Marked:
    """One marked field; `item` is the annotation of a single value, `bounds` are those of the list.

    `words` are the mark's, and for each other value of an enumeration what tells it from the rest.
    """

    evidence: Evidence
    words: Mapping[str, tuple[str, ...]]
    kind: Kind
    item: Any
    optional: bool
    many: bool
    bounds: tuple[Any, ...]


@functools.cache
def marked(extraction: type[Extraction]) -> Mapping[str, Marked]:
    """The marked fields of an extraction without flaws, by name, in the order of their declaration."""
    found = {}
    for name, info in extraction.model_fields.items():
        peeled = _Peeled.of(info)
        if peeled.evidence:
            item = _Peeled.of(peeled.inner) if peeled.many else peeled
            found[name] = Marked(
                evidence=peeled.evidence,
                words={**_distinctive(_values(item.annotation)), **peeled.evidence.words},
                kind=_kind(item) or Kind.NAME,
                item=Annotated[item.annotation, *item.metadata] if item.metadata else item.annotation,
                optional=peeled.optional,
                many=peeled.many,
                bounds=peeled.bounds,
            )
    return found


def _distinctive(values: tuple[Any, ...]) -> Mapping[str, tuple[str, ...]]:
    """The words of each value that no other one has, else all of its words together.

    "gift card" says neither credit_card nor debit_card.
    """
    own = {value: _WORD.findall(value) for value in values if isinstance(value, str)}
    in_use = Counter(word.casefold() for words in own.values() for word in {*words})
    return {
        value: tuple(word for word in words if in_use[word.casefold()] == 1) or (" ".join(words),)
        for value, words in own.items()
        if words
    }


def flaws(extraction: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Each (field, problem, cure) of the marks in `extraction`."""
    for name, info in extraction.model_fields.items():
        peeled = _Peeled.of(info)
        for inner in _inside(peeled.annotation):
            if _Peeled.of(inner).evidence or _marks_within(inner, seen=()):
                yield name, "carries Evidence inside", "Mark the field itself, at the top of the extraction."
                break
        if any(one is Evidence for one in peeled.metadata):
            yield name, "is marked with the class itself, which asks for nothing", "Write Evidence()."
        if peeled.evidence:
            flawed = list(_flaws_of_mark(name, peeled.evidence))
            yield from flawed or _flaws_of(name, info, peeled, peeled.evidence)


def _flaws_of_mark(name: str, evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """What a type checker would see, and what would let any value pass: not everybody runs one."""
    if evidence.otherwise not in ("review", "null"):
        yield name, f"has otherwise={evidence.otherwise!r}", 'Write otherwise="review" or "null".'
    if not _is_vocabulary(evidence.words):
        cure = 'Write words={"refund": ("refund", "money back")}, or () where the quote alone is enough.'
        yield name, "has words that are no tuples of words", cure


def _is_vocabulary(words: Any) -> bool:
    """A bare string would be read letter by letter, and a blank stands in every text."""
    return isinstance(words, Mapping) and all(
        isinstance(spellings, tuple | list) and all(isinstance(one, str) and one.strip() for one in spellings)
        for spellings in words.values()
    )


def _flaws_of(
    name: str, info: FieldInfo, peeled: "_Peeled", evidence: Evidence
) -> Iterator[tuple[str, str, str]]:
    item = _Peeled.of(peeled.inner) if peeled.many else peeled
    kind = _kind(item)
    if kind is None or (peeled.many and (item.optional or item.many)):
        yield (
            name,
            "cannot be found in a text by its type",
            "Mark a Money, number, date, enum or str, or a list of one of these.",
        )
    if evidence.otherwise == "null" and not peeled.optional:
        yield name, "may not be null when it is not grounded", 'Declare it "| None", or otherwise="review".'
    if not info.is_required() and info.default is not None:
        yield name, "has a default, which no quote proves", "Leave the default away."
    if kind is Kind.WORD and (unknown := evidence.words.keys() - set(_values(item.annotation))):
        yield name, f"has words for {min(unknown)!r}, which is no value of it", "Use the enum's own values."
    if evidence.words and kind not in (Kind.WORD, Kind.NAME):
        yield name, "has words for a value that is not a word", "Leave the words away."


@dataclass(frozen=True, slots=True)
class _Peeled:
    """An annotation without its wrappings `Annotated` and `| None`, and what they said."""

    annotation: Any
    metadata: tuple[Any, ...]
    optional: bool
    evidence: Evidence | None

    @classmethod
    def of(cls, annotation: Any) -> "_Peeled":
        metadata: tuple[Any, ...] = ()
        optional = False
        if isinstance(annotation, FieldInfo):
            annotation, metadata = annotation.annotation, tuple(annotation.metadata)
        while True:
            arms = [arm for arm in typing.get_args(annotation) if arm is not types.NoneType]
            if typing.get_origin(annotation) is Annotated:
                metadata = (*annotation.__metadata__, *metadata)
                annotation = annotation.__origin__
            elif _is_union(annotation) and len(arms) == 1:
                annotation, optional = arms[0], True
            else:
                break
        evidence = next((one for one in reversed(metadata) if isinstance(one, Evidence)), None)
        rest = tuple(one for one in metadata if not isinstance(one, Evidence))
        return cls(annotation, rest, optional, evidence)

    @property
    def many(self) -> bool:
        return typing.get_origin(self.annotation) is list

    @property
    def inner(self) -> Any:
        return typing.get_args(self.annotation)[0]

    @property
    def bounds(self) -> tuple[Any, ...]:
        """What a list of quotes keeps to as well; validators of the list run when it is unwrapped."""
        return tuple(one for one in self.metadata if isinstance(one, BaseMetadata | GroupedMetadata))


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)


#: By these metadata a Decimal is an amount of money.
_MONEY: Final = typing.get_args(Money)[1:]
_PLAIN: Final[Mapping[Any, Kind]] = {
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    date: Kind.DATE,
    str: Kind.NAME,
}


def _kind(peeled: _Peeled) -> Kind | None:
    if peeled.annotation is Decimal and all(one in peeled.metadata for one in _MONEY):
        return Kind.AMOUNT
    values = _values(peeled.annotation)
    if values and all(isinstance(value, str) for value in values):
        return Kind.WORD
    try:
        return _PLAIN.get(peeled.annotation)
    except TypeError:  # not hashable, such as Literal[[]]
        return None


def _values(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ()


def _inside(annotation: Any) -> tuple[Any, ...]:
    """The annotations that an annotation is made of; for a model, itself."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(one for one in typing.get_args(annotation) if not isinstance(one, str | int | bytes))


def _marks_within(annotation: Any, *, seen: tuple[Any, ...]) -> bool:
    """Is any field of the models that `annotation` is made of marked?"""
    peeled = _Peeled.of(annotation)
    if peeled.evidence:
        return True
    annotation = peeled.annotation
    if annotation in seen:
        return False
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        return any(_marks_within(info, seen=(*seen, annotation)) for info in fields)
    return any(_marks_within(inner, seen=seen) for inner in _inside(annotation))
