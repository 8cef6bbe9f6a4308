"""What is said of an event with a subject is a text, too: taken out of the rows, put back by who reads.

Its message key, its result, the reasons and complaints in words: each is a `content` row with an id that can
be told from what it belongs to. In the row itself stay the fields that the workflow wants to be `indexed`.
"""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.store.contents import Content, read_contents
from pipeline.errors import Erased
from pipeline.publish import content_id, envelope_id, output_id, reasons_id
from pipeline.receive import canonical
from schemas.changeset import Changeset
from schemas.event import Received

#: What stands for the reasons of an event with a subject until its texts are revealed.
WITHHELD: Final = "told with the texts, for its subject's sake (--reveal)"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an event's envelope says of its subject."""

    key: bytes
    subject: str | None

    @property
    def columns(self) -> dict[str, Any]:
        """As columns of `event`."""
        return {"key": self.key, "subject": self.subject}


def complaints_id(attempt_id: UUID) -> UUID:
    """The `content` row that holds an attempt's complaints."""
    return uuid5(attempt_id, "complaints")


def words(sentences: Iterable[str]) -> bytes:
    return canonical(list(sentences))


def read_words(text: bytes) -> tuple[str, ...]:
    return tuple(json.loads(text))


def contents_of(event: Received) -> list[Content]:
    """The texts that an event brings along."""
    own = [_content(event, content_id(event.event_id), event.content)]
    if event.subject_hash:
        spoken = {"key_base64": base64.b64encode(event.key).decode(), "subject": event.subject}
        own.append(_content(event, envelope_id(event.event_id), canonical(spoken)))
    return own


async def envelopes(connection: AsyncConnection, events: Collection[UUID]) -> dict[UUID, Spoken]:
    """What was taken out of the rows of these events, unless it was erased."""
    ids = {envelope_id(event_id): event_id for event_id in events}
    found = await read_contents(connection, ids)
    return {ids[own]: _spoken(json.loads(text)) for own, text in found.items()}


def is_open(changeset: Changeset) -> bool:
    """May words about the event stand in rows?"""
    return changeset.event.subject_hash is None


def result_contents(changeset: Changeset) -> list[Content]:
    """The texts of a decision; none where the event has no subject."""
    event, result = changeset.event, changeset.result
    if is_open(changeset):
        return []
    said = [_content(event, reasons_id(event.event_id, result.revision), words(result.reasons))]
    if result.data is not None:
        data = canonical(dict(result.data))
        said.append(_content(event, output_id(event.event_id, result.revision), data))
    return said


def open_part(changeset: Changeset) -> dict[str, Any]:
    """What stays in the row of a result: of an event with a subject the indexed fields, and no words."""
    result = changeset.result
    if is_open(changeset):
        return {"data": result.data, "reasons": list(result.reasons)}
    if result.data is None:
        return {"data": None, "reasons": []}
    indexed = {name: value for name, value in result.data.items() if name in changeset.indexed}
    return {"data": indexed, "reasons": []}


async def restored(
    connection: AsyncConnection, rows: Sequence[RowMapping | Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of results or reviews, whole again; each says by `subject_hash` whether that takes anything."""
    sealed = [(row["event_id"], row["revision"]) for row in rows if _has_words(row)]
    ids = {make(*own) for own in sealed for make in (reasons_id, output_id)}
    found = await read_contents(connection, ids)
    return [_restored(row, found) if _has_words(row) else dict(row) for row in rows]


def listed(rows: Sequence[RowMapping | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same for a list, which tells no texts: the reasons of an event with a subject may quote it."""
    return [{**row, "reasons": [WITHHELD]} if _has_words(row) else dict(row) for row in rows]


def withheld(reasons: Sequence[str]) -> tuple[str, ...]:
    """What is told in place of these reasons; that they were erased is no secret, nothing reveals them."""
    gone = str(Erased())
    return tuple(WITHHELD if reason != gone else gone for reason in reasons[:1])


def _has_words(row: RowMapping | Mapping[str, Any]) -> bool:
    return bool(row["subject_hash"]) and row["revision"] is not None


def _restored(row: RowMapping | Mapping[str, Any], found: Mapping[UUID, bytes]) -> dict[str, Any]:
    own = (row["event_id"], row["revision"])
    whole: dict[str, Any] = dict(row)
    reasons = found.get(reasons_id(*own))
    whole["reasons"] = [str(Erased())] if reasons is None else list(read_words(reasons))
    if output_id(*own) in found:
        whole["data"] = json.loads(found[output_id(*own)])
    return whole


def _content(event: Received, own: UUID, data: bytes) -> Content:
    return Content(own, data, event.salt, event.event_id, event.subject_hash)


def _spoken(found: Mapping[str, Any]) -> Spoken:
    return Spoken(base64.b64decode(found["key_base64"]), found["subject"])
