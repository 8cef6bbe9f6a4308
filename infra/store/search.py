"""Audit records by what they say: filters in, pages, a count or all of them out.

One function builds the condition, so that a table, its count and an export cannot disagree. Pages go by
place (time and id), never by number: a page is as fast at the end as at the beginning, and what is written
meanwhile shifts none.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.failures import ANY_NUMBER
from pipeline.errors import NotFound
from pipeline.lookup import REASON, folded

#: Counting goes no further: who has found so many records needs another filter, not their number.
MAX_COUNT: Final = 10_000
_PAGE: Final = 500

record = t.audit_record.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What all of it must hold of a record; None and () ask for nothing.

    `cost_micros` and `took_ms` are the least that is wanted. `since` is the first moment, `until` the first
    after the last. `version` and `actor` are beginnings of theirs. `reason` is a code, or a part of a reason
    in words. `fields` are values of indexed fields, by name. `text` is a part of an id, a name, a reason or
    the value of an indexed field; case does not count.
    """

    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    event_id: UUID | None = None
    workflow: str | None = None
    version: str | None = None
    outcome: str | None = None
    model: str | None = None
    actor: str | None = None
    reason: str | None = None
    cost_micros: int | None = None
    took_ms: int | None = None
    fields: tuple[tuple[str, str], ...] = ()
    text: str | None = None


class Place(NamedTuple):
    """Where a record stands in the order of time."""

    occurred_at: datetime
    id: UUID

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `str` of a place gave; raises ValueError."""
        moment, _, own = text.partition("_")
        occurred_at = datetime.fromisoformat(moment)
        if occurred_at.tzinfo is None:
            raise ValueError("a time without a zone")
        try:
            return cls(occurred_at.astimezone(UTC), UUID(own))
        except OverflowError as error:
            raise ValueError("no time of ours") from error

    def __str__(self) -> str:
        return f"{self.occurred_at.isoformat().replace('+00:00', 'Z')}_{self.id}"


@dataclass(frozen=True, slots=True)
class Found:
    """A record as it is stored: its bytes, their leaf, and the copies it was found by."""

    id: UUID
    kind: str
    occurred_at: datetime
    actor_kind: str
    actor_name: str
    event_id: UUID | None
    revision: int | None
    workflow: str | None
    version: str | None
    outcome: str | None
    code: str | None
    model: str | None
    cost_micros: int | None
    took_ms: int | None
    leaf: bytes
    canonical: bytes

    @property
    def place(self) -> Place:
        return Place(self.occurred_at, self.id)


#: An event and a revision of what was decided on it.
Revision = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; `is_more` when counting ended there and there are more."""

    records: int
    is_more: bool


_COLUMNS: Final = [record[name] for name in Found.__dataclass_fields__]


async def page(
    database: Database, search: Search, *, after: Place | None = None, limit: int = 50
) -> list[Found]:
    """The newest that match, or those that come after a place in that order."""
    behind = [] if after is None else [_order() < _literal(after)]
    newest = (record.occurred_at.desc(), record.id.desc())
    async with database.read() as connection:
        return await _rows(connection, _matching(search, *behind, order=newest, limit=limit))


async def oldest(
    database: Database, search: Search, *also: ColumnElement[bool], limit: int
) -> list[Revision]:
    """What the oldest are about that match, and for which this holds, too."""
    order = (record.occurred_at, record.id)
    query = _matching(search, *also, order=order, limit=limit)
    async with database.read() as connection:
        rows = await connection.execute(query.with_only_columns(record.event_id, record.revision))
        return [(event_id, revision) for event_id, revision in rows]


async def count(database: Database, search: Search) -> Count:
    """How many match, up to MAX_COUNT."""
    some = _matching(search, order=(), limit=MAX_COUNT + 1).with_only_columns(record.id).subquery()
    async with database.read() as connection:
        found = int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
    return Count(min(found, MAX_COUNT), is_more=found > MAX_COUNT)


async def export(database: Database, search: Search) -> AsyncIterator[Sequence[Found]]:
    """All that match, the oldest first, in pages: each its own short view, so that a slow reader holds
    nothing up. What is committed meanwhile may be among them or not; set `until` to be sure."""
    after: Place | None = None
    oldest = (record.occurred_at, record.id)
    while True:
        behind = [] if after is None else [_order() > _literal(after)]
        async with database.read() as connection:
            rows = await _rows(connection, _matching(search, *behind, order=oldest, limit=_PAGE))
        if rows:
            yield rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].place


