"""The simulated model's HTTP door: an OpenAI request in, a completion, an error or a broken connection."""

import asyncio
import hashlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from infra.simulator import faults, script
from infra.simulator.answers import answer
from infra.simulator.faults import ErrorFault
from infra.simulator.shapes import Schema

_PREFIX: Final = "simulated"
_LONGEST_BODY: Final = 16 * 1024 * 1024
_DRIP_SECONDS: Final = 0.6
_RESET_SECONDS: Final = 0.05  # the client has read the headers by then; a reset discards what it has not read
_INVALID: Final = ErrorFault(400, "invalid_request_error")


@dataclass(frozen=True, slots=True)
class Options:
    """`jitter_seconds` is the most that is added to the latency, how much of it depends on the text alone."""

    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    gold: Path | None = None


@dataclass(frozen=True, slots=True)
class _State:
    options: Options
    script: script.Script
    gold: dict[str, Any]


_STATE: Final = web.AppKey("state", _State)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a request asks for; `tool` is the function to call, if one is to be called."""

    model: str
    text: str
    sha256: str
    schema: Schema | None
    tool: str | None
    tool_named: bool
    prompt_chars: int


def create_app(options: Options) -> web.Application:
    """Raises ValueError when the gold file has a line that is none."""
    app = web.Application(client_max_size=_LONGEST_BODY)
    app[_STATE] = _State(options, script.Script(), script.load_gold(options.gold) if options.gold else {})
    app.router.add_post("/v1/chat/completions", _complete)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/healthz", _health)
    app.router.add_post("/script", _add_rules)
    app.router.add_delete("/script", _clear_rules)
    return app


@asynccontextmanager
async def serve(options: Options, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve on the running loop while the block runs; yields `http://host:port`. Port 0 takes a free one."""
    runner = web.AppRunner(
        create_app(options), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        yield f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "model": _PREFIX})


async def _models(request: web.Request) -> web.Response:
    if not _authorized(request):
        return _error("send an Authorization bearer, any will do", faults.ERRORS["401"])
    names = [_PREFIX, *(f"{_PREFIX}-{name}" for name in ("fast", "strong", "gold"))]
    names += [f"{_PREFIX}-fault-{name}" for name in sorted(faults.FAULTS)]
    models = [{"id": name, "object": "model", "created": 0, "owned_by": _PREFIX} for name in names]
    return web.json_response({"object": "list", "data": models})


async def _add_rules(request: web.Request) -> web.Response:
    try:
        rules = script.parse(await request.read())
    except ValueError as error:
        return _error(str(error), _INVALID)
    request.app[_STATE].script.add(rules)
    return web.json_response({"added": len(rules)})


async def _clear_rules(request: web.Request) -> web.Response:
    request.app[_STATE].script.clear()
    return web.Response(status=204)


async def _complete(request: web.Request) -> web.StreamResponse:
    if not _authorized(request):
        return _error("send an Authorization bearer, any will do", faults.ERRORS["401"])
    try:
        ask = _parse(await request.read())
    except ValueError as error:
        return _error(str(error), _INVALID)
    state = request.app[_STATE]
    rule = state.script.take(ask.sha256)
    fault = _fault(ask, rule)
    await asyncio.sleep(_latency_seconds(ask, rule, state.options))
    if fault == "hang":
        await asyncio.Event().wait()  # until the client goes: `serve` asks aiohttp to cancel us then
    if fault == faults.HTML:
        return web.Response(
            text="<html><title>simulated proxy</title><p>Bad gateway</p></html>", content_type="text/html"
        )
    if fault in faults.ERRORS:
        return _error(f"{fault}, as asked for", faults.ERRORS[fault], rule)
    body = json.dumps(_completion(ask, rule, fault, state.gold)).encode()
    if fault in faults.WIRE:
        return await _break(request, body, fault)
    return web.Response(body=body, content_type="application/json")


