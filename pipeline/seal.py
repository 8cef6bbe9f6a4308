"""Leaves in, a signed seal on them out; a record and a seal in, the proof that they belong together out.

A seal is one batch of leaves appended to the one tree of the log. It names the seal before by hash, so
seals are a chain too. Everything in a seal but its frontier is under its signature, and the frontier
follows from the leaves.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pipeline import checkpoint, note
from pipeline.checkpoint import NOTHING_BEFORE, Checkpoint
from pipeline.errors import InvalidSettingsError
from pipeline.merkle import Frontier
from pipeline.note import PublicKey, Sign

_PROOF_HEAD: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Seal:
    """The tree after a batch: the leaves from `first` to before `size` came with it.

    `note` is the signed checkpoint, `key` the name and id of the key that signed it, `link` the hash
    of the checkpoint before.
    """

    batch: int
    first: int
    size: int
    root: bytes
    frontier: bytes
    link: bytes
    sealed_at: datetime
    key: str
    note: str

    @property
    def origin(self) -> str:
        return self.key.partition("+")[0]


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and what signs with its private half. The key's name is the log's origin."""

    key: PublicKey
    sign: Sign


def seal(last: Seal | None, leaves: Sequence[bytes], *, sealed_at: datetime, signer: Signer) -> Seal:
    """Append the leaves, in this order, to what `last` sealed.

    Raises InvalidSettingsError when the key is another log's: all checkpoints of a log have one origin.
    """
    if last and last.origin != signer.key.name:
        raise InvalidSettingsError(
            f"this audit log is signed as {last.origin!r}, the key is named {signer.key.name!r}; "
            "a new key keeps the name of the old one"
        )
    before = Frontier.unpacked(last.size, last.frontier) if last else Frontier()
    after = before.extended(leaves)
    state = Checkpoint(
        origin=signer.key.name,
        size=after.size,
        root=after.root,
        batch=last.batch + 1 if last else 1,
        sealed_at=sealed_at,
        previous=checkpoint.parse(note.parse(last.note).text).link if last else NOTHING_BEFORE,
    )
    return Seal(
        batch=state.batch,
        first=before.size,
        size=after.size,
        root=state.root,
        frontier=after.packed,
        link=state.previous,
        sealed_at=sealed_at,
        key=signer.key.label,
        note=str(note.signed(state.text, signer.key, signer.sign)),
    )


def proof(canonical: bytes, index: int, path: Sequence[bytes], signed: str) -> str:
    """A proof that anybody can check offline, as a C2SP tlog-proof (c2sp.org/tlog-proof).

    Its extra data are the record's canonical bytes: their leaf hash is what the proof starts from.
    """
    lines = [_PROOF_HEAD, f"extra {base64.b64encode(canonical).decode()}", f"index {index}"]
    lines += [base64.b64encode(step).decode() for step in path]
    return "\n".join(lines) + "\n\n" + signed
