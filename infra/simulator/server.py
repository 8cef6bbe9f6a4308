"""The simulated model's HTTP door: a request in; a completion, an error or a broken connection out."""

import asyncio
import json
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from infra.simulator import faults
from infra.simulator.answers import answer
from infra.simulator.gullible import obey
from infra.simulator.script import Rule, load_gold, parse, take, text_hash
from infra.simulator.shapes import Schema
from pipeline.fence import unfence

_PREFIX: Final = "simulated"
_KINDS: Final = ("fast", "strong", "gold", "gullible", *(f"fault-{name}" for name in sorted(faults.FAULTS)))
_DRIP_SECONDS: Final = 0.6
_RESET_SECONDS: Final = 0.05  # by then the client has read the headers; a reset discards what it has not


@dataclass(frozen=True, slots=True)
class Options:
    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0  # the most that is added to it; how much of it, depends on the text alone
    gold: Path | None = None


@dataclass(frozen=True, slots=True)
class _Ask:
    model: str
    system: str
    text: str
    schema: Schema | None
    tool: str | None
    prompt_chars: int

    def after(self, kind: str) -> str:
        """What follows `simulated-<kind>-` in the model's name."""
        start = f"{_PREFIX}-{kind}-"
        return self.model.removeprefix(start) if self.model.startswith(start) else ""


def create_app(options: Options) -> web.Application:
    """Raises ValueError when the gold file has a line that is none."""
    simulator = _Simulator(options, load_gold(options.gold) if options.gold else {})
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", simulator.complete)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/healthz", _health)
    app.router.add_post("/script", simulator.change_script)
    app.router.add_delete("/script", simulator.change_script)
    return app


