"""Numbers in the settings that nothing could keep to are refused, by the variable's name."""

import pytest

from infra.settings import load
from pipeline.errors import InvalidSettingsError


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PENSTOCK_SPEND__WORKFLOWS", '{"receipts": "-5"}', "PENSTOCK_SPEND__WORKFLOWS__RECEIPTS"),
        ("PENSTOCK_SPEND__SOURCES", '{"till": "0"}', "PENSTOCK_SPEND__SOURCES__TILL"),
        ("PENSTOCK_SPEND__PER_EVENT", "0.0000001", "PENSTOCK_SPEND__PER_EVENT"),
        ("PENSTOCK_SPEND__PER_DAY", "1e13", "PENSTOCK_SPEND__PER_DAY"),
        ("PENSTOCK_MODELS__FAST__INPUT_PRICE", "1e25", "PENSTOCK_MODELS__FAST__INPUT_PRICE"),
        ("PENSTOCK_MODELS__FAST__MAX_OUTPUT_TOKENS", "1" * 20, "PENSTOCK_MODELS__FAST__MAX_OUTPUT_TOKENS"),
        ("PENSTOCK_MODELS__FAST__TOKENS_PER_MINUTE", "1" * 20, "PENSTOCK_MODELS__FAST__TOKENS_PER_MINUTE"),
    ],
)
def test_money_that_no_row_holds_is_refused(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_MODELS__FAST__MODEL", "simulated-fast")
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidSettingsError, match=rf"(?m)^{told}: "):
        load()
