"""What `penstock workflow try` found in, what a person reads or (as JSON) a program out.

Texts are printed here, unlike elsewhere: they are from the file of whoever asks.
"""

import json
import traceback
from collections.abc import Iterator
from typing import Any, Final

from consumers.commands import output
from consumers.commands.rehearsal import is_simulated
from consumers.commands.trying import Tried, Value
from pipeline.fence import unfence
from pipeline.record import cost_of
from schemas.decision import Outcome
from schemas.extraction import Attempt

#: Of an answer that is no answer, such as a page of HTML, the beginning says what it is.
_MAX_RAW: Final = 2_000


def told(tried: Tried) -> dict[str, Any]:
    """All of it for a program."""
    result = tried.rehearsed.changeset.result if tried.rehearsed.changeset else None
    attempts = tried.rehearsed.attempts
    return {
        "workflow": tried.entry.workflow.name,
        "version": tried.entry.version,
        "simulated": is_simulated(attempts),
        "screening": tried.screening,
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


def _attempt(attempt: Attempt) -> dict[str, Any]:
    named = ("step", "alias", "endpoint", "model_asked", "model_answered", "status", "finish_reason")
    counted = ("failure", "complaints", "latency_ms", "usage", "cost_micros")
    return {
        **{name: getattr(attempt, name) for name in (*named, *counted)},
        "request": json.loads(attempt.request.body),
        "answer": _answer(attempt),
    }


def _answer(attempt: Attempt) -> str:
    """What the model wrote; the beginning of the whole body where it is no completion."""
    try:
        message = json.loads(attempt.response)["choices"][0]["message"]
        return str(message.get("content") or message["refusal"])
    except (ValueError, LookupError, TypeError):
        return attempt.response[:_MAX_RAW].decode("utf-8", "replace")


def show(tried: Tried) -> None:
    """Print it for a person."""
    if is_simulated(tried.rehearsed.attempts):
        output.say(
            "SIMULATED: rules answer here, no model; set PENSTOCK_MODELS__<ALIAS>__* for a real one.\n"
        )
    output.say(f"Workflow {tried.entry.workflow.name}, version {tried.entry.version[:12]}")
    if tried.screening.flags:
        output.say(f"The text looks as if it spoke to the model: {', '.join(tried.screening.flags)}")
    shown: set[tuple[str, str]] = set()
    for attempt in tried.rehearsed.attempts:
        _show_attempt(attempt, shown)
    _show_values(tried)
    _show_decision(tried)
    _show_calls(tried.rehearsed.attempts)
    if tried.rehearsed.bug is not None:
        output.note("".join(traceback.format_exception(tried.rehearsed.bug)))


def _show_attempt(attempt: Attempt, shown: set[tuple[str, str]]) -> None:
    """What was said to the model and by it; what an earlier call said too is not said again."""
    output.say(f"\nCall {attempt.step + 1}: {attempt.alias} = {attempt.model_asked}")
    for message in json.loads(attempt.request.body)["messages"]:
        role, content = message["role"], message["content"]
        told = (role, unfence(content))  # the fence's mark is another one in every call
        output.say(f"  {role}, as before" if told in shown else f"  {role}:\n{_indented(content)}")
        shown.add(told)
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
        nulled = ", made null" if one.nulled else ""
        output.say(f"  {one.path} = {json.dumps(one.said, ensure_ascii=False)}{nulled}")
        if one.verdict is not None:
            output.say("".join(_grounds(one)))
    if tried.checks:
        output.say("\nChecks")
    for check in tried.checks:
        output.say(f"  {check.name}: {check.complaint or 'holds'}")


def _grounds(one: Value) -> Iterator[str]:
    yield f"    evidence: {one.verdict}"
    if one.start is not None:
        yield f", characters {one.start} to {one.end}, score {one.score}: "
        yield json.dumps(one.passage, ensure_ascii=False)
    if one.quote is not None and one.quote != one.passage:
        yield f"; the quote was {json.dumps(one.quote, ensure_ascii=False)}"


def _show_decision(tried: Tried) -> None:
    rehearsed = tried.rehearsed
    if rehearsed.changeset is None:
        output.say(f"\nUndecided: it would wait, and be tried again ({rehearsed.waits_for})")
        output.say("  see penstock doctor, and the settings PENSTOCK_MODELS__*")
        return
    output.say(f"\nOutcome: {tried.outcome}")
    for reason in rehearsed.changeset.result.reasons:
        output.say(f"  because {reason}")
    if tried.outcome == Outcome.DEGRADED:
        for name, value in (rehearsed.changeset.result.data or {}).items():
            output.say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")


def _show_calls(attempts: tuple[Attempt, ...]) -> None:
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
            output.money(attempt.cost_micros),
            attempt.latency_ms,
        )
        for attempt in attempts
    ]
    output.say("")
    output.table(("call", "model", "came to", "tokens in", "cached", "out", "cost", "ms"), rows)
    cost = cost_of(attempts)
    output.say(f"\nCost {output.money(cost)}" if cost is not None else "\nCost unknown: no price is set.")
