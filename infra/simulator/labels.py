"""What a property is about: its name and description in, a kind of value and weighted words out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_ENDINGS: Final = (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))
_WORD: Final = re.compile(r"[^\W\d_]+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without its commonest English endings: both sides of a comparison go through it."""
    word = word.lower()
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + instead
            break
    return word.rstrip("e") if len(word) > 3 else word


def stems(text: str) -> list[str]:
    return [stem(word) for word in _WORD.findall(text)]


def _stemmed(words: str) -> frozenset[str]:
    return frozenset(stems(words))


_STOP: Final = _stemmed(
    "a an the of to in is on at for and or if not null none when no as are be by it its that this with from "
    "text given say must was were has have any which who what where does do document written value exactly"
)
_KINDS: Final = {
    "currency": _stemmed("currency"),
    "date": _stemmed("date dated day deadline birthday"),
    "email": _stemmed("email mail"),
    "phone": _stemmed("phone telephone tel mobile fax"),
    "address": _stemmed("address street"),
    "duration": _stemmed("term duration period validity"),
    "place": _stemmed("jurisdiction law governing"),
    "text": _stemmed("summary description reason request asked question note comment message subject want"),
    "id": _stemmed("number no id identifier reference ref code order invoice ticket account serial sku"),
    "name": _stemmed(
        "company party vendor seller merchant store shop supplier customer client buyer employer issuer "
        "organisation organization name sender signer person contact firm"
    ),
    "money": _stemmed(
        "amount total price cost sum fee balance subtotal refund payment paid tax charge salary"
    ),
}
# Words that qualify nothing: the date or the amount of the document itself.
_OWN: Final = _stemmed(
    "effective issue document invoice receipt contract agreement signed purchase transaction sale grand"
)


@dataclass(frozen=True, slots=True)
class Label:
    """`weights` by stem; `needed`: one of these has to stand near a value, when there are any."""

    kind: str
    weights: dict[str, float]
    needed: frozenset[str]


def _tokens(name: str) -> list[str]:
    return stems(_CAMEL.sub(" ", name).replace("_", " "))


def _kind(names: Iterable[str]) -> str:
    for name in names:
        for token in reversed(_tokens(name)):
            for kind, words in _KINDS.items():
                if token in words:
                    return kind
    return "other"


@lru_cache(maxsize=2_000)
def label(names: tuple[str, ...], described: str) -> Label:
    """`names` from the property outwards (a nested `amount` is about its parent too)."""
    own = [token for name in names for token in _tokens(name) if token not in _STOP]
    kind = _kind(names)
    if kind == "other":
        kind = _kind([described]) if "date" in described.lower() else "other"
    weights = {token: 1.0 for token in stems(described) if token not in _STOP}
    weights |= dict.fromkeys(own, 3.0)
    generic = _KINDS.get(kind, frozenset()) - {stem("refund"), stem("tax"), stem("salary"), stem("fee")}
    if kind == "id":
        generic = _stemmed("number no id identifier reference ref code")
    if kind in ("email", "phone", "place", "currency"):
        own = _tokens(names[0])  # few of these in a text: what contains the property hardly matters
    return Label(kind, weights, frozenset(own) - generic - _OWN - {"valu"})
