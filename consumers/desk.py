"""One person's desk, for the command line and the API: what they say in, the decision written out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consumers.reveal import put_on_record
from infra.store import SqlStore, history, reviews
from infra.store.reviews import Item, Order
from pipeline import publish
from pipeline.catalogue import Catalogue, Entry
from pipeline.correction import edited
from pipeline.errors import Conflict, InvalidCorrection, InvalidEvent, MessageTooLarge, NotFound, Unstorable
from pipeline.ports import Written
from pipeline.receive import stored
from pipeline.resolve import Subject, Verdict, approve, correct, reject, send_back
from schemas.changeset import Changeset, Result, Scribe
from schemas.decision import MAX_REASON_LENGTH

_Decide = Callable[[Subject, Entry, Verdict], Changeset]


@dataclass(frozen=True, slots=True)
class Said:
    """A person's words, and the revision that they looked at; None takes the newest, whatever it is."""

    comment: str = ""
    revision: int | None = None
    in_bulk: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """`scribe.actor` is the person. Each method that decides returns the new revision.

    They raise NotFound, Conflict when somebody else was faster or has the item, and InvalidCorrection.
    """

    store: SqlStore
    catalogue: Catalogue
    scribe: Scribe
    clock: Callable[[], datetime]

    @property
    def who(self) -> str:
        return self.scribe.actor.name

    async def look(self, event_id: UUID) -> tuple[Subject, Item | None]:
        """What is to be judged, and its place in the queue if it waits."""
        found = await reviews.find(self.store.database, event_id)
        return await history.subject(self.store.database, event_id), found

    async def read(self, subject: Subject) -> str:
        """The event's text, as the model reads it; that it was read is on record before."""
        event = subject.event
        read = [publish.content_id(event.event_id)]
        await put_on_record(self.store, event, read, scribe=self.scribe, now=self.clock())
        entry = self.catalogue.named(event.workflow)
        try:
            return str(entry.workflow.text(stored(entry, event)))
        except InvalidEvent:  # dead at the door, or the schema is stricter by now
            return event.content.decode("utf-8", "replace")

    async def claim(self, event_id: UUID) -> Item:
        return await reviews.claim(self.store.database, event_id, who=self.who)

    async def claim_next(self, workflow: str | None = None, order: Order = "oldest") -> Item:
        """The first item that nobody looks at."""
        if workflow is not None:
            self.catalogue.named(workflow)
        database = self.store.database
        found = await reviews.claim_next(database, who=self.who, workflow=workflow, order=order)
        if found is None:
            raise NotFound("nothing waits for a person that nobody looks at")
        return found

    async def release(self, event_id: UUID) -> None:
        await reviews.release(self.store.database, event_id, who=self.who)

    async def approve(self, event_id: UUID, said: Said) -> Result:
        return await self._resolve(event_id, said, approve)

    async def correct(
        self,
        event_id: UUID,
        said: Said,
        data: Mapping[str, Any] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> Result:
        """`data`, else what was extracted, with fields set to what was typed."""

        def decide(subject: Subject, entry: Entry, verdict: Verdict) -> Changeset:
            base = subject.newest.data if data is None else data
            return correct(subject, entry, edited(entry, base, settings or {}), verdict)

        return await self._resolve(event_id, said, decide)

    async def reject(self, event_id: UUID, said: Said) -> Result:
        if not said.comment.strip():
            raise InvalidCorrection("say why, in a comment: receivers of the dead topic are told")
        return await self._resolve(event_id, said, reject)

    async def send_back(self, event_id: UUID, said: Said) -> Result:
        return await self._resolve(event_id, said, send_back)

    async def _resolve(self, event_id: UUID, said: Said, decide: _Decide) -> Result:
        if len(said.comment) > MAX_REASON_LENGTH:
            raise InvalidCorrection(f"the comment is longer than {MAX_REASON_LENGTH} characters")
        subject, found = await self.look(event_id)
        newest = subject.newest
        if said.revision not in (None, newest.revision):
            raise Conflict(
                f"event {event_id} is {newest.state} by now, revision {newest.revision}; you saw revision "
                f"{said.revision}: look again"
            )
        if found is not None and found.claimed_by not in (None, self.who):
            raise reviews.taken(found)
        entry = self.catalogue.named(subject.event.workflow)
        verdict = Verdict(self.scribe, self.clock(), said.comment, in_bulk=said.in_bulk)
        changeset = decide(subject, entry, verdict)
        try:
            (written,) = await self.store.commit([changeset])
        except (MessageTooLarge, Unstorable) as error:
            raise InvalidCorrection(str(error)) from error
        if written is Written.FENCED:
            raise Conflict(f"somebody else has just decided on event {event_id}; look again")
        return changeset.result
