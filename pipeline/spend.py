"""What a call costs: tokens and prices in, integer micro-units out."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from schemas.extraction import Usage


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
