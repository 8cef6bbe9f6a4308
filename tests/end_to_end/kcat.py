"""Kafka by kcat, a client that is not ours: keyed values and raw bytes in, messages with headers out."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Stands between key and value of a line; no JSON text holds a bare tab.
_TAB = "\t"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as kcat read it."""

    topic: str
    partition: int
    offset: int
    key: str
    value: str
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.value)


def produce(
    servers: str,
    topic: str,
    messages: Sequence[tuple[str, Mapping[str, Any]]],
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send JSON values under their keys, all with the same headers."""
    lines = "".join(f"{key}{_TAB}{json.dumps(value)}\n" for key, value in messages)
    options = ["-K", _TAB, *_headers(headers)]
    _run("-b", servers, "-P", "-t", topic, *options, given=lines.encode())


def produce_bytes(
    servers: str,
    topic: str,
    body: bytes,
    *,
    key: str,
    folder: Path,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send these very bytes, line ends and all."""
    file = folder / "message"
    file.write_bytes(body)
    _run("-b", servers, "-P", "-t", topic, "-k", key, *_headers(headers), str(file))


def read(servers: str, topic: str) -> list[Message]:
    """All that is on a topic now, partition by partition."""
    told = _run("-b", servers, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J")
    return [_message(line) for line in told.splitlines()]


def _message(line: bytes) -> Message:
    found = json.loads(line)
    listed = found.get("headers", [])
    return Message(
        topic=found["topic"],
        partition=found["partition"],
        offset=found["offset"],
        key=found["key"],
        value=found["payload"],
        headers=dict(zip(listed[::2], listed[1::2], strict=True)),
    )


def _headers(headers: Mapping[str, str] | None) -> list[str]:
    return [word for name, value in (headers or {}).items() for word in ("-H", f"{name}={value}")]


def _run(*arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["kcat", *arguments], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, f"kcat {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout
