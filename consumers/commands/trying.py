"""`penstock workflow try`: one event through a workflow, at once and without a database; all of it is shown.

Texts are printed here, unlike elsewhere: they are from the file of whoever asks.
"""

import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from consumers.commands.rehearsal import Rehearsal, Rehearsed
    from pipeline.catalogue import Entry
    from pipeline.receive import Event, Received
    from schemas.extraction import Attempt

_PATIENCE_SECONDS: Final = 60.0
#: Of an answer that is no answer, such as a page of HTML, the beginning says what it is.
_MAX_RAW: Final = 2_000


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the workflow, and what it complains of."""

    name: str
    complaint: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the answer, and what it rests on where the workflow wants evidence for it."""

    path: str
    value: Any
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
    from consumers.commands.running import run, settings_for
    from pipeline import catalogue as catalogues

    settings = settings_for("cli")
    entry = catalogues.load(settings.workflows).named(name)
    event = _event(file, entry)

    async def work() -> Tried:
        from consumers.commands.rehearsal import rehearsal

        async with rehearsal(settings, entry, patience_seconds=_PATIENCE_SECONDS, alias=model) as ready:
            return _tried(ready, await ready.run(event))

    tried = run(work())
    if as_json:
        output.emit_json(_told(tried))
    else:
        _show(tried)
    if tried.outcome in ("dead", "undecided"):
        raise SystemExit(EXIT_FAILURE if tried.outcome == "dead" else EXIT_UNAVAILABLE)


def _event(file: str, entry: "Entry") -> "Received":
    """The one event in the file; raises InvalidEvent or NotFound."""
    import sys

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

    answers = [attempt for attempt in rehearsed.attempts if attempt.failure is None]
    if not answers or rehearsed.bug is not None:
        return Tried(rehearsed, ready.entry, (), ())
    event = stored(ready.entry, rehearsed.event)
    return Tried(rehearsed, ready.entry, *_judged(ready, event, answers[-1]))


def _judged(
    ready: "Rehearsal", event: "Event", attempt: "Attempt"
) -> tuple[tuple[Value, ...], tuple[Check, ...]]:
    from pipeline.assess import assess

    workflow, now = ready.entry.workflow, ready.world.clock()
    text = workflow.text(event)
    reading = ready.world.model.read(ready.entry, attempt)
    found = assess(ready.entry, event, reading, text=text, received_at=now)
    plain = reading.value.model_dump(mode="json")
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
                    one.verdict.value,
                    one.start,
                    one.end,
                    one.score,
                    reading.quotes.get(path),
                    None if one.start is None else text[one.start : one.end],
                )
            )
    checks = tuple(Check(check.__name__, check(event, found.value, now)) for check in workflow.checks)
    return tuple(values), checks


