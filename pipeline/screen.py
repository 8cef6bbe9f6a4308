"""Screening before the call: an event's text in, a reason to refuse it or the signs of an attack out.

Refused is what no model should be paid to read. A flag refuses nothing: the workflow chooses what
becomes of a flagged event. Disguises are taken off first, so that the same table of phrasings reads
what was hidden: invisible characters, look-alike letters, base64, hex, percent signs, entities, ROT13,
text from back to front, letters set apart.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from pipeline.phrases import phrases

#: Above this share of control and replacement characters a text is a file that somebody decoded.
MAX_BINARY_SHARE: Final = 0.1
#: Base64 inside base64, not more.
_DEPTH: Final = 2
_SHORTEST_BLOB: Final = 24

_BLANK: Final = re.compile(
    "[\\s\x00-\x1f\x7f-\x9f\u00ad\u115f\u1160\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\U000e0000-\U000e007f]*"
)
_BINARY: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_BINARY_ASCII: Final = bytes(sign for sign in range(128) if _BINARY.match(chr(sign)))
_NO_ASCII: Final = re.compile("[^\x00-\x7f]+")

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
#: Between two letters of the Latin script nobody needs them; emoji and other scripts do.
_HIDING: Final = re.compile("(?<=[A-Za-z])[\u200b-\u200d\u2060\ufeff]+(?=[A-Za-z])|[\u202d\u202e]")
_HIDERS: Final = frozenset("\u200b\u200c\u200d\u2060\ufeff\u202d\u202e")
_TAG: Final = re.compile("[\U000e0020-\U000e007e]")
#: The flags of England, Scotland and Wales are spelled with tag characters.
_TAGGED_FLAG: Final = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")
#: Up to so many distinct characters, replacing one after the other beats `str.translate`.
_MANY: Final = 24
_COMBINING: Final = re.compile("[\u0300-\u036f]")

#: Cyrillic and Greek letters that look like Latin ones, in the order of the letters that they look like.
_LOOKALIKE: Final = (
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u04bb"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425"
    "\u03bf\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
)
_LATIN: Final = str.maketrans(_LOOKALIKE, "aceopxyijsdhABCEHIJKMOPSTXovABEZHIKMNOPTYX")
_MIXED: Final = re.compile(f"[A-Za-z][{_LOOKALIKE}]|[{_LOOKALIKE}][A-Za-z]")

_BASE64: Final = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST_BLOB},}}={{0,2}}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){12,}")
_PERCENT: Final = re.compile("%[0-9A-Fa-f]{2}" * 3)  # spelled out, so that the search jumps to the first sign
_ENTITY: Final = re.compile(r"&(?:#\d{2,7}|#[xX][0-9A-Fa-f]{2,6}|quot);")
_GLUE: Final = re.compile(r"[\"”'] ?\+ ?[\"“']")
#: Letters set apart; words lie two blanks or more from each other.
_APART: Final = re.compile(r"(?<!\S)\w(?:[ .*_-]\w){2,}(?!\S)")
#: It begins with a blank, which the search jumps to; what is before the blank is looked at afterwards, where
#: a single letter follows.
_WIDE: Final = re.compile(r" (?=[\w\"] )(?<=\w )(?<!\S\w )[\w\"] \w [\w\"] \w(?!\S)")
#: Words that give away a text written backwards, or in ROT13.
_BACKWARDS: Final = ("snoitcurtsni", "erongi", "tpmorp", "metsys")
_ROT13: Final = ("vafgehpgvba", "vtaber", "cebzcg", "flfgrz", "qvfertneq")


@dataclass(frozen=True, slots=True)
class Screening:
    """`refused` is None or why no model is asked: empty, binary, too_large. `flags` are signs, sorted."""

    refused: str | None = None
    flags: tuple[str, ...] = ()


def screen(text: str, *, max_tokens: int, fields: Collection[str] = ()) -> Screening:
    """What can be said of a text before a model reads it; total and deterministic.

    `fields` are the names in the workflow's answer, so that a text that dictates them is noticed.
    """
    if token_bound(text) > max_tokens:
        return Screening(refused="too_large")
    if _BLANK.fullmatch(text):
        return Screening(refused="empty")
    if _binaries(text) > MAX_BINARY_SHARE * len(text):
        return Screening(refused="binary")
    return Screening(flags=tuple(sorted(set(_signs(text, fields)))))


def token_bound(text: str) -> int:
    """No tokenizer makes more tokens of a text than this: each token of a byte-level vocabulary
    covers a byte of its UTF-8 form or more (a lone surrogate counts as the three bytes of U+FFFD)."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _binaries(text: str) -> int:
    """How many control and replacement characters there are."""
    if text.isascii():
        return len(text) - len(text.encode().translate(None, _BINARY_ASCII))
    return len(_BINARY.findall(text))


