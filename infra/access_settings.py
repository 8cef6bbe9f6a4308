"""The settings of who may: how long a session lasts, and single sign-on by a proxy in front."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from infra.section import Section


class AccessSettings(Section):
    session_hours: float = Field(12.0, gt=0, le=720, description="How long a login lasts.")
    proxy_header: str = Field(
        "",
        pattern="^[A-Za-z0-9-]*$",
        description="Header in which a trusted proxy names the user, such as X-Forwarded-User; empty: none.",
    )
    proxy_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses or networks of trusted proxies, separated by commas."
    )
    proxy_role: Literal["", "viewer", "reviewer", "operator", "admin"] = Field(
        "", description="Role of a user of the proxy who has no account; empty: an account is needed."
    )

    @field_validator("proxy_addresses", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("proxy_addresses")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ip_network(part, strict=False)
        return value

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks whose word is taken."""
        return tuple(ip_network(part, strict=False) for part in self.proxy_addresses)
