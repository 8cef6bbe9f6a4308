"""Where prices come from: settings, the simulator's invention, the list; and what is said without one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from genai_prices import Usage, calc_price
from genai_prices.types import TieredPrices

from consumers import wiring
from infra.prices import priced
from infra.settings import EndpointSettings, ModelSettings, Settings, load
from pipeline.errors import InvalidSettingsError
from pipeline.spend import Prices

NOW: Final = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
OWN: Final = "https://models.example/v1"
GOOGLE: Final = "https://generativelanguage.googleapis.com/v1beta/openai"
DEEPSEEK: Final = "https://api.deepseek.com/v1"


def alias(model: str = "mine", base_url: str = OWN, **changes: Any) -> ModelSettings:
    return ModelSettings(model=model, base_url=base_url, **changes)


def price_of(model: ModelSettings, now: datetime = NOW) -> Prices | None:
    return priced({"fast": model}, needed=["fast"], now=now)["fast"].prices


def prices(fresh: str, cached: str, output: str) -> Prices:
    return Prices(Decimal(fresh), Decimal(cached), Decimal(output))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (alias("gpt-4.1-mini", "https://api.openai.com/v1"), prices("0.4", "0.1", "1.6")),
        (alias("gpt-4.1", "https://acme.openai.azure.com/openai/v1"), prices("2", "0.5", "8")),
        (
            alias("gpt-4.1", "https://api.openai.com/v1", input_price="1", output_price="3"),
            prices("1", "1", "3"),
        ),
        (alias(input_price="1", cached_input_price="0.5", output_price="3"), prices("1", "0.5", "3")),
        (alias(input_price="0", output_price="0"), prices("0", "0", "0")),
        (alias("simulated-fast"), prices("0.40", "0.10", "1.60")),
        (alias("simulated-fault-500"), prices("0.40", "0.10", "1.60")),
        (alias("simulated-strong"), prices("2.00", "0.50", "8.00")),
        (alias("simulated-fast", input_price="0", output_price="0"), prices("0", "0", "0")),
    ],
)
def test_a_price_comes_from_settings_or_else_from_the_list(model: ModelSettings, expected: Prices) -> None:
    assert price_of(model) == expected


def test_of_a_price_in_tiers_the_highest_counts() -> None:
    listed = calc_price(Usage(), "gemini-2.5-pro", provider_api_url=GOOGLE).model_price
    assert isinstance(listed.input_mtok, TieredPrices)

    found = price_of(alias("gemini-2.5-pro", GOOGLE))

    assert found is not None
    assert found.input == max(tier.price for tier in listed.input_mtok.tiers) > listed.input_mtok.base


def test_of_a_price_by_the_hour_the_highest_of_the_day_counts() -> None:
    hours = [NOW + timedelta(hours=hour) for hour in range(24)]

    found = {price_of(alias("deepseek-chat", DEEPSEEK), now=hour) for hour in hours}

    listed = {
        calc_price(
            Usage(), "deepseek-chat", provider_api_url=DEEPSEEK, genai_request_timestamp=hour
        ).model_price.output_mtok
        for hour in hours
    }
    assert len(listed) > 1
    assert [one and one.output for one in found] == [max(one for one in listed if isinstance(one, Decimal))]


def test_without_a_price_the_variables_to_set_are_named() -> None:
    models = {"fast": alias(), "strong": alias("gpt-4.1", "https://proxy.example/v1")}

    with pytest.raises(InvalidSettingsError) as caught:
        priced(models, needed=["fast", "strong"], now=NOW)

    fast, strong = str(caught.value).splitlines()
    assert fast.startswith(
        "PENSTOCK_MODELS__FAST__INPUT_PRICE and PENSTOCK_MODELS__FAST__OUTPUT_PRICE: set them"
    )
    assert "'mine'" in fast
    assert strong.startswith("PENSTOCK_MODELS__STRONG__INPUT_PRICE")


def test_of_a_list_of_endpoints_each_has_its_own_price_and_the_one_without_is_named() -> None:
    dear = EndpointSettings(base_url=OWN, model="mine", input_price=Decimal(2), output_price=Decimal(4))
    listed = EndpointSettings(model="gpt-4.1-mini")
    unknown = EndpointSettings(base_url=OWN, model="other")

    found = priced({"fast": ModelSettings(endpoints=(dear, listed))}, needed=["fast"], now=NOW)

    assert [one.prices for one in found["fast"].all_endpoints] == [
        prices("2", "2", "4"),
        prices("0.4", "0.1", "1.6"),
    ]
    with pytest.raises(InvalidSettingsError, match=r"FAST__ENDPOINTS: set .* of element 2.*'other'"):
        priced({"fast": ModelSettings(endpoints=(dear, unknown))}, needed=["fast"], now=NOW)


def test_a_model_that_is_not_paid_by_tokens_out_has_no_price() -> None:
    with pytest.raises(InvalidSettingsError, match="text-embedding-3-small"):
        price_of(alias("text-embedding-3-small", "https://api.openai.com/v1"))


def test_an_alias_that_no_workflow_names_needs_no_price() -> None:
    found = priced({"spare": alias()}, needed=["fast"], now=NOW)

    assert found["spare"].prices is None


def test_a_price_holds_under_every_alias_of_the_same_endpoint() -> None:
    models = {"fast": alias(), "strong": alias(input_price="1", output_price="3")}

    found = priced(models, needed=["fast", "strong"], now=NOW)

    assert found["fast"].prices == found["strong"].prices == prices("1", "1", "3")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"MODEL": "m", "INPUT_PRICE": "1"}, "PENSTOCK_MODELS__FAST: .*set INPUT_PRICE and OUTPUT_PRICE"),
        ({"MODEL": "m", "OUTPUT_PRICE": "1"}, "PENSTOCK_MODELS__FAST: .*set INPUT_PRICE and OUTPUT_PRICE"),
        ({"MODEL": "m", "CACHED_INPUT_PRICE": "1"}, "PENSTOCK_MODELS__FAST: .*or no price at all"),
        (
            {"ENDPOINTS": '[{"model": "m"}, {"model": "n", "input_price": 1}]'},
            "PENSTOCK_MODELS__FAST__ENDPOINTS__1: .*set INPUT_PRICE and OUTPUT_PRICE",
        ),
        (
            {"ENDPOINTS": '[{"model": "m"}]', "INPUT_PRICE": "1", "OUTPUT_PRICE": "1"},
            "PENSTOCK_MODELS__FAST: .*each endpoint of the list has its own prices",
        ),
    ],
)
def test_half_a_price_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PENSTOCK_MODELS__FAST__{name}", value)

    with pytest.raises(InvalidSettingsError, match=told):
        load()


def test_a_child_process_charges_as_its_parent_does(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = priced({"fast": alias("gpt-4.1", "https://api.openai.com/v1")}, needed=["fast"], now=NOW)

    for name, value in wiring.environment(parent).items():
        monkeypatch.setenv(name, value)

    assert load().models["fast"].prices == parent["fast"].prices == prices("2", "0.5", "8")


def test_the_simulated_models_of_every_workflow_have_prices() -> None:
    settings = wiring.simulated(Settings(), "http://127.0.0.1:1")

    found = priced(settings.models, needed=settings.models, now=NOW)

    assert {name: model.prices and model.prices.output for name, model in found.items()} == {
        "fast": Decimal("1.60"),
        "strong": Decimal("8.00"),
    }
