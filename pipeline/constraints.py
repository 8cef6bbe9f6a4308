"""Two kinds of value of one JSON type in, each constraint that differs out, with how much it matters.

Bounds, formats, patterns and enumerations, without the fields of an object and the items of a list:
those are compared in `pipeline.compatibility`, which also says what is major and why.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from pipeline.alternatives import Schema, allowed, written

Constraint = tuple[str, Literal["minor", "major"]]

#: How tight a bound is, larger being tighter: a tuple, empty where there is none.
_Tightness = tuple[Decimal, ...]


class _Bound(NamedTuple):
    keywords: tuple[str, ...]
    tightness: Callable[[Schema], _Tightness]
    loosened: Literal["minor", "major"]


#: Constraints of JSON Schema that no model of ours uses: a change of one is not understood, so it is major.
_NOT_READ: Final = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "patternProperties"),
    *("propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"),
    *("contentEncoding", "contentMediaType"),
)


def changed_constraints(old: Schema, new: Schema) -> Iterator[Constraint]:
    """What differs between two of `pipeline.alternatives`, the old one's type including the new one's."""
    before, after = allowed(old), allowed(new)
    if before is not None:
        yield from _changed_values(before, after)
    elif after is not None:
        yield "is now one of " + _listed(after), "minor"
        new = _bounded_by(after, old, new)
    for keyword in ("format", "pattern"):
        yield from _changed_text(keyword, old.get(keyword), new.get(keyword))
    for bound in _BOUNDS:
        yield from _changed_bound(bound, old, new)
    yield from _changed_step(old.get("multipleOf"), new.get("multipleOf"))
    if bool(old.get("uniqueItems")) != bool(new.get("uniqueItems")):
        yield (
            ("items may now repeat", "major")
            if old.get("uniqueItems")
            else ("items no longer repeat", "minor")
        )
    for keyword in _NOT_READ:
        if written(old.get(keyword)) != written(new.get(keyword)):
            yield f"{keyword} changed", "major"


def _changed_values(before: list[Any], after: list[Any] | None) -> Iterator[Constraint]:
    if after is None:
        yield f"is no longer one of {_listed(before)}", "major"
        return
    old, new = {written(value) for value in before}, {written(value) for value in after}
    yield from ((f"may now be {value}", "major") for value in sorted(new - old))
    yield from ((f"is no longer {value}", "minor") for value in sorted(old - new))


def _listed(values: list[Any]) -> str:
    return ", ".join(written(value) for value in values)


def _bounded_by(values: list[Any], old: Schema, new: Schema) -> Schema:
    """`new` with the bounds that its listed values have anyway, and `old`'s pattern if all match it."""
    kept = dict(new)
    if all(isinstance(value, str) for value in values):
        lengths = [len(value) for value in values]
        kept |= {"minLength": min(lengths), "maxLength": max(lengths)}
        if "pattern" in old and all(_matches(old["pattern"], value) for value in values):
            kept["pattern"] = old["pattern"]
    elif all(isinstance(value, int | float) for value in values):
        kept |= {"minimum": min(values), "maximum": max(values)}
    return kept


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # Pydantic's engine, which is not Python's, took it
        return False


def _changed_text(keyword: str, old: str | None, new: str | None) -> Iterator[Constraint]:
    if old == new:
        return
    if old is None:
        yield f"{keyword} is now {new}", "minor"
    else:
        yield f"{keyword} was {old}, is now {new or 'not set'}", "major"


def _changed_bound(bound: _Bound, old: Schema, new: Schema) -> Iterator[Constraint]:
    before, after = bound.tightness(old), bound.tightness(new)
    if before != after:
        what = f"{_shown(bound, old) or 'unbounded'}, is now {_shown(bound, new) or 'unbounded'}"
        yield f"was {what}", bound.loosened if after < before else "minor"


def _shown(bound: _Bound, node: Schema) -> str:
    return " and ".join(f"{keyword} {node[keyword]}" for keyword in bound.keywords if keyword in node)


def _changed_step(old: float | None, new: float | None) -> Iterator[Constraint]:
    if old == new:
        return
    kept = old is None or (new is not None and Decimal(str(new)) % Decimal(str(old)) == 0)
    yield f"multipleOf was {old or 'not set'}, is now {new or 'not set'}", "minor" if kept else "major"


def _at_least(keyword: str) -> Callable[[Schema], _Tightness]:
    def tightness(node: Schema) -> _Tightness:
        return (Decimal(node.get(keyword, 0)),)

    return tightness


def _at_most(keyword: str) -> Callable[[Schema], _Tightness]:
    def tightness(node: Schema) -> _Tightness:
        return (-Decimal(node[keyword]),) if keyword in node else ()

    return tightness


def _floor(node: Schema) -> _Tightness:
    """The bound of numbers from below, an exclusive one above an inclusive one at the same value."""
    keywords = (("minimum", 0), ("exclusiveMinimum", 1))
    return max(
        ((Decimal(str(node[key])), Decimal(rank)) for key, rank in keywords if key in node), default=()
    )


def _ceiling(node: Schema) -> _Tightness:
    keywords = (("maximum", 0), ("exclusiveMaximum", 1))
    return max(
        ((-Decimal(str(node[key])), Decimal(rank)) for key, rank in keywords if key in node), default=()
    )


_BOUNDS: Final = (
    _Bound(("minLength",), _at_least("minLength"), "major"),
    _Bound(("maxLength",), _at_most("maxLength"), "minor"),
    _Bound(("minItems",), _at_least("minItems"), "major"),
    _Bound(("maxItems",), _at_most("maxItems"), "minor"),
    _Bound(("minProperties",), _at_least("minProperties"), "major"),
    _Bound(("maxProperties",), _at_most("maxProperties"), "minor"),
    _Bound(("minimum", "exclusiveMinimum"), _floor, "major"),
    _Bound(("maximum", "exclusiveMaximum"), _ceiling, "major"),
)
