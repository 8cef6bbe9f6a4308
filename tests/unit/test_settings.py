"""Settings that cannot be meant are refused when they are read, by the name of the variable."""

import pytest

from infra import settings as all_settings
from infra.endpoints import Endpoints, Unshared
from pipeline.errors import InvalidSettingsError
from tests.builders import NOW

ACCOUNTS = """[
    {"model": "m", "name": "%s", "api_key": "one", "requests_per_minute": 5},
    {"model": "m", "name": "%s", "api_key": "two"}
]"""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE__URL", "sqlite:///", "names no file; write sqlite:///"),
        ("SPND__PER_DAY", "3", "PENSTOCK_SPND__PER_DAY: there is no section SPND, but SPEND"),
        ("SPEND__PER_DY", "3", "PENSTOCK_SPEND__PER_DY: "),
        ("SPEND__PER_DAY", "0", "PENSTOCK_SPEND__PER_DAY: "),
        ("SPEND__PER_DAY", "0.0000001", "PENSTOCK_SPEND__PER_DAY: "),
        ("SPEND__PER_DAY", "1e30", "PENSTOCK_SPEND__PER_DAY: "),
        ("SPEND__PER_DAY", "Infinity", "PENSTOCK_SPEND__PER_DAY: "),
        ("SPEND__WORKFLOWS", '{"receipts": "-5"}', "PENSTOCK_SPEND__WORKFLOWS__RECEIPTS: "),
        ("SPEND__WORKFLOWS", '{"receipts":', "PENSTOCK_SPEND__WORKFLOWS: this is no JSON"),
        ("WORKER__RENEW_SECONDS", "31", "at most half of lease_seconds"),
        ("WORKER__LEASE_SECONDS", "inf", "PENSTOCK_WORKER__LEASE_SECONDS: "),
        ("INGEST__RESUME_BELOW", "50000", "not be more than pause_above"),
        ("MODELS__FAST__ENDPOINTS", ACCOUNTS % ("", ""), "m@api.openai.com/v1 is there twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"PENSTOCK_{name}", value)

    with pytest.raises(InvalidSettingsError) as refused:
        all_settings.load()

    assert told in str(refused.value)


def test_names_that_kubernetes_makes_of_a_service_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_PORT", "tcp://10.0.0.1:8080")

    assert all_settings.load().api.port == 8080


def test_two_accounts_at_one_address_are_two_endpoints_by_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_MODELS__FAST__ENDPOINTS", ACCOUNTS % ("first", "second"))

    endpoints = Endpoints(all_settings.load().models, Unshared(), lambda: NOW)

    assert set(endpoints.names("fast")) == {"m@api.openai.com/v1#first", "m@api.openai.com/v1#second"}
