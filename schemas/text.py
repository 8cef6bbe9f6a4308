"""Which characters a text may hold to be stored, shown and signed."""

import re

#: Control characters but tab and line ends, and lone surrogates: no database, terminal or reader takes them.
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def is_clean(text: str) -> bool:
    """Is every character one that a database, a terminal and a reader can take?"""
    return text.isprintable() or _UNCLEAN.search(text) is None  # the first says yes to most, at once


def clean(text: str, *, max_length: int) -> str:
    """`text` with the others replaced by U+FFFD, cut to `max_length` characters."""
    text = text[:max_length]
    return text if is_clean(text) else _UNCLEAN.sub("\ufffd", text)


def refuse_unclean(text: str) -> str:
    """A Pydantic validator: `text` itself, or ValueError."""
    if not is_clean(text):
        raise ValueError("holds a control character or a broken surrogate")
    return text
