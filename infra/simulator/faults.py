"""What can go wrong: a fault's name and an answer or a completion in, the same spoilt out."""

import copy
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from infra.simulator import shapes
from infra.simulator.shapes import Schema

#: By where a fault strikes: the JSON value, the body around it, the connection below, the HTTP status.
ANSWER: Final = frozenset({"wrong_type", "missing_field", "extra_field", "nan", "nul", "not_in_text", "huge"})
COMPLETION: Final = frozenset({
    "invalid_json", "truncated", "refusal", "content_filter", "no_choices", "other_model", "no_usage",
})  # fmt: skip
WIRE: Final = frozenset({"hang", "drip", "reset"})


class ErrorFault(NamedTuple):
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
FAULTS: Final = ANSWER | COMPLETION | WIRE | ERRORS.keys() | {"html"}

_INVENTED: Final = (
    "Quixwell Holdings", "1907-11-23", "73190.37", "QX-73190", "XTS", "qx@quixwell.example",
)  # fmt: skip


def known(name: str) -> str:
    """A fault as `FAULTS` spells it, so `429-Retry-After` as `429_retry_after`; raises ValueError."""
    spelled = name.lower().replace("-", "_")
    if spelled not in FAULTS:
        raise ValueError(f"no fault {name!r}; there are: {', '.join(sorted(FAULTS))}")
    return spelled


def spoil_answer(fault: str, answer: Any, schema: Schema, text: str) -> Any:
    """The answer with one thing wrong; as it is where the schema offers nothing to spoil."""
    if fault not in ANSWER or not isinstance(answer, dict):
        return answer
    first = next(iter([*schema.get("required", ()), *answer]), "")
    match fault:
        case "extra_field":
            return {**answer, "unexpected": "simulated"}
        case "missing_field":
            return {name: value for name, value in answer.items() if name != first}
        case "wrong_type":
            return {**answer, first: {"wrong": "type"}}
        case "nan":
            return {**answer, first: float("nan")}
    return {**answer, **next(_spoilt_strings(fault, schema, text), {})}


def _spoilt_strings(fault: str, schema: Schema, text: str) -> Iterator[dict[str, Any]]:
    """Each free string spoilt, be it bare or the `value` of an object."""
    fixed = "a\x00b" if fault == "nul" else "x" * 5_000_000 * (fault == "huge")
    for name, inner in schema.get("properties", {}).items():
        for one in shapes.options(inner, schema):
            evidence = one.get("properties", {})
            evidence = evidence if evidence.keys() <= {"value", "quote"} else {}
            for free in shapes.options(evidence.get("value", one), schema):
                invented = (made for made in _INVENTED if shapes.fits(made, free) and made not in text)
                value = fixed or next(invented, None)
                if value and shapes.kind(free) == "string":
                    yield {name: dict.fromkeys(evidence, value) if evidence else value}


def spoil_completion(fault: str, completion: dict[str, Any]) -> dict[str, Any]:
    """The completion with its envelope or its text spoilt; works on content and on tool arguments alike."""
    spoilt = copy.deepcopy(completion)
    choice = spoilt["choices"][0]
    calls = choice["message"].get("tool_calls")
    owner, key = (calls[0]["function"], "arguments") if calls else (choice["message"], "content")
    match fault:
        case "no_choices":
            spoilt["choices"] = []
        case "other_model":
            spoilt["model"] = "simulated-other"
        case "no_usage":
            del spoilt["usage"]
        case "refusal":
            choice["message"] = {"role": "assistant", "content": None, "refusal": "simulated: I cannot help."}
        case "content_filter":
            choice |= {"message": {"role": "assistant", "content": None}, "finish_reason": fault}
        case "truncated":
            owner[key] = owner[key][: len(owner[key]) // 2]
            choice["finish_reason"] = "length"
        case "invalid_json":
            owner[key] = f"{owner[key][:-1]},,"
    return spoilt
