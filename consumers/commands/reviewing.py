"""What `penstock review` reads from a person and shows them."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from consumers.commands import output
from consumers.desk import Desk
from consumers.reveal import shown
from pipeline.errors import InvalidCorrection
from pipeline.receive import parse
from schemas.decision import REOPENED

if TYPE_CHECKING:
    from infra.store.reviews import Item, Order
    from schemas.changeset import Result


def typed(settings: Sequence[str]) -> dict[str, str]:
    """FIELD=VALUE, one after the other."""
    pairs = [one.partition("=") for one in settings]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise InvalidCorrection(f"--set {name}: write FIELD=VALUE")
    return {name: value for name, _, value in pairs}


def read(file: str) -> Mapping[str, Any]:
    """The JSON object in a file; `-` is standard input."""
    value = parse(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    if not isinstance(value, dict):
        raise InvalidCorrection(f"{file}: write one JSON object, with every field of the result")
    return value


async def gather(desk: Desk, event_id: UUID, *, reveal: bool) -> dict[str, Any]:
    """What a person needs to judge an event; its source text, and what was extracted of an event with a
    subject, only when it is asked for."""
    subject, found = await desk.look(event_id)
    has_subject = subject.event.subject_hash is not None
    newest = subject.newest
    result = shown(newest.data, newest.reasons, has_subject=has_subject, is_revealed=reveal)
    identity = subject.event.identity
    told = {
        "event_id": event_id,
        "workflow": newest.workflow,
        "source": identity.source,
        "id": identity.id,
        "state": newest.state,
        "revision": newest.revision,
        "published": subject.standing,
        "reasons": result.reasons,
        "waits_since": found and found.created_at,
        "claimed_by": found and found.claimed_by,
        "claimed_until": found and found.claimed_until,
        "model": newest.model,
        "data": result.data,
        "withheld": result.withheld,
        "evidence": newest.evidence,
    }
    return {**told, "text": await desk.read(subject)} if reveal else told


def tell_page(page: "Sequence[Item]", *, limit: int, order: "Order", as_json: bool) -> None:
    """A page of the queue."""
    more = page[-1].place(order) if page and len(page) == limit else None
    if as_json:
        output.emit_json({"items": list(page), "next": more})
        return
    for one in page:
        claimed = f"  claimed by {one.claimed_by}" if one.claimed_by else ""
        output.say(f"{one.event_id}  {one.workflow}  {one.id}{claimed}")
        output.say(f"    {'; '.join(one.reasons)}")
    if not page:
        output.note("Nothing waits for a person.")
    else:
        output.note("Look at one: penstock review show ID. Claim the oldest: penstock review next.")
    if more:
        output.note(f"The next page: penstock review list --after {more}")


def tell(told: Mapping[str, Any], *, as_json: bool) -> None:
    """What `gather` made."""
    if as_json:
        output.emit_json(told)
        return
    output.say(f"Event {told['event_id']}: {told['state']}, revision {told['revision']}")
    output.say(f"  {told['workflow']}, {told['id']} of {told['source']}")
    if told["claimed_by"]:
        output.say(f"  claimed by {told['claimed_by']} until {told['claimed_until']:%H:%M} UTC")
    for reason in told["reasons"]:
        output.say(f"  because {reason}")
    output.say("")
    for name, value in (told["data"] or {}).items():
        output.say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
        _tell_evidence(name, told)
    if told["withheld"]:
        output.say(f"  {', '.join(told['withheld'])}: encrypted for its subject (--reveal)")
    elif told["data"] is None:
        output.say("  Nothing was extracted.")
    if "text" in told:
        output.say(f"\n{told['text']}")
    output.note(f"\nDecide: penstock review approve|correct|reject|back {told['event_id']}")


def tell_result(result: "Result", *, as_json: bool) -> None:
    """What was decided."""
    if as_json:
        told = {"event_id": result.event_id, "state": result.state, "revision": result.revision}
        output.emit_json({**told, "supersedes": result.supersedes, "version": result.version})
        return
    state = "in flight again" if result.state == REOPENED else result.state
    output.say(f"{result.event_id} is {state}, as revision {result.revision}.")
    output.note(f"The whole story: penstock event show {result.event_id}")


def _tell_evidence(name: str, told: Mapping[str, Any]) -> None:
    for path, one in (told["evidence"] or {}).items():
        if path.partition("[")[0] != name:
            continue
        place = "" if one["start"] is None else f", characters {one['start']} to {one['end']}"
        quote = ""
        if place and "text" in told:
            quote = f": {json.dumps(told['text'][one['start'] : one['end']], ensure_ascii=False)}"
        label = "" if path == name else f"{path} "
        output.say(f"      {label}{one['verdict'].replace('_', ' ')}{place}{quote}")
