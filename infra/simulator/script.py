"""The script: which texts get which answers or faults. Rules as JSON and a text in, the rule for it out."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt, TypeAdapter

from infra.simulator.faults import known


class Rule(BaseModel, extra="forbid", frozen=True):
    """One line of the script; without `fault` and `answer` it changes only latency or usage."""

    sha256: Annotated[str, Field(pattern=r"^(\*|[0-9a-f]{64})$")]
    fault: Annotated[str, AfterValidator(known)] = ""
    answer: dict[str, Any] | None = None
    times: int | None = Field(default=None, ge=1)
    retry_after: float | None = Field(default=None, ge=0)
    latency_ms: float | None = Field(default=None, ge=0)
    usage: dict[Literal["prompt_tokens", "completion_tokens", "cached_tokens"], NonNegativeInt] = {}


_RULES = TypeAdapter(dict[Literal["rules"], list[Rule]])


def parse(body: bytes) -> list[Rule]:
    """The rules of `{"rules": [...]}`; raises ValueError (Pydantic's is one) with what is wrong with them."""
    rules = _RULES.validate_json(body).get("rules", [])
    if any(rule.fault and rule.answer is not None for rule in rules):
        raise ValueError("a rule has a fault or an answer, not both")
    return rules


def take(rules: list[Rule], sha256: str) -> Rule | None:
    """The first rule for this text, counted down in the list."""
    for index, rule in enumerate(rules):
        if rule.sha256 in ("*", sha256):
            if rule.times == 1:
                del rules[index]
            elif rule.times:
                rules[index] = rule.model_copy(update={"times": rule.times - 1})
            return rule
    return None


def text_hash(text: str) -> str:
    """The key of a text: SHA-256 of its UTF-8 bytes; a lone surrogate, which JSON can carry, counts as ?"""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def load_gold(path: Path) -> dict[str, Any]:
    """Right answers by text hash; raises ValueError that names the line that is not `{"text", "answer"}`."""
    gold: dict[str, Any] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        try:
            if line.strip():
                entry = json.loads(line)
                gold[text_hash(entry["text"])] = entry["answer"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path}, line {number}: expected {{"text": str, "answer": ...}}') from error
    return gold
