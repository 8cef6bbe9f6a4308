"""A search of the audit trail in, the export of all that it finds out: for the command line and the API.

Three forms: the records as JSON lines, their columns as CSV, or each with its proof under one signed
checkpoint, which `infra/verify_export.py` checks with nothing of ours.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid4

from consumers import records
from consumers.reveal import put_on_record
from infra.store import SqlStore, history, proofs, search
from infra.store.disclosed import disclosed
from infra.store.proofs import Prover
from infra.store.search import Found, Search
from infra.store.texts import contents_of
from pipeline import disclosure
from pipeline.errors import NotFound
from schemas.changeset import Scribe

Form = Literal["jsonl", "csv", "proofs"]

MEDIA_TYPES: Final[dict[Form, str]] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "proofs": "application/jsonl",
}


@dataclass
class Export:
    """One export. With a `reader`, records with proofs come with the texts that they name.

    Proofs are under the newest seal, or that of a log of `size` records. `written` and `unsealed` count
    records: what has no seal yet has no proof, and is left out of that form.
    """

    store: SqlStore
    search: Search
    form: Form
    clock: Callable[[], datetime]
    reader: Scribe | None = None
    size: int | None = None
    written: int = 0
    unsealed: int = 0
    _id: UUID = field(default_factory=uuid4)
    _read: set[UUID] = field(default_factory=set)

    async def chunks(self) -> AsyncIterator[str]:
        """All of it, a page of records at a time, the oldest first; proofs raise NotFound with no seal."""
        if self.form == "proofs":
            async with self.store.database.read() as connection:
                prover = await proofs.prover(connection, self.size)
            yield disclosure.head(prover.seal.note)
            async for page in search.export(self.store.database, self.search):
                yield await self._proven(prover, page)
            return
        if self.form == "csv":
            yield records.csv_head()
        async for page in search.export(self.store.database, self.search):
            self.written += len(page)
            yield records.csv_lines(page) if self.form == "csv" else records.jsonl(page)

    async def _proven(self, prover: Prover, page: Sequence[Found]) -> str:
        async with self.store.database.read() as connection:
            places = await proofs.places(connection, [found.id for found in page])
        size = prover.seal.size
        sealed = [found for found in page if places.get(found.id, size) < size]
        self.written += len(sealed)
        self.unsealed += len(page) - len(sealed)
        lines = []
        for found in sealed:
            place, texts = places[found.id], await self._texts(found)
            lines.append(disclosure.line(found.canonical, place, prover.tree.inclusion(place), texts))
        return "".join(lines)

    async def _texts(self, found: Found) -> Sequence[tuple[bytes, bytes]]:
        """What the record names, if it is asked for; that it is read is on record before it is written."""
        if self.reader is None or found.event_id is None:
            return ()
        try:
            event, _ = await history.newest(self.store.database, found.event_id)
        except NotFound:  # pruned, while its record is kept longer
            return ()
        if found.event_id not in self._read:  # once: a reading is a record, too
            contents, now = await contents_of(self.store.database, found.event_id), self.clock()
            await put_on_record(self.store, event, contents, scribe=self.reader, now=now, export=self._id)
            self._read.add(found.event_id)
        return await disclosed(self.store.database, found.event_id, found.canonical)
