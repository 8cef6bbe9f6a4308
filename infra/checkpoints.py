"""Signed checkpoints appended to a file that whoever writes the database should not be able to change."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline import checkpoint, note
from pipeline.checkpoint import Checkpoint
from pipeline.note import InvalidNote, Note

#: The newest checkpoints of a file are looked for in its last bytes.
_TAIL_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """Grows only. A checkpoint is a note, with an empty line before each."""

    path: Path

    def newest(self) -> Checkpoint | None:
        """The last checkpoint in the file; it is ours to write, so its signature is not checked."""
        try:
            with self.path.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        found = [state for one in note.each(text) for state in _read(one)]
        return found[-1] if found else None

    def append(self, notes: Sequence[str]) -> None:
        """Add notes, and see them on the disk; what a crash tore before them stays apart."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write("".join(f"\n\n{one}" for one in notes).encode())
            file.flush()
            os.fsync(file.fileno())


def _read(one: Note) -> list[Checkpoint]:
    try:
        return [checkpoint.parse(one.text)]
    except InvalidNote:
        return []
