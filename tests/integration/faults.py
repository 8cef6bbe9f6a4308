"""What becomes of an event under each fault: a scenario in, a row of `pipeline/FAULTS.md` out.

`python -m tests.integration.faults` prints the whole file. The models are simulated ones over real HTTP,
the path is the worker's; the journal is in memory, and a wait is taken at once: the clock is set forward.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import aiohttp
from pydantic import Field, SecretStr

from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.settings import EndpointSettings, ModelSettings
from infra.simulator.faults import FAULTS
from pipeline import Workflow
from pipeline.case import World
from pipeline.claim import Claimed, Release
from pipeline.process import process
from pipeline.spend import Prices
from pipeline.workflow import OnFailure
from schemas import Answer, Decision, Event, Evidence, Extraction, Money, Text, accept
from schemas.changeset import Changeset
from schemas.extraction import Attempt
from tests.builders import GUARD, NOW, SCRIBE, TOKEN, FakeJournal, entry, received
from tests.integration.recorded import Recorder, recording

#: An outage, or an operator's absence, is looked at for this long.
PATIENCE: Final = timedelta(minutes=10)
#: Each answer's usage, so that the costs do not depend on the length of a prompt.
USAGE: Final = {"prompt_tokens": 100, "completion_tokens": 20}
PRICES: Final = Prices(input=Decimal(1), cached_input=Decimal(1), output=Decimal(2))
#: What hangs or drips is given this long, all others more than they need; the deadline of an event shrinks
#: with the timeout of a call, from 60 seconds.
SHORT_SECONDS: Final = 0.5
LONG_SECONDS: Final = 60.0
HEALTHY: Final = "simulated-fast"
#: Endpoint at which nobody listens.
NOBODY: Final = "nobody"


class Slip(Event):
    text: Annotated[str, Text(1_000)]


class Bill(Extraction):
    company: Annotated[str, Text(100), Evidence()] = Field(description="Who is paid.")
    total: Annotated[Money, Evidence()] = Field(description="The total, such as 12.50.")


def policy(slip: Slip, answer: Answer[Bill]) -> Decision:
    return accept()


def by_rules(slip: Slip) -> Bill | None:
    company, *_, last = slip.text.splitlines()
    return Bill(company=company, total=Decimal(last.removeprefix("Total: ")))


BILLS: Final = Workflow(
    name="notes",
    consumes="notes.written.v1",
    produces="notes.facts.v1",
    event=Slip,
    extraction=Bill,
    text=lambda slip: slip.text,
    prompt="Find who is paid, and the total.",
    models=("fast", "strong"),
    policy=policy,
)
SLIP: Final = "Corner Books\n88 Mill Road\nDate: 21 Nov 2019\nTotal: 8.99"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Which model answers at each endpoint of the two aliases; `once` strikes the first call only.

    `on_failure` is the workflow's.
    """

    name: str
    fast: tuple[str, ...] = (HEALTHY,)
    strong: tuple[str, ...] = (HEALTHY,)
    once: str | None = None
    on_failure: OnFailure = "review"

    @property
    def timeout_seconds(self) -> float:
        return SHORT_SECONDS if "hang" in self.name or "drip" in self.name else LONG_SECONDS

    @property
    def workflow(self) -> Workflow[Slip, Bill]:
        return replace(
            BILLS,
            deadline=BILLS.deadline * (self.timeout_seconds / LONG_SECONDS),
            on_failure=self.on_failure,
            fallback=by_rules if self.on_failure == "degraded" else None,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the event; `known_micros` is what the provider told, `unknown` counts other calls."""

    scenario: str
    calls: int
    outcome: str
    reason: str
    waited: timedelta
    known_micros: int
    unknown: int

    @property
    def cost(self) -> str:
        worst = {0: "", 1: "worst case"}.get(self.unknown, f"{self.unknown} x worst case")
        return " + ".join(filter(None, [str(self.known_micros) if self.known_micros else "", worst])) or "0"

    def __str__(self) -> str:
        waited = f"{self.waited.total_seconds():.0f} s" if self.waited else ""
        cells = (self.scenario, self.calls, self.outcome, self.reason, waited, self.cost)
        return f"| {' | '.join(map(str, cells))} |"


@dataclass(frozen=True, slots=True)
class Run:
    """How the row came about; `requests` are those that the servers saw."""

    row: Row
    attempts: tuple[Attempt, ...]
    requests: int


def scenarios() -> list[Scenario]:
    """Every fault at all endpoints; then those that pass, and those that only one endpoint has."""
    faulty = {name: (f"simulated-fault-{name}",) for name in sorted(FAULTS)}
    transient = (
        *("wrong_type", "truncated", "not_in_text", "500", "429_retry_after", "401", "quota", "hang"),
        *("reset", "html"),
    )
    first_only = ("401", "quota", "503", "429", "drip")
    ended: tuple[tuple[str, OnFailure], ...] = (
        ("invalid_json", "dead"),
        ("invalid_json", "degraded"),
        ("hang", "degraded"),
        ("refusal", "degraded"),
    )
    weak_only = ("400", "invalid_json", "truncated", "not_in_text", "refusal")
    return [
        *(Scenario(name, fast=models, strong=models) for name, models in faulty.items()),
        Scenario("connection refused", (NOBODY,), (NOBODY,)),
        *(Scenario(f"{name}, once", once=name) for name in transient),
        *(Scenario(f"{name} at one of two endpoints", (*faulty[name], HEALTHY)) for name in first_only),
        Scenario("connection refused at one of two endpoints", (NOBODY, HEALTHY)),
        *(Scenario(f"{name} of the cheap model only", faulty[name]) for name in weak_only),
        *(
            Scenario(f'{name}, on_failure="{then}"', faulty[name], faulty[name], on_failure=then)
            for name, then in ended
        ),
    ]


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


async def run(scenario: Scenario) -> Run:
    """One event from its first claim to its outcome, or to the end of our patience."""
    clock, journal = Clock(), FakeJournal()
    event = received({"text": SLIP})
    async with _model(scenario, clock) as (model, servers):
        world = World(model, journal, NoLedger(), SCRIBE, clock=clock, jitter=lambda: 0.5, guard=GUARD)
        while True:
            claimed = Claimed(event, TOKEN, 1, accepted_at=NOW, attempts=tuple(journal.attempts))
            end = await process(claimed, entry(scenario.workflow), world)
            if isinstance(end, Changeset) or clock.now + end.delay > NOW + PATIENCE:
                break
            # The clock stands still while a call is made; an event that is given back at once gets on, too.
            clock.now += max(end.delay, timedelta(milliseconds=1))
        requests = sum(len(server.bodies) for server in servers)
        return Run(_row(scenario, journal.attempts, end, clock.now - NOW), tuple(journal.attempts), requests)


def _row(scenario: Scenario, attempts: Sequence[Attempt], end: Changeset | Release, waited: timedelta) -> Row:
    outcome, reason = "waits", attempts[-1].failure or ""
    if isinstance(end, Changeset):
        code = json.loads(end.audit[0].canonical)["code"]
        outcome, reason = end.result.state, "" if code == "policy" else code
    return Row(
        scenario.name,
        len(attempts),
        outcome,
        reason,
        waited,
        known_micros=sum(one.cost_micros or 0 for one in attempts if not one.is_unknown),
        unknown=sum(one.is_unknown for one in attempts),
    )


@asynccontextmanager
async def _model(scenario: Scenario, clock: Clock) -> AsyncIterator[tuple[OpenAIModel, list[Recorder]]]:
    """A server for each endpoint, so that each has a name and a script of its own."""
    servers: list[Recorder] = []
    async with AsyncExitStack() as stack:

        async def endpoint(model: str, once: str | None) -> EndpointSettings:
            server = await _server(stack, model, once)
            servers.append(server)
            return EndpointSettings(
                base_url=f"{server.url}/v1",
                model=model,
                api_key=SecretStr("any"),
                timeout_seconds=scenario.timeout_seconds,
                input_price=PRICES.input,
                output_price=PRICES.output,
            )

        fast = tuple([await endpoint(model, scenario.once) for model in scenario.fast])
        strong = tuple([await endpoint(model, None) for model in scenario.strong])
        settings = {"fast": ModelSettings(endpoints=fast), "strong": ModelSettings(endpoints=strong)}
        model = OpenAIModel(Endpoints(settings, Unshared(), clock), clock)
        stack.push_async_callback(model.close)
        yield model, servers


async def _server(stack: AsyncExitStack, model: str, once: str | None) -> Recorder:
    if model == NOBODY:
        async with recording() as closed:
            return closed
    server = await stack.enter_async_context(recording())
    first: list[dict[str, Any]] = [{"sha256": "*", "fault": once, "times": 1, "usage": USAGE}] if once else []
    rules = {"rules": [*first, {"sha256": "*", "usage": USAGE}]}
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/script", json=rules) as added:
        added.raise_for_status()
    return server


_HEAD: Final = """# What becomes of an event when a model fails

Each fault of the simulated model (`infra/simulator/faults.py`) was run over HTTP through the worker's path.
There are two aliases, `fast` and `strong`, of one endpoint each, and a fault strikes every call, unless the
line says otherwise. `python -m tests.integration.faults > pipeline/FAULTS.md` writes this file anew, and
`tests/integration/test_fault_table.py` compares it.

An answer uses 100 input and 20 output tokens, at prices of 1 and 2 per million: it costs 140 millionths of
the currency. A call whose charge nobody knows counts with its *worst case*: a token for each byte of the
request, and an answer as long as its limit. An error status is no charge. *waited* is the time without a
slot between the first claim and the outcome, with jitter in the middle of its range. What *waits* has no
outcome after ten minutes: the breaker is open, a probe is made at most once a minute, and the event goes on
once somebody has acted.

What hangs or drips is given up after 60 seconds, and its event after 5 minutes of calls, the deadline unless
a workflow sets another; both are shortened here by the same factor. When the ladder ends, a person decides,
unless `on_failure` says otherwise.

| fault | calls | outcome | reason | waited | cost |
| --- | --- | --- | --- | --- | --- |
"""


async def table() -> str:
    """The file, as it should be."""
    return _HEAD + "".join([f"{(await run(scenario)).row}\n" for scenario in scenarios()])


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(table()))
