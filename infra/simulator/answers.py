"""Answer a JSON Schema from a text by simple rules: a schema and a text in, a value that validates out.

Deterministic and general: name, title, description, format and pattern of a property say what to look for
(`labels`), `reading`, `naming` and `vocabulary` look for it, `shapes` gives the smallest value else.
A string is copied from the text, white space folded; dates and amounts are spelled as the schema wants.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from infra.simulator import naming, reading, shapes, vocabulary
from infra.simulator.labels import Label, label, stem, stems
from infra.simulator.reading import Found, Text
from infra.simulator.shapes import Schema

_QUOTES: Final = ("quote", "quotation", "evidence", "snippet")
_PROBES: Final = (
    ("date", "2018-02-12"),
    ("money", "12.34"),
    ("money", "USD 12.34"),
    ("money", "12.34 USD"),
    ("currency", "USD"),
)
_NEUTRAL: Final = ("other", "unknown", "none", "neutral", "normal", "medium", "general")
_NEGATION: Final = frozenset(stems("no not never without none cannot isn aren don doesn didn"))


@dataclass(frozen=True, slots=True)
class _About:
    """Where in the schema we are: names from the property outwards, and what describes it."""

    names: tuple[str, ...] = ()
    described: str = ""
    eager: bool = True

    @property
    def label(self) -> Label:
        return label(self.names, self.described)


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    start: int = 0
    end: int = 0


def answer(schema: Schema, text: str) -> Any:
    """A value that validates against the schema, whatever the text."""
    found = _Reader(schema, Text(text)).read(schema, _About())
    return found.value if found else shapes.smallest(schema, schema)


@dataclass(frozen=True)
class _Reader:
    root: Schema
    text: Text
    depth: int = 0

    def read(self, schema: Schema, about: _About) -> _Answer | None:
        """The answer that the text gives, or None when it gives none."""
        if self.depth > 10:
            return None
        choices = shapes.options(schema, self.root)
        described = f"{schema.get('title', '')} {schema.get('description', '')}"
        eager = about.eager and not any(shapes.is_null(choice) for choice in choices)
        about = replace(about, described=f"{about.described} {described}", eager=eager)
        deeper = replace(self, depth=self.depth + 1)
        answers = (deeper._one(choice, about) for choice in choices if not shapes.is_null(choice))
        return next((found for found in answers if found), None)

    def _one(self, schema: Schema, about: _About) -> _Answer | None:
        if "const" in schema:
            return _Answer(schema["const"])
        if "enum" in schema:
            return self._enum(schema["enum"], about)
        match shapes.kind(schema):
            case "object":
                return self._object(schema, about)
            case "array":
                return self._array(schema, about)
            case "number" | "integer":
                return self._number(schema, about)
            case "boolean":
                return self._boolean(about)
        return self._string(schema, about)

    def _object(self, schema: Schema, about: _About) -> _Answer | None:
        """Nothing when a property that may not be null was not found, unless the object must be there."""
        properties: dict[str, Schema] = schema.get("properties", {})
        value: dict[str, Any] = {}
        spans: list[_Answer] = []
        for name, inner in properties.items():
            if name in _QUOTES and "value" in properties:
                continue
            outer = about.names if name == "value" or self.depth > 1 else ()
            below = _About(
                (*((name,) if name != "value" else ()), *outer), about.described if outer else "", about.eager
            )
            found = self.read(inner, below)
            if found:
                spans.append(found)
            elif not about.eager and not any(map(shapes.is_null, shapes.options(inner, self.root))):
                return None
            value[name] = found.value if found else shapes.smallest(inner, self.root, 1)
        if properties and not spans and not about.eager:
            return None
        span = spans[0] if spans else _Answer(None)
        for name in properties.keys() & _QUOTES - value.keys():
            value[name] = self._quote(properties[name], span)
        return _Answer({name: value[name] for name in properties}, span.start, span.end)

    def _quote(self, schema: Schema, found: _Answer) -> Any:
        """The line of the text in which the value stands, cut around it to the length that is allowed."""
        strings = [one for one in shapes.options(schema, self.root) if shapes.kind(one) == "string"]
        longest = strings[0].get("maxLength", 300) if strings else 0
        raw = self.text.raw
        line = raw.rfind("\n", 0, found.start) + 1
        start = min(found.start, max(line, found.end - longest, found.start - 120))
        end = raw.find("\n", found.end)
        quote = raw[start : min(len(raw) if end < 0 else end, found.end + 80, start + longest)].strip()
        usable = found.end > found.start and strings and shapes.fits(quote, strings[0])
        return quote if usable else shapes.smallest(schema, self.root, 1)

    def _array(self, schema: Schema, about: _About) -> _Answer | None:
        items: Schema = schema.get("items", {})
        found = list(self._items(items, about))
        unique = {json.dumps(one.value, sort_keys=True): one for one in reversed(found)}
        kept = sorted(unique.values(), key=lambda one: one.start)[: schema.get("maxItems", 50)]
        if not kept and not about.eager:
            return None
        values = [one.value for one in kept]
        missing = max(0, schema.get("minItems", 0) - len(values))
        values += [shapes.smallest(items, self.root, 1)] * missing
        return _Answer(values, kept[0].start if kept else 0, kept[0].end if kept else 0)

    def _items(self, items: Schema, about: _About) -> Iterable[_Answer]:
        inner = self._first(items)
        properties: dict[str, Schema] = inner.get("properties", {})
        if shapes.kind(inner) == "object" and "value" not in properties:
            return self._per_line(items)
        if "enum" in inner:
            hits = vocabulary.hits(self.text, inner["enum"], about.described)
            return [_Answer(value, *span) for value, span in hits.items()]
        wanted = self._first(properties.get("value", inner))
        if shapes.kind(wanted) != "string" or "const" in wanted or "enum" in wanted:
            found = self.read(items, about)
            return [found] if found else []
        spelled = [self._spelled(found, wanted) for found in self._candidates(wanted, about)]
        return [self._quoted(one, properties) if properties else one for one in spelled if one]

    def _first(self, schema: Schema) -> Schema:
        choices = shapes.options(schema, self.root)
        return next((choice for choice in choices if not shapes.is_null(choice)), choices[0])

    def _quoted(self, found: _Answer, properties: dict[str, Schema]) -> _Answer:
        """The value as an evidence object, its quotes read from the text."""
        quotes = {name: self._quote(one, found) for name, one in properties.items() if name in _QUOTES}
        others = {name: shapes.smallest(one, self.root, 1) for name, one in properties.items()}
        return replace(found, value={**others, **quotes, "value": found.value})

    def _per_line(self, items: Schema) -> Iterable[_Answer]:
        for start, end in self.text.lines[:200] if self.depth < 5 else ():
            line = replace(self, text=Text(self.text.raw[start:end]), depth=self.depth + 1)
            found = line.read(items, _About(eager=False))
            if found:
                yield _Answer(found.value, start, end)

    def _candidates(self, schema: Schema, about: _About) -> Iterable[Found]:
        kind = _kind(schema, about.label)
        if kind == "name":
            return naming.parties(self.text) or filter(None, [naming.company(self.text, about.label)])
        needed = about.label.weights if kind in ("id", "money") else None
        return [f for f in self.text.found(kind) if needed is None or self.text.score(f, about.label)[0] > 0]

    def _string(self, schema: Schema, about: _About) -> _Answer | None:
        kind = _kind(schema, about.label)
        found = self._find(kind, about)
        spelled = self._spelled(found, schema) if found else None
        if spelled is None and "pattern" in schema:
            spelled = self._by_pattern(schema, about)
        if spelled is None and about.eager and kind in ("other", "text", "name"):
            first = next(reading.sentences(self.text), None) or Found(
                " ".join(self.text.raw.split()), 0, len(self.text.raw)
            )
            spelled = self._spelled(first, schema)
        return spelled

    def _find(self, kind: str, about: _About) -> Found | None:
        wanted = replace(about.label, kind=kind)
        match kind:
            case "name":
                return naming.company(self.text, wanted)
            case "address":
                return naming.address(self.text, wanted)
            case "text":
                return naming.passage(self.text, wanted)
            case "other":
                return naming.thing(self.text, wanted)
        return reading.best(self.text, wanted, eager=about.eager)

    def _spelled(self, found: Found, schema: Schema) -> _Answer | None:
        """The first spelling that the schema accepts, cut to its length where cutting is all it needs."""
        value = " ".join(found.value.split())
        for spelling in (value, *found.others, value[: schema.get("maxLength", len(value))].strip()):
            if shapes.fits(spelling, schema):
                return _Answer(spelling, found.start, found.end)
        return None

    def _by_pattern(self, schema: Schema, about: _About) -> _Answer | None:
        tokens = (
            Found(m.group(), *m.span())
            for m in re.finditer(r"(?<![^\s,;:()\"])[^\s,;:()\"]*[^\s,;:()\".!?]", self.text.raw)
        )
        fitting = [
            found for found in tokens if shapes.fits(found.value, schema) and re.search(r"\d", found.value)
        ]
        ranked = [(self.text.score(found, about.label)[0], found) for found in fitting]
        top = max(ranked, key=lambda one: one[0], default=None)
        return (
            _Answer(top[1].value, top[1].start, top[1].end) if top and (about.eager or top[0] > 0) else None
        )

    def _number(self, schema: Schema, about: _About) -> _Answer | None:
        whole = shapes.kind(schema) == "integer"
        wanted = replace(about.label, kind="money")
        numbers = [
            Found(m.group(), *m.span())
            for m in re.finditer(r"(?<![\w.,/-])\d{1,12}(?![\w/]|[.,-]\d)", self.text.raw)
        ]
        amounts = self.text.amounts if not whole else []
        for pool in (amounts, numbers):
            scored = [
                (self.text.score(f, wanted), f) for f in pool if shapes.in_range(float(f.value), schema)
            ]
            near = [one for one in scored if one[0][0] > 0 and (one[0][1] or not wanted.needed)]
            if near:
                found = max(near, key=lambda one: one[0][0])[1]
                return _Answer(int(found.value) if whole else float(found.value), found.start, found.end)
        return None

    def _boolean(self, about: _About) -> _Answer | None:
        words = {stem(word) for name in about.names for word in name.split("_")} - set(
            stems("is has was value")
        )
        for sentence in reading.sentences(self.text):
            said = stems(sentence.value)
            if words.intersection(said):
                return _Answer(not _NEGATION.intersection(said), sentence.start, sentence.end)
        return _Answer(value=False) if about.eager else None

    def _enum(self, values: list[Any], about: _About) -> _Answer | None:
        for found in self.text.currencies:
            if found.value in values:
                best = reading.best(self.text, replace(about.label, kind="currency"), eager=True)
                chosen = best if best and best.value in values else found
                return _Answer(chosen.value, chosen.start, chosen.end)
        for value, span in vocabulary.hits(self.text, values, about.described).items():
            return _Answer(value, *span)
        neutral = next((value for value in values if value in _NEUTRAL), None)
        if neutral is not None:
            return _Answer(neutral)
        return _Answer(values[0]) if about.eager else None


def _kind(schema: Schema, about: Label) -> str:
    """What a string is: by its format, then its pattern, then its name."""
    form = {"date-time": "date", "uri": "other"}.get(schema.get("format", ""), schema.get("format", ""))
    if form in ("date", "email"):
        return form
    if "pattern" in schema and not shapes.fits("some words", {"pattern": schema["pattern"]}):
        for kind, probe in _PROBES:
            if shapes.fits(probe, schema) and not shapes.fits("A-1b", schema):
                return kind
    return about.kind
