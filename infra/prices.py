"""Models as they are configured in, the same models with the prices of their endpoints filled in out.

The first of these that knows a price has it: the settings; for the simulated model, an invention; the list
that comes with genai-prices, in USD. Nothing is ever fetched.

Of a list price that depends on something the highest counts, so that no budget is passed: the highest tier of
one that rises with the length of the input, the highest hour of the coming day. A change that the list dates
later counts from the first start after it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from infra.endpoints import name_of
from infra.settings import EndpointSettings, ModelSettings
from pipeline.errors import InvalidSettingsError
from pipeline.spend import Prices

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_SIMULATED: Final = "simulated"
#: Invented, so that trials show money at all: about what small and large models cost.
_SIMULATED_PRICES: Final = Prices(Decimal("0.40"), Decimal("0.10"), Decimal("1.60"))
_SIMULATED_STRONG_PRICES: Final = Prices(Decimal("2.00"), Decimal("0.50"), Decimal("8.00"))


def priced(
    models: Mapping[str, ModelSettings], *, needed: Collection[str], now: datetime
) -> dict[str, ModelSettings]:
    """Raises InvalidSettingsError, which names what to set, when no price is known for a `needed` alias.

    A price that is set once for an endpoint holds under every alias that has the same one.
    """
    given = {
        name_of(endpoint): endpoint.prices
        for model in models.values()
        for endpoint in model.all_endpoints
        if endpoint.prices
    }
    filled = {alias: _filled(model, given, now=now) for alias, model in models.items()}
    used = {alias: filled[alias] for alias in sorted(needed) if alias in filled}
    problems = [problem for alias, model in used.items() for problem in _problems(alias, model)]
    if problems:
        raise InvalidSettingsError("\n".join(problems))
    return filled


def _filled(model: ModelSettings, given: Mapping[str, Prices], *, now: datetime) -> ModelSettings:
    if not model.endpoints:
        return model.model_copy(update=_update(model, given, now=now))
    endpoints = tuple(one.model_copy(update=_update(one, given, now=now)) for one in model.endpoints)
    return model.model_copy(update={"endpoints": endpoints})


def _update(endpoint: EndpointSettings, given: Mapping[str, Prices], *, now: datetime) -> dict[str, Any]:
    prices = endpoint.prices or given.get(name_of(endpoint)) or _invented(endpoint) or _listed(endpoint, now)
    if prices is None:
        return {}
    return {
        "input_price": prices.input,
        "cached_input_price": prices.cached_input,
        "output_price": prices.output,
    }


def _problems(alias: str, model: ModelSettings) -> list[str]:
    variable = f"PENSTOCK_MODELS__{alias.upper()}__"
    if not model.endpoints:
        both = f"{variable}INPUT_PRICE and {variable}OUTPUT_PRICE"
        return [] if model.prices else [_problem(f"{both}: set them", model)]
    return [
        _problem(f"{variable}ENDPOINTS: set input_price and output_price of element {number}", endpoint)
        for number, endpoint in enumerate(model.endpoints, 1)
        if endpoint.prices is None
    ]


def _problem(cure: str, endpoint: EndpointSettings) -> str:
    why = f"there is no list price of {endpoint.model!r} at its address"
    return f"{cure}, per million tokens (0 where it costs nothing): {why}"


def _invented(endpoint: EndpointSettings) -> Prices | None:
    if not endpoint.model.startswith(_SIMULATED):
        return None
    return _SIMULATED_STRONG_PRICES if endpoint.model == f"{_SIMULATED}-strong" else _SIMULATED_PRICES


def _listed(endpoint: EndpointSettings, now: datetime) -> Prices | None:
    """By the provider whose address this is, and the model's name; None when the list has no such model."""
    # Here, because it takes a sixth of a second and 16 MB.
    from genai_prices import Usage, calc_price

    found = []
    for hour in range(24):
        moment = now + timedelta(hours=hour)
        try:
            calculated = calc_price(
                Usage(),
                endpoint.model,
                provider_api_url=endpoint.base_url,
                genai_request_timestamp=moment,
            )
        except LookupError:
            return None
        found.append(_prices(calculated.model_price))
    known = [prices for prices in found if prices is not None]
    return _highest(known) if len(known) == len(found) else None


def _prices(price: "ModelPrice") -> Prices | None:
    """None for a model that is not paid by tokens in and out."""
    fresh, output = _highest_tier(price.input_mtok), _highest_tier(price.output_mtok)
    if fresh is None or output is None:
        return None
    cached = _highest_tier(price.cache_read_mtok)
    return Prices(fresh, fresh if cached is None else cached, output)


def _highest_tier(price: "Decimal | TieredPrices | None") -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    return max(price.base, *(tier.price for tier in price.tiers))


def _highest(found: list[Prices]) -> Prices:
    highest, *others = found
    for one in others:
        highest = replace(
            highest,
            input=max(highest.input, one.input),
            cached_input=max(highest.cached_input, one.cached_input),
            output=max(highest.output, one.output),
        )
    return highest
