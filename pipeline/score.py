"""An answer and the labels of its case in, a verdict for each field out."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from pipeline.comparators import Comparator, at, says_nothing

#: Stands for a label that was not given, which is not the same as one that says null.
_UNLABELLED: Final = object()


class Verdict(StrEnum):
    """How a field of an answer relates to its label."""

    RIGHT = "right"
    WRONG = "wrong"
    OMITTED = "omitted"
    INVENTED = "invented"
    RIGHTLY_NULL = "rightly_null"


def score(
    expected: Mapping[str, Any], found: Mapping[str, Any] | None, fields: Mapping[str, Comparator]
) -> dict[str, Verdict]:
    """Verdicts by field; without one: fields that have no label and fields that are compared by meaning.

    `fields` are those of `pipeline.comparators`. `found` is None where no valid answer came: all that
    is labelled is then omitted, and what is labelled null is rightly null, though a report counts no
    field of such a case as exact.
    """
    labels = {name: at(expected, name, default=_UNLABELLED) for name in fields}
    return {
        name: _verdict(labels[name], at(found, name), comparator)
        for name, comparator in fields.items()
        if comparator.normal is not None and labels[name] is not _UNLABELLED
    }


def complaints(expected: Mapping[str, Any], fields: Mapping[str, Comparator]) -> tuple[str, ...]:
    """What is wrong with the labels of a case: names of no field, and values that its type cannot be.

    To be looked at before a model is paid: an answer can never agree with such a label.
    """
    return tuple(_complaints(expected, fields, ""))


def _verdict(expected: object, found: object, comparator: Comparator) -> Verdict:
    if says_nothing(expected):
        return Verdict.RIGHTLY_NULL if says_nothing(found) else Verdict.INVENTED
    if says_nothing(found):
        return Verdict.OMITTED
    return Verdict.RIGHT if comparator.same(expected, found) else Verdict.WRONG


def _complaints(labels: Mapping[str, Any], fields: Mapping[str, Comparator], above: str) -> Iterator[str]:
    for key, label in labels.items():
        name = f"{above}{key}"
        comparator = fields.get(name)
        if comparator is not None:
            yield from _unreadable(name, label, comparator)
        elif not any(field.startswith(f"{name}.") for field in fields):
            yield f"{name}: no such field; there are: {', '.join(fields)}"
        elif isinstance(label, Mapping):
            yield from _complaints(label, fields, f"{name}.")
        elif label is not None:
            yield f"{name}: is an object, label its fields"


def _unreadable(name: str, label: object, comparator: Comparator) -> Iterator[str]:
    if comparator.normal is None or says_nothing(label):
        return
    try:
        comparator.normal(label)
    except ValueError as error:
        yield f"{name}: {label!r} is no label of the kind {comparator.kind}: {error}"
