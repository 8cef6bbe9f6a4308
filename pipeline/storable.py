"""A changeset in, what keeps it from being written or published out, as far as can be known before."""

from typing import Any

from pipeline.errors import MessageTooLarge, PermanentError, Unstorable
from schemas.changeset import Changeset


def flaw(changeset: Changeset, *, max_message_bytes: int) -> PermanentError | None:
    """What keeps a changeset from being written, as far as can be known before the statement."""
    if any(message.size > max_message_bytes for message in changeset.outbox):
        return MessageTooLarge(f"the outgoing message is larger than {max_message_bytes} bytes")
    if "\0" in "".join(_texts(changeset.result.data)):
        return Unstorable("the result holds a NUL character")
    return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []
