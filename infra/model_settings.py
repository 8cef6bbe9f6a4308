"""Where the model aliases lead: endpoints with their keys, limits and prices."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

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


class EndpointSettings(Section):
    base_url: str = Field("https://api.openai.com/v1", description="An OpenAI-compatible endpoint.")
    model: str = Field(description="The model's name at that endpoint.")
    name: str = Field(
        "",
        max_length=50,
        pattern=r"^[\w.-]*$",
        description="Tells it from another of the same model and address, such as a second account's.",
    )
    api_key: SecretStr = Field(SecretStr(""), description="Its key; empty takes OPENAI_API_KEY.")
    timeout_seconds: float = Field(60.0, gt=0, description="Deadline of one call, from first byte to last.")
    max_output_tokens: int = Field(2_000, ge=16, le=10_000_000, description="Token limit of one answer.")
    max_response_bytes: int = Field(1_048_576, ge=1_024, description="An answer larger than this is cut off.")
    slots: int = Field(
        64, ge=1, le=2_000, description="Events claimed for this endpoint, per process; re-asks may pass it."
    )
    requests_per_minute: int | None = Field(
        None, ge=1, le=10**12, description="Calls in a minute, by all processes together."
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        le=10**12,
        description="Tokens in a minute; a call draws its worst case and gives the rest back.",
    )
    input_price: Decimal | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Price of a million input tokens; unset takes the list price, in USD.",
    )
    cached_input_price: Decimal | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Price of a million cached input tokens; unset takes the input price.",
    )
    output_price: Decimal | None = Field(
        None, ge=0, le=100_000, description="Price of a million output tokens; set with the input price."
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


def name_of(endpoint: EndpointSettings) -> str:
    """What tells endpoints apart: the model and where it runs. Aliases that share one share its breaker."""
    place = urlsplit(endpoint.base_url)
    own = f"#{endpoint.name}" if endpoint.name else ""
    return f"{endpoint.model}@{place.netloc}{place.path.rstrip('/')}{own}"


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


def told_apart(models: Mapping[str, ModelSettings]) -> Mapping[str, ModelSettings]:
    """The models; raises ValueError where two endpoints that differ have one name: one would be lost."""
    known: dict[str, dict[str, Any]] = {}
    for model in models.values():
        for endpoint in model.all_endpoints:
            own = endpoint.model_dump(exclude={"endpoints"})
            if known.setdefault(name_of(endpoint), own) != own:
                cure = 'give one a "name" (__NAME), or both the same settings'
                raise ValueError(f"{name_of(endpoint)} is there twice, with other settings: {cure}")
    return models


#: What the aliases of the examples mean when OPENAI_API_KEY is set and no PENSTOCK_MODELS__* is.
OPENAI_MODELS = {"fast": ModelSettings(model="gpt-4.1-mini"), "strong": ModelSettings(model="gpt-4.1")}
