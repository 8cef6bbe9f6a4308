"""A provider's answer in, what we take of it out: read loosely, but never more than a row can hold."""

import json
from functools import lru_cache
from typing import Any, Final

from instructor.v2.providers.openai.handlers import OpenAIJSONSchemaHandler
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from pydantic import ValidationError

from pipeline.catalogue import Entry
from pipeline.wire import unwrap, wire_model
from schemas.extraction import Extraction, Reading, Usage
from schemas.text import clean

#: No answer has more; a larger count is a fault of the server, and no column holds it.
_MOST_TOKENS = 2**40

_HANDLER: Final[Any] = OpenAIJSONSchemaHandler()


@lru_cache(maxsize=1)
def read_completion(body: bytes) -> ChatCompletion:
    """The provider's answer; as loosely as the openai client reads it where a field is not OpenAI's.

    Compatible servers say `finish_reason` null or "eos". Raises ValueError for what is no completion.
    Remembered until the next one: first its usage is read, then its text.
    """
    try:
        return ChatCompletion.model_validate_json(body)
    except ValidationError:
        loose = _loaded(body)
        if not isinstance(loose, dict) or not isinstance(loose.get("choices"), list):
            raise
        completion = ChatCompletion.construct(**loose)
        if not all(
            isinstance(getattr(choice, "message", None), ChatCompletionMessage)
            for choice in completion.choices
        ):
            raise
        return completion


def _loaded(body: bytes) -> Any:
    """Raises ValueError for what is no JSON, or JSON within JSON beyond any measure."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def read_answer(entry: Entry, body: bytes) -> Reading:
    """The extraction in a provider's answer; raises what instructor raises for what is none.

    Remembered for a moment: an answer is read when it comes, and again when it is judged.
    """
    extraction: type[Extraction] = entry.workflow.extraction
    return _read_answer(extraction, body)


@lru_cache(maxsize=64)
def _read_answer(extraction: type[Extraction], body: bytes) -> Reading:
    completion = read_completion(body)
    wire = _HANDLER.parse_response(completion, response_model=wire_model(extraction), strict=False)
    return Reading(*unwrap(extraction, wire))


def usage_of(completion: ChatCompletion) -> Usage | None:
    """The tokens as the provider counted them; None where it does not say, or says no numbers."""
    usage = completion.usage
    asked, answered = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if asked is None or answered is None:
        return None
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
    return Usage(asked, answered, cached or 0)


def _count(part: object, name: str) -> int | None:
    """What stands there was read loosely: it may be anything."""
    count = getattr(part, name, None)
    return min(max(count, 0), _MOST_TOKENS) if type(count) is int else None


def told(text: object) -> str | None:
    """A word of the provider's, fit for a column."""
    return None if text is None else clean(str(text), max_length=200)