@asynccontextmanager
async def serve(options: Options, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve on the running loop while the block runs; yields `http://host:port`. Port 0 takes a free one."""
    app = create_app(options)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "model": _PREFIX})


def has_model(kind: str) -> bool:
    """Does `simulated-<kind>` do something of its own? Every other name answers by the rules."""
    name, _, rest = kind.partition("-")
    match name:
        case "slow":
            return rest.isdecimal()
        case "fault":
            return rest.lower().replace("-", "_") in faults.FAULTS
    return kind in _KINDS


async def _models(_: web.Request) -> web.Response:
    common = {"object": "model", "created": 0, "owned_by": _PREFIX}
    models = [{"id": f"{_PREFIX}-{kind}", **common} for kind in _KINDS]
    return web.json_response({"object": "list", "data": models})


@dataclass(frozen=True, slots=True)
class _Simulator:
    options: Options
    gold: dict[str, Any]
    rules: list[Rule] = field(default_factory=list)

    async def change_script(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self.rules.clear()
            return web.Response(status=204)
        try:
            rules = parse(await request.read())
        except ValueError as error:
            return _error("400", str(error))
        self.rules.extend(rules)
        return web.json_response({"added": len(rules)})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Authorization", "").lower().removeprefix("bearer").strip():
            return _error("401", "send an Authorization bearer, any will do")
        try:
            ask = _parse(await request.read())
            fault = faults.known(ask.after("fault")) if ask.model.startswith(f"{_PREFIX}-fault-") else ""
        except ValueError as error:
            return _error("404" if "no fault" in str(error) else "400", str(error))
        rule = take(self.rules, text_hash(ask.text)) or Rule(sha256="*")
        fault = rule.fault if rule.fault or rule.answer is not None else fault
        await asyncio.sleep(self._latency_seconds(ask, rule))
        return await self._respond(request, ask, rule, fault)

    def _latency_seconds(self, ask: _Ask, rule: Rule) -> float:
        if rule.latency_ms is not None or ask.after("slow").isdecimal():
            return (int(ask.after("slow")) if rule.latency_ms is None else rule.latency_ms) / 1_000
        share = int(text_hash(ask.text)[:8], 16) / 0xFFFFFFFF
        return self.options.latency_seconds + self.options.jitter_seconds * share

    async def _respond(self, request: web.Request, ask: _Ask, rule: Rule, fault: str) -> web.StreamResponse:
        if fault == "hang":
            await asyncio.Event().wait()  # until the client goes: `serve` asks aiohttp to cancel us then
        if fault == "html":
            return web.Response(text="<html><p>simulated: bad gateway</p></html>", content_type="text/html")
        if fault in faults.ERRORS:
            return _error(fault, f"{fault}, as asked for", rule.retry_after)
        completion = _completion(ask, self._said(ask, rule, fault), rule.usage)
        body = json.dumps(faults.spoil_completion(fault, completion)).encode()
        if fault in faults.WIRE:
            return await _break(request, body, fault)
        return web.Response(body=body, content_type="application/json")

    def _said(self, ask: _Ask, rule: Rule, fault: str) -> str:
        value = self._value(ask) if rule.answer is None else rule.answer
        spoilt = faults.spoil_answer(fault, value, ask.schema or {}, ask.text)
        # A lone surrogate, which no UTF-8 carries, is spelled as an escape: so a model says it.
        return json.dumps(spoilt, ensure_ascii=False).encode(errors="backslashreplace").decode()

    def _value(self, ask: _Ask) -> Any:
        schema = ask.schema or {"const": "A simulated model answers JSON Schemas only."}
        kind = ask.model.removeprefix(f"{_PREFIX}-")
        value = self.gold.get(text_hash(ask.text)) if kind in ("gold", "gullible") else None
        value = answer(schema, ask.text) if value is None else value
        if kind != "gullible" or not isinstance(value, dict):
            return value
        return {**value, **(obey(ask.system, ask.text, schema) or {})}


def _parse(body: bytes) -> _Ask:
    """Raises ValueError with what is wrong with the request."""
    request = json.loads(body)
    schema, tool = None, None
    match request:
        case {"stream": True}:
            raise ValueError("streaming is not simulated")
        case {"tools": [{"function": {"name": str(name), "parameters": dict(parameters)}}]}:
            schema, tool = parameters, name
        case {"tools": [_, *_]}:
            raise ValueError("one tool is simulated, with a name and parameters")
        case {"response_format": {"json_schema": {"schema": dict(described)}}}:
            schema = described
    match request:
        case {"model": str(model), "messages": [dict(), *_] as messages}:
            said = [(one.get("role"), str(one.get("content"))) for one in messages if isinstance(one, dict)]
            first = unfence(next((text for role, text in said if role == "user"), ""))
            system = "\n".join(text for role, text in said if role in ("system", "developer"))
            return _Ask(model, system, first, schema, tool, sum(len(text) for _, text in said))
    raise ValueError("expected a model and a list of messages")


def _completion(ask: _Ask, said: str, scripted: Mapping[Any, int]) -> dict[str, Any]:
    """The body of an answer; usage counts four characters to the token, the schema among the prompt's."""
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    if ask.tool is not None:
        call = {"id": "call_0", "type": "function", "function": {"name": ask.tool, "arguments": said}}
        message |= {"content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop" if ask.tool is None else "tool_calls"}
    prompt_chars = ask.prompt_chars + len(json.dumps(ask.schema))
    usage = {"prompt_tokens": prompt_chars // 4 + 1, "completion_tokens": len(said) // 4 + 1, **scripted}
    cached = {"cached_tokens": usage.pop("cached_tokens", 0)}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": int(time.time()),
        "model": ask.model if ask.model.startswith(_PREFIX) else f"{_PREFIX}-{ask.model}",
        "system_fingerprint": _PREFIX, "choices": [choice],
        "usage": {**usage, "total_tokens": sum(usage.values()), "prompt_tokens_details": cached},
    }  # fmt: skip


def _error(name: str, message: str, retry_after: float | None = None) -> web.Response:
    fault = faults.ERRORS[name]
    seconds = fault.retry_after_seconds if retry_after is None else retry_after
    headers = {} if seconds is None else {"Retry-After": f"{seconds:g}"}
    error = {"message": f"{_PREFIX}: {message}", "type": fault.kind, "param": None, "code": fault.code}
    return web.json_response({"error": error}, status=fault.status, headers=headers)


async def _break(request: web.Request, body: bytes, fault: str) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    response = web.StreamResponse(headers=headers)
    with suppress(ConnectionError):
        await response.prepare(request)
        for position in range(len(body) if fault == "drip" else 0):
            await response.write(body[position : position + 1])
            await asyncio.sleep(_DRIP_SECONDS)
        if fault == "reset" and request.transport is not None:
            await response.write(body[: len(body) // 2])
            await asyncio.sleep(_RESET_SECONDS)
            # No linger makes the kernel send RST and drop what is unsent instead of saying goodbye.
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
    return response
