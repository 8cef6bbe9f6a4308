"""The headers of a refusal in, how many seconds its server wants us to wait out."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Retry-After in either of its spellings (RFC 9110, 10.2.3); None where it is neither.

    A date counts from the server's own, where it tells one: its clock may not be ours.
    """
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        until = _moment(said)
        began = _moment(headers.get("date", "")) or now
        return None if until is None else max(0.0, (until - began).total_seconds())
    return seconds if 0 <= seconds < math.inf else None


def _moment(said: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
