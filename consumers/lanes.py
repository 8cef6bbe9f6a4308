"""A workflow's name in, its lane paused or running out: by the command line and by the page."""

from dataclasses import replace

from consumers import wiring
from infra.store import SqlStore, administration
from pipeline.catalogue import Catalogue
from pipeline.trail import noted
from schemas.changeset import Actor


async def set_paused(store: SqlStore, catalogue: Catalogue, name: str, *, paused: bool, actor: Actor) -> bool:
    """Whether that changed anything: then it is on record. Raises NotFound for an unknown name."""
    record = noted(
        "workflow_paused" if paused else "workflow_resumed",
        {},
        scribe=replace(store.scribe, actor=actor),
        now=wiring.clock(),
        workflow=name,
        version=catalogue.named(name).version,
    )
    return await administration.set_paused(store.database, name, record, paused=paused)
