"""The register of workflow versions: the contents that a prefix names, and what has published on a topic.

Results are compared with the register at start-up: a version whose results the receivers of a topic
cannot read is found before it publishes there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from pipeline.catalogue import Entry
from pipeline.compatibility import Change
from pipeline.errors import InvalidWorkflowError
from pipeline.versions import output_change
from schemas.decision import Outcome

#: States of a result that went to the topic its workflow produces.
PUBLISHED: Final = [outcome.value for outcome in Outcome if outcome.may_be_acted_on]
#: Results come after their version was registered, but by the clock of another machine.
_CLOCK_SKEW: Final = timedelta(hours=1)
_NAMED_REASONS: Final = 3
_TOPIC_VERSION: Final = re.compile(r"(.*[._-]v)(\d+)")


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that ran on this database; it `produces` to this topic, which is unknown of very old ones."""

    version: str
    workflow: str
    content: str
    release: str
    first_seen_at: datetime
    produces: str | None = None
    pruned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incompatible:
    """A version that wants to start, and one whose receivers it would break."""

    entry: Entry
    published: Registered
    change: Change

    @property
    def error(self) -> InvalidWorkflowError:
        """What to tell, with the cure."""
        reasons = [reason for reason in self.change.reasons if reason.level == "major"]
        told = "; ".join(f"{reason.path or '(top)'} {reason.what}" for reason in reasons[:_NAMED_REASONS])
        more = f" and {len(reasons) - _NAMED_REASONS} more" if len(reasons) > _NAMED_REASONS else ""
        workflow = self.entry.workflow
        old, new = self.published.version[:12], self.entry.version[:12]
        problem = (
            f"receivers of version {old} on {workflow.produces!r} cannot read version {new}: {told}{more}"
        )
        cure = (
            f"Publish on a new topic: produces={_next_topic(workflow.produces)!r}. "
            f"To see all: penstock workflow diff {old} {workflow.name}"
        )
        return InvalidWorkflowError(workflow.file, "produces", problem, cure)


async def find(database: Database, prefix: str) -> list[Registered]:
    """The versions whose hash starts with `prefix`, each once."""
    found = select(t.workflow_version).where(t.workflow_version.c.version.startswith(prefix, autoescape=True))
    async with database.read() as connection:
        rows = await _registered(connection, found.order_by(t.workflow_version.c.workflow))
    return list({row.version: row for row in rows}.values())


async def published(database: Database, topic: str) -> list[Registered]:
    """The versions of whose results at least one went to `topic`."""
    async with database.read() as connection:
        rows = await _registered(connection, select(t.workflow_version))
        return [row for row in rows if await _has_published(connection, row, topic)]


async def incompatible(database: Database, entries: Sequence[Entry]) -> list[Incompatible]:
    """Per entry the newest version on its topic that it would break; call it before they are registered.

    A version that ran on this database before may run again: so one gets back to the last that worked.
    """
    found = []
    async with database.read() as connection:
        rows = await _registered(connection, select(t.workflow_version))
        known = {(row.version, row.workflow) for row in rows}
        for entry in entries:
            if (entry.version, entry.workflow.name) not in known:
                broken = await _first_broken(connection, entry, rows)
                found += [broken] if broken else []
    return found


async def _first_broken(
    connection: AsyncConnection, entry: Entry, rows: Sequence[Registered]
) -> Incompatible | None:
    for row in sorted(rows, key=lambda row: row.first_seen_at, reverse=True):
        change = _change(row.content, entry.content)
        # Compared first: that costs microseconds, and few versions are left to be asked about.
        if change is None or change.level != "major":
            continue
        if await _has_published(connection, row, entry.workflow.produces):
            return Incompatible(entry, row, change)
    return None


def _change(old: str, new: str) -> Change | None:
    """None for a content that this release cannot read: it is then compared with nothing."""
    try:
        return output_change(old, new)
    except ValueError:
        return None


async def _registered(connection: AsyncConnection, query: Select[Any]) -> list[Registered]:
    return [Registered(**row) for row in (await connection.execute(query)).mappings()]


async def _has_published(connection: AsyncConnection, row: Registered, topic: str) -> bool:
    """Did one of this version's results go to `topic`? One tells, and one that was pruned counts.

    They are looked through from the version's first day on, in the order of the index.
    """
    if row.produces != topic:
        return False
    if row.pruned_at is not None:
        return True
    query = (
        select(t.result.c.event_id)
        .where(
            t.result.c.workflow == row.workflow,
            t.result.c.decided_at >= row.first_seen_at - _CLOCK_SKEW,
            t.result.c.version == row.version,
            t.result.c.state.in_(PUBLISHED),
        )
        .limit(1)
    )
    return (await connection.execute(query)).first() is not None


def _next_topic(topic: str) -> str:
    """`receipts.extracted.v1` as its next version."""
    match = _TOPIC_VERSION.fullmatch(topic)
    return f"{match[1]}{int(match[2]) + 1}" if match else f"{topic}.v2"


async def of_workflow(database: Database, workflow: str) -> list[Registered]:
    """The versions of a workflow that ran on this database, the newest first."""
    v = t.workflow_version.c
    query = (
        select(t.workflow_version).where(v.workflow == workflow).order_by(v.first_seen_at.desc(), v.version)
    )
    async with database.read() as connection:
        return await _registered(connection, query)
