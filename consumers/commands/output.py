"""What commands print, for a person or (`--json`) a program: answers on stdout, remarks on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table

#: Off a terminal nothing is folded: the next program wants whole lines.
_PIPED_WIDTH = 1_000

#: The flag that every answering command has.
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def emit_json(value: Any) -> None:
    """One JSON value, on one line."""
    sys.stdout.write(escaped(json.dumps(value, default=_plain, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def escaped(text: str) -> str:
    r"""JSON text with each unprintable character as \uXXXX, which JSON takes wherever it takes characters."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def say(text: str) -> None:
    """A line for a person, on stdout; never markup, since it may hold an event's text."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A remark beside the answer, on stderr."""
    sys.stderr.write(printable(text) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Rows for a person."""
    folded = (Column(name, overflow="fold") for name in columns)
    grid = Table(*folded, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    console.print(grid)


def money(micros: int | None) -> str | None:
    """Micro-units as a decimal number: 1.00, 0.98, 0.000412."""
    if micros is None:
        return None
    whole, rest = divmod(micros, 1_000_000)
    cents, small = divmod(rest, 10_000)
    return f"{whole}.{cents:02d}{f'{small:04d}'.rstrip('0')}"


def printable(text: str) -> str:
    """Text without the control characters that could drive the reader's terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return printable(str(value)).replace("\n", " ")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
