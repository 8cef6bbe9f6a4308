"""`penstock workflow try`: one event through a workflow, at once and without a database."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from consumers.commands.rehearsal import Rehearsal, Rehearsed
    from pipeline.catalogue import Entry
    from pipeline.screen import Screening
    from schemas.event import Event, Received
    from schemas.extraction import Attempt

_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the workflow, and what it complains of."""

    name: str
    complaint: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """What the model said, and what that rests on where the workflow wants evidence for it.

    `nulled`: nothing that counts, and the workflow wants null then.
    """

    path: str
    said: Any
    nulled: bool = False
    verdict: str | None = None
    start: int | None = None
    end: int | None = None
    score: int | None = None
    quote: str | None = None
    passage: str | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """All that is told."""

    rehearsed: "Rehearsed"
    entry: "Entry"
    screening: "Screening"
    values: tuple[Value, ...]
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> str:
        changeset = self.rehearsed.changeset
        return changeset.result.state if changeset else "undecided"


def try_workflow(
    name: str,
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    model: Annotated[str | None, Parameter(help="Ask this alias only, instead of the workflow's.")] = None,
    as_json: Json = False,
) -> None:
    """Run the event in FILE through the workflow NAME, without a database; - is standard input.

    The file holds one event, as data or as a CloudEvent in structured JSON. Shown are the prompt as it was
    sent, the answer, its evidence and checks, the decision with its reasons, tokens, cost and time. Nothing
    is stored or published. Without PENSTOCK_MODELS__* the simulated model answers.

    Exit code 1 when the outcome is dead, 6 when the model cannot be asked now.
    """
    from consumers.cli import EXIT_FAILURE, EXIT_UNAVAILABLE
    from consumers.commands import trial
    from consumers.commands.running import run, settings_for
    from pipeline import catalogue as catalogues

    settings = settings_for("cli")
    entry = catalogues.load(settings.workflows).named(name)
    event = _event(file, entry)

    async def work() -> Tried:
        from consumers.commands.rehearsal import rehearsal

        async with rehearsal(settings, entry, patience_seconds=_PATIENCE_SECONDS, alias=model) as ready:
            ready.waiting = lambda seconds, reason: output.note(f"Waiting {seconds:.1f} s: {reason}")
            return _tried(ready, await ready.run(event))

    tried = run(work())
    if as_json:
        output.emit_json(trial.told(tried))
    else:
        trial.show(tried)
    if tried.outcome in ("dead", "undecided"):
        raise SystemExit(EXIT_FAILURE if tried.outcome == "dead" else EXIT_UNAVAILABLE)


def _event(file: str, entry: "Entry") -> "Received":
    """The one event in the file; raises InvalidEvent or NotFound."""
    from consumers.commands.rehearsal import stamp
    from pipeline import receive
    from pipeline.errors import InvalidEvent, NotFound

    if file.startswith("-") and file != "-":
        raise InvalidEvent(f"{file} is no option; see penstock workflow try --help")
    place = "standard input" if file == "-" else file
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        topic = entry.workflow.consumes
        body = body.removeprefix(b"\xef\xbb\xbf")
        envelope = receive.from_http({}, body, source="try", id=Path(file).name[-100:], type=topic)
        return receive.received(envelope, entry, stamp=stamp())
    except OSError as error:
        raise NotFound(f"{place}: {error.strerror}") from error
    except InvalidEvent as error:
        raise InvalidEvent(f"{place}: {error}. It takes one event: a JSON object") from error


def _tried(ready: "Rehearsal", rehearsed: "Rehearsed") -> Tried:
    """The last answer that fits the schema is judged once more, to tell what was found."""
    from pipeline.receive import stored
    from pipeline.screen import Screening, screen

    workflow = ready.entry.workflow
    if rehearsed.bug is not None:
        return Tried(rehearsed, ready.entry, Screening(), (), ())
    event = stored(ready.entry, rehearsed.event)
    fields = workflow.extraction.model_fields
    screening = screen(workflow.text(event), max_tokens=workflow.max_tokens, fields=fields)
    answers = [attempt for attempt in rehearsed.attempts if attempt.failure is None]
    values, checks = _judged(ready, event, answers[-1]) if answers else ((), ())
    return Tried(rehearsed, ready.entry, screening, values, checks)


def _judged(
    ready: "Rehearsal", event: "Event", attempt: "Attempt"
) -> tuple[tuple[Value, ...], tuple[Check, ...]]:
    from pipeline.assess import assess, checked

    workflow, now, guard = ready.entry.workflow, ready.world.clock(), ready.world.guard
    text = workflow.text(event)
    reading = ready.world.model.read(ready.entry, attempt)
    found = assess(ready.entry, event, reading, text=text, received_at=now, guard=guard)
    plain, kept = (value.model_dump(mode="json") for value in (reading.value, found.value))
    values = []
    for name, value in plain.items():
        paths = [path for path in found.evidence if path.partition("[")[0] == name]
        values += [] if paths else [Value(name, value)]
        for path in paths:
            one = found.evidence[path]
            values.append(
                Value(
                    path,
                    value if path == name else value[int(path[len(name) + 1 : -1])],
                    kept[name] is None and value is not None,
                    one.verdict.value,
                    one.start,
                    one.end,
                    one.score,
                    reading.quotes.get(path),
                    None if one.start is None else text[one.start : one.end],
                )
            )
    said = checked(ready.entry, event, found.value, received_at=now)
    return tuple(values), tuple(Check(name, complaint) for name, complaint in said)
