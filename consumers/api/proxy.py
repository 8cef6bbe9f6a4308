"""A request in, what a trusted proxy in front says of it out: the user's name, the client's address."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from fastapi import Request

from consumers.api.problems import Problem
from infra.access_settings import AccessSettings

#: Names of accounts: an e-mail address is one.
USER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")


def proxied_user(request: Request, settings: AccessSettings) -> str | None:
    """Whom a trusted proxy names; raises Problem 403 when anybody else does, or for a name that is none."""
    if not settings.proxy_header:
        return None
    given = request.headers.getlist(settings.proxy_header.lower())
    if not given:
        return None
    if not is_trusted(request, settings):
        detail = f"{settings.proxy_header} is taken from PENSTOCK_ACCESS__PROXY_ADDRESSES alone"
        raise Problem(403, "untrusted_proxy", f"{detail}; this came from {_peer(request) or 'elsewhere'}")
    name = given[0].strip().lower()
    if len(given) > 1 or not USER_NAME.fullmatch(name):
        raise Problem(403, "invalid_user", f"{settings.proxy_header} holds no single name of a user")
    return name


def is_trusted(request: Request, settings: AccessSettings) -> bool:
    """Does the connection come from a trusted proxy?"""
    peer = _parsed(_peer(request))
    return peer is not None and any(peer in network for network in settings.proxies)


def client_address(request: Request, settings: AccessSettings) -> str:
    """Where a request comes from: of IPv6 the network that one customer has; of a trusted proxy, its word."""
    found = _peer(request)
    if is_trusted(request, settings):
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        found = forwarded.rpartition(",")[2].strip() or found
    address = _parsed(found)
    if address is None:
        return _peer(request)
    return str(address) if address.version == 4 else address.exploded[:19]


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both writes IPv4 so.
    return getattr(address, "ipv4_mapped", None) or address


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""
