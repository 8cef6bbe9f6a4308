"""How long what is kept: a policy of the deployment, as values."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Terms:
    """By kind, how long after the last decision on its event; None keeps for ever."""

    content: timedelta | None = None
    journal: timedelta | None = None
    results: timedelta | None = None
    topics: timedelta | None = None
