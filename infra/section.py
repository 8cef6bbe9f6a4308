"""The base of every section of the settings."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """The base of every section: a misspelt variable is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
