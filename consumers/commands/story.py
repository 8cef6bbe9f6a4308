"""One event's story (`consumers.story`) in, its lines for a person out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from consumers.commands import output


def show(told: Mapping[str, Any]) -> None:
    """Print what `consumers.story.gather` made."""
    output.say(f"Event {told['event_id']}: {told['state']}")
    for name in ("topic", "source", "id", "workflow", "type", "subject", "time", "key"):
        _fact(name, told[name])
    _fact("came by", _way(told))
    _fact("accepted", told["accepted_at"])
    _fact("content", _sized(told["content"]))
    show_text(told["content"])
    if told["pruned"]:
        _fact("pruned", f"at {_time(told['pruned']['at'])}: its results are kept no longer, its records are")
    if told["erased"]:
        _fact("erased", f"at {_time(told['erased']['at'])} by {told['erased']['by']}")
    _show_work(told["in_flight"])
    _show_attempts(told["attempts"])
    for result in told["results"]:
        _show_result(result)
    _show_outbox(told["outbox"])
    for item in told["review"]:
        why = ", drawn at random" if item["sampled"] else ""
        since = _time(item["created_at"])
        output.say(f"\nWaits for a person since {since} (revision {item['revision']}{why})")
    _show_audit(told["audit"])


def show_text(spelt: Mapping[str, Any]) -> None:
    """A text that was revealed, line by line."""
    for line in _lines(spelt):
        output.say(f"    {line}")


def _lines(spelt: Mapping[str, Any]) -> list[str]:
    text = spelt.get("text", spelt.get("base64"))
    lines = [f"| {line}" for line in text.split("\n")] if text else []
    gaps = spelt.get("gaps", 0)
    return [*lines, f"({gaps} of its texts gone, empty here)"] if gaps else lines


def _fact(name: str, value: Any) -> None:
    if value is not None:
        shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        output.say(f"  {name:<9} {_time(shown) if hasattr(shown, 'astimezone') else shown}")


def _time(value: Any) -> str:
    return str(value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"))


def _way(told: Mapping[str, Any]) -> str:
    if told["offset"] is None:
        return "HTTP or `penstock emit`"
    return f"Kafka, partition {told['partition']}, offset {told['offset']}"


def _sized(mark: Mapping[str, Any]) -> str:
    if mark["bytes"] is None:
        return "-"
    return f"{mark['bytes']} bytes" + (f", salted SHA-256 {mark['sha256']}" if mark["sha256"] else "")


def _show_work(work: Mapping[str, Any] | None) -> None:
    if work is None:
        return
    output.say(
        f"\nIn flight: due {_time(work['due_at'])}, {work['crashes']} crashes, {work['faults']} faults"
    )
    if work["waits_for"]:
        output.say(f"  it was given back: {work['waits_for']}")
    if work["lease_until"]:
        output.say(f"  claimed until {_time(work['lease_until'])}")


def _show_attempts(attempts: list[dict[str, Any]]) -> None:
    if not attempts:
        return
    output.say("\nCalls of models")
    for one in attempts:
        status = f" (HTTP {one['status']})" if one["status"] else ""
        output.say(
            f"  revision {one['revision']}, step {one['step']}: {one['failure'] or 'an answer'}{status}"
        )
        for line in _lost(one) if one["failure"] == "lost" else _call(one):
            output.say(f"    {line}")


def _lost(one: Mapping[str, Any]) -> list[str]:
    """A call of which nothing is known but what it can have cost."""
    told = ["the process ended before an answer was stored; the call may have been made"]
    return told if one["cost_micros"] is None else [*told, f"cost {output.money(one['cost_micros'])} at most"]


def _call(one: Mapping[str, Any]) -> Iterator[str]:
    if one["original_id"]:
        yield f"cached    no call was made: the answer is that of attempt {one['original_id']}"
    answered = f", answered by {one['model_answered']}" if one["model_answered"] else ""
    larger = ", with a larger limit" if one["larger"] else ""
    yield f"asked     {one['alias']} = {one['model_asked']}{larger}{answered}"
    cost = "" if one["cost_micros"] is None else f", cost {output.money(one['cost_micros'])}"
    tokens = f"{one['input_tokens']} tokens in, {one['output_tokens']} out"
    yield f"took      {one['latency_ms']} ms, {tokens}{cost}"
    if one["request"]:
        yield from ("sent", *_lines(one["request"]))
    yield f"answer    {_sized(one['response'])}"
    yield from _lines(one["response"])
    for complaint in one["complaints"]:
        yield f"complaint {complaint}"


def _show_result(result: Mapping[str, Any]) -> None:
    output.say(f"\nRevision {result['revision']}: {result['state']}, {_time(result['decided_at'])}")
    for reason in result["reasons"]:
        output.say(f"  because   {reason}")
    if result["model"]:
        output.say(f"  model     {result['model']}")
    if result["cost_micros"] is not None:
        output.say(f"  cost      {output.money(result['cost_micros'])}")
    output.say(f"  version   {result['version'][:12]}")
    if result["withheld"]:
        output.say(f"  found     {', '.join(result['withheld'])}: encrypted for its subject (--reveal)")
    for name, value in (result["data"] or {}).items():
        output.say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")


def _show_outbox(outbox: list[dict[str, Any]]) -> None:
    if not outbox:
        return
    output.say("\nWhat went out")
    for one in outbox:
        place = "waits for the relay"
        if one["published_at"]:
            place = f"partition {one['partition']}, offset {one['offset']}, {_time(one['published_at'])}"
        output.say(f"  revision {one['revision']} to {one['topic']}: {place}")
        output.say(f"    ce_id     {one['id']}")


def _show_audit(audit: list[dict[str, Any]]) -> None:
    if not audit:
        return
    output.say("\nAudit records")
    for one in audit:
        who = one["actor"]["name"]
        about = "" if one["revision"] is None else f"revision {one['revision']}: "
        output.say(f"  {about}{one['kind']} by {who}, {_time(one['occurred_at'])}")
        output.say(f"    leaf      {one['leaf']}")
