"""Orders: a policy that ends its process when the order says so, as a bug in C code would."""

import os
import signal
from typing import Annotated

from pydantic import Field

from pipeline import Workflow
from schemas import Answer, Decision, Event, Extraction, Money, Text, accept


class Order(Event):
    text: Annotated[str, Text(1_000)]
    deadly: bool = False


class Amount(Extraction):
    amount: Money | None = Field(description="Total to pay, such as 12.50; null if the text has none.")


def policy(order: Order, answer: Answer[Amount]) -> Decision:
    if order.deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return accept()


workflow = Workflow(
    name="orders",
    consumes="acme.orders.v1",
    produces="acme.orders.read.v1",
    event=Order,
    extraction=Amount,
    text=lambda order: order.text,
    prompt="Find the total of the order.",
    models=("fast",),
    policy=policy,
)
