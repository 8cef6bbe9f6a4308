"""Two JSON values in, the operations of RFC 6902 that turn one into the other out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Operation:
    """One step; `path` is a JSON pointer (RFC 6901), `value` means nothing where `op` is `remove`."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None


def patch(before: Any, after: Any, path: str = "") -> Iterator[Operation]:
    """What to do to `before`, in this order. Not the shortest: an item put first changes all behind it."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _objects(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _arrays(before, after, path)
    elif type(before) is not type(after) or before != after:  # True == 1, but not in JSON
        yield Operation("replace", path, after)


def _objects(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Operation]:
    for name in sorted(before.keys() | after.keys()):
        inner = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in after:
            yield Operation("remove", inner)
        elif name not in before:
            yield Operation("add", inner, after[name])
        else:
            yield from patch(before[name], after[name], inner)


def _arrays(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[Operation]:
    for number, old, new in zip(count(), before, after, strict=False):
        yield from patch(old, new, f"{path}/{number}")
    for number in reversed(range(len(after), len(before))):
        yield Operation("remove", f"{path}/{number}")
    for new in after[len(before) :]:
        yield Operation("add", f"{path}/-", new)
