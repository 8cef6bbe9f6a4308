"""Settings in, the keys that a deployment works with out; embedded mode makes its own beside its database."""

import os
import secrets
from pathlib import Path
from typing import Final

from infra.logs import logger
from infra.settings import Settings
from infra.vault import VARIABLE, Vault, vault
from pipeline.catalogue import Catalogue
from pipeline.errors import InvalidSettingsError

_SUFFIX: Final = ".master_key"


def vault_for(settings: Settings, catalogue: Catalogue) -> Vault | None:
    """The master keys; None where no workflow has a subject and none are set.

    Raises InvalidSettingsError where they are needed and cannot be read.
    """
    text = _given(settings)
    if text:
        return vault(text)
    is_needed = any(entry.workflow.subject for entry in catalogue.entries)
    path = settings.sqlite_path
    if path is not None and settings.is_embedded:
        return _beside(path.with_name(path.name + _SUFFIX), is_needed=is_needed)
    if is_needed:
        cure = (
            f"set it, or {VARIABLE}_FILE, to what `penstock privacy key` prints, the same for all processes"
        )
        raise InvalidSettingsError(f"{VARIABLE}: a workflow has a subject, so texts are encrypted; {cure}")
    return None


def kept(path: Path) -> bytes:
    """The secret in a file that only its owner reads; made at the first call."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(32).encode())
    return path.read_bytes()


def _given(settings: Settings) -> str:
    text = settings.privacy.master_key.get_secret_value()
    if text or not settings.privacy.master_key_file:
        return text
    try:
        return Path(settings.privacy.master_key_file).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"{VARIABLE}_FILE: cannot be read ({type(error).__name__})") from error


def _beside(path: Path, *, is_needed: bool) -> Vault | None:
    if not path.exists():
        if not is_needed:
            return None
        cure = "keep a copy apart from the database: without it the texts of events with a subject are lost"
        logger().warning("privacy.master_key_made", path=str(path), cure=cure)
    return vault(kept(path).decode("ascii", "replace"))
