"""The signing key in a file, and beside it (`.pub`) every public key that ever was in it."""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from infra.signing import new_key, read_key
from pipeline.errors import Conflict, InvalidSettingsError
from pipeline.keyring import TrustedKey
from pipeline.seal import Signer


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Read anew for each signature, so that a rotation needs no restart."""

    path: Path

    @property
    def public(self) -> Path:
        return self.path.with_name(self.path.name + ".pub")

    def signer(self) -> Signer:
        """The key that is in the file now; raises InvalidSettingsError."""
        try:
            return read_key(self.path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problem = getattr(error, "strerror", None) or "no text"
            raise InvalidSettingsError(
                f"the audit log's signing key cannot be read from {self.path} ({problem}); "
                "`penstock audit key new NAME` makes it"
            ) from error

    def make(self, name: str, *, now: datetime) -> Signer:
        """Make the file; raises Conflict where one is, which is never overwritten."""
        if self.path.exists():
            raise Conflict(f"{self.path} holds a key; `penstock audit key rotate` replaces it")
        made = self._drafted(name, above=0, now=now)
        try:
            os.link(made.draft, self.path)  # unlike a rename, it does not replace what another process made
        except FileExistsError:
            return self.signer()
        finally:
            made.draft.unlink()
        return made.signer

    def rotated(self, *, above: int, now: datetime) -> "Draft":
        """A new key of the same name, not in use yet; `above` is the size of the log so far."""
        return self._drafted(self.signer().key.name, above=above, now=now)

    def _drafted(self, name: str, *, above: int, now: datetime) -> "Draft":
        """A new key in a file of its own. Its public half is kept first: a key unused harms nobody."""
        written = new_key(name)
        made = read_key(written)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.public.open("a", encoding="utf-8") as file:
            file.write(TrustedKey(made.key, above, now.isoformat(timespec="seconds")).line)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(written + "\n")
        return Draft(made, draft, self.path)


@dataclass(frozen=True, slots=True)
class Draft:
    """A key that waits beside the one in use."""

    signer: Signer
    draft: Path
    path: Path

    def use(self) -> None:
        """Put it in the place of the old one, whose private half is gone then."""
        self.draft.replace(self.path)
