"""`python -m infra.bench.cpu`: receipts of 2 kB in, CPU time per event of each step beyond the HTTP call out.

The modules are the worker's. The simulated model answers each text once over HTTP before anything is
measured; these answers are then given again without a network. The database's own time is in no figure.

Every event goes through all steps before the next one does, as in a worker: a step that is repeated alone
is up to a third faster, because the processor's caches are its own. The whole way is measured beside them,
so that what belongs to no step (the ladder, the attempt, the loop) shows.
"""

import argparse
import asyncio
import hashlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from pydantic import SecretStr

from infra.bench.documents import documents
from infra.completion import read_answer, read_completion
from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.model_settings import name_of
from infra.requests import Requests, max_output_tokens
from infra.settings import EndpointSettings, ModelSettings
from infra.simulator.server import Options, serve
from infra.store.journal import rows_of
from pipeline import catalogue
from pipeline.assemble import Ticket, assemble
from pipeline.assess import Assessment, Guard, assess
from pipeline.case import World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.decide import decide
from pipeline.extract import Ask
from pipeline.process import process
from pipeline.receive import Stamp, plain, received, stored
from pipeline.record import cost_of, decided
from pipeline.screen import screen
from pipeline.spend import cost_micros, worst_case_micros
from schemas.changeset import Actor, Changeset, Scribe
from schemas.event import Event, Received
from schemas.extraction import Answer, Attempt, Reading

AIM_MICROSECONDS: Final = 1_000
_BYTES: Final = 2_000
_ROUNDS: Final = 15
#: More than an answer that was read is remembered for, so that each round reads all of them anew.
_TEXTS: Final = 100
_KEY: Final = b"the secret of the benchmark"
_TIMEOUT: Final = timedelta(minutes=5)
_GUARD: Final = Guard(_KEY, frozenset({"sk-of-the-benchmark-0123456789"}))
_SCRIBE: Final = Scribe(Actor("service", "bench"), release="0", max_message_bytes=1_000_000)


@dataclass(frozen=True, slots=True)
class Work:
    """One event, and what each step leaves for the next one."""

    claimed: Claimed
    event: Event
    text: str
    attempt: Attempt
    reading: Reading
    found: Assessment


@dataclass
class _Replaying(OpenAIModel):
    """The worker's model, but for the network: the body of a request in, the answer that it once had out."""

    answers: Mapping[bytes, bytes] = field(default_factory=dict)

    async def _send(self, endpoint: str, body: bytes, settings: EndpointSettings) -> tuple[int, bytes]:
        return 200, self.answers[body]


class _Journal:
    """The Journal port without a database: rows are built and dropped."""

    async def journal(self, attempt: Attempt, event: Received) -> None:
        rows_of([(attempt, event)])


