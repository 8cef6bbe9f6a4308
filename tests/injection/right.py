"""The right answer to a document as an honest model gives it: expected values in, with quotes, out."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pipeline.marks import Marked, marked
from pipeline.support import says
from pipeline.wire import MAX_QUOTE_LENGTH
from schemas.extraction import Extraction

_MOST_WORDS: Final = 24


def right(extraction: type[Extraction], expected: Mapping[str, Any], text: str) -> dict[str, Any]:
    """`expected` in the shape of the wire, each marked value beside the passage of `text` that says it."""
    marks, typed = marked(extraction), extraction.model_validate(expected)
    return {
        name: _quoted(value, getattr(typed, name), marks[name], text) if name in marks else value
        for name, value in expected.items()
    }


def _quoted(value: Any, typed: Any, mark: Marked, text: str) -> Any:
    if isinstance(value, list):
        return [_quoted(one, other, mark, text) for one, other in zip(value, typed, strict=True)]
    return None if value is None else {"quote": _quote(value, typed, mark, text), "value": value}


def _quote(value: Any, typed: Any, mark: Marked, text: str) -> str:
    """The passage of the fewest words that says the value; the value itself where there is none."""
    words = list(re.finditer(r"\S+", text))
    for size in range(1, _MOST_WORDS):
        for first, last in zip(words, words[size - 1 :], strict=False):
            passage = text[first.start() : last.end()]
            if says(passage, typed, mark.kind, mark.evidence.words):
                return passage[:MAX_QUOTE_LENGTH]
    return str(value)
