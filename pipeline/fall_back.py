"""An event that no model answered in, the answer by its workflow's own rules out."""

from datetime import datetime

from pipeline.assess import complaints_about
from pipeline.catalogue import Entry
from pipeline.errors import ReturnTypeError
from schemas.event import Event
from schemas.extraction import Extraction


def fall_back(
    entry: Entry, event: Event, *, received_at: datetime
) -> tuple[Extraction | None, tuple[str, ...]]:
    """The value that may be published; or None, and why there is none.

    What the workflow's `fallback` raises passes; anything but its extraction or None is a bug, too, and
    raises ReturnTypeError.
    """
    workflow = entry.workflow
    value = workflow.fallback(event) if workflow.fallback else None
    if value is None:
        return None, ("the workflow's own rules have no answer either",)
    if not isinstance(value, workflow.extraction):
        raise ReturnTypeError("the fallback", workflow.name, value)
    complaints = complaints_about(entry, event, value, received_at=received_at)
    return (None if complaints else value), tuple(f"by the workflow's own rules: {one}" for one in complaints)
