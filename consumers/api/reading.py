"""Texts over HTTP: who asks for them says so, may, and is on record."""

from pydantic import BaseModel, ConfigDict, Field

from consumers.api.callers import Caller
from consumers.api.problems import Problem
from consumers.roles import holders


class Revealing(BaseModel):
    """With or without what only some may read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reveal: bool = Field(default=False, description="The texts, too; that you read them is on record.")


def require_reveal(caller: Caller) -> None:
    """Raise Problem 403 if the caller may not read texts."""
    if not caller.may("reveal"):
        raise Problem(
            403, "forbidden", f"the role {caller.role!r} may not read texts; {holders('reveal')} may"
        )
