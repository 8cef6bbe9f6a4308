"""What the API stands on, as one value: built in `consumers.wiring`, passed to `create_app`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from infra.settings import Settings
from infra.store import SqlStore
from pipeline.catalogue import Catalogue
from pipeline.receive import Stamp
from schemas.changeset import Actor, Scribe


@dataclass(frozen=True, slots=True)
class ApiContext:
    """`secret` is the key of fingerprints, `salt` makes 16 random bytes; without tokens when `embedded`.

    `owner` is who sits at this machine: in embedded mode the same on a page and at the command line.
    `ring` is a lane's doorbell: best effort, never blocks, never raises.
    """

    settings: Settings
    catalogue: Catalogue
    store: SqlStore
    scribe: Scribe
    secret: bytes
    clock: Callable[[], datetime]
    salt: Callable[[], bytes]
    ring: Callable[[str], None]
    embedded: bool
    owner: Actor

    def stamp(self) -> Stamp:
        """What the door adds to one event."""
        return Stamp(self.secret, self.salt())
