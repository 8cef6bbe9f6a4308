"""One event's rows and audit records in, how it came to its outcome out: as JSON.

What a decision rested on is told from its audit record, which was sealed; the journal adds what the record
only has as hashes, as long as it is kept.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from consumers import story
from infra.database import Database
from infra.store.deviations import deviations
from infra.store.texts import Texts
from pipeline.catalogue import Catalogue, Entry
from pipeline.errors import InvalidEvent
from pipeline.fence import unfence
from pipeline.receive import parse, read
from pipeline.record import sentence
from pipeline.trail import IN_BULK

Told = Mapping[str, Any]

_CAME_IN = (
    "topic", "source", "id", "type", "subject", "time", "partition", "offset", "accepted_at", "content",
)  # fmt: skip
_CALL = (
    "id", "step", "version", "larger", "alias", "endpoint", "model_asked", "model_answered", "started_at",
    "latency_ms", "status", "finish_reason", "failure", "input_tokens", "cached_tokens", "output_tokens",
    "cost_micros", "is_unknown", "original_id",
)  # fmt: skip
#: Of codes that are no error's.
_MEANINGS = {IN_BULK: "a person decided on many events at once; nobody looked at each"}


async def gather(
    database: Database, catalogue: Catalogue, event_id: UUID, texts: Texts | None = None
) -> dict[str, Any]:
    """The explanation of one event, with the texts that were revealed; raises NotFound."""
    told = await story.gather(database, event_id, texts)
    records = [one["record"] for one in told["audit"] if one["revision"] is not None]
    made = explained(told, texts, catalogue.by_name.get(told["workflow"]))
    return {**made, "deviations": await deviations(database, event_id, records)}


def explained(told: Told, texts: Texts | None = None, entry: Entry | None = None) -> dict[str, Any]:
    """What `story.told` made, put in the order of what happened."""
    records = {one["revision"]: one["record"] for one in told["audit"] if one["revision"] is not None}
    decided = [_revision(result, records.get(result["revision"]), told) for result in told["results"]]
    calls = {result["revision"] for result in told["results"]}
    open_calls = [_call(None, row) for row in told["attempts"] if row["revision"] not in calls]
    for one in decided if texts else ():
        _quote(one, _read(one, texts, entry))
    return {
        "event_id": told["event_id"],
        "state": told["state"],
        "workflow": told["workflow"],
        "erased": told["erased"],
        "pruned": told["pruned"],
        "came_in": {name: told[name] for name in _CAME_IN},
        "revisions": decided,
        "calls_so_far": open_calls,
        "in_flight": told["in_flight"],
        "waits_for_a_person_since": told["review"][-1]["created_at"] if told["review"] else None,
        "went_out": told["outbox"],
        "records": [
            {
                "id": one["id"],
                "kind": one["kind"],
                "revision": one["revision"],
                "at": one["occurred_at"],
                "by": one["actor"]["name"],
                "leaf": one["leaf"],
            }
            for one in told["audit"]
        ],
    }


def _revision(result: Told, record: Told | None, told: Told) -> dict[str, Any]:
    """One decision. Without its record, which `penstock audit verify` finds, its row still tells a part."""
    record = record or {}
    rows = {str(row["id"]): row for row in told["attempts"] if row["revision"] == result["revision"]}
    recorded = {one["id"]: one for one in record.get("attempts", ())}
    code = record.get("code")
    return {
        "revision": result["revision"],
        "outcome": record.get("outcome", result["state"]),
        "supersedes": result["supersedes"],
        "decided_at": record.get("occurred_at", result["decided_at"]),
        "kind": record.get("kind"),
        "by": record.get("actor", {}).get("name"),
        "release": record.get("release"),
        "version": record.get("version", result["version"]),
        "flags": record.get("flags", []),
        "sampled": record.get("sampled", False),
        "calls": [_call(recorded.get(own), rows.get(own)) for own in {**rows, **recorded}],
        "calls_made": record.get("attempts_made", len(rows)),
        "evidence": _places(record.get("evidence")),
        "code": code,
        "meaning": None if code in (None, "policy") else _MEANINGS.get(code) or sentence(code),
        "instead_of": record.get("instead_of"),
        "reasons": record.get("reasons") or result["reasons"],
        "model": record.get("model", result["model"]),
        "cost_micros": record.get("cost_micros", result["cost_micros"]),
        "data": result["data"],
        "withheld": result["withheld"],
        "output": record.get("output"),
        "record": record.get("id"),
    }


def _call(recorded: Told | None, row: Told | None) -> dict[str, Any]:
    """One call, or what stands for one. The record says what was made of its answer."""
    known = {**(row or {}), **(recorded or {})}
    assessed = known.get("assessed")
    texts = row or {}
    told = {name: known.get(name) for name in _CALL}
    return {
        **told,
        "request": {**_mark(recorded, "request"), **texts.get("request", {})},
        "response": {**(_mark(recorded, "response") or texts.get("response", {})), **_text_of(texts)},
        "complaints": texts.get("complaints", []),
        "meaning": sentence(told["failure"]) if told["failure"] else None,
        "assessed": assessed
        and {
            "failure": assessed["failure"],
            "meaning": sentence(assessed["failure"]) if assessed["failure"] else None,
            "checks": assessed["checks"],
            "evidence": _places(assessed["evidence"]),
        },
    }


def _text_of(row: Told) -> dict[str, Any]:
    return {name: text for name, text in row.get("response", {}).items() if name in ("text", "base64")}


def _mark(recorded: Told | None, what: str) -> dict[str, Any]:
    if recorded is None or f"{what}_bytes" not in recorded:
        return {}
    return {"bytes": recorded[f"{what}_bytes"], "sha256": recorded[f"{what}_sha256"]}


def _places(evidence: Told | None) -> list[dict[str, Any]]:
    return [{"path": path, **one} for path, one in (evidence or {}).items()]


def _quote(revision: dict[str, Any], text: str | None) -> None:
    """Put beside each place what the text says there."""
    judged = [call["assessed"]["evidence"] for call in revision["calls"] if call["assessed"]]
    for one in (place for places in (revision["evidence"], *judged) for place in places):
        if text is not None and one["start"] is not None:
            one["quote"] = text[one["start"] : one["end"]]


def _read(revision: Told, texts: Texts | None, entry: Entry | None) -> str | None:
    """The text that the places are in: as it was sent, else what the same version makes of the event."""
    made = texts.attempts if texts else {}
    for call in revision["calls"]:
        attempt = made.get(UUID(str(call["id"])))
        for message in _messages(attempt.request.body) if attempt else ():
            if unfence(message) != message:
                return unfence(message)
    if texts is None or texts.content is None or entry is None or entry.version != revision["version"]:
        return None
    return _said_by(entry, texts.content)


def _said_by(entry: Entry, content: bytes) -> str | None:
    try:
        return str(entry.workflow.text(read(entry, parse(content))))
    except InvalidEvent:  # dead at the door
        return None


def _messages(body: bytes) -> Iterator[str]:
    """What a request says to the model; nothing where it is no chat request."""
    try:
        said: Sequence[Any] = json.loads(body)["messages"]
        yield from (message["content"] for message in said if isinstance(message["content"], str))
    except (ValueError, KeyError, TypeError):
        return
