"""Files in, the bytes of each event in them out, with the place where it stood.

A file holds one JSON value, a JSON array (each element is an event) or JSON lines (each line is one).
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import InvalidEvent, NotFound
from pipeline.receive import canonical, parse

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """The JSON of one event, and where it was read, such as `orders.jsonl, line 3`."""

    place: str
    body: bytes

    def refused(self, error: InvalidEvent) -> InvalidEvent:
        """The same error, with the place and what to do."""
        return InvalidEvent(f"{self.place}: {error}. Mend it and send again; nothing was sent")


def read(files: Iterable[str]) -> list[Line]:
    """All events of all files, `-` is standard input; raises InvalidEvent at the first that is no JSON."""
    return [line for name in files for line in _lines(name)]


def _lines(name: str) -> Iterator[Line]:
    content = _bytes(name).removeprefix(_BYTE_ORDER_MARK)
    place = "standard input" if name == "-" else name
    if not content.strip():
        raise InvalidEvent(f"{place} is empty; write one JSON value, or one per line")
    try:
        value = parse(content)
    except InvalidEvent as error:
        if not _is_json_lines(content):
            raise Line(place, content).refused(error) from error
    else:
        if isinstance(value, list):
            yield from (Line(f"{place}, element {n}", canonical(one)) for n, one in enumerate(value, 1))
        else:
            yield Line(place, content)
        return
    for number, text in enumerate(content.split(b"\n"), 1):
        if text.strip():
            yield _checked(Line(f"{place}, line {number}", text.strip()))


def _bytes(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise NotFound(f"{name}: {error.strerror}") from error


def _is_json_lines(content: bytes) -> bool:
    """Is the first line a JSON value by itself, and not the only one?"""
    first, _, rest = content.lstrip().partition(b"\n")
    try:
        parse(first)
    except InvalidEvent:
        return False
    return bool(rest.strip())


def _checked(line: Line) -> Line:
    try:
        parse(line.body)
    except InvalidEvent as error:
        # The parser counts lines from ours.
        told = InvalidEvent(str(error).replace("at line 1, column", "at column"))
        raise line.refused(told) from error
    return line
