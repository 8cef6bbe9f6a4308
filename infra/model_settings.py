"""Where the model aliases lead: endpoints with their keys, limits and prices."""

import json
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr, field_validator, model_validator

from infra.section import Section
from pipeline.spend import Limits, Prices


def listed(value: Any, cure: str) -> Any:
    """A variable that holds a JSON list, as a tuple; raises ValueError with the cure."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(json.loads(value))
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(cure) from error


#: More than any endpoint takes in a minute; what is far beyond it, no row can hold.
_MOST: Final = 1_000_000_000_000
_Price = Annotated[Decimal, Field(ge=0, le=100_000)]


class EndpointSettings(Section):
    base_url: str = Field("https://api.openai.com/v1", description="An OpenAI-compatible endpoint.")
    model: str = Field(description="The model's name at that endpoint.")
    api_key: SecretStr = Field(SecretStr(""), description="Its key; empty takes OPENAI_API_KEY.")
    timeout_seconds: float = Field(60.0, gt=0, description="Deadline of one call, from first byte to last.")
    max_output_tokens: int = Field(2_000, ge=16, le=10_000_000, description="Token limit of one answer.")
    max_response_bytes: int = Field(1_048_576, ge=1_024, description="An answer larger than this is cut off.")
    slots: int = Field(
        64, ge=1, le=2_000, description="Events claimed for this endpoint, per process; re-asks may pass it."
    )
    requests_per_minute: int | None = Field(
        None, ge=1, le=_MOST, description="Calls in a minute, by all processes together."
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        le=_MOST,
        description="Tokens in a minute; a call draws its worst case and gives the rest back.",
    )
    input_price: _Price | None = Field(
        None, description="Price of a million input tokens; unset takes the list price, in USD."
    )
    cached_input_price: _Price | None = Field(
        None, description="Price of a million cached input tokens; unset takes the input price."
    )
    output_price: _Price | None = Field(
        None, description="Price of a million output tokens; set with the input price."
    )

    @property
    def limits(self) -> Limits | None:
        """None where a minute has no limit."""
        found = Limits(self.requests_per_minute, self.tokens_per_minute)
        return None if found == Limits(None, None) else found

    @property
    def prices(self) -> Prices | None:
        """None unless both prices are set."""
        if self.input_price is None or self.output_price is None:
            return None
        cached = self.cached_input_price
        return Prices(self.input_price, self.input_price if cached is None else cached, self.output_price)


class ModelSettings(EndpointSettings):
    """An alias: one endpoint by its own fields, or several by a JSON list of them."""

    model: str = Field("", description="The model's name at that endpoint.")
    endpoints: tuple[EndpointSettings, ...] = Field(
        (), description="A JSON list of endpoints with the fields above, instead of one."
    )

    @field_validator("endpoints", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return listed(value, 'write a JSON list, such as [{"base_url": "...", "model": "..."}]')

    @model_validator(mode="after")
    def _one_way(self) -> "ModelSettings":
        if bool(self.model) == bool(self.endpoints):
            raise ValueError("set the model's name, or a list of endpoints, not both")
        if self.endpoints and self.prices:
            raise ValueError("each endpoint of the list has its own prices: set them there")
        return self

    @property
    def all_endpoints(self) -> tuple[EndpointSettings, ...]:
        return self.endpoints or (self,)


#: What the aliases of the examples mean when OPENAI_API_KEY is set and no PENSTOCK_MODELS__* is.
OPENAI_MODELS = {"fast": ModelSettings(model="gpt-4.1-mini"), "strong": ModelSettings(model="gpt-4.1")}
