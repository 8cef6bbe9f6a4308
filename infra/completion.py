"""A provider's answer in, what we take of it out: read loosely, but never more than a row can hold."""

import json

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from pydantic import ValidationError

from schemas.extraction import Usage
from schemas.text import clean

#: No answer has more; a larger count is a fault of the server, and no column holds it.
_MOST_TOKENS = 2**40


def read_completion(body: bytes) -> ChatCompletion:
    """The provider's answer; as loosely as the openai client reads it where a field is not OpenAI's.

    Compatible servers say `finish_reason` null or "eos". Raises ValueError for what is no completion.
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


def usage_of(completion: ChatCompletion) -> Usage:
    """The tokens as the provider counted them; none where it does not say."""
    usage = completion.usage
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    cached = (details and details.cached_tokens) or 0
    told = (usage.prompt_tokens, usage.completion_tokens, cached)
    return Usage(*(min(max(count, 0), _MOST_TOKENS) for count in told))


def told(text: object) -> str | None:
    """A word of the provider's, fit for a column."""
    return None if text is None else clean(str(text), max_length=200)
