"""The state of the audit log in, the text that is signed of it out, and back: C2SP tlog-checkpoint.

Origin, tree size and root as the format has them (c2sp.org/tlog-checkpoint). Three extension lines
follow: the number of the batch, when it was sealed, and the hash of the checkpoint before. The format
advises against extensions, because monitors of a log see only leaves; here they put under the signature
what the seals' table says of itself.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.merkle import HASH_BYTES
from pipeline.note import InvalidNote

#: What the first checkpoint names as the one before.
NOTHING_BEFORE: Final = bytes(HASH_BYTES)

_FORM: Final = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]*)\n(?P<root>[^\n]+)\n"
    r"batch (?P<batch>[1-9][0-9]*)\nsealed (?P<sealed>[^\n]+)\nprevious (?P<previous>[^\n]+)\n"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head of the log of this origin: it has `size` leaves, and `root` is their hash."""

    origin: str
    size: int
    root: bytes
    batch: int
    sealed_at: datetime
    previous: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        sealed = self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds")
        return (
            f"{self.origin}\n{self.size}\n{_encoded(self.root)}\n"
            f"batch {self.batch}\nsealed {sealed}\nprevious {_encoded(self.previous)}\n"
        )

    @property
    def link(self) -> bytes:
        """What the next checkpoint names as the one before: SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).digest()


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's text; raises InvalidNote unless it is spelt exactly as `Checkpoint.text` does."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidNote("this text is no checkpoint of Penstock's")
    try:
        checkpoint = Checkpoint(
            origin=found["origin"],
            size=int(found["size"]),
            root=base64.b64decode(found["root"], validate=True),
            batch=int(found["batch"]),
            sealed_at=datetime.fromisoformat(found["sealed"]),
            previous=base64.b64decode(found["previous"], validate=True),
        )
    except (binascii.Error, ValueError) as error:
        raise InvalidNote(f"this checkpoint cannot be read: {error}") from error
    if checkpoint.text != text:
        raise InvalidNote("this checkpoint is not in its canonical form")
    return checkpoint


def _encoded(hash_: bytes) -> str:
    return base64.b64encode(hash_).decode()
