"""The queue of the people: which events wait for one, in which order, and who looks at which.

The order is that of time, or within a workflow that of rank: what a sample drew, then what is doubted most.
Whether a score deserves that is asked elsewhere.

An item is written with the decision that asks for a person, and deleted by the commit of what they
decide; `result` and `audit_record` keep what it was. A claim only tells others to look elsewhere: what
keeps two decisions apart is the revision that each expects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store.statements import NOW
from infra.store.words import listed
from pipeline.errors import Conflict, NotFound
from pipeline.sample import SAMPLED

#: Long enough to read a contract; who needs longer claims again.
LEASE_SECONDS: Final = 900.0

Order = Literal["oldest", "doubted"]

item = t.review.c
_OLDEST: Final[tuple[ColumnElement[Any], ...]] = (item.created_at, item.id)
#: With the workflow before them, as their index has it: a queue of several has no common rank.
_DOUBTED: Final[tuple[ColumnElement[Any], ...]] = (item.rank, *_OLDEST)


@dataclass(frozen=True, slots=True)
class Item:
    """An event that waits for a person; `id` is its sender's. A `sampled` one succeeded and is published.

    The last three are None unless somebody looks at it now.
    """

    item_id: UUID
    event_id: UUID
    source: str
    id: str
    workflow: str
    revision: int
    reasons: tuple[str, ...]
    sampled: bool
    rank: float
    created_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    claimed_until: datetime | None

    def place(self, order: Order = "oldest") -> str:
        """Where it stands in the list, for `waiting(after=...)` of the same order."""
        place = f"{self.created_at.isoformat()}/{self.item_id}"
        return place if order == "oldest" else f"{self.rank}/{place}"


async def waiting(
    database: Database,
    *,
    workflow: str | None = None,
    after: str | None = None,
    limit: int = 50,
    order: Order = "oldest",
) -> list[Item]:
    """A page of the queue, behind the `place` of the last item of the page before."""
    keys = _keys(workflow, order)
    query = _items(workflow).order_by(*keys).limit(limit)
    if after is not None:
        query = query.where(tuple_(*keys) > _place(after, order))
    async with database.read() as connection:
        return await _items_of(connection, query)


async def beside(
    database: Database, found: Item, workflow: str | None = None, order: Order = "oldest"
) -> tuple[UUID | None, UUID | None]:
    """The events that stand before and behind an item in the queue."""
    keys = _keys(workflow, order)
    own, place = _place(found.place(order), order), tuple_(*keys)
    some = select(item.event_id).limit(1)
    some = some if workflow is None else some.where(item.workflow == workflow)
    async with database.read() as connection:
        before = some.where(place < own).order_by(*(key.desc() for key in keys))
        behind = some.where(place > own).order_by(*keys)
        return (await connection.scalar(before)), (await connection.scalar(behind))


async def find(database: Database, event_id: UUID) -> Item | None:
    """The item of this event, if it waits for a person."""
    async with database.read() as connection:
        return await _found(connection, event_id)


async def claim(
    database: Database, event_id: UUID, *, who: str, lease_seconds: float = LEASE_SECONDS
) -> Item:
    """Claim this item, or prolong the claim; raises Conflict, which says who has it, or NotFound."""
    async with database.write() as connection:
        if not await _take(connection, item.event_id == event_id, who, lease_seconds):
            found = await _found(connection, event_id)
            raise missing(event_id) if found is None else taken(found)
        return _surely(await _found(connection, event_id))


async def claim_next(
    database: Database,
    *,
    who: str,
    workflow: str | None = None,
    order: Order = "oldest",
    lease_seconds: float = LEASE_SECONDS,
) -> Item | None:
    """Claim the first item that nobody looks at; the own ones count as nobody's, so none is forgotten."""
    first = select(item.id).where(_is_free(who)).order_by(*_keys(workflow, order)).limit(1)
    if workflow is not None:
        first = first.where(item.workflow == workflow)
    async with database.write() as connection:
        found = (await connection.execute(first.with_for_update(skip_locked=True))).scalar()
        if found is None:
            return None
        (event_id,) = await _take(connection, item.id == found, who, lease_seconds)
        return await _found(connection, event_id)


