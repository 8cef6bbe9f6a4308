"""Where prices come from: settings, the simulator's inventions, the list; and what is said without one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices

from consumers import wiring
from infra.prices import check, priced
from infra.settings import EndpointSettings, ModelSettings, Settings, load
from pipeline.errors import InvalidSettingsError
from pipeline.spend import Prices

NOW: Final = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
OPENAI: Final = "https://api.openai.com/v1"
OWN: Final = "https://models.example/v1"
GOOGLE: Final = "https://generativelanguage.googleapis.com/v1beta/openai"
DEEPSEEK: Final = "https://api.deepseek.com/v1"


def alias(model: str = "mine", base_url: str = OWN, **changes: Any) -> ModelSettings:
    return ModelSettings(model=model, base_url=base_url, **changes)


def price_of(model: ModelSettings, now: datetime = NOW) -> Prices | None:
    return priced({"fast": model}, now=now)["fast"].prices


def prices(fresh: str, cached: str, output: str) -> Prices:
    return Prices(Decimal(fresh), Decimal(cached), Decimal(output))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (alias("gpt-4.1-mini", OPENAI), prices("0.4", "0.1", "1.6")),
        (alias("gpt-4.1", "https://acme.openai.azure.com/openai/v1"), prices("2", "0.5", "8")),
        (alias("gpt-4.1", OPENAI, input_price="1", output_price="3"), prices("1", "1", "3")),
        (alias(input_price="1", cached_input_price="0.5", output_price="3"), prices("1", "0.5", "3")),
        (alias(input_price="0", output_price="0"), prices("0", "0", "0")),
        (alias("simulated-fast"), prices("0.40", "0.10", "1.60")),
        (alias("simulated-strong"), prices("2.00", "0.50", "8.00")),
        (alias("simulated-fault-500"), prices("2.00", "0.50", "8.00")),
        (alias("simulated-fast", input_price="0", output_price="0"), prices("0", "0", "0")),
    ],
)
def test_a_price_comes_from_the_settings_or_else_from_the_list(
    model: ModelSettings, expected: Prices
) -> None:
    assert price_of(model) == expected


@pytest.mark.parametrize(
    "model",
    [
        alias("gpt-4.1-mini", "http://127.0.0.1:8000/v1"),
        alias("no-such-model", OPENAI),
        alias("text-embedding-3-small", OPENAI),
        alias("sonar", "https://api.perplexity.ai"),
    ],
    ids=["a known name at one's own address", "unknown", "not paid by tokens out", "paid by the call too"],
)
def test_a_price_is_never_guessed(model: ModelSettings) -> None:
    assert price_of(model) is None


def test_of_a_price_in_tiers_the_dearest_counts() -> None:
    _, listed = get_snapshot().find_provider_model("gemini-2.5-pro", None, None, GOOGLE)
    tiers = listed.get_prices(NOW).input_mtok
    assert isinstance(tiers, TieredPrices)

    found = price_of(alias("gemini-2.5-pro", GOOGLE))

    assert found is not None
    assert found.input == max(tier.price for tier in tiers.tiers) > tiers.base


def test_of_a_price_by_the_hour_the_dearest_of_a_day_counts() -> None:
    _, listed = get_snapshot().find_provider_model("deepseek-chat", None, None, DEEPSEEK)
    hours = [NOW + timedelta(hours=hour) for hour in range(24)]
    outputs = {listed.get_prices(hour).output_mtok for hour in hours}
    assert len(outputs) > 1

    found = {price_of(alias("deepseek-chat", DEEPSEEK), now=hour) for hour in hours}

    assert [one and one.output for one in found] == [max(one for one in outputs if isinstance(one, Decimal))]


def test_where_keeping_input_in_the_prompt_cache_costs_extra_all_input_counts_as_kept() -> None:
    _, listed = get_snapshot().find_provider_model("gpt-5.6-cyber", None, None, OPENAI)

    found = price_of(alias("gpt-5.6-cyber", OPENAI))

    assert found is not None
    assert found.input == listed.get_prices(NOW).cache_write_mtok


def test_without_a_price_the_variables_to_set_are_named() -> None:
    models = priced({"fast": alias(), "strong": alias("gpt-4.1", "https://proxy.example/v1")}, now=NOW)

    with pytest.raises(InvalidSettingsError) as caught:
        check(models, ["strong", "fast"])

    assert str(caught.value).splitlines() == [
        f"there is no list price of '{name}' at its address; "
        f"set PENSTOCK_MODELS__{alias}__INPUT_PRICE and PENSTOCK_MODELS__{alias}__OUTPUT_PRICE, "
        "per million tokens, 0 where it costs nothing"
        for alias, name in (("FAST", "mine"), ("STRONG", "gpt-4.1"))
    ]


def test_of_a_list_each_endpoint_has_its_own_price_and_the_one_without_is_named() -> None:
    dear = EndpointSettings(base_url=OWN, model="mine", input_price=Decimal(2), output_price=Decimal(4))
    listed = EndpointSettings(model="gpt-4.1-mini")
    unknown = EndpointSettings(base_url=OWN, model="other")

    models = priced({"fast": ModelSettings(endpoints=(dear, listed, unknown))}, now=NOW)

    found = [one.prices for one in models["fast"].all_endpoints]
    assert found == [prices("2", "2", "4"), prices("0.4", "0.1", "1.6"), None]
    with pytest.raises(InvalidSettingsError) as caught:
        check(models, ["fast"])
    told = 'set "input_price" and "output_price" of entry 3 of PENSTOCK_MODELS__FAST__ENDPOINTS'
    assert told in str(caught.value)


def test_an_alias_that_no_workflow_names_needs_no_price() -> None:
    check(priced({"spare": alias()}, now=NOW), ["fast"])


@pytest.mark.parametrize("half", ["input_price", "cached_input_price", "output_price"])
def test_half_a_price_is_refused_with_the_cure(half: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        price_of(alias("gpt-4.1", OPENAI, **{half: "1"}))

    assert str(caught.value) == (
        "PENSTOCK_MODELS__FAST__INPUT_PRICE and PENSTOCK_MODELS__FAST__OUTPUT_PRICE go together: "
        "set both (0 where it costs nothing), or no price"
    )


def test_a_child_process_charges_as_its_parent_does(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = priced({"fast": alias("gpt-4.1", OPENAI)}, now=NOW)

    for name, value in wiring.environment(parent).items():
        monkeypatch.setenv(name, value)

    assert load().models["fast"].prices == parent["fast"].prices == prices("2", "0.5", "8")


def test_the_simulated_models_of_every_workflow_have_prices() -> None:
    simulated = wiring.simulated(Settings(), "http://127.0.0.1:1").models

    models = priced(simulated, now=NOW)

    check(models, ["fast", "strong"])
    found = {name: model.prices and model.prices.output for name, model in models.items()}
    assert found == {"fast": Decimal("1.60"), "strong": Decimal("8.00")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("INPUT_PRICE", "1e25"),
        ("CACHED_INPUT_PRICE", "100001"),
        ("OUTPUT_PRICE", "1e25"),
        ("MAX_OUTPUT_TOKENS", "1" * 20),
        ("REQUESTS_PER_MINUTE", "1" * 20),
        ("TOKENS_PER_MINUTE", "1" * 20),
    ],
)
def test_what_no_row_can_hold_is_refused_at_the_start(
    field: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_MODELS__FAST__MODEL", "mine")
    monkeypatch.setenv(f"PENSTOCK_MODELS__FAST__{field}", value)

    with pytest.raises(InvalidSettingsError, match=f"^PENSTOCK_MODELS__FAST__{field}: "):
        load()
