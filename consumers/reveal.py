"""The texts of one event, for a person who may read them: that they did is on record before they do."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from infra.store import administration, history, texts
from infra.store.store import SqlStore
from infra.store.texts import Texts
from infra.store.words import withheld
from pipeline.trail import PAYLOAD_READ, noted
from schemas.changeset import Scribe
from schemas.event import Received


async def reveal(store: SqlStore, event_id: UUID, *, scribe: Scribe, now: datetime) -> Texts:
    """Write who reads which contents (`scribe.actor`), then read them; raises NotFound.

    Committed first: a reader whose database goes away has read nothing, and is on record for nothing worse.
    """
    event, _ = await history.newest(store.database, event_id)
    contents = await texts.contents_of(store.database, event_id)
    await put_on_record(store, event, contents, scribe=scribe, now=now)
    return await texts.texts(store.database, event_id)


async def put_on_record(
    store: SqlStore,
    event: Received,
    contents: Sequence[UUID],
    *,
    scribe: Scribe,
    now: datetime,
    export: UUID | None = None,
) -> None:
    """Write that somebody (`scribe.actor`) is about to read these contents of an event, or to export them."""
    record = noted(
        PAYLOAD_READ,
        {"contents": [str(own) for own in contents], **({"export": str(export)} if export else {})},
        scribe=scribe,
        now=now,
        workflow=event.workflow,
        nonce=str(uuid4()),
        event_id=event.event_id,
    )
    await administration.write_record(store.database, record)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told of a result; `withheld` are the names of the fields that are not."""

    data: Mapping[str, Any] | None
    reasons: tuple[str, ...]
    withheld: tuple[str, ...] = ()


def shown(
    data: Mapping[str, Any] | None, reasons: Sequence[str], *, has_subject: bool, is_revealed: bool
) -> Shown:
    """A result as it is told to whoever reads it.

    What was extracted from an event with a subject, and why it was decided so, are texts of that subject: for
    who reads texts, on record.
    """
    if has_subject and not is_revealed:
        return Shown(None, withheld(reasons), tuple(sorted(data or ())))
    return Shown(data, tuple(reasons))


def spelt(data: bytes) -> dict[str, str]:
    """Bytes for JSON: as `text`, or as `base64` where they are none."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
