"""Answer a JSON Schema from a text by simple rules: a schema and a text in, a value that validates out.

Name and format of a property say what to look for; a string is copied from the text, white space folded.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

from infra.simulator import finding, shapes
from infra.simulator.finding import Found, stems
from infra.simulator.shapes import Schema

_ASKING: Final = re.compile(r"(?i)\?|\b(?:please|could you|can you|i want|would like)\b")
_NEUTRAL: Final = ("other", "unknown", "none", "neutral", "normal", "medium")
_SENSES: Final = {
    "negative": "angry disappointed unacceptable terrible broke",
    "high": "urgent important broken",
    "billing": "invoice charged payment",
    "delivery": "parcel package shipping courier",
}


def answer(schema: Schema, text: str) -> Any:
    """A value that validates against the schema, whatever the text."""
    found = _Reader(schema, text).read(schema)
    return found.value if found else shapes.smallest(schema, schema)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Where we are: `names` from the property outwards; `eager` means to guess rather than say nothing."""

    root: Schema
    text: str
    names: tuple[str, ...] = ()
    eager: bool = True

    def read(self, schema: Schema) -> Found | None:
        """The answer that the text gives, or None when it gives none."""
        choices = shapes.options(schema, self.root) if len(self.names) < 6 else []
        eager = self.eager and all(shapes.kind(choice) != "null" for choice in choices)
        deeper = replace(self, eager=eager)
        ways = {"object": deeper._object, "array": deeper._array, "enum": deeper._enum}
        usable = (choice for choice in choices if shapes.kind(choice) not in ("null", "boolean"))
        found = (ways.get(shapes.kind(choice), deeper._scalar)(choice) for choice in usable)
        return next(filter(None, found), None)

    def _object(self, schema: Schema) -> Found | None:
        """None when a property that may not be null was not found, unless the object must be there."""
        value: dict[str, Any] = {}
        first: Found | None = None
        # A quote is read off the text of its value, so the value comes first.
        for name, inner in sorted(schema.get("properties", {}).items(), key=lambda one: one[0] == "quote"):
            found = replace(self, names=(name, *self.names)).read(inner)
            free = shapes.options(inner, self.root)[0]
            if name == "quote" and "value" in value and shapes.kind(free) == "string":
                said = self.text[first.start : first.end] if first else ""
                found = self._spelled(Found(said), free)
            first = first or found
            value[name] = found.value if found else shapes.smallest(inner, self.root)
            if not self.eager and not found and value[name] is not None:
                return None
        return replace(first or Found(None), value=value) if first or self.eager else None

    def _array(self, schema: Schema) -> Found | None:
        """Each candidate as an item, bare or as the `value` of an object; line items are beyond us."""
        items: Schema = schema.get("items", {})
        inner = shapes.options(items, self.root)[0]
        inner = inner.get("properties", {}).get("value", inner)
        found: dict[str, Found] = {}
        kind = self._kind(inner) if shapes.kind(inner) == "string" else ""
        for one in finding.candidates(self.text, kind)[: schema.get("maxItems", 50)]:
            if item := replace(self, text=self.text[one.start : one.end], eager=True).read(items):
                found.setdefault(str(item.value), replace(one, value=item.value))
        values = [one.value for one in found.values()]
        values += [shapes.smallest(items, self.root)] * (schema.get("minItems", 0) - len(values))
        first = next(iter(found.values()), Found(None))
        return replace(first, value=values) if found or self.eager else None

    def _kind(self, schema: Schema) -> str:
        is_number = shapes.kind(schema) in ("number", "integer")
        return "number" if is_number else str(schema.get("format") or finding.kind_of(self.names))

    def _scalar(self, schema: Schema) -> Found | None:
        kind = self._kind(schema)
        if kind == "text" and not self.eager:
            return None
        every = finding.candidates(self.text, kind)
        fitting = [spelled for one in every if (spelled := self._spelled(one, schema))]
        if kind == "text":
            fitting.sort(key=lambda one: not _ASKING.search(one.value))
        if kind in ("name", "address", "text"):
            return next(iter(fitting), None)
        return finding.nearest(self.text, kind, fitting, self.names, eager=self.eager)

    def _spelled(self, found: Found, schema: Schema) -> Found | None:
        """The candidate as the schema spells it, cut to its length where cutting is all it needs."""
        if shapes.kind(schema) in ("number", "integer"):
            number = float(found.value)
            value = int(number) if number.is_integer() else number
            return replace(found, value=value) if shapes.in_range(value, schema) else None
        cut = " ".join(str(found.value).split())[: schema.get("maxLength")].strip()
        return replace(found, value=cut) if shapes.fits(cut, schema) else None

    def _enum(self, schema: Schema) -> Found | None:
        """The value with most words in the text; one that is not in it only where a value must be given."""
        counts = Counter(stems(self.text))
        weights: dict[Any, int] = {}
        for value in schema.get("enum", [schema.get("const")]):
            own, kin = stems(str(value)), stems(_SENSES.get(str(value), ""))
            weights[value] = sum(3 * counts[stem] for stem in own) + sum(counts[stem] for stem in kin)
        best = max(weights, key=lambda value: (weights[value], value in _NEUTRAL))
        return Found(best) if weights[best] or self.eager else None
