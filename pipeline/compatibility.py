"""Two JSON Schemas of what a topic carries in; what the change means to those who receive it out.

A receiver was written for the old schema, ignores fields that it does not know and does not ask us
before it reads on. So a change is

- **major** when a value may now come that the old schema excluded: a field removed or renamed, or no
  longer always there; another or a wider type; null where there was none; a new word in an enumeration
  (receivers switch on it, and a closed list promised that these are all); a format or pattern changed
  or dropped; a lower bound, a bound of a number, uniqueness or a multiple loosened (what is empty or
  negative surprises);
- **minor** when nothing that was promised is taken back: a field added, anything tightened, a
  description. A *longer* text or list is minor too, although the old schema excludes it: these bounds
  limit what a model can do, and an author whom 200 instead of 160 characters cost a new topic would
  declare 20,000 from the start.

Titles and the order of fields mean nothing. Schemas may refer to themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.alternatives import ANNOTATIONS, Schema, alternatives, resolved, written
from pipeline.constraints import changed_constraints

Level = Literal["none", "minor", "major"]

_CALLED: Final = {
    **{kind: f"a {kind}" for kind in ("string", "number", "boolean")},
    **{"integer": "an integer", "object": "an object", "array": "a list", "null": "null", "any": "any value"},
}
#: Every value of a type on the right is one of the type on the left, too.
_WIDER: Final = {"number": ("integer",), "any": tuple(_CALLED)}
_ANY: Final[Schema] = {}


@dataclass(frozen=True, slots=True)
class Reason:
    """One difference: where (`data.parties[]`; empty at the top), what, and how much it matters."""

    path: str
    what: str
    level: Literal["minor", "major"]

    def __str__(self) -> str:
        return f"{self.level}: {self.path or '(top)'}: {self.what}"


@dataclass(frozen=True, slots=True)
class Change:
    """All differences between two schemas, in the order of the fields."""

    reasons: tuple[Reason, ...] = ()

    @property
    def level(self) -> Level:
        """The gravest level among the reasons."""
        if any(reason.level == "major" for reason in self.reasons):
            return "major"
        return "minor" if self.reasons else "none"


def compare(old: Schema, new: Schema) -> Change:
    """What receivers of `old` must expect of `new`, both whole schemas with their `$defs`."""
    return Change(tuple(dict.fromkeys(_Comparison(old, new).of(old, new))))


class _Comparison:
    """Compares nodes of two schemas, each pair once: that ends cycles, and keeps shared parts cheap."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        # By identity: both roots are held above, so that no id is used twice.
        self._found: dict[tuple[int, int], tuple[Reason, ...]] = {}

    def of(self, old: Schema, new: Schema) -> tuple[Reason, ...]:
        """Differences of two nodes that stand in the schemas, with paths that start at them."""
        pair = (id(old), id(new))
        if pair not in self._found:
            # A pair that meets itself adds nothing: what differs is reported where it began.
            self._found[pair] = ()
            notes = _notes(resolved(old, self._old), resolved(new, self._new))
            self._found[pair] = (*notes, *self._kinds(old, new))
        return self._found[pair]

    def _kinds(self, old: Schema, new: Schema) -> Iterator[Reason]:
        before, after = list(alternatives(old, self._old)), list(alternatives(new, self._new))
        matches = [(_match(before, kind), kind) for kind in after]
        matched = [written(match) for match, _ in matches if match is not None]
        gone = [kind for kind in before if written(kind) not in matched]
        come = [kind for match, kind in matches if match is None]
        yield from _come_and_gone(gone, come)
        for match, kind in matches:
            if match is not None:
                yield from self._same_kind(match, kind)

    def _same_kind(self, old: Schema, new: Schema) -> Iterator[Reason]:
        yield from _notes(old, new)
        if old["type"] != new["type"]:
            what = f"was {_CALLED[old['type']]}, is now always {_CALLED[new['type']]}"
            yield Reason("", what, "minor")
            if not old.keys() - {"type", "title", *ANNOTATIONS}:
                return
        yield from (Reason("", what, level) for what, level in changed_constraints(old, new))
        yield from self._fields(old, new)
        yield from self._items(old, new)

    def _fields(self, old: Schema, new: Schema) -> Iterator[Reason]:
        before, after = old.get("properties", {}), new.get("properties", {})
        added = [name for name in after if name not in before]
        for name, field in before.items():
            if name not in after:
                renamed = [other for other in added if self._alike(field, after[other])]
                hint = f", or renamed to {renamed[0]!r}" if len(renamed) == 1 else ""
                yield Reason(name, f"removed{hint}", "major")
                continue
            yield from _under(name, self.of(field, after[name]))
            yield from _presence(name, name in old.get("required", ()), name in new.get("required", ()))
        yield from (Reason(name, "added", "minor") for name in added)
        yield from self._others(old, new)

    def _alike(self, old: Schema, new: Schema) -> bool:
        return _bare(resolved(old, self._old)) == _bare(resolved(new, self._new))

    def _others(self, old: Schema, new: Schema) -> Iterator[Reason]:
        """Fields without a name of their own: an open mapping's."""
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _under("*", self.of(before, after))
        elif isinstance(before, Mapping) and after is True:
            yield Reason("*", "other fields may now hold any value", "major")
        elif written(before) != written(after):
            yield Reason("*", "other fields are allowed or forbidden anew", "minor")

    def _items(self, old: Schema, new: Schema) -> Iterator[Reason]:
        before, after = _positions(old), _positions(new)
        if len(before) != len(after):
            yield Reason("[]", "another number of places in the list", "major")
            return
        for number, (was, now) in enumerate(zip(before, after, strict=True)):
            last = number == len(before) - 1
            yield from _under("[]" if last else f"[{number}]", self.of(was, now))


