"""`Workflow`: the declaration that a workflow's file makes, checked when it is created."""

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, NoReturn, TypeVar

from pipeline.bounds import unbounded
from pipeline.errors import InvalidWorkflowError
from pipeline.lookup import not_indexable
from pipeline.marks import flaws
from pipeline.retry import MIN_CALL
from schemas.decision import Decision
from schemas.event import Event
from schemas.extraction import Answer, Extraction

E = TypeVar("E", bound=Event)
X = TypeVar("X", bound=Extraction)

#: What a metric label, a file name and a queue can all take.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
#: Kafka's own rule for topics, less the length that `.dead` takes.
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,240}")
#: A prompt of more lines than this belongs in a file beside the workflow.
MAX_PROMPT_LINES = 10
#: An event whose calls take longer than this has more wrong with it than a slow model.
MAX_DEADLINE = timedelta(hours=1)

OnFailure = Literal["review", "dead", "degraded"]
#: An answer that is older than this is not worth what it saves.
MAX_CACHE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt kept in a file beside the workflow's own: `prompt=PromptFile("receipts.md")`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow(Generic[E, X]):
    """One workflow: which events it consumes, what it extracts, who decides, where results go.

    `text` gives the part of an event that the model reads; `models` are aliases from cheap to
    strong, which settings map to endpoints; `checks` take (event, value, received at) and return a
    complaint or None: a failed one is fed to the one re-ask, then to review. A text of more than
    `max_tokens` is refused; one that looks as if it spoke to the model goes to review, or its signs
    are only noted in the audit trail. `ordered` works on events of one key one at a time. All calls for an
    event may take `deadline` together; waiting does not count. When no model has an answer that is good
    enough, `on_failure` says where the event goes: to a person, to the dead topic, or on with what `fallback`
    makes of it by rules, marked as `degraded`; where that is None or fails a check, to a person. A refusal, a
    leak and a check that fails again go to a person in any case. `cache` keeps answers that the policy
    accepted for this long: an event with the same text takes the answer from there, checked and decided anew,
    without a call. `subject` says whose event it is, such as a customer's number: its texts are then kept
    encrypted under a key of that subject, and `penstock erase` destroys them; of the result only the fields
    in `indexed` stay readable by SQL. `indexed` are fields that `penstock audit list --field` finds it by.
    `audit_share` (0 to 1) of what succeeds is published and also waits for a person, drawn at random: what
    they find is the only unbiased measure of what nobody doubts (`penstock review quality`).
    Raises InvalidWorkflowError, which names the file, the field and the cure.
    """

    name: str
    consumes: str
    produces: str
    event: type[E]
    extraction: type[X]
    text: Callable[[E], str]
    prompt: str | PromptFile
    models: tuple[str, ...]
    policy: Callable[[E, Answer[X]], Decision]
    checks: tuple[Callable[[E, X, datetime], str | None], ...] = ()
    max_tokens: int = 32_000
    suspicious: Literal["review", "note"] = "review"
    ordered: bool = False
    deadline: timedelta = timedelta(minutes=5)
    on_failure: OnFailure = "review"
    fallback: Callable[[E], X | None] | None = None
    cache: timedelta | None = None
    subject: Callable[[E], str | None] | None = None
    indexed: tuple[str, ...] = ()
    audit_share: float = 0.0

    @property
    def dead_topic(self) -> str:
        """Where events of this workflow go that are not to be acted on."""
        return f"{self.consumes}.dead"

    @property
    def file(self) -> str:
        """The file that declares it, as far as the policy tells."""
        code = getattr(self.policy, "__code__", None)
        return code.co_filename if code else f"workflow {self.name!r}"

    def __post_init__(self) -> None:
        self._check_names()
        self._check_schemas()
        self._check_prompt()
        self._check_policy()
        self._check_checks()
        self._check_screening()
        self._check_on_failure()
        self._check_cache()
        self._check_subject()
        self._check_indexed()
        self._check_audit_share()

    def _refuse(self, field: str, problem: str, cure: str) -> NoReturn:
        raise InvalidWorkflowError(self.file, field, problem, cure)

    def _check_names(self) -> None:
        if not _NAME.fullmatch(self.name):
            self._refuse("name", f"{self.name!r} is no name", "Use a-z, 0-9, - and _, at most 40.")
        for field in ("consumes", "produces"):
            if not _TOPIC.fullmatch(getattr(self, field)):
                self._refuse(field, f"{getattr(self, field)!r} is no topic", "Write it as domain.fact.v1.")
        if self.produces in (self.consumes, self.dead_topic):
            self._refuse("produces", "is a topic that the workflow consumes", "Give results their own topic.")
        named = isinstance(self.models, tuple) and all(_NAME.fullmatch(alias) for alias in self.models)
        if not self.models or not named:
            self._refuse("models", f"{self.models!r} names no model", 'Write models=("fast", "strong").')
        if len(set(self.models)) < len(self.models):
            self._refuse("models", "names a model twice", "Name each alias once, from cheap to strong.")

    def _check_schemas(self) -> None:
        for field, base in (("event", Event), ("extraction", Extraction)):
            schema = getattr(self, field)
            if not (isinstance(schema, type) and issubclass(schema, base)):
                self._refuse(field, f"{schema!r} is no {base.__name__}", f"Derive it from {base.__name__}.")
            for path, problem, cure in unbounded(schema):
                self._refuse(f"{schema.__name__}.{path}", problem, cure)
        for path, problem, cure in flaws(self.extraction):
            self._refuse(f"{self.extraction.__name__}.{path}", problem, cure)
        if names := _aliases(self.extraction):
            cure = (
                "Name the field as receivers shall read it, such as class_; what a result holds has no other."
            )
            self._refuse("extraction", f"has aliases: {', '.join(names)}", cure)
        if not self.extraction.model_fields:
            self._refuse("extraction", "has no field", "Declare what the model has to find.")

    def _check_prompt(self) -> None:
        if isinstance(self.prompt, str):
            if not self.prompt.strip():
                self._refuse("prompt", "is empty", "Say what to extract.")
            if self.prompt.strip().count("\n") >= MAX_PROMPT_LINES:
                self._refuse(
                    "prompt",
                    f"has more than {MAX_PROMPT_LINES} lines",
                    f'Put it in a file beside it: prompt=PromptFile("{self.name}.md").',
                )

    def _check_policy(self) -> None:
        if not callable(self.text):
            self._refuse("text", "is no function", "Write text=lambda event: event.body.")
        answer = Answer[self.extraction]  # type: ignore[name-defined]
        takes = {"event": self.event, "answer": answer}
        self._check_signature("policy", self.policy, takes=takes, returns=(Decision,))

    def _check_checks(self) -> None:
        cure = "Write checks=(adds_up,), with adds_up(event, value, received_at) -> str | None."
        if not (isinstance(self.checks, tuple) and all(map(callable, self.checks))):
            self._refuse("checks", f"{self.checks!r} is no tuple of functions", cure)
        for check in self.checks:
            field = f"checks({getattr(check, '__name__', 'check')})"
            try:
                inspect.signature(check).bind(self.event, self.extraction, datetime)
            except TypeError:
                self._refuse(field, "does not take three arguments", cure)
            if inspect.iscoroutinefunction(check):
                self._refuse(field, "is async", "It judges what it is given; it waits for nothing.")
            if getattr(check, "__annotations__", {}).get("return") in (bool, "bool"):
                self._refuse(field, "returns a bool", "Return what is wrong in words, or None.")

    def _check_screening(self) -> None:
        if self.suspicious not in ("review", "note"):
            self._refuse("suspicious", f"{self.suspicious!r} is no answer", 'Write "review" or "note".')
        if not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            cure = "Write max_tokens=32_000."
            self._refuse("max_tokens", f"{self.max_tokens!r} is no number of tokens", cure)

    def _check_on_failure(self) -> None:
        if not (isinstance(self.deadline, timedelta) and MIN_CALL <= self.deadline <= MAX_DEADLINE):
            self._refuse(
                "deadline", f"{self.deadline!r} is no time for calls", "Give them 100 ms to an hour."
            )
        if self.on_failure not in typing.get_args(OnFailure):
            cure = 'Write "review", "dead" or "degraded".'
            self._refuse("on_failure", f"{self.on_failure!r} is nowhere to go", cure)
        if self.on_failure != "degraded":
            if self.fallback is not None:
                self._refuse("fallback", "is never asked", 'Write on_failure="degraded", or leave it out.')
            return
        returns = (self.extraction | None, self.extraction)
        self._check_signature("fallback", self.fallback, takes={"event": self.event}, returns=returns)

    def _check_signature(
        self, field: str, function: Any, *, takes: dict[str, Any], returns: tuple[Any, ...]
    ) -> None:
        """Refuse what is no plain function of this signature; without annotations it is taken at its word."""
        spelled = f"Write {field}({', '.join(takes)}) -> {_name(returns[0])}."
        if not callable(function):
            self._refuse(field, "is no function", spelled)
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != len(takes):
            self._refuse(field, f"does not take {_COUNTS[len(takes)]}", spelled)
        if inspect.iscoroutinefunction(function):
            self._refuse(field, "is async", "It decides on what it is given; it waits for nothing.")
        try:
            hints = typing.get_type_hints(function)
        except NameError as error:
            self._refuse(field, f"is annotated with {error.name!r}, which is not defined", "Import it.")
        expected = {name: (kind,) for name, kind in zip(parameters, takes.values(), strict=True)}
        for name, wanted in {**expected, "return": returns}.items():
            if name in hints and hints[name] not in wanted:
                self._refuse(
                    f"{field}({name})",
                    f"is declared as {_name(hints[name])}",
                    f"Declare it as {_name(wanted[0])}.",
                )

    def _check_cache(self) -> None:
        if self.cache is None:
            return
        if not (isinstance(self.cache, timedelta) and timedelta(0) < self.cache <= MAX_CACHE):
            cure = f"Write cache=timedelta(days=7), at most {MAX_CACHE.days} days, or leave it out."
            self._refuse("cache", f"{self.cache!r} is no time to keep answers", cure)

    def _check_subject(self) -> None:
        if self.subject is not None:
            returns = (str | None, str)
            self._check_signature("subject", self.subject, takes={"event": self.event}, returns=returns)

    def _check_indexed(self) -> None:
        if not isinstance(self.indexed, tuple):
            self._refuse("indexed", f"{self.indexed!r} is no tuple", 'Write indexed=("field",).')
        for problem, cure in not_indexable(self.extraction, self.indexed):
            self._refuse("indexed", problem, cure)

    def _check_audit_share(self) -> None:
        share = self.audit_share
        if isinstance(share, bool) or not (isinstance(share, int | float) and 0 <= share <= 1):
            cure = "Write audit_share=0.02 for two of a hundred, 0 for none."
            self._refuse("audit_share", f"{share!r} is no share", cure)


_COUNTS = {1: "one argument", 2: "two arguments"}


def _name(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is type(None):
        return "None"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_name, arguments))
    if origin is None:
        return getattr(hint, "__name__", str(hint))
    return f"{_name(origin)}[{', '.join(map(_name, arguments))}]"


AnyWorkflow = Workflow[Any, Any]


def _aliases(extraction: type[Extraction]) -> list[str]:
    """The other names that fields have, at any depth: results are stored and published by the fields' own."""
    found: set[str] = set()
    for mode in ("validation", "serialization"):
        named, own = (
            extraction.model_json_schema(by_alias=is_named, mode=mode) for is_named in (True, False)
        )
        for one, other in zip(_objects(named), _objects(own), strict=True):
            found |= one.keys() - other.keys()
    return sorted(found)


def _objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.get("properties", {}) for one in (schema, *schema.get("$defs", {}).values())]
