"""The audit log as it is stored in, every difference from what was signed out.

The rows come from a database that anybody may have changed. What is trusted comes from outside it:
public keys, and checkpoints that somebody else kept. `Walk` goes along the seals in order.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pipeline import checkpoint, note
from pipeline.checkpoint import NOTHING_BEFORE, Checkpoint
from pipeline.copies import StoredRecord, flaws
from pipeline.keyring import TrustedKey
from pipeline.merkle import Frontier
from pipeline.note import Check, InvalidNote, Note, PublicKey
from pipeline.seal import Seal

#: Differences that are named; of more there is only the number.
NAMED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """What does not agree, and where: a table and a row, or a checkpoint."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Findings:
    """Differences, the first thousand by name."""

    named: list[Difference] = field(default_factory=list)
    total: int = 0

    def add(self, where: str, what: str) -> None:
        self.total += 1
        if len(self.named) < NAMED:
            self.named.append(Difference(where, what))


class Placed(StoredRecord, Protocol):
    """A row of `audit_leaf` with its record, whose columns are None when there is none."""

    sequence: int
    record_id: Any
    placed: Any
    batch: int


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed without the database: keys, the oldest first, and checkpoints signed by them."""

    keys: Sequence[TrustedKey]
    check: Check
    checkpoints: Sequence[Checkpoint] = ()

    def signed_by(self, read: Note) -> int | None:
        """Which of the keys signed this note; None when none did, or a signature is wrong."""
        found = note.signer(read, [trusted.key for trusted in self.keys], self.check)
        return None if found is None else self._index(found)

    def flaw(self, index: int | None, read: Note, state: Checkpoint) -> str | None:
        """Why a state of the log, signed by the key of this index, does not count; None when it does."""
        if index is None:
            return f"no trusted key signed it; it names {', '.join(one.label for one in read.signatures)}"
        trusted = self.keys[index]
        if state.origin != trusted.key.name:
            return f"its origin is {state.origin!r}, its key is named {trusted.key.name!r}"
        if state.size <= trusted.above:
            return f"{trusted.key.label} signs logs of more than {trusted.above} records"
        return None

    def retired(self, read: Note, size: int) -> str | None:
        """What to say when another key had taken over from the signer before the log had this size.

        Of a newest seal only: a batch or two may be signed while the key is being replaced.
        """
        index = self.signed_by(read)
        if index is None:
            return None
        own = self.keys[index]
        for later in self.keys[index + 1 :]:
            if later.key.name == own.key.name and own.above < later.above < size:
                return f"{own.key.label} signed it, {later.key.label} took over at {later.above} records"
        return None

    def _index(self, key: PublicKey) -> int:
        return [trusted.key for trusted in self.keys].index(key)

    def read(self, text: str) -> list[Checkpoint]:
        """The checkpoints of a file that one of the keys signed; the others say nothing."""
        found = []
        for read in note.each(text):
            if self.signed_by(read) is not None:
                with contextlib.suppress(InvalidNote):
                    found.append(checkpoint.parse(read.text))
        return found


class Walk:
    """Goes from seal to seal and keeps what the next one must agree with."""

    def __init__(self, trust: Trust, findings: Findings) -> None:
        self.trust = trust
        self.findings = findings
        self.frontier = Frontier()
        self.begun = 0
        self.batch = 0
        self.link = NOTHING_BEFORE
        self._key = 0
        self._last: tuple[str, Note] | None = None
        self._kept = {state.text: state for state in trust.checkpoints}

    @property
    def size(self) -> int:
        return self.frontier.size

    def begin(self, state: Checkpoint, seal: Seal | None) -> None:
        """Start behind a trusted checkpoint; at the beginning, if the log does not have it, whole."""
        if seal is None or _text_of(seal) != state.text:
            self.findings.add(*_lost(state))
            return
        try:
            frontier = Frontier.unpacked(seal.size, seal.frontier)
        except ValueError:
            frontier = Frontier()
        if (frontier.size, frontier.root) != (state.size, state.root):
            self.findings.add(f"audit_seal {seal.batch}", "the frontier is not the one of the signed root")
            return
        self.frontier, self.batch, self.link = frontier, state.batch, state.link
        self.begun = state.size

    def resume(self, batch: int, seal: Seal | None, *, first: int | None = None) -> None:
        """Start behind a seal before which all was pruned: its signature says what the rest goes on from.

        Where it began follows from the seal before, which is gone: the record of the pruning says `first`.
        """
        if seal is None:
            self.findings.add(f"audit_seal {batch}", "is missing; what was before it was pruned")
            return
        if first is not None and seal.first != first:
            self.findings.add(f"audit_seal {batch}", f"begins at {seal.first}, when it was pruned at {first}")
        self.begin(self._signed(seal), seal)

    def step(self, seal: Seal, rows: Sequence[Placed]) -> None:
        """The next seal, and the leaves that are stored before its end."""
        where = f"audit_seal {seal.batch}"
        hashes = self._leaves(seal, rows)
        grown = self.frontier.extended(hashes)
        for what in self._unchained(seal):
            self.findings.add(where, what)
        if (grown.size, grown.root) != (seal.size, seal.root):
            self.findings.add(where, f"its leaves {self.size} to {seal.size - 1} do not have its root")
        if seal.frontier != grown.packed:
            self.findings.add(where, "the frontier is not the one of its leaves")
        state = self._signed(seal)
        self._kept.pop(state.text, None)
        self.frontier = _after(state, seal, grown)
        self.batch, self.link = state.batch, state.link

    def end(self, rest: Sequence[Placed]) -> None:
        """After the last seal: what is left must be nothing."""
        for row in rest:
            self.findings.add(f"audit_leaf {row.sequence}", "is behind the last seal")
        if self._last is not None:
            where, read = self._last
            if retired := self.trust.retired(read, self.size):
                self.findings.add(where, retired)
        for state in sorted(self._kept.values(), key=lambda state: state.batch):
            if state.size > self.begun:
                self.findings.add(*_lost(state))

    def _leaves(self, seal: Seal, rows: Sequence[Placed]) -> list[bytes]:
        hashes, expected = [], self.size
        for row in rows:
            if row.sequence != expected:
                what = "is missing" if row.sequence > expected else "is there twice"
                self.findings.add(f"audit_leaf {min(expected, row.sequence)}", what)
            if row.batch != seal.batch:
                self.findings.add(f"audit_leaf {row.sequence}", f"says batch {row.batch}, not {seal.batch}")
            hashes.append(self._leaf(row))
            expected = row.sequence + 1
        if expected < seal.size:
            self.findings.add(f"audit_leaf {expected}", f"is missing, up to {seal.size - 1}")
        return hashes

    def _leaf(self, row: Placed) -> bytes:
        where = f"audit_leaf {row.sequence}"
        if row.id is None:
            self.findings.add(where, f"its record {row.record_id} is missing")
            return bytes(row.placed)
        found = hashlib.sha256(b"\x00" + row.canonical).digest()
        for what in flaws(row, found):
            self.findings.add(f"audit_record {row.id}", what)
        if row.placed != found:
            self.findings.add(where, f"its leaf is not the hash of record {row.id}")
        return found

    def _unchained(self, seal: Seal) -> Iterator[str]:
        if seal.batch != self.batch + 1:
            yield f"follows {self.batch}: a seal between them is missing"
        if seal.first != self.size:
            yield f"begins at {seal.first}, the one before ended at {self.size}"
        if seal.link != self.link:
            yield "does not name the checkpoint before"

    def _signed(self, seal: Seal) -> Checkpoint:
        """What the seal's signature says; where it has none, what its columns say."""
        where = f"audit_seal {seal.batch}"
        claimed = Checkpoint(seal.origin, seal.size, seal.root, seal.batch, seal.sealed_at, seal.link)
        try:
            read = note.parse(seal.note)
            state = checkpoint.parse(read.text)
        except InvalidNote as error:
            self.findings.add(where, f"its note cannot be read: {error}")
            return claimed
        if [one.label for one in read.signatures] != [seal.key]:
            self.findings.add(where, f"says it is signed by {seal.key}, its note says otherwise")
        for name in _changed(state, claimed):
            self.findings.add(where, f"its column for {name} is not what was signed")
        problem = self._distrusted(read, state)
        if problem:
            self.findings.add(where, problem)
            return claimed
        self._last = where, read
        return state

    def _distrusted(self, read: Note, state: Checkpoint) -> str | None:
        index = self.trust.signed_by(read)
        problem = self.trust.flaw(index, read, state)
        if problem or index is None:
            return problem
        if index < self._key:
            return f"{self.trust.keys[index].key.label} signed it after a newer key had signed"
        self._key = index
        return None


def _after(state: Checkpoint, seal: Seal, grown: Frontier) -> Frontier:
    """Where to go on: behind a batch that is wrong, from the frontier of the root that was signed."""
    if (grown.size, grown.root) == (state.size, state.root):
        return grown
    try:
        kept = Frontier.unpacked(seal.size, seal.frontier)
    except ValueError:
        return grown
    return kept if (kept.size, kept.root) == (state.size, state.root) else grown


def _changed(state: Checkpoint, claimed: Checkpoint) -> Iterator[str]:
    for name in Checkpoint.__slots__:
        if getattr(state, name) != getattr(claimed, name):
            yield name


def _text_of(seal: Seal) -> str | None:
    try:
        return note.parse(seal.note).text
    except InvalidNote:
        return None


def _named(state: Checkpoint) -> str:
    return f"batch {state.batch}, {state.size} records, sealed {state.sealed_at.isoformat()}"


def _lost(state: Checkpoint) -> tuple[str, str]:
    return "checkpoint", f"the log has no seal like the one that was kept: {_named(state)}"