def _told(tried: Tried) -> dict[str, Any]:
    from consumers.commands.rehearsal import is_simulated
    from pipeline.record import cost_of

    result = tried.rehearsed.changeset.result if tried.rehearsed.changeset else None
    attempts = tried.rehearsed.attempts
    return {
        "workflow": tried.entry.workflow.name,
        "version": tried.entry.version,
        "simulated": is_simulated(attempts),
        "outcome": tried.outcome,
        "waits_for": tried.rehearsed.waits_for,
        "reasons": result.reasons if result else (),
        "data": result.data if result else None,
        "values": tried.values,
        "checks": tried.checks,
        "cost_micros": cost_of(attempts),
        "latency_ms": sum(attempt.latency_ms for attempt in attempts),
        "attempts": [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: "Attempt") -> dict[str, Any]:
    named = ("step", "alias", "endpoint", "model_asked", "model_answered", "status", "finish_reason")
    counted = ("failure", "complaints", "latency_ms", "usage", "cost_micros")
    return {
        **{name: getattr(attempt, name) for name in (*named, *counted)},
        "request": json.loads(attempt.request.body),
        "answer": _answer(attempt),
    }


def _answer(attempt: "Attempt") -> str:
    """What the model wrote; the beginning of the whole body where it is no completion."""
    try:
        message = json.loads(attempt.response)["choices"][0]["message"]
        return str(message.get("content") or message["refusal"])
    except (ValueError, LookupError, TypeError):
        return attempt.response[:_MAX_RAW].decode("utf-8", "replace")


def _show(tried: Tried) -> None:
    from consumers.commands.rehearsal import is_simulated

    if is_simulated(tried.rehearsed.attempts):
        output.say(
            "SIMULATED: rules answer here, no model; set PENSTOCK_MODELS__<ALIAS>__* for a real one.\n"
        )
    output.say(f"Workflow {tried.entry.workflow.name}, version {tried.entry.version[:12]}")
    shown: list[Mapping[str, Any]] = []
    for attempt in tried.rehearsed.attempts:
        _show_attempt(attempt, shown)
    _show_values(tried)
    _show_decision(tried)
    _show_calls(tried.rehearsed.attempts)
    if tried.rehearsed.bug is not None:
        output.note("".join(traceback.format_exception(tried.rehearsed.bug)))


def _show_attempt(attempt: "Attempt", shown: list[Mapping[str, Any]]) -> None:
    """What was said to the model and by it; what an earlier call said too is not said again."""
    request = json.loads(attempt.request.body)
    output.say(f"\nCall {attempt.step + 1}: {attempt.alias} = {attempt.model_asked}")
    for message in request["messages"]:
        if message in shown:
            output.say(f"  {message['role']}: as before, {len(message['content'])} characters")
        else:
            output.say(f"  {message['role']}:\n{_indented(message['content'])}")
            shown.append(message)
    output.say(f"  answer:\n{_indented(_answer(attempt) or '(none)')}")
    if attempt.failure is not None:
        output.say(f"  failed: {attempt.failure}")
    for complaint in attempt.complaints:
        output.say(f"    {complaint}")


def _indented(text: str) -> str:
    return "\n".join(f"    | {line}" for line in text.split("\n"))


def _show_values(tried: Tried) -> None:
    if tried.values:
        output.say("\nAnswer")
    for one in tried.values:
        output.say(f"  {one.path} = {json.dumps(one.value, ensure_ascii=False)}")
        if one.verdict is not None:
            output.say("".join(_grounds(one)))
    if tried.checks:
        output.say("\nChecks")
    for check in tried.checks:
        output.say(f"  {check.name}: {check.complaint or 'holds'}")


def _grounds(one: Value) -> Iterator[str]:
    yield f"    evidence: {one.verdict}"
    if one.start is not None:
        yield f", characters {one.start} to {one.end}, score {one.score}: {json.dumps(one.passage)}"
    if one.quote is not None and one.quote != one.passage:
        yield f"; the quote was {json.dumps(one.quote, ensure_ascii=False)}"


def _show_decision(tried: Tried) -> None:
    rehearsed = tried.rehearsed
    if rehearsed.changeset is None:
        output.say(f"\nUndecided: it would wait and be tried again ({rehearsed.waits_for})")
        return
    output.say(f"\nOutcome: {tried.outcome}")
    for reason in rehearsed.changeset.result.reasons:
        output.say(f"  because {reason}")


def _show_calls(attempts: "tuple[Attempt, ...]") -> None:
    from pipeline.record import cost_of

    if not attempts:
        return
    rows = [
        (
            attempt.step + 1,
            attempt.model_answered or attempt.model_asked,
            attempt.failure or "an answer",
            attempt.usage.input_tokens,
            attempt.usage.cached_tokens,
            attempt.usage.output_tokens,
            _money(attempt.cost_micros),
            attempt.latency_ms,
        )
        for attempt in attempts
    ]
    output.say("")
    output.table(("call", "model", "came to", "tokens in", "cached", "out", "cost", "ms"), rows)
    cost = cost_of(attempts)
    output.say(f"\nCost {_money(cost)}" if cost is not None else "\nCost unknown: no price is set.")


def _money(micros: int | None) -> str | None:
    return None if micros is None else f"{micros / 1_000_000:.6f}"
