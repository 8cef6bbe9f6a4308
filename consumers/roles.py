"""A role in, what its holder may do out: the one table of rights."""

from collections.abc import Mapping
from typing import Final, Literal

Role = Literal["sender", "viewer", "reviewer", "operator", "admin"]
#: Those that an account of a person may have: a sender is a program.
PersonsRole = Literal["viewer", "reviewer", "operator", "admin"]

#: read: lists, results, costs. reveal: a payload, the text of an event or of an answer. review: decide cases.
#: send: events. operate: pause, replay. administer: accounts, tokens.
Need = Literal["read", "reveal", "review", "send", "operate", "administer"]

_VIEWER: Final[frozenset[Need]] = frozenset({"read"})
_REVIEWER: Final[frozenset[Need]] = _VIEWER | {"reveal", "review"}
_OPERATOR: Final[frozenset[Need]] = _REVIEWER | {"send", "operate"}

RIGHTS: Final[Mapping[str, frozenset[Need]]] = {
    "sender": frozenset({"send"}),
    "viewer": _VIEWER,
    "reviewer": _REVIEWER,
    "operator": _OPERATOR,
    "admin": _OPERATOR | {"administer"},
}


def may(role: str, need: Need) -> bool:
    """May somebody with this role do it? A role that is none may nothing."""
    return need in RIGHTS.get(role, frozenset())


def holders(need: Need) -> str:
    """The roles that may, for a message."""
    return ", ".join(role for role, rights in RIGHTS.items() if need in rights)
