"""Settings as `penstock config show` and the README's table show them: all of them, and no secret."""

import pytest
from pydantic import SecretStr

from consumers.commands import configuration
from consumers.commands.configuration import masked, settings_table, shown, unknown
from infra import settings as all_settings

_SECRETS = {
    "PENSTOCK_SECRET": "planted-fingerprint-key-0123456789",
    "PENSTOCK_DATABASE__URL": "postgresql+psycopg://penstock:planted-password@db/penstock?password=planted-too",
    "PENSTOCK_REDIS__URL": "redis://:planted-redis@cache:6379/0",
    "PENSTOCK_KAFKA__SASL_PASSWORD": "planted-kafka",
    "PENSTOCK_MODELS__FAST__MODEL": "gpt",
    "PENSTOCK_MODELS__FAST__BASE_URL": "https://user:planted-proxy@models.example/v1",
    "PENSTOCK_MODELS__FAST__API_KEY": "planted-model-key",
    "PENSTOCK_SOURCES__SHOP__SECRETS": '["planted-one", "planted-two"]',
    "PENSTOCK_SENTRY__DSN": "https://planted-sentry@sentry.example/1",
}


def test_the_table_names_every_variable_once_with_its_description() -> None:
    rows = settings_table()
    variables = [row.variable for row in rows]

    assert len(set(variables)) == len(variables)
    assert all(row.description.endswith(".") for row in rows)
    assert {"PENSTOCK_MODELS__<ALIAS>__BASE_URL", "PENSTOCK_SOURCES__<NAME>__SECRETS"} < set(variables)
    assert {row.variable for row in rows if row.default is None} == set()


def test_the_table_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_table()
    monkeypatch.setenv("PENSTOCK_API__PORT", "1234")

    assert settings_table() == before


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _SECRETS.items():
        monkeypatch.setenv(name, value)

    rows = {row.variable: row for row in shown(all_settings.load())}

    assert [row for row in rows.values() if "planted" in row.value] == []
    assert {rows[name].origin for name in _SECRETS} == {"env"}
    assert rows["PENSTOCK_API__PORT"].origin == "default"
    assert rows["PENSTOCK_REDIS__URL"].value == "redis://********@cache:6379/0"
    assert rows["PENSTOCK_SOURCES__SHOP__SECRETS"].value == "******** (2)"


def test_an_unset_secret_is_shown_as_empty() -> None:
    assert masked(SecretStr("")) == ""


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("PENSTOCK_DATABASE__URL", True),
        ("penstock_database__url", True),
        ("PENSTOCK_DATABASE", True),
        ("PENSTOCK_MODELS__FAST__API_KEY", True),
        ("PENSTOCK_MODELS__VERY_FAST__API_KEY", True),
        ("PENSTOCK_LOCAL_DIR", True),
        ("PENSTOCK_VERSION", True),
        ("PATH", True),
        ("PENSTOCK_DATABSE__URL", False),
        ("PENSTOCK_MODELS__FAST__APIKEY", False),
        ("PENSTOCK_DATABASE_URL", False),
    ],
)
def test_a_misspelt_variable_is_found(name: str, *, is_known: bool) -> None:
    assert unknown([name]) == ([] if is_known else [name])


def test_every_variable_of_the_table_is_known() -> None:
    names = [row.variable.replace("<ALIAS>", "FAST").replace("<NAME>", "SHOP") for row in settings_table()]

    assert configuration.unknown(names) == []
