"""HTTP without a library of ours: a request in, status and body out."""

import http.client
import json
from collections.abc import Mapping
from typing import Any

_TIMEOUT_SECONDS = 30.0


def call(
    port: int,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    method: str | None = None,
) -> tuple[int, bytes]:
    """One request to this machine: POST with a body, else GET. Raises OSError where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def call_json(
    port: int, path: str, value: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The same with JSON both ways."""
    body = None if value is None else json.dumps(value).encode()
    status, answer = call(port, path, body, {"Content-Type": "application/json", **(headers or {})})
    found: dict[str, Any] = json.loads(answer)
    return status, found
