"""A message of a topic in, one line of JSON for a terminal or a program out."""

import base64
import json
from typing import Any

from consumers.commands.output import escaped
from pipeline.receive import Record


def as_line(record: Record) -> str:
    """The message as JSON; characters that could drive a terminal are written as escapes."""
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        **_key(record.key),
        "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        **_value(record.value),
    }
    return escaped(json.dumps(line, ensure_ascii=False))


def _key(key: bytes | None) -> dict[str, Any]:
    if key is None:
        return {"key": None}
    try:
        return {"key": key.decode()}
    except UnicodeDecodeError:
        return {"key_base64": base64.b64encode(key).decode()}


def _value(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        return {"value": json.loads(value, parse_constant=_refuse)}
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or nested without end
        return {"value_base64": base64.b64encode(value).decode()}


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
