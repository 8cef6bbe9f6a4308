"""The script: which texts get which answers or faults, posted over HTTP and forgotten on demand.

In: rules as JSON; a text. Out: the rule that applies to the text now, used up by one.
"""

import hashlib
import json
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from infra.simulator.faults import FAULTS, spelled


class Usage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)


class Rule(BaseModel):
    """One line of the script; without `fault` and `answer` it changes only latency or usage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern=r"^(\*|[0-9a-f]{64})$")]
    fault: str | None = None
    answer: dict[str, Any] | None = None
    times: int | None = Field(default=None, ge=1)
    retry_after: float | None = Field(default=None, ge=0)
    latency_ms: float | None = Field(default=None, ge=0)
    usage: Usage | None = None

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and spelled(name) not in FAULTS:
            raise ValueError(f"no such fault; there are: {', '.join(sorted(FAULTS))}")
        return name and spelled(name)

    @model_validator(mode="after")
    def _one_of_two(self) -> "Rule":
        if self.fault and self.answer is not None:
            raise ValueError("a rule has a fault or an answer, not both")
        return self


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...]


def parse(body: bytes) -> tuple[Rule, ...]:
    """The rules of a request; raises ValueError with what is wrong with them."""
    try:
        return _Rules.model_validate_json(body).rules
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(problems)) from error


def text_hash(text: str) -> str:
    """The key of a text: SHA-256 of its UTF-8 bytes; a lone surrogate, which JSON can carry, counts as ?"""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


class Script:
    """The rules in force. One event loop uses it, so that nothing is locked."""

    def __init__(self) -> None:
        self._order = count()
        self._rules: defaultdict[str, list[tuple[int, Rule, int | None]]] = defaultdict(list)

    def add(self, rules: tuple[Rule, ...]) -> None:
        for rule in rules:
            self._rules[rule.sha256].append((next(self._order), rule, rule.times))

    def clear(self) -> None:
        self._rules.clear()

    def take(self, sha256: str) -> Rule | None:
        """The first rule for this text, counted down."""
        queues = [queue for key in (sha256, "*") if (queue := self._rules.get(key))]
        if not queues:
            return None
        queue = min(queues, key=lambda queue: queue[0][0])
        order, rule, left = queue[0]
        if left is not None:
            queue[:1] = [(order, rule, left - 1)] if left > 1 else []
        return rule


def load_gold(path: Path) -> dict[str, Any]:
    """Right answers by text hash; raises ValueError that names the line that is not `{"text", "answer"}`."""
    gold: dict[str, Any] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            gold[text_hash(entry["text"])] = entry["answer"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path}, line {number}: expected {{"text": str, "answer": ...}}') from error
    return gold
