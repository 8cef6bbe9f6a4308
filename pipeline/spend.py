"""What calls cost, and what caps leave room for: tokens, prices and budgets in, micro-units out.

A micro-unit is a millionth of the currency of the prices; money is never a float.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import Final

from schemas.changeset import Asked
from schemas.extraction import NO_CHARGE, Attempt, Charge, Usage

TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices per million tokens, in the currency of the deployment."""

    input: Decimal
    cached_input: Decimal
    output: Decimal


def cost_micros(usage: Usage, prices: Prices | None) -> int | None:
    """Millionths of the currency, rounded up; None when no price is set.

    A price per million tokens is a number of micro-units per token.
    """
    if prices is None:
        return None
    fresh = max(usage.input_tokens - usage.cached_tokens, 0)
    total = fresh * prices.input + usage.cached_tokens * prices.cached_input
    total += usage.output_tokens * prices.output
    return int(total.to_integral_value(ROUND_CEILING))


def worst_case_micros(request_bytes: int, max_output_tokens: int, prices: Prices | None) -> int:
    """The most that a call can cost: no tokenizer makes more tokens than bytes; 0 without prices."""
    return cost_micros(Usage(request_bytes, max_output_tokens), prices) or 0


def charge_of(attempts: Iterable[Attempt]) -> Charge:
    """What these calls have cost."""
    micros = unknown = 0
    for attempt in attempts:
        cost = attempt.cost_micros or 0
        micros += cost
        unknown += cost if attempt.is_unknown else 0
    return Charge(micros, unknown)


def asked_of(attempts: Sequence[Attempt]) -> Asked | None:
    """Who was asked on the way to a decision; an answer from the cache is nobody's."""
    if not attempts:
        return None
    last = attempts[-1]
    calls = [one for one in attempts if one.alias and one.original_id is None]
    answered = any(one.failure is None for one in calls)
    is_first = len({one.alias for one in calls}) == 1
    return Asked(last.model_asked, last.started_at, answered, answered and is_first)


@dataclass(frozen=True, slots=True)
class Rate:
    """What the first call for an event costs at most, by the event's size: the estimate of a claim.

    The call itself is priced again, to the byte, before it is made.
    """

    base_micros: int = 0
    micros_per_kib: int = 0

    def of(self, size: int) -> int:
        return self.base_micros + -(-size * self.micros_per_kib // 1024)


#: Where nothing has a price.
FREE: Final = Rate()


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent, in micro-units, on an event and in a UTC day; None: no cap.

    `workflow` and `source` hold for each one that `named` does not give a cap of its own, by scope.
    """

    event: int | None = None
    total: int | None = None
    workflow: int | None = None
    source: int | None = None
    named: Mapping[str, int] = field(default_factory=dict)

    def of(self, scope: str) -> int | None:
        if scope in self.named:
            return self.named[scope]
        if scope == TOTAL:
            return self.total
        return self.workflow if scope.startswith("workflow:") else self.source

    def limits(self, scopes: Iterable[str]) -> dict[str, int | None]:
        """The caps of these scopes."""
        return {scope: self.of(scope) for scope in scopes}

    def allow(self, scopes: Iterable[str], micros: int, *, spent: int = 0) -> bool:
        """Could this ever be reserved, for an event that has cost `spent`? Not: do the windows have room."""
        if self.event is not None and spent + micros > self.event:
            return False
        return all(cap is None or micros <= cap for cap in self.limits(scopes).values())


def scopes_of(workflow: str, source: str) -> tuple[str, ...]:
    """The scopes that a call for this workflow and source is paid from, in the order of locking."""
    return (f"source:{source}", TOTAL, f"workflow:{workflow}")


def dearest(rates: Iterable[Rate]) -> Rate:
    """A rate that is no less than any of these, for any size."""
    known = list(rates)
    return Rate(max(rate.base_micros for rate in known), max(rate.micros_per_kib for rate in known))


#: Where nothing has a cap.
UNCAPPED: Final = Caps()


class Room(Enum):
    """What a budget says to a reservation.

    BUSY: calls under way hold what is left, and give most of it back; FULL: it is spent; NEVER: it is more
    than a cap; LOST: the claim is not ours.
    """

    GRANTED = "granted"
    BUSY = "busy"
    FULL = "full"
    NEVER = "never"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Keep `micros` for the call with this number, the worst that it can cost.

    `spent` is what the event has cost so far; `charge` the part of it that is not settled yet.
    """

    step: int
    micros: int
    spent: int = 0
    charge: Charge = NO_CHARGE


@dataclass(frozen=True, slots=True)
class Refusal:
    """A scope that has no room: is it spent, or do calls under way hold what is left?"""

    scope: str
    is_spent: bool


#: What is wanted of each scope.
Need = Mapping[str, int]


def fit(needs: Sequence[Need], free: Mapping[str, int]) -> list[str | None]:
    """For each need in order: None when it finds room in all its scopes, else one without.

    What finds room takes it from those that come after it. `free` is the room by scope; a scope that is not
    in it has no end.
    """
    left = dict(free)
    full = []
    for need in needs:
        blocking = next((scope for scope in need if need[scope] > left.get(scope, need[scope])), None)
        full.append(blocking)
        if blocking is None:
            left |= {scope: left[scope] - need[scope] for scope in need if scope in left}
    return full


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint takes in a minute; None: no limit."""

    requests: int | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Draw:
    """One request, and `tokens` that it needs at most, out of an endpoint's minute."""

    endpoint: str
    tokens: int
    limits: Limits

    @property
    def need(self) -> Need:
        """By scope; what has no limit is not kept."""
        requests, tokens = minute_scopes(self.endpoint)
        wanted = ((requests, 1, self.limits.requests), (tokens, self.tokens, self.limits.tokens))
        return {scope: amount for scope, amount, limit in wanted if limit is not None}


@dataclass(frozen=True, slots=True)
class Return:
    """A call that drew `drawn` tokens out of `minute` has used `used`."""

    endpoint: str
    minute: str
    drawn: int
    used: int


def minute_scopes(endpoint: str) -> tuple[str, str]:
    """The scopes of an endpoint's requests and of its tokens."""
    return f"requests:{endpoint}", f"tokens:{endpoint}"
