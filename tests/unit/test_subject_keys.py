"""Where master keys come from, and what is told where they are needed and missing."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from consumers.keys import vault_for
from infra.privacy_settings import PrivacySettings
from infra.settings import DatabaseSettings, KafkaSettings, Settings
from infra.vault import vault
from pipeline.catalogue import Catalogue
from pipeline.errors import InvalidSettingsError
from tests.builders import entry, workflow

KEY = "a1" * 32
NEEDED = Catalogue((entry(workflow(subject=lambda note: note.text)),))
NOT_NEEDED = Catalogue((entry(),))


def at(folder: Path, *, kafka: str = "", **privacy: str) -> Settings:
    given = {name: SecretStr(value) if name == "master_key" else value for name, value in privacy.items()}
    return Settings(
        database=DatabaseSettings(url=f"sqlite:///{folder}/penstock.db"),
        kafka=KafkaSettings(bootstrap_servers=kafka),
        privacy=PrivacySettings.model_validate(given),
    )


@pytest.mark.parametrize("catalogue", [NEEDED, NOT_NEEDED])
def test_keys_that_are_given_are_taken(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    for settings in (at(tmp_path, master_key=KEY), at(tmp_path, master_key_file=str(tmp_path / "key"))):
        assert vault_for(settings, catalogue) == vault(KEY)


def test_without_a_subject_no_key_is_needed_or_made(tmp_path: Path) -> None:
    assert vault_for(at(tmp_path), NOT_NEEDED) is None
    assert vault_for(at(tmp_path, kafka="here:9092"), NOT_NEEDED) is None
    assert list(tmp_path.iterdir()) == []


def test_embedded_mode_makes_a_key_once_and_keeps_to_it(tmp_path: Path) -> None:
    made = vault_for(at(tmp_path), NEEDED)

    assert [path.name for path in tmp_path.iterdir()] == ["penstock.db.master_key"]
    assert vault_for(at(tmp_path), NEEDED) == vault_for(at(tmp_path), NOT_NEEDED) == made


@pytest.mark.parametrize(
    ("privacy", "told"),
    [
        ({}, "set it, or PENSTOCK_PRIVACY__MASTER_KEY_FILE, to what `penstock privacy key` prints"),
        ({"master_key_file": "nowhere"}, r"MASTER_KEY_FILE: cannot be read \(FileNotFoundError\)"),
        ({"master_key": "short"}, "write 64 hexadecimal digits"),
    ],
)
def test_distributed_a_key_that_is_needed_must_be_given(
    tmp_path: Path, privacy: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidSettingsError, match=told):
        vault_for(at(tmp_path, kafka="here:9092", **privacy), NEEDED)
