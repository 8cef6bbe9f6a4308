"""Settings in, where the audit log's keys and checkpoints are out."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Final

from consumers.seal import Sealer
from consumers.wiring import Deployment, clock, operator
from infra.checkpoints import CheckpointFile
from infra.keys import KeyFile
from infra.lock import SingleRole
from infra.settings import Settings
from infra.signing import read_key
from infra.store import seals
from pipeline.errors import InvalidSettingsError
from pipeline.seal import Signer
from pipeline.trail import noted
from schemas.changeset import AuditRecord
from schemas.kinds import RecordKind

#: The kind of audit record that a key's first use and its rotation make.
KEY_KIND: Final[RecordKind] = "audit_key"
_MISSING: Final = (
    "PENSTOCK_AUDIT__KEY: set it to what `penstock audit key new NAME` prints, for `serve seal` alone; "
    "or name its file by PENSTOCK_AUDIT__KEY_FILE"
)


def key_file(settings: Settings) -> KeyFile | None:
    """The file of the signing key; None when the key is a variable, or nothing says where it is."""
    if settings.audit.key.get_secret_value():
        return None
    if settings.audit.key_file:
        return KeyFile(Path(settings.audit.key_file))
    path = _beside(settings, "audit-key")
    return None if path is None else KeyFile(path)


def checkpoint_file(settings: Settings) -> CheckpointFile | None:
    """The file that checkpoints are appended to, if there is one."""
    if settings.audit.checkpoint_file:
        return CheckpointFile(Path(settings.audit.checkpoint_file))
    path = _beside(settings, "checkpoints")
    return None if path is None else CheckpointFile(path)


def signer(settings: Settings) -> Signer:
    """The key to sign with now. Embedded mode makes one, with a name of its own, where there is none."""
    file = key_file(settings)
    if file and not settings.audit.key_file and not file.path.exists():
        return file.make(f"penstock.local/{secrets.token_hex(4)}", now=clock())
    return existing(settings)


def existing(settings: Settings) -> Signer:
    """The same, where there is one; raises InvalidSettingsError."""
    written = settings.audit.key.get_secret_value()
    if written:
        return read_key(written)
    file = key_file(settings)
    if file is None:
        raise InvalidSettingsError(_MISSING)
    return file.signer()


async def rotated(deployment: Deployment, file: KeyFile) -> str:
    """Put a new key into the file and on record; returns its public half, written.

    On record first: a key that signs without a record would look like somebody else's.
    """
    last = await seals.last(deployment.database)
    before = file.signer()
    made = file.rotated(above=last.size if last else 0, now=clock())
    body = {"action": "rotated", "key": str(made.signer.key), "before": str(before.key)}
    scribe = replace(deployment.scribe, actor=operator())
    record = noted(KEY_KIND, body, scribe=scribe, now=clock())
    await seals.introduce(deployment.database, record)
    made.use()
    return str(made.signer.key)


def sealer(deployment: Deployment, role: SingleRole) -> Sealer:
    """The process that seals this deployment's audit log."""

    def introduced(signer: Signer) -> AuditRecord:
        body = {"action": "first_used", "key": str(signer.key)}
        return noted(KEY_KIND, body, scribe=deployment.scribe, now=clock())

    settings = deployment.settings
    return Sealer(
        deployment.database,
        role,
        settings.audit,
        lambda: signer(settings),
        introduced,
        checkpoint_file(settings),
    )


def _beside(settings: Settings, suffix: str) -> Path | None:
    path = settings.sqlite_path
    return path.with_name(f"{path.name}.{suffix}") if path and settings.is_embedded else None
