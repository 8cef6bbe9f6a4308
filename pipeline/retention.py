"""How long what is kept: a policy of the deployment, as values; and what names the events it was done to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from schemas.kinds import RecordKind

#: The kind of the audit record of what was removed.
PRUNED: Final[RecordKind] = "pruned"
#: That of sealed batches of the audit trail which were removed.
TRIMMED: Final[RecordKind] = "audit_pruned"


def account(what: str, rows: Mapping[str, int], events: Sequence[UUID] = ()) -> dict[str, object]:
    """What a record says of one removal: rows by table, and of which events nothing else is left."""
    of = {"events": len(events), "sha256": digest(events)} if events else {}
    return {"what": what, "rows": dict(rows), **of}


def digest(events: Iterable[UUID]) -> str:
    """SHA-256 over the ids of events, sorted: which they were, without a list of them."""
    return hashlib.sha256(b"".join(sorted(event_id.bytes for event_id in events))).hexdigest()


@dataclass(frozen=True, slots=True)
class Terms:
    """By kind, how long after the last decision on its event; None keeps for ever."""

    content: timedelta | None = None
    journal: timedelta | None = None
    results: timedelta | None = None
    topics: timedelta | None = None
    audit: timedelta | None = None