def _signs(text: str, fields: Collection[str]) -> Iterator[str]:
    odd = _odd(text)
    if not odd.isdisjoint(_HIDERS) and _HIDING.search(text):
        yield "invisible_characters"
    tags = _TAG.findall(_TAGGED_FLAG.sub("", text)) if any(sign > "\U000dffff" for sign in odd) else []
    if tags:
        yield "invisible_characters"
    if not odd.isdisjoint(_LOOKALIKE) and _MIXED.search(text):
        yield "mixed_scripts"
    words = text.split()
    folded = _folded(words, odd)
    yield from phrases(folded, fields=fields)
    hidden = "".join(chr(ord(sign) - 0xE0000) for sign in tags)
    for inner in filter(None, (hidden, *_unveiled(text, words, folded))):
        if next(phrases(_folded(inner.split(), _odd(inner)), fields=fields), None):
            yield "disguised"


def _odd(text: str) -> frozenset[str]:
    """The distinct characters that are not ASCII: few in most texts, which makes them cheap to look at."""
    return frozenset() if text.isascii() else frozenset("".join(_NO_ASCII.findall(text)))


def _folded(words: Sequence[str], odd: frozenset[str]) -> str:
    """Lower case, no diacritics, no invisible characters, Latin for what looks Latin, single blanks."""
    text = " ".join(words)
    if not odd:
        return text.lower()
    if len(odd) > _MANY:
        text = text.translate({ord(sign): _plain(sign) for sign in odd})
    else:
        for sign in odd:
            text = text.replace(sign, _plain(sign))
    return " ".join(text.lower().split())


@lru_cache(maxsize=4096)
def _plain(sign: str) -> str:
    if _INVISIBLE.match(sign):
        return ""
    return _COMBINING.sub("", unicodedata.normalize("NFKD", sign.translate(_LATIN)))


def _unveiled(text: str, words: Sequence[str], folded: str) -> Iterator[str]:
    """What the text says with each disguise taken off; nothing where there is none."""
    yield from _blobs(words, _DEPTH)
    if ("%" in text and _PERCENT.search(text)) or ("&" in text and _ENTITY.search(text)):
        yield unquote(html.unescape(text))
    if "+" in folded and _GLUE.search(folded):
        yield _GLUE.sub("", folded)
    if _WIDE.search(text):
        yield "\n".join(_closed_up(line) for line in text.split("\n") if _WIDE.search(line))
    if any(word in folded for word in _BACKWARDS):
        yield folded[::-1]
    if any(word in folded for word in _ROT13):
        yield codecs.decode(folded, "rot13")


def _closed_up(line: str) -> str:
    return _APART.sub(lambda run: re.sub(r"(\w)[ .*_-]", r"\1", run[0]), line)


def _blobs(words: Sequence[str], depth: int) -> Iterator[str]:
    """Texts inside the long words of a text, decoded; a picture or a key decodes to no text."""
    for word in [word for word in words if len(word) >= _SHORTEST_BLOB]:
        for inner in map(_as_text, _decoded(word)):
            if inner:
                yield inner
                if depth > 1:
                    yield from _blobs(inner.split(), depth - 1)


def _decoded(word: str) -> Iterator[bytes]:
    for blob in _HEX.findall(word):
        yield bytes.fromhex(blob)
    for blob in _BASE64.findall(word):
        even = blob.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(even + "=" * (-len(even) % 4))
        except binascii.Error:  # one character too many: no base64
            continue


def _as_text(decoded: bytes) -> str:
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return ""
    return "" if _BINARY.search(text) else text
