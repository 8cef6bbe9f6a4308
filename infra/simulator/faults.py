"""What can go wrong with a model: a fault's name in; a spoilt answer or completion or an error out.

Four layers, by where the fault strikes: `ANSWER` (the JSON value), `COMPLETION` (the body around it),
`ERRORS` (an HTTP status instead of it), `WIRE` (the connection below it).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from infra.simulator import shapes
from infra.simulator.shapes import Schema

ANSWER: Final = frozenset({"wrong_type", "missing_field", "extra_field", "nan", "nul", "not_in_text", "huge"})
COMPLETION: Final = frozenset(
    {"invalid_json", "truncated", "refusal", "content_filter", "no_choices", "other_model", "no_usage"}
)
WIRE: Final = frozenset({"hang", "drip", "reset"})


@dataclass(frozen=True, slots=True)
class ErrorFault:
    status: int
    kind: str
    code: str | None = None
    retry_after_seconds: float | None = None


ERRORS: Final = {
    "429": ErrorFault(429, "rate_limit_error", "rate_limit_exceeded"),
    "429_retry_after": ErrorFault(429, "rate_limit_error", "rate_limit_exceeded", 1),
    "quota": ErrorFault(429, "insufficient_quota", "insufficient_quota"),
    "500": ErrorFault(500, "server_error"),
    "503": ErrorFault(503, "server_error", "overloaded"),
    "400": ErrorFault(400, "invalid_request_error"),
    "401": ErrorFault(401, "invalid_request_error", "invalid_api_key"),
    "404": ErrorFault(404, "invalid_request_error", "model_not_found"),
}
HTML: Final = "html"
FAULTS: Final = ANSWER | COMPLETION | WIRE | ERRORS.keys() | {HTML}

_HUGE_BYTES: Final = 5_000_000
_INVENTED: Final = (
    "Quixwell Holdings 73190", "1907-11-23", "73190.37", "USD 73190.37", "73190.37 USD",
    "1907-11-23T00:00:00Z", "73190", "QX-73190", "XTS", "nowhere@quixwell.example",
)  # fmt: skip


def spelled(name: str) -> str:
    """A fault's name as `FAULTS` has it: `429-Retry-After` is `429_retry_after`."""
    return name.lower().replace("-", "_")


def error_body(message: str, fault: ErrorFault) -> dict[str, Any]:
    return {
        "error": {"message": f"simulated: {message}", "type": fault.kind, "param": None, "code": fault.code}
    }


def spoil_answer(fault: str, answer: Any, schema: Schema, *, text: str) -> Any:
    """The answer with one thing wrong; as it is where the schema offers nothing to spoil."""
    if not isinstance(answer, dict):
        return answer
    names = list(answer)
    required = [name for name in schema.get("required", names) if name in answer]
    match fault:
        case "extra_field":
            return {**answer, "unexpected": "simulated"}
        case "missing_field":
            return {name: value for name, value in answer.items() if name != (required or names or [None])[0]}
        case "wrong_type" if names:
            return {**answer, names[0]: 12345 if isinstance(answer[names[0]], list) else [12345]}
        case "nan" if names:
            number = next((n for n in names if type(answer[n]) in (int, float)), names[0])
            return {**answer, number: float("nan")}
    return _spoil_string(fault, answer, schema, text=text)


def _spoil_string(fault: str, answer: dict[str, Any], schema: Schema, *, text: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(answer))
    for owner, name, inner in _strings(copy, schema, schema):
        value = {"nul": f"{owner[name] or 'a'}\x00b", "huge": "x" * _HUGE_BYTES}.get(fault)
        if fault == "not_in_text":
            value = next((made for made in _INVENTED if shapes.fits(made, inner) and made not in text), None)
            if value is not None and "quote" in owner:
                owner["quote"] = value
        if value is not None:
            owner[name] = value
            break
    return copy


def _strings(value: Any, schema: Schema, root: Schema) -> Iterator[tuple[Any, Any, Schema]]:
    """Every place where a free string stands or may stand, as (container, key, schema)."""
    for choice in shapes.options(schema, root):
        match value, shapes.kind(choice):
            case dict(), "object":
                inner = choice.get("properties", {})
                places = [(name, inner.get(name, {})) for name in value]
            case list(), "array":
                places = [(index, choice.get("items", {})) for index in range(len(value))]
            case _:
                continue
        for key, below in places:
            free = [
                one
                for one in shapes.options(below, root)
                if shapes.kind(one) == "string" and "enum" not in one and "const" not in one
            ]
            if free and (value[key] is None or isinstance(value[key], str)):
                yield value, key, free[0]
            yield from _strings(value[key], below, root)


def spoil_completion(fault: str, completion: dict[str, Any]) -> dict[str, Any]:
    """The completion with its envelope or its text spoilt; works on content and on tool arguments alike."""
    if fault == "no_choices":
        return {**completion, "choices": []}
    if fault == "other_model":
        return {**completion, "model": "simulated-other"}
    if fault == "no_usage":
        return {name: value for name, value in completion.items() if name != "usage"}
    choice = completion["choices"][0]
    if fault in ("refusal", "content_filter"):
        refusal = "simulated: I cannot help with that." if fault == "refusal" else None
        message = {"role": "assistant", "content": None, "refusal": refusal}
        return {
            **completion,
            "choices": [{**choice, "message": message, "finish_reason": "stop" if refusal else fault}],
        }
    message = json.loads(json.dumps(choice["message"]))
    owner, name = (
        (message["tool_calls"][0]["function"], "arguments")
        if message.get("tool_calls")
        else (message, "content")
    )
    said = owner[name]
    owner[name] = said[: len(said) // 2] if fault == "truncated" else f"{said[:-1]},,"
    finish = "length" if fault == "truncated" else choice["finish_reason"]
    return {**completion, "choices": [{**choice, "message": message, "finish_reason": finish}]}