def _notes(old: Schema, new: Schema) -> Iterator[Reason]:
    for note in ANNOTATIONS:
        if written(old.get(note)) != written(new.get(note)):
            yield Reason("", f"{note} changed", "minor")


def _bare(node: Schema) -> str:
    return written({key: value for key, value in node.items() if key not in ("title", *ANNOTATIONS)})


def _positions(node: Schema) -> tuple[Schema, ...]:
    """What stands at each place of a list; the last for all places that follow."""
    rest = node.get("items", _ANY)
    return (*node.get("prefixItems", ()), rest if isinstance(rest, Mapping) else _ANY)


def _match(candidates: Sequence[Schema], kind: Schema) -> Schema | None:
    """The alternative that `kind` is to be compared with: of its type, and most like it."""
    fitting = [
        other
        for other in candidates
        if other["type"] == kind["type"] or kind["type"] in _WIDER.get(other["type"], ())
    ]
    return max(fitting, key=lambda other: _likeness(other, kind), default=None)


def _likeness(one: Schema, other: Schema) -> tuple[bool, ...]:
    return (
        one["type"] == other["type"],
        written(one) == written(other),
        _mark(one) == _mark(other),
        one.get("title") == other.get("title"),
        one.get("format") == other.get("format"),
    )


def _mark(node: Schema) -> dict[str, Any]:
    """What tells one object of a union from another: the fields that hold a constant."""
    fields = node.get("properties", {})
    return {name: field["const"] for name, field in fields.items() if "const" in field}


def _come_and_gone(gone: Sequence[Schema], come: Sequence[Schema]) -> Iterator[Reason]:
    if len(gone) == len(come) == 1 and "null" not in (gone[0]["type"], come[0]["type"]):
        yield Reason("", f"was {_CALLED[gone[0]['type']]}, is now {_CALLED[come[0]['type']]}", "major")
        return
    yield from (Reason("", f"may now be {_CALLED[kind['type']]}", "major") for kind in come)
    yield from (Reason("", f"is no longer {_CALLED[kind['type']]}", "minor") for kind in gone)


def _presence(name: str, before: bool, after: bool) -> Iterator[Reason]:  # noqa: FBT001 - both are facts
    if before and not after:
        yield Reason(name, "may now be absent", "major")
    if after and not before:
        yield Reason(name, "is now always there", "minor")


def _under(name: str, reasons: Sequence[Reason]) -> Iterator[Reason]:
    for reason in reasons:
        dot = "." if reason.path and not reason.path.startswith("[") else ""
        yield Reason(f"{name}{dot}{reason.path}", reason.what, reason.level)
