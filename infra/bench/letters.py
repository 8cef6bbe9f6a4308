"""Letters, each of a customer: the workflow of people's data, for tests and for `infra.bench.erasing`.

A letter that says "a bug" meets one in our own code: what a person wrote is in the error then.
"""

from typing import Annotated

from pydantic import Field

from pipeline import Workflow
from schemas import Answer, Decision, Event, Extraction, Text, accept, review


class Letter(Event):
    """What a customer wrote."""

    customer: Annotated[str, Text(200)]
    text: Annotated[str, Text(1_000)]


class Gist(Extraction):
    """What it is about."""

    gist: Annotated[str, Text(1_000)] | None = Field(description="What the letter is about.")


def subject(letter: Letter) -> str | None:
    """Whose letter it is."""
    if letter.text == "a bug":
        raise KeyError(letter.customer)
    return letter.customer or None


def policy(letter: Letter, answer: Answer[Gist]) -> Decision:
    """Some are looked at by a person, for a reason that names the customer."""
    if "a bug" in letter.text:
        raise KeyError(letter.customer)
    return review(f"{letter.customer} again") if "letter 2" in letter.text else accept()


workflow = Workflow(
    name="letters",
    consumes="letters.written.v1",
    produces="letters.read.v1",
    event=Letter,
    extraction=Gist,
    text=lambda letter: letter.text,
    prompt="Say what the letter is about.",
    models=("fast",),
    policy=policy,
    subject=subject,
)
WORKFLOWS = (workflow,)
