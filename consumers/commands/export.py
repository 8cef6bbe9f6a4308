"""`penstock export training`: what people found right, as training data for a model."""

import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TextIO
from uuid import UUID, uuid4

from cyclopts import App, Parameter

from consumers import wiring
from consumers.commands import output
from consumers.reveal import put_on_record
from infra.store import labels
from pipeline import publish, training
from pipeline.errors import NotFound
from pipeline.training import Unfit

if TYPE_CHECKING:
    from consumers.wiring import Deployment
    from infra.store.labels import Golden
    from pipeline.catalogue import Entry

app = App(name="export", help="What people found right, for other programs.")

#: A file of texts is nobody else's to read.
_PRIVATE: Final = 0o600
_BATCH: Final = 500
#: OpenAI takes no file with fewer.
_FEWEST: Final = 10


@dataclass
class Exported:
    """How many cases were written, how many had no text any more, and why others were left out.

    By its id `penstock erase` tells which files held a subject's texts.
    """

    id: UUID = field(default_factory=uuid4)
    written: int = 0
    gone: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@app.command(name="training")
def export_training(
    name: str,
    /,
    *,
    form: Annotated[
        Literal["openai"], Parameter(name="--format", help="OpenAI's JSON lines for chat models.")
    ] = "openai",
    out: Annotated[Path | None, Parameter(help="Write to this file instead of standard output.")] = None,
) -> None:
    """The golden cases (`penstock eval add-from-reviews`) of the workflow NAME, as talks to learn from.

    One line each: instructions and fenced text as they are sent today, and the right answer in the schema
    that models are sent, with its quotes. A case whose values have no quote that states them is left out. The
    lines hold the events' texts: that each was read is on record before it is written, and an erasure does
    not reach this file. Who trains a model on these cases must score it on others (`eval --from files`).
    """
    from consumers.commands.running import deployed, run

    async def work() -> Exported:
        async with deployed() as deployment, AsyncExitStack() as stack:
            entry = deployment.catalogue.named(name)
            standing = await labels.standing(deployment.database, name)
            if not standing:
                raise NotFound(f"{name} has no golden case; penstock eval add-from-reviews {name}")
            file = sys.stdout if out is None else stack.enter_context(_opened(out))
            done = Exported()
            for start in range(0, len(standing), _BATCH):
                batch = standing[start : start + _BATCH]
                found = await labels.read(deployment.database, batch)
                done.gone += len(batch) - len(found)
                async for line in _lines(deployment, entry, found, done):
                    file.write(line + "\n")
            return done

    _tell(run(work()), out)


async def _lines(
    deployment: "Deployment", entry: "Entry", cases: "list[Golden]", done: Exported
) -> AsyncIterator[str]:
    """Each line, once it is on record that its event was read."""
    scribe = replace(deployment.scribe, actor=wiring.operator())
    for case in cases:
        event, result = case.event, case.result
        try:
            line = training.openai(entry, event, result, key=deployment.secret)
        except Unfit as unfit:
            done.left_out[unfit.why] += 1
            continue
        read = [publish.content_id(event.event_id)]
        if event.subject_hash is not None:
            read.append(publish.output_id(event.event_id, result.revision))
        now = wiring.clock()
        await put_on_record(deployment.store, event, read, scribe=scribe, now=now, export=done.id)
        done.written += 1
        yield line


def _opened(out: Path) -> TextIO:
    def private(path: str, flags: int) -> int:
        return os.open(path, flags, _PRIVATE)

    return open(out, "w", encoding="utf-8", opener=private)


def _tell(done: Exported, out: Path | None) -> None:
    """On stderr: standard output may be the file."""
    output.note(f"{done.written} cases written{'' if out is None else f' to {out}'}.")
    if done.gone:
        output.note(f"{done.gone} left out: their texts were erased or pruned.")
    for why, number in done.left_out.items():
        output.note(f"{number} left out: a case that {why}.")
    if done.written < _FEWEST:
        output.note(f"OpenAI takes no file with fewer than {_FEWEST}.")