@dataclass(frozen=True)
class Bench:
    """The worker's steps for one workflow, each taking the `Work` that the steps before it did."""

    entry: Entry
    settings: ModelSettings
    requests: Requests = field(default_factory=Requests)

    def steps(self) -> Mapping[str, Callable[[Work], object]]:
        """In the order of an event's way."""
        return {
            "screen": self.screen,
            "prepare": self.prepare,
            "parse": self.parse,
            "ledger": self.ledger,
            "journal": lambda work: rows_of([(work.attempt, work.claimed.event)]),
            "ground": self.ground,
            "decide and record": self.decide,
        }

    def screen(self, work: Work) -> object:
        """The event as the workflow's own, and its text screened."""
        workflow = self.entry.workflow
        text = workflow.text(stored(self.entry, work.claimed.event))
        return screen(text, max_tokens=workflow.max_tokens, fields=workflow.extraction.model_fields)

    def prepare(self, work: Work) -> object:
        """The call, the bytes of its request and their hash."""
        ask = Ask("fast", name_of(self.settings))
        call = assemble(work.claimed, self.entry, work.text, ask, step=0, key=_KEY, timeout=_TIMEOUT)
        return hashlib.sha256(self.requests.request(call, self.settings).body).digest()

    def parse(self, work: Work) -> object:
        """What the provider told, and the extraction and quotes in it."""
        read_completion(work.attempt.response)
        return read_answer(self.entry, work.attempt.response)

    def ledger(self, work: Work) -> object:
        """The worst case before the call, the cost after it."""
        limit = max_output_tokens(self.settings, larger=False)
        worst = worst_case_micros(len(work.attempt.request.body), limit, self.settings.prices)
        return worst, cost_micros(work.attempt.usage, self.settings.prices), cost_of([work.attempt])

    def ground(self, work: Work) -> Assessment:
        """Quotes located, values checked against them, the answer searched for secrets; the checks."""
        accepted_at = work.claimed.accepted_at
        return assess(
            self.entry, work.event, work.reading, text=work.text, received_at=accepted_at, guard=_GUARD
        )

    def decide(self, work: Work) -> object:
        """The policy's decision and its changeset: result, audit record, outgoing messages."""
        answer = Answer(work.found.value, (work.attempt,), work.found.evidence)
        decision = decide(self.entry, work.event, answer)
        return decided(work.claimed, self.entry, decision, answer, now=_now(), scribe=_SCRIBE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.cpu")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, metavar="N", help="the median of N is shown")
    asyncio.run(_measure(parser.parse_args().rounds))
    return 0


async def _measure(rounds: int) -> None:
    origin, texts = _texts()
    async with serve(Options()) as url:
        bench = Bench(catalogue.load().by_name["receipts"], _simulated(url))
        works = await _answered(bench, texts)
    _tell(f"{len(works)} events of {_BYTES} bytes from {origin}, median of {rounds} rounds\n")
    steps = _microseconds(bench, works, rounds)
    whole = await _whole(bench, works, rounds)
    _tell(f"{'step':24} {'µs of CPU':>10} {'share':>8}")
    rest = whole - sum(steps.values())
    for name, spent in {**steps, "the rest": rest, "all beyond the call": whole}.items():
        _tell(f"{name:24} {spent:10.0f} {100 * spent / whole:6.1f} %")
    _tell(f"\naim: {AIM_MICROSECONDS} µs: {'met' if whole <= AIM_MICROSECONDS else 'MISSED'}")


def _texts() -> tuple[str, list[str]]:
    """Where they are from, and distinct texts of `_BYTES`: receipts one after the other, until it is full."""
    origin, found = documents("receipts", None)
    texts = []
    for first in range(_TEXTS):
        place = first % len(found)
        joined = "\n\n".join(one.text for one in (*found[place:], *found[:place]))
        texts.append(f"{first}\n{joined}".encode()[:_BYTES].decode(errors="ignore"))
    return origin, texts


def _simulated(url: str) -> ModelSettings:
    return ModelSettings(
        base_url=f"{url}/v1",
        model="simulated-fast",
        api_key=SecretStr("simulated"),
        input_price=Decimal("0.4"),
        cached_input_price=Decimal("0.1"),
        output_price=Decimal("1.6"),
    )


async def _answered(bench: Bench, texts: Sequence[str]) -> list[Work]:
    """The events whose first answer is good, as most are, with that answer."""
    model = OpenAIModel(_endpoints(bench), _now)
    works = [await _work(bench, model, number, text) for number, text in enumerate(texts)]
    await model.close()
    return [work for work in works if work.found.failure is None]


async def _work(bench: Bench, model: OpenAIModel, number: int, text: str) -> Work:
    stamp = Stamp(secret=_KEY, salt=hashlib.sha256(text.encode()).digest()[:16])
    envelope = plain({"text": text}, source="bench", id=f"receipt-{number}", type="receipt.scanned")
    event = received(envelope, bench.entry, stamp=stamp)
    claimed = Claimed(event, token=event.event_id, revision=1, accepted_at=_now())
    ask = Ask("fast", name_of(bench.settings))
    call = assemble(claimed, bench.entry, text, ask, step=0, key=_KEY, timeout=_TIMEOUT)
    attempt = await model.ask(model.prepare(call), Ticket(ask.endpoint))
    data, reading = stored(bench.entry, event), model.read(bench.entry, attempt)
    found = assess(bench.entry, data, reading, text=text, received_at=_now(), guard=_GUARD)
    return Work(claimed, data, text, attempt, reading, found)


def _endpoints(bench: Bench) -> Endpoints:
    return Endpoints(dict.fromkeys(bench.entry.workflow.models, bench.settings), Unshared(), _now)


def _microseconds(bench: Bench, works: Sequence[Work], rounds: int) -> dict[str, float]:
    """CPU time of each step per event: the median of the rounds, after one that warms up."""
    steps = bench.steps()
    spent: dict[str, list[int]] = {name: [0] * (rounds + 1) for name in steps}
    for number in range(rounds + 1):
        for work in works:
            for name, step in steps.items():
                began = time.thread_time_ns()
                step(work)
                spent[name][number] += time.thread_time_ns() - began
    return {name: statistics.median(found[1:]) / len(works) / 1_000 for name, found in spent.items()}


async def _whole(bench: Bench, works: Sequence[Work], rounds: int) -> float:
    """The same of an event's whole story, from claim to changeset."""
    answers = {work.attempt.request.body: work.attempt.response for work in works}
    model = _Replaying(_endpoints(bench), _now, answers=answers)
    world = World(model, _Journal(), NoLedger(), _SCRIBE, clock=_now, jitter=lambda: 0.5, guard=_GUARD)
    spent = []
    for _ in range(rounds + 1):
        began = time.thread_time_ns()
        for work in works:
            if not isinstance(await process(work.claimed, bench.entry, world), Changeset):
                raise RuntimeError("an event that had a good answer was not decided")
        spent.append(time.thread_time_ns() - began)
    return statistics.median(spent[1:]) / len(works) / 1_000


def _now() -> datetime:
    return datetime.now(UTC)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
