"""What a model is asked for: an extraction in which every field marked `Evidence` comes with a quote.

`wire_model` derives it from the extraction, `unwrap` takes its values apart again: into the extraction
and the quotes by path (`amount`, `parties[0]`); `wrap` puts them together.
"""

import functools
from collections.abc import Mapping
from copy import copy
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from pipeline.marks import Marked, marked
from schemas.event import Text
from schemas.extraction import Extraction

X = TypeVar("X", bound=Extraction)

#: A quote is the shortest passage that proves a value; longer ones prove anything.
MAX_QUOTE_LENGTH: Final = 400

_ABOUT_QUOTES: Final = (
    "Where a value comes with a quote: copy the quote from the text first, character by character, without "
    "gaps, the shortest passage that states the value; then give the value that this passage states."
)
_ABOUT_ONE: Final = "The passage of the text that states the value, copied character by character."


@functools.cache
def wire_model(extraction: type[Extraction]) -> type[Extraction]:
    """The extraction as the model answers it; the extraction itself when no field is marked.

    Validates as strictly as an extraction, but without the validators that its author wrote: those
    run in `unwrap`.
    """
    marks = marked(extraction)
    if not marks:
        return extraction
    fields: dict[str, Any] = {
        name: _quoted(extraction, name, info, marks[name]) if name in marks else (info.annotation, copy(info))
        for name, info in extraction.model_fields.items()
    }
    doc = f"{extraction.__doc__.strip()}\n\n{_ABOUT_QUOTES}" if extraction.__doc__ else _ABOUT_QUOTES
    return create_model(
        extraction.__name__, __base__=Extraction, __module__=extraction.__module__, __doc__=doc, **fields
    )


def unwrap(extraction: type[X], wire: BaseModel) -> tuple[X, dict[str, str]]:
    """The extraction in a value of its wire model, and the quotes by path; a null value has none.

    Raises ValidationError when a validator of the extraction's author refuses it.
    """
    marks = marked(extraction)
    if not marks and isinstance(wire, extraction):
        return wire, {}
    answer: dict[str, Any] = wire.model_dump(mode="json", exclude_unset=True)
    quotes: dict[str, str] = {}
    for name in marks:
        if name in answer:
            answer[name] = _take(answer[name], name, quotes)
    return extraction.model_validate(answer), quotes


def wrap(extraction: type[Extraction], data: Mapping[str, Any], quotes: Mapping[str, str]) -> Extraction:
    """What a model would have to answer for `data` (as JSON, by field) with these quotes by path.

    Raises KeyError for a value that needs a quote and has none, ValidationError when it does not fit.
    """
    marks = marked(extraction)
    answer = {
        name: _give(data[name], name, quotes) if name in marks else data[name]
        for name in extraction.model_fields
        if name in data
    }
    return wire_model(extraction).model_validate(answer)


def _give(value: Any, path: str, quotes: Mapping[str, str]) -> Any:
    """The value with its quote, as `_take` takes it."""
    if isinstance(value, list):
        return [_give(one, f"{path}[{index}]", quotes) for index, one in enumerate(value)]
    return None if value is None else {"quote": quotes[path], "value": value}


def _take(answered: Any, path: str, quotes: dict[str, str]) -> Any:
    """The bare value of what was answered at `path`; its quotes go into `quotes`."""
    if isinstance(answered, list):
        return [_take(one, f"{path}[{index}]", quotes) for index, one in enumerate(answered)]
    if isinstance(answered, Mapping):
        quotes[path] = answered["quote"]
        return answered["value"]
    return answered


def _quoted(extraction: type[Extraction], name: str, info: FieldInfo, mark: Marked) -> tuple[Any, FieldInfo]:
    title = "".join(part.title() for part in name.split("_"))
    pair = create_model(
        f"{title}Evidence",
        __config__=Extraction.model_config,  # the answer around it has looked for unclean values already
        __module__=extraction.__module__,
        __doc__=None,
        quote=(Annotated[str, Text(MAX_QUOTE_LENGTH)], Field(description=_ABOUT_ONE)),
        value=(mark.item, Field()),
    )
    annotation: Any = pair
    if mark.many:
        annotation = Annotated[list[pair], *mark.bounds] if mark.bounds else list[pair]
    if mark.optional:
        annotation = annotation | None
    default: Any = ... if info.is_required() else None
    return annotation, Field(default, title=info.title, description=info.description)
