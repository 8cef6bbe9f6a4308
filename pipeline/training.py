"""A golden case in, the conversation that a model should have had out; or why it cannot teach.

What is taught is what is sent today and what would be accepted today: the same instructions and fence, the
value with its quotes, checked by the same grounding.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from pipeline.assemble import instructions
from pipeline.catalogue import Entry
from pipeline.errors import InvalidEvent
from pipeline.fence import fence
from pipeline.ground import ground, ungrounded
from pipeline.marks import marked
from pipeline.receive import stored
from pipeline.screen import screen
from pipeline.trail import evidence_of
from pipeline.wire import MAX_QUOTE_LENGTH, unwrap, wrap
from schemas.changeset import Result
from schemas.event import Received
from schemas.evidence import Grounding, Verdict
from schemas.extraction import Extraction

NO_FIT: Final = "does not fit today's schemas"
NOT_SENT: Final = "has a text that no model is sent"
NO_EVIDENCE: Final = "has a value without a quote that states it"


@dataclass(frozen=True, slots=True)
class Unfit(Exception):
    """The case cannot teach; `why` completes "a case that ..."."""

    why: str


def openai(entry: Entry, event: Received, result: Result, *, key: bytes) -> str:
    """A line of OpenAI's fine-tuning format for chat models; raises Unfit.

    Messages as a first call sends them: the answer is the one that `result` says is right.
    """
    workflow = entry.workflow
    try:
        text = str(workflow.text(stored(entry, event)))
    except InvalidEvent as error:
        raise Unfit(NO_FIT) from error
    if screen(text, max_tokens=workflow.max_tokens, fields=workflow.extraction.model_fields).refused:
        raise Unfit(NOT_SENT)
    sent = text.encode("utf-8", "replace").decode()
    messages = [
        {"role": "system", "content": instructions(entry, key=key)},
        {"role": "user", "content": fence(sent, key=key, event_id=event.event_id, step=0)},
        {"role": "assistant", "content": _answer(entry, result, text)},
    ]
    return json.dumps({"messages": messages}, ensure_ascii=False)


def _answer(entry: Entry, result: Result, text: str) -> str:
    """The right answer, as the schema that models are sent wants it; JSON without line ends.

    A value that a person wrote has no evidence yet: where its own spelling stands in the text, that is it.
    """
    extraction, data = entry.workflow.extraction, result.data or {}
    quotes = {**_spelt(extraction, data), **_quotes(result.evidence or {}, text)}
    try:
        value, quotes = unwrap(extraction, wrap(extraction, data, quotes))
    except KeyError as error:
        raise Unfit(NO_EVIDENCE) from error
    except ValidationError as error:
        raise Unfit(NO_FIT) from error
    kept, evidence = ground(value, quotes, text=text)
    if ungrounded(extraction, evidence) or kept != value:
        raise Unfit(NO_EVIDENCE)
    wire = wrap(extraction, data, _quotes(evidence_of(evidence) or {}, text))
    return json.dumps(wire.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


def _spelt(extraction: type[Extraction], data: Mapping[str, Any]) -> dict[str, str]:
    """The values that need evidence, as they are spelt in JSON, by path."""
    values: dict[str, Any] = {}
    for name, mark in marked(extraction).items():
        value = data.get(name)
        values |= {f"{name}[{i}]": one for i, one in enumerate(value or ())} if mark.many else {name: value}
    spelt = {path: str(one) for path, one in values.items() if one is not None}
    return {path: one for path, one in spelt.items() if 0 < len(one) <= MAX_QUOTE_LENGTH}


def _quotes(evidence: Mapping[str, Any], text: str) -> dict[str, str]:
    """The stretches of the text that the evidence points at, by path; of what was not found there is none."""
    found = {
        path: Grounding(path, Verdict(one["verdict"]), one["start"], one["end"])
        for path, one in evidence.items()
    }
    return {path: text[one.start : one.end] for path, one in found.items() if one.found}
