"""`Workflow`: the declaration that a workflow's file makes, checked when it is created."""

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, NoReturn, TypeVar

from pipeline.bounds import unbounded
from pipeline.errors import InvalidWorkflowError
from pipeline.marks import flaws
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
    are only noted in the audit trail. `ordered` works on
    events of one key one at a time. `cache` keeps answers that the policy accepted for this long: an
    event with the same text takes the answer from there, checked and decided anew, without a call.
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
    cache: timedelta | None = None

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
        self._check_cache()

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
        if not callable(self.policy):
            self._refuse("policy", "is no function", "Write policy(event, answer) -> Decision.")
        parameters = list(inspect.signature(self.policy).parameters.values())
        if len(parameters) != 2:
            self._refuse("policy", "does not take two arguments", "Write policy(event, answer) -> Decision.")
        if inspect.iscoroutinefunction(self.policy):
            self._refuse("policy", "is async", "A policy decides on what it is given; it waits for nothing.")
        try:
            hints = typing.get_type_hints(self.policy)
        except NameError as error:
            self._refuse("policy", f"is annotated with {error.name!r}, which is not defined", "Import it.")
        expected: dict[str, Any] = {
            parameters[0].name: self.event,
            parameters[1].name: Answer[self.extraction],  # type: ignore[name-defined]
            "return": Decision,
        }
        for name, wanted in expected.items():
            if name in hints and hints[name] != wanted:
                self._refuse(
                    f"policy({name})",
                    f"is declared as {_name(hints[name])}",
                    f"Declare it as {_name(wanted)}.",
                )

    def _check_cache(self) -> None:
        if self.cache is None:
            return
        if not (isinstance(self.cache, timedelta) and timedelta(0) < self.cache <= MAX_CACHE):
            cure = f"Write cache=timedelta(days=7), at most {MAX_CACHE.days} days, or leave it out."
            self._refuse("cache", f"{self.cache!r} is no time to keep answers", cure)


def _name(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return getattr(hint, "__name__", str(hint))
    return f"{_name(origin)}[{', '.join(map(_name, arguments))}]"


AnyWorkflow = Workflow[Any, Any]
