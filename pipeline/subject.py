"""An event in, whose it is out: never the subject itself, but its keyed hash."""

import hashlib
import hmac

from pipeline.catalogue import Entry
from pipeline.errors import SubjectUnknown
from schemas.event import Event


def subject_hash(secret: bytes, subject: str) -> bytes:
    """HMAC-SHA256 under a key of its own: who has the secret can look a subject up, nobody can read one.

    The same in every workflow, and for exactly this spelling.
    """
    key = hmac.digest(secret, b"penstock subject", hashlib.sha256)
    return hmac.digest(key, subject.encode("utf-8", "surrogatepass"), hashlib.sha256)


def subject_of(entry: Entry, event: Event, *, secret: bytes) -> bytes | None:
    """The hash of the event's subject, None without one; raises SubjectUnknown where the workflow fails."""
    if entry.workflow.subject is None:
        return None
    try:
        subject = entry.workflow.subject(event)
        return subject_hash(secret, subject) if subject else None
    except Exception as error:  # the user's code: an event must not be lost to its bugs
        raise SubjectUnknown(f"subject of {entry.workflow.name!r} failed: {type(error).__name__}") from error