def _authorized(request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def _parse(body: bytes) -> _Ask:
    """Raises ValueError with what is wrong with the request."""
    request = json.loads(body)
    match request:
        case {"stream": True}:
            raise ValueError("streaming is not simulated")
        case {"model": str() as model, "messages": [dict(), *_] as messages}:
            said = [_content(message) for message in messages if isinstance(message, dict)]
        case _:
            raise ValueError("expected a model and a list of messages")
    first = next(
        (message for message in messages if isinstance(message, dict) and message.get("role") == "user"), {}
    )
    text = _content(first)
    schema, tool, named = _wanted(request)
    return _Ask(model, text, script.text_hash(text), schema, tool, named, sum(map(len, said)))


def _content(message: dict[str, Any]) -> str:
    """A message's text; of a list of parts, the text parts joined without anything between."""
    match message.get("content"):
        case str() as text:
            return text
        case list() as parts:
            return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return ""


def _wanted(request: dict[str, Any]) -> tuple[Schema | None, str | None, bool]:
    """The schema to answer, the function to call with the answer, and whether the request named it."""
    match request:
        case {"tools": [{"function": dict()}, *_] as tools} if request.get("tool_choice") != "none":
            functions = {
                tool["function"].get("name", ""): tool["function"].get("parameters", {}) for tool in tools
            }
            match request.get("tool_choice"):
                case {"function": {"name": str() as name}}:
                    if name not in functions:
                        raise ValueError(f"tool_choice names {name!r}, which is not among the tools")
                    return functions[name], name, True
            name = next(iter(functions))
            return functions[name], name, False
        case {"response_format": {"type": "json_schema", "json_schema": {"schema": dict() as schema}}}:
            return schema, None, False
        case {"response_format": {"type": "json_object"}}:
            return {"type": "object"}, None, False
    return None, None, False


def _fault(ask: _Ask, rule: script.Rule | None) -> str:
    if rule and (rule.fault or rule.answer is not None):
        return rule.fault or ""
    asked = faults.spelled(ask.model.removeprefix(f"{_PREFIX}-fault-"))
    return asked if ask.model.startswith(f"{_PREFIX}-fault-") and asked in faults.FAULTS else ""


def _latency_seconds(ask: _Ask, rule: script.Rule | None, options: Options) -> float:
    if rule and rule.latency_ms is not None:
        return rule.latency_ms / 1_000
    slow = ask.model.removeprefix(f"{_PREFIX}-slow-")
    if slow != ask.model and slow.isdecimal():
        return int(slow) / 1_000
    return options.latency_seconds + options.jitter_seconds * int(ask.sha256[:8], 16) / 0xFFFFFFFF


def _completion(ask: _Ask, rule: script.Rule | None, fault: str, gold: dict[str, Any]) -> dict[str, Any]:
    content = _said(ask, rule, fault, gold)
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    identity = hashlib.sha256(f"{ask.model}\n{ask.sha256}\n{time.time_ns()}".encode()).hexdigest()[:24]
    if ask.tool is not None:
        call = {
            "id": f"call_{identity}",
            "type": "function",
            "function": {"name": ask.tool, "arguments": content},
        }
        message = {**message, "content": None, "tool_calls": [call]}
    finish = "tool_calls" if ask.tool is not None and not ask.tool_named else "stop"
    completion = {
        "id": f"chatcmpl-simulated-{identity}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": ask.model
        if ask.model.startswith(f"{_PREFIX}-") or ask.model == _PREFIX
        else f"{_PREFIX}-{ask.model}",
        "system_fingerprint": _PREFIX,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": _usage(ask, content, rule.usage if rule else None),
    }
    return faults.spoil_completion(fault, completion) if fault in faults.COMPLETION else completion


def _said(ask: _Ask, rule: script.Rule | None, fault: str, gold: dict[str, Any]) -> str:
    if rule and rule.answer is not None:
        return json.dumps(rule.answer, ensure_ascii=False)
    if ask.schema is None:
        return "This is a simulated model: it answers JSON Schemas, nothing else."
    right = gold.get(ask.sha256) if ask.model == f"{_PREFIX}-gold" else None
    value = answer(ask.schema, ask.text) if right is None else right
    if fault in faults.ANSWER:
        value = faults.spoil_answer(fault, value, ask.schema, text=ask.text)
    return json.dumps(value, ensure_ascii=False)


def _usage(ask: _Ask, content: str, scripted: script.Usage | None) -> dict[str, Any]:
    """Four characters to the token, the schema among those of the prompt."""
    schema_chars = len(json.dumps(ask.schema)) if ask.schema else 0
    usage = scripted or script.Usage(
        prompt_tokens=(ask.prompt_chars + schema_chars + 3) // 4, completion_tokens=(len(content) + 3) // 4
    )
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _error(message: str, fault: ErrorFault, rule: script.Rule | None = None) -> web.Response:
    seconds = rule.retry_after if rule and rule.retry_after is not None else fault.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": f"{seconds:g}"}
    return web.json_response(faults.error_body(message, fault), status=fault.status, headers=headers)


async def _break(request: web.Request, body: bytes, fault: str) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Content-Length": str(len(body))}
    )
    with suppress(ConnectionError):
        await response.prepare(request)
        if fault == "drip":
            for position in range(len(body)):
                await response.write(body[position : position + 1])
                await asyncio.sleep(_DRIP_SECONDS)
            return response
        await response.write(body[: len(body) // 2])
        await asyncio.sleep(_RESET_SECONDS)
        _reset(request)
    return response


def _reset(request: web.Request) -> None:
    """Close with RST: no linger makes the kernel drop what is unsent instead of saying goodbye."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
