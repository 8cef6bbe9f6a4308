"""The patch between two JSON values is one of RFC 6902: applied to the first, it makes the second."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.patch import Operation, patch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "a/b", "m~n", "~1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["", "a", "a/b", "m~n", "0"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def applied(document: Any, operations: Iterable[Operation]) -> Any:
    """As RFC 6902 has it, written apart from what is tested."""
    root = {"": copy.deepcopy(document)}
    for one in operations:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in one.path.split("/")]
        place: Any = root
        for step in steps[:-1]:
            place = place[int(step)] if isinstance(place, list) else place[step]
        last: Any = steps[-1]
        if isinstance(place, list):
            last = len(place) if last == "-" else int(last)
        if one.op == "remove":
            del place[last]
        elif one.op == "add" and isinstance(place, list):
            place.insert(last, one.value)
        else:
            assert one.op == "add" or isinstance(place, list) or last in place
            place[last] = one.value
    return root[""]


def spelled(value: Any) -> Any:
    """True and 1 are equal in Python, not in JSON."""
    if isinstance(value, dict):
        return {name: spelled(item) for name, item in value.items()}
    return [spelled(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(VALUES, VALUES)
def test_a_patch_makes_the_one_value_from_the_other(before: Any, after: Any) -> None:
    assert spelled(applied(before, patch(before, after))) == spelled(after)


@given(VALUES)
def test_nothing_is_done_to_what_is_equal(value: Any) -> None:
    assert list(patch(value, copy.deepcopy(value))) == []


@pytest.mark.parametrize(
    ("before", "after", "operations"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [Operation("replace", "/b", 3)]),
        ({"a": 1}, {"b/c": 1}, [Operation("remove", "/a"), Operation("add", "/b~1c", 1)]),
        ({"a": ["x", "y"]}, {"a": ["x"]}, [Operation("remove", "/a/1")]),
        ({"a": ["x"]}, {"a": ["x", "y"]}, [Operation("add", "/a/-", "y")]),
        (None, {"a": 1}, [Operation("replace", "", {"a": 1})]),
    ],
)
def test_only_what_differs_is_named(before: Any, after: Any, operations: list[Operation]) -> None:
    assert list(patch(before, after)) == operations
