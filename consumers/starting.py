"""What a process puts on record when it starts: the settings it runs with, where they have changed."""

import hashlib
from collections.abc import Mapping
from typing import Any

from consumers import wiring
from consumers.commands import configuration
from consumers.wiring import Deployment
from infra.store import administration
from pipeline.receive import canonical
from pipeline.trail import noted
from schemas.changeset import AuditRecord


async def record_settings(deployment: Deployment, process: str) -> None:
    """One record per change, not per start; secrets are told as stars, set or not.

    By kind of process: one that needs less may be given less.
    """
    shown = {row.variable: row.value for row in configuration.shown(deployment.settings)}
    digest = hashlib.sha256(canonical(shown)).digest()

    def record(before: Mapping[str, Any] | None) -> AuditRecord:
        known = before or {}
        body = {
            "process": process,
            "sha256": digest.hex(),
            "changed": {
                name: {"from": known.get(name), "to": shown.get(name)}
                for name in sorted({*known, *shown})
                if known.get(name) != shown.get(name)
            },
        }
        return noted("configuration", body, scribe=deployment.scribe, now=wiring.clock())

    await administration.change_settings(deployment.database, process, shown, digest, record)
