"""Choose among the words of an enum: its words, their description and a text in, those that it uses out."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from infra.simulator.labels import stem, stems
from infra.simulator.reading import Text

_SENSES: Final = {
    stem(word): frozenset(stems(senses))
    for word, senses in {
        "negative": "angry disappointed unacceptable terrible worst broke complaint unhappy frustrated",
        "positive": "great love happy excellent wonderful fantastic perfect good",
        "urgent": "urgent immediately asap emergency today critical",
        "high": "urgent immediately asap soon important broken",
        "low": "whenever minor suggestion wondering",
        "refund": "refund money reimburse reimbursement back",
        "billing": "invoice charged charge payment bill paid card",
        "delivery": "delivered parcel package shipping shipped courier arrived tracking late",
        "shipping": "delivered parcel package shipping shipped courier arrived tracking late",
        "technical": "error crash bug broken install login password screen",
        "account": "login password account username email",
        "product": "broke broken defective quality works working stopped",
    }.items()
}


def hits(text: Text, values: Iterable[Any], described: str) -> dict[str, tuple[int, int]]:
    """The values with a word in the text, the heaviest first (of equals, the earliest), and where.

    A word of the value itself weighs three, one of its description or its senses one.
    """
    where: dict[str, tuple[int, int]] = {}
    for word, start, end in text.stems:
        where.setdefault(word, (start, end))
    counts = Counter(word for word, _, _ in text.stems)
    names = [value for value in values if isinstance(value, str)]
    weights: dict[str, float] = {}
    spans: dict[str, tuple[int, int]] = {}
    for name in names:
        own = set(stems(name.replace("_", " ")))
        senses = {sense for word in own for sense in _SENSES.get(word, ())} | _described(
            name, names, described
        )
        weight = sum(3.0 * counts[word] for word in own) + sum(1.0 * counts[word] for word in senses - own)
        if weight:
            weights[name] = weight
            spans[name] = min(where[word] for word in own | senses if word in where)
    return {name: spans[name] for name in sorted(weights, key=lambda name: (-weights[name], spans[name]))}


def _described(name: str, names: list[str], described: str) -> frozenset[str]:
    """How a description explains an enum value: `billing: charges and invoices; other: ...`."""
    others = "|".join(re.escape(other) for other in names if other != name)
    match = re.search(
        rf"\b{re.escape(name)}\b\W{{0,2}}\s*[:=(\u2013-]\s*(.+?)(?=[;.)\n]|\b(?:{others})\b\W{{0,2}}\s*[:=(\u2013-]|$)",
        described,
    )
    return frozenset(word for word in stems(match.group(1)) if len(word) > 3) if match else frozenset()
