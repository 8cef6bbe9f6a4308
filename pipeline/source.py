"""`Source`: a sender of webhooks, how it signs and how its bodies become event data."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.errors import InvalidWorkflowError

Scheme = Literal["standard", "stripe", "github", "shopify", "slack"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Ignored:
    """The type of `IGNORED`."""

    def __repr__(self) -> str:
        return "IGNORED"


#: What `adapt` returns for a webhook that is no event of ours, such as a ping: counted, not accepted.
IGNORED: Final = Ignored()

#: A foreign body, already parsed, to the data of our event.
Adapt = Callable[[Mapping[str, Any]], Mapping[str, Any] | Ignored]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One webhook sender, reached at `/webhooks/{name}`; its secrets are settings."""

    name: str
    topic: str
    scheme: Scheme = "standard"
    adapt: Adapt | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidWorkflowError(
                f"source {self.name!r}", "name", "is no name", "Use a-z, 0-9, - and _, at most 40."
            )