async def one(database: Database, wanted: UUID | bytes) -> Found:
    """The record with this id or leaf; raises NotFound."""
    is_leaf = isinstance(wanted, bytes)
    async with database.read() as connection:
        rows = await _rows(
            connection, select(*_COLUMNS).where((record.leaf if is_leaf else record.id) == wanted)
        )
    if not rows:
        raise NotFound(f"no audit record {wanted.hex() if isinstance(wanted, bytes) else wanted}")
    return rows[0]


async def _rows(connection: AsyncConnection, query: Any) -> list[Found]:
    return [Found(*row) for row in await connection.execute(query)]


def _order() -> Any:
    return tuple_(record.occurred_at, record.id)


def _literal(place: Place) -> Any:
    own = literal(place.occurred_at, record.occurred_at.type), literal(place.id, record.id.type)
    return tuple_(*own)


def _matching(search: Search, *more: ColumnElement[bool], order: Sequence[Any], limit: int) -> Any:
    """The first `limit` records that match, in this order.

    A text may stand in one of two places. Each is asked by itself: an index serves one, never both at once.
    """
    whole = select(*_COLUMNS).order_by(*order).limit(limit)
    conditions = [*_conditions(search), *more]
    if search.text is None:
        return whole.where(*conditions)
    part = folded(search.text)
    places = (record.words.contains(part, autoescape=True), _has_value(part))
    found = [whole.with_only_columns(record.id).where(*conditions, place).subquery() for place in places]
    return whole.where(record.id.in_(union_all(*(select(one.c.id) for one in found))))


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    """The one place that says what matches, but for the text."""
    asked = [(getattr(search, name), matches) for name, matches in _MATCHES.items()]
    conditions = [matches(wanted) for wanted, matches in asked if wanted is not None]
    return [*conditions, *(_has_field(name, value) for name, value in search.fields)]


def _begins(column: Any, beginning: str) -> ColumnElement[bool]:
    """Not LIKE: on SQLite that takes no notice of case, on PostgreSQL it does."""
    matches: ColumnElement[bool] = func.substr(column, 1, len(beginning)) == beginning
    return matches


def _reason(reason: str) -> ColumnElement[bool]:
    """The code, or a part of a reason in words: they are the last lines of `words`.

    ANY_NUMBER stands for whatever is there, so that a cause of the failures can be searched for.
    """
    escaped = folded(reason)
    for sign in "/%_":
        escaped = escaped.replace(sign, f"/{sign}")
    escaped = escaped.replace(ANY_NUMBER, "%")
    return or_(record.code == reason, record.words.like(f"%\n{REASON}%{escaped}%", escape="/"))


def _has_value(part: str) -> ColumnElement[bool]:
    return _of_result(t.result_index.c.value.contains(part, autoescape=True))


def _has_field(name: str, value: str) -> ColumnElement[bool]:
    return _of_result(and_(t.result_index.c.field == name, t.result_index.c.value == folded(value)))


def _of_result(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Is it about a revision of which this holds in the index of results?"""
    index = t.result_index.c
    found = select(index.event_id, index.revision).where(condition)
    matches: ColumnElement[bool] = tuple_(record.event_id, record.revision).in_(found)
    return matches


_MATCHES: Final[Mapping[str, Callable[[Any], ColumnElement[bool]]]] = {
    "since": lambda moment: record.occurred_at >= moment,
    "until": lambda moment: record.occurred_at < moment,
    "kind": lambda kind: record.kind == kind,
    "event_id": lambda event_id: record.event_id == event_id,
    "workflow": lambda workflow: record.workflow == workflow,
    "version": lambda prefix: _begins(record.version, prefix),
    "outcome": lambda outcome: record.outcome == outcome,
    "model": lambda model: record.model == model,
    "actor": lambda prefix: _begins(record.actor_name, prefix),
    "reason": _reason,
    "cost_micros": lambda micros: record.cost_micros >= micros,
    "took_ms": lambda milliseconds: record.took_ms >= milliseconds,
}
