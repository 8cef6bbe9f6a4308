"""How far a long command has come: a bar on stderr for who watches a terminal, nothing for a program."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Tell(Protocol):
    """Moves the bar; a total that is not named stays what it was."""

    def __call__(self, completed: int, total: int | None = None) -> None: ...


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Tell]:
    """A bar that counts `what`, of `total`, or of as many as it is told later."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(what, total=total)

        def tell(completed: int, total: int | None = None) -> None:
            bar.update(task, completed=completed, total=total)

        yield tell
