"""ACME's events as CloudEvents: an id in, the JSON that goes on the topic out."""

from typing import Any, Final

ORDERS: Final = "acme.orders.v1"
ORDERS_READ: Final = "acme.orders.read.v1"
LEDGER: Final = "acme.ledger.v1"
LEDGER_POSTED: Final = "acme.ledger.posted.v1"


def order(id: str, *, deadly: bool = False) -> dict[str, Any]:
    """An order; a deadly one ends the process that decides on it."""
    return _event(id, "order.placed", {"text": f"Order {id}. Total: 12.50", "deadly": deadly})


def entry(id: str) -> dict[str, Any]:
    """An entry of the ledger."""
    return _event(id, "ledger.entry", {"text": f"Entry {id}. Amount: 12.50"})


def _event(id: str, type: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "source": "tests/acme", "type": type, "data": data}
