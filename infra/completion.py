"""A provider's answer in, what we take of it out: read loosely, but never more than a row can hold."""

import json
from functools import lru_cache
from typing import Any, Final, TypeGuard

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
        loose = json.loads(body)
        if not isinstance(loose, dict) or not isinstance(loose.get("choices"), list):
            raise
        completion = ChatCompletion.construct(**loose)
        if not all(
            isinstance(getattr(choice, "message", None), ChatCompletionMessage)
            for choice in completion.choices
        ):
            raise
        return completion


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
    """The tokens as the provider counted them; None where it does not say, or says what is no number of them.

    Read as loosely as the rest: what a compatible server calls otherwise has another name here, or none.
    Where counts can be understood in two ways, the dearer one counts. No request is of no tokens.
    """
    usage: Any = completion.usage
    read, written = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if not (_is_count(read) and _is_count(written) and read):
        return None
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    if not _is_count(cached):
        cached = 0
    # More from the cache than was read: then what was read does not include it.
    read += cached if cached > read else 0
    total = getattr(usage, "total_tokens", None)
    # Some count what a model thought in the total alone, and charge it as they do its answer.
    written = max(written, total - read) if _is_count(total) else written
    return Usage(*(min(count, _MOST_TOKENS) for count in (read, written, cached)))


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def told(text: object) -> str | None:
    """A word of the provider's, fit for a column."""
    return None if text is None else clean(str(text), max_length=200)
