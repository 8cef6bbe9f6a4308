"""The help desk's webhook: each message that it reports becomes a support event."""

from collections.abc import Mapping
from typing import Any

from pipeline import IGNORED, Ignored, Source


def adapt(body: Mapping[str, Any]) -> Mapping[str, Any] | Ignored:
    """`{"type": "message.created", "data": {...}}` to the data of a support message.

    What lacks a part becomes an empty event, so that the topic's schema refuses it by name.
    """
    if body.get("type") != "message.created":
        return IGNORED
    match body:
        case {"data": {"from": {"email": sender}, "subject": subject, "text": text}}:
            return {"sender": sender, "subject": subject, "body": text}
    return {}


source = Source(name="helpdesk", topic="support.messages.v1", scheme="standard", adapt=adapt)
