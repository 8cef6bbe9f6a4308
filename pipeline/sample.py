"""An event's id in, whether a person looks at it although nothing was doubted out: the random audit sample.

Drawn by a keyed hash: the same event is drawn or not on every run, and a sender, who may choose an event's
id, cannot choose one that is not looked at.
"""

import hashlib
import hmac
from typing import Final
from uuid import UUID

#: Stands where a doubted event has the reasons of the doubt.
SAMPLED: Final = "drawn at random from what succeeded; nothing was doubted"
#: Its rank in a queue that is ranked by score, before every score.
FIRST: Final = -1.0

_BITS: Final = 64


def is_drawn(event_id: UUID, *, workflow: str, share: float, key: bytes) -> bool:
    """Is this one of the `share` (0 to 1) of the workflow's events that are looked at in any case?"""
    message = b"penstock/sample\0" + workflow.encode() + b"\0" + event_id.bytes
    digest = hmac.digest(key, message, hashlib.sha256)
    return int.from_bytes(digest[: _BITS // 8]) < share * (1 << _BITS)