async def release(database: Database, event_id: UUID, *, who: str) -> None:
    """Give a claim back; raises Conflict when it is another's, NotFound when nothing waits."""
    free = {"claimed_by": None, "claimed_at": None, "claimed_until": None}
    statement = update(t.review).where(item.event_id == event_id, _is_free(who)).values(free)
    async with database.write() as connection:
        if not (await connection.execute(statement.returning(item.id))).all():
            found = await _found(connection, event_id)
            raise missing(event_id) if found is None else taken(found)


def missing(event_id: UUID) -> NotFound:
    return NotFound(f"event {event_id} does not wait for a person; see penstock event show {event_id}")


def taken(found: Item) -> Conflict:
    """Who has it, since when, and until when if they do nothing."""
    since, until = (
        f"{one.astimezone(UTC):%H:%M}" if one else "" for one in (found.claimed_at, found.claimed_until)
    )
    who = (found.claimed_by or "").rpartition(":")[2]
    return Conflict(f"event {found.event_id} is claimed by {who} since {since}, until {until} UTC")


async def _take(
    connection: AsyncConnection, which: ColumnElement[bool], who: str, lease_seconds: float
) -> list[UUID]:
    is_mine = and_(item.claimed_by == who, item.claimed_until > NOW)
    values = {
        "claimed_by": who,
        "claimed_at": case((is_mine, item.claimed_at), else_=NOW),
        "claimed_until": later(lease_seconds),
    }
    statement = update(t.review).where(which, _is_free(who)).values(values).returning(item.event_id)
    return list((await connection.scalars(statement)).all())


def _is_free(who: str) -> ColumnElement[bool]:
    return or_(item.claimed_until.is_(None), item.claimed_until <= NOW, item.claimed_by == who)


def _keys(workflow: str | None, order: Order) -> tuple[ColumnElement[Any], ...]:
    if order == "doubted" and workflow is None:
        raise Conflict("only the queue of one workflow can be ordered by doubt; name it")
    return _OLDEST if order == "oldest" else _DOUBTED


def _items(workflow: str | None = None) -> Select[Any]:
    query = select(
        t.review,
        t.event.c.source,
        t.event.c.source_id,
        t.event.c.subject_hash,
        (item.claimed_until > NOW).label("claimed"),
    ).join(t.event, t.event.c.event_id == item.event_id)
    return query if workflow is None else query.where(item.workflow == workflow)


async def _found(connection: AsyncConnection, event_id: UUID) -> Item | None:
    found = await _items_of(connection, _items().where(item.event_id == event_id).limit(1))
    return found[0] if found else None


async def _items_of(connection: AsyncConnection, query: Select[Any]) -> list[Item]:
    rows = (await connection.execute(query)).mappings().all()
    return [_item(row) for row in listed(rows)]


def _surely(found: Item | None) -> Item:
    if found is None:
        raise RuntimeError("an item vanished in the transaction that claimed it")
    return found


def _item(row: Mapping[str, Any]) -> Item:
    is_claimed = bool(row["claimed"])
    return Item(
        item_id=row["id"],
        event_id=row["event_id"],
        source=row["source"],
        id=row["source_id"],
        workflow=row["workflow"],
        revision=row["revision"],
        reasons=(SAMPLED,) if row["sampled"] else tuple(row["reasons"]),
        sampled=row["sampled"],
        rank=row["rank"],
        created_at=row["created_at"],
        claimed_by=row["claimed_by"] if is_claimed else None,
        claimed_at=row["claimed_at"] if is_claimed else None,
        claimed_until=row["claimed_until"] if is_claimed else None,
    )


def _place(text: str, order: Order) -> Any:
    """What `Item.place` gave, as a row of the keys; raises NotFound."""
    try:
        rank, _, rest = text.partition("/") if order == "doubted" else ("0", "", text)
        since, _, last = rest.partition("/")
        first, when, which = float(rank), datetime.fromisoformat(since), UUID(last)
        if when.tzinfo is None or not isfinite(first):
            raise ValueError("no place")
    except ValueError as error:
        raise NotFound("no such place in the list; pass on the one that the page before named") from error
    oldest = literal(when, item.created_at.type), literal(which, item.id.type)
    return tuple_(*oldest) if order == "oldest" else tuple_(literal(first, item.rank.type), *oldest)
