"""An explanation of a decision in, its lines for a person out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from consumers.commands import output
from consumers.commands.story import show_text

Told = Mapping[str, Any]


def show(told: Told) -> None:
    """Print what `explanation.gather` made, in the order of what happened."""
    output.say(f"Event {told['event_id']} of {told['workflow']}: {told['state'].replace('_', ' ')}")
    for what in told["deviations"]:
        output.say(
            f"  DIFFERS   {what} is not what the audit record names: somebody changed it, or the record"
        )
    if told["pruned"]:
        output.say(
            f"  pruned    {_time(told['pruned']['at'])}: what is left are the records below (audit show)"
        )
    _show_arrival(told["came_in"], told["erased"])
    for revision in told["revisions"]:
        _show_revision(revision)
    _show_flight(told)
    _show_messages(told["went_out"])
    _show_records(told["records"])


def _fact(name: str, value: Any) -> None:
    if value not in (None, "", []):
        output.say(f"  {name:<9} {value}")


def _time(value: Any) -> str:
    return str(value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"))


def _show_arrival(event: Told, erased: Told | None) -> None:
    output.say(f"\nCame in {_time(event['accepted_at'])}")
    kafka = f"Kafka, partition {event['partition']}, offset {event['offset']}"
    _fact("topic", event["topic"])
    _fact("by", "HTTP or `penstock emit`" if event["offset"] is None else kafka)
    for name in ("source", "id", "type", "subject"):
        _fact(name, event[name])
    _fact("written", event["time"] and _time(event["time"]))
    _fact("content", _sized(event["content"]))
    if erased:
        _fact("erased", f"{_time(erased['at'])} by {erased['by']}: its texts are gone, this record stays")
    show_text(event["content"])


def _show_revision(one: Told) -> None:
    state = one["outcome"].replace("_", " ")
    output.say(f"\nRevision {one['revision']}: {state}, {_moment(one['decided_at'])}")
    if one["record"] is None:
        _fact("record", "there is none: run penstock audit verify")
    _fact("by", one["by"])
    release = f", release {one['release']}" if one["release"] else ""
    _fact("version", f"{one['version'][:12]}{release}")
    _fact(
        "noticed",
        "the text looks as if it spoke to the model: " + ", ".join(one["flags"]) if one["flags"] else "",
    )
    _fact("sample", "drawn at random: a person looks whether it is right" if one["sampled"] else "")
    _show_calls(one["calls"], made=one["calls_made"])
    if one["kind"] == "decision" and not one["calls"]:
        _fact("calls", "none: no model was asked")
    for place in one["evidence"]:
        _fact("found", _place(place))
    _show_reasons(one)
    _fact("model", one["model"])
    _fact("cost", None if one["cost_micros"] is None else output.money(one["cost_micros"]))
    if one["withheld"]:
        _fact("result", f"{', '.join(one['withheld'])}: encrypted for its subject (--reveal)")
    for name, value in (one["data"] or {}).items():
        _fact("result", f"{name} = {json.dumps(value, ensure_ascii=False)}")
    _fact("output", one["output"] and f"salted SHA-256 {one['output']['sha256']}")
    _fact("record", one["record"])


def _show_reasons(one: Told) -> None:
    if one["instead_of"]:
        _fact("instead of", one["instead_of"])
    said = list(one["reasons"])
    if one["meaning"] and one["meaning"] not in said:
        said.insert(0, one["meaning"])
    for reason in said or (["the policy accepted it"] if one["code"] == "policy" else []):
        _fact("because", reason)
    _fact("reason", one["code"])


def _show_calls(calls: Sequence[Told], *, made: int) -> None:
    if made > len(calls):
        output.say(f"  {made - len(calls)} earlier calls are told in the journal no longer")
    for call in calls:
        _show_call(call)


def _show_call(call: Told) -> None:
    if call["original_id"]:
        output.say(
            f"  call {call['step'] + 1}    none was made: the cache gave the answer of {call['original_id']}"
        )
    else:
        _show_asked(call)
    show_text(call["request"])
    _show_answer(call)
    show_text(call["response"])
    if call["failure"]:
        output.say(f"    failed    {call['failure']}: {call['meaning']}")
    for complaint in call["complaints"]:
        output.say(f"    wrong     {complaint}")
    _show_assessment(call["assessed"])


def _show_asked(call: Told) -> None:
    alias = f"{call['alias']} = {call['model_asked']}" if call["alias"] else "a model"
    where = f" at {call['endpoint'].partition('@')[2]}" if "@" in (call["endpoint"] or "") else ""
    output.say(f"  call {call['step'] + 1}    {alias}{where}, {_moment(call['started_at'])}")
    if call["larger"]:
        output.say("    asked     for a longer answer than usual")
    if call["request"].get("bytes"):
        output.say(f"    sent      {_sized(call['request'])}")


def _show_answer(call: Told) -> None:
    status = [f"HTTP {call['status']}"] if call["status"] else []
    finish = [f"finished by {call['finish_reason']}"] if call["finish_reason"] else []
    size = [_sized(call["response"])] if call["response"].get("bytes") else []
    by = [f"by {call['model_answered']}"] if call["model_answered"] else []
    if told := [*by, *status, *finish, *size]:
        output.say(f"    answered  {', '.join(told)}")
    if call["original_id"]:
        return
    tokens = f"{call['input_tokens']} tokens in ({call['cached_tokens']} cached), {call['output_tokens']} out"
    cost = "" if call["cost_micros"] is None else f", cost {output.money(call['cost_micros'])}"
    guessed = " at worst: the provider did not tell" if call["is_unknown"] and cost else ""
    output.say(f"    took      {call['latency_ms']} ms, {tokens}{cost}{guessed}")


def _show_assessment(assessed: Told | None) -> None:
    if not assessed:
        return
    if not assessed["failure"]:
        output.say("    judged    good: it fits the schema, and no check complained")
        return
    output.say(f"    judged    {assessed['failure']}: {assessed['meaning']}")
    if assessed["checks"]:
        output.say(f"    checks    {', '.join(assessed['checks'])} did not hold")
    for place in assessed["evidence"]:
        output.say(f"    found     {_place(place)}")


def _place(one: Told) -> str:
    span = "" if one["start"] is None else f", characters {one['start']} to {one['end']}"
    quote = f": {json.dumps(one['quote'], ensure_ascii=False)}" if "quote" in one else ""
    return f"{one['path']}: {one['verdict'].replace('_', ' ')}{span}{quote}"


def _show_flight(told: Told) -> None:
    if told["calls_so_far"]:
        output.say("\nSo far")
        _show_calls(told["calls_so_far"], made=0)
    work = told["in_flight"]
    if work:
        waits = f"; it was given back: {work['waits_for']}" if work["waits_for"] else ""
        output.say(f"\nIn flight: due {_time(work['due_at'])}{waits}")
    if told["waits_for_a_person_since"]:
        output.say(f"\nWaits for a person since {_time(told['waits_for_a_person_since'])}")


def _show_messages(messages: Sequence[Told]) -> None:
    if messages:
        output.say("\nWent out")
    for one in messages:
        place = "waits for the relay"
        if one["published_at"]:
            place = f"partition {one['partition']}, offset {one['offset']}, {_time(one['published_at'])}"
        output.say(f"  revision {one['revision']} to {one['topic']}: {place}")
        output.say(f"    ce_id     {one['id']}")


def _show_records(records: Sequence[Told]) -> None:
    if records:
        output.say("\nOn record")
    for one in records:
        output.say(f"  {_time(one['at'])} {one['kind']} by {one['by']}: {one['id']}")


def _sized(mark: Told) -> str:
    if mark.get("bytes") is None:
        return "not kept"
    return f"{mark['bytes']} bytes" + (f", salted SHA-256 {mark['sha256']}" if mark.get("sha256") else "")


def _moment(value: Any) -> str:
    """A time from a row, or from a record's text."""
    from datetime import datetime

    return _time(datetime.fromisoformat(value) if isinstance(value, str) else value)
