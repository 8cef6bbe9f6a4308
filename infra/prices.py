"""Models as configured in, the same models with the prices of their endpoints filled in out.

What the settings say counts. Else the simulated models have invented prices, and others the list prices that
come with genai-prices, in USD, found by the endpoint's address and the model's name: who serves a model of a
known name himself does not pay the provider's price. Nothing is fetched.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from infra.settings import EndpointSettings, ModelSettings
from pipeline.errors import InvalidSettingsError
from pipeline.spend import Prices

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_SIMULATED: Final = "simulated"
#: Invented, so that trials show money: about what a small and a large model cost.
_SIMULATED_FAST: Final = Prices(Decimal("0.40"), Decimal("0.10"), Decimal("1.60"))
_SIMULATED_OTHERS: Final = Prices(Decimal("2.00"), Decimal("0.50"), Decimal("8.00"))


def priced(models: Mapping[str, ModelSettings], *, now: datetime) -> dict[str, ModelSettings]:
    """The models with every price that is known; `check` says which is missing.

    Raises InvalidSettingsError where half a price is set: the other half would be a guess.
    """
    _refuse(
        f"{place.input} and {place.output} go together: set both (0 where it costs nothing), or no price"
        for place in _places(models)
        if place.is_half_set
    )
    return {alias: _priced(model, now) for alias, model in models.items()}


def check(models: Mapping[str, ModelSettings], aliases: Collection[str]) -> None:
    """Raise InvalidSettingsError, with what to set, for those of `aliases` that lack a price.

    Without one nothing could be reserved, and no cap would hold.
    """
    _refuse(
        f"there is no list price of {place.endpoint.model!r} at its address; "
        f"set {place.input} and {place.output}, per million tokens, 0 where it costs nothing"
        for place in _places({alias: models[alias] for alias in sorted(aliases) if alias in models})
        if place.endpoint.prices is None
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """An endpoint, and where its prices are set."""

    endpoint: EndpointSettings
    input: str
    output: str

    @property
    def is_half_set(self) -> bool:
        one = self.endpoint
        is_any_set = any(x is not None for x in (one.input_price, one.cached_input_price, one.output_price))
        return is_any_set and one.prices is None


def _places(models: Mapping[str, ModelSettings]) -> Iterator[_Place]:
    for alias, model in models.items():
        variable = f"PENSTOCK_MODELS__{alias.upper()}__"
        if not model.endpoints:
            yield _Place(model, f"{variable}INPUT_PRICE", f"{variable}OUTPUT_PRICE")
        for number, endpoint in enumerate(model.endpoints, 1):
            output = f'"output_price" of entry {number} of {variable}ENDPOINTS'
            yield _Place(endpoint, '"input_price"', output)


def _refuse(problems: Iterable[str]) -> None:
    told = "\n".join(problems)
    if told:
        raise InvalidSettingsError(told)


def _priced(model: ModelSettings, now: datetime) -> ModelSettings:
    if not model.endpoints:
        return model.model_copy(update=_missing(model, now))
    endpoints = tuple(one.model_copy(update=_missing(one, now)) for one in model.endpoints)
    return model.model_copy(update={"endpoints": endpoints})


def _missing(endpoint: EndpointSettings, now: datetime) -> dict[str, Any]:
    prices = endpoint.prices or _invented(endpoint.model) or _listed(endpoint, now)
    if prices is None:
        return {}
    return {
        "input_price": prices.input,
        "cached_input_price": prices.cached_input,
        "output_price": prices.output,
    }


def _invented(model: str) -> Prices | None:
    if not model.startswith(_SIMULATED):
        return None
    return _SIMULATED_FAST if model == f"{_SIMULATED}-fast" else _SIMULATED_OTHERS


def _listed(endpoint: EndpointSettings, now: datetime) -> Prices | None:
    """The dearest in the day to come, where the price depends on the hour: no cap may be passed."""
    # Here, because it takes a third of a second, and who sets prices does not need it.
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(endpoint.model, None, None, endpoint.base_url)
    except LookupError:
        return None
    hours = [model.get_prices(now + timedelta(hours=hour)) for hour in range(24)]
    found = [prices for prices in map(_prices, hours) if prices is not None]
    if len(found) < len(hours):
        return None
    return Prices(
        max(one.input for one in found),
        max(one.cached_input for one in found),
        max(one.output for one in found),
    )


def _prices(listed: "ModelPrice") -> Prices | None:
    """The dearest tier of each. None for a model that is paid otherwise: not by tokens, or by the call too.

    Some providers charge more for input that they keep in their prompt cache, and do not tell which.
    """
    fresh, output = _dearest(listed.input_mtok), _dearest(listed.output_mtok)
    if fresh is None or output is None or listed.requests_kcount is not None:
        return None
    cached = _dearest(listed.cache_read_mtok)
    return Prices(
        max(fresh, _dearest(listed.cache_write_mtok) or fresh), fresh if cached is None else cached, output
    )


def _dearest(price: "Decimal | TieredPrices | None") -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    return max(price.base, *(tier.price for tier in price.tiers))
