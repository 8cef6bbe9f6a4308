"""Which model answers at each endpoint: attempts in, a warning out when it is another one than before.

A provider may put another model behind a name that we ask for; answers then differ, and nobody has changed
anything. What is asked and what answers may differ by a date (gpt-4.1-mini, gpt-4.1-mini-2025-04-14): only
a change from one answer to the next counts. Fingerprints change too often for that and are only recorded.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from infra import sentry
from infra.logs import logger
from infra.metrics import Metrics
from pipeline.errors import StoreUnavailable
from schemas.extraction import Attempt

#: A gateway that sends calls to several models in turn changes with every answer: each pair is told once,
#: and not more than so many.
_MOST_TOLD: Final = 100


@dataclass
class Answering:
    """What one process knows; `recorded` says what the database knows of (endpoint, workflow) from before."""

    metrics: Metrics
    recorded: Callable[[str, str], Awaitable[str | None]]
    _known: dict[str, str] = field(default_factory=dict)
    _recalled: set[str] = field(default_factory=set)
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    async def recall(self, endpoint: str, *, workflow: str) -> None:
        """Before the first call at an endpoint: what answered there before this process began.

        Not after the call: a wait between an answer and its journal could lose what was paid for.
        """
        if endpoint in self._recalled:
            return
        self._recalled.add(endpoint)
        self.metrics.endpoint_used(endpoint)
        try:
            before = await self.recorded(endpoint, workflow)
        except StoreUnavailable:  # then a change while nobody looked is not noticed
            return
        if before is not None:
            self._known.setdefault(endpoint, before)

    def note(self, attempt: Attempt) -> None:
        """Compare the model that gave an answer with the one before it at that endpoint."""
        answered = attempt.model_answered
        if attempt.failure is not None or answered is None:
            return
        before = self._known.get(attempt.endpoint, answered)
        self._known[attempt.endpoint] = answered
        if before != answered:
            self._changed(attempt.endpoint, before, answered)

    def _changed(self, endpoint: str, before: str, after: str) -> None:
        self.metrics.model_changed(endpoint)
        change = (endpoint, before, after)
        if change in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(change)
        logger().warning("model.changed", endpoint=endpoint, before=before, after=after)
        sentry.warn("model.changed", endpoint=endpoint, before=before, after=after)
