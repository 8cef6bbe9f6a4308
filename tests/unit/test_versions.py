"""The difference of two versions: every part of a content shows, and what it means to receivers."""

import json
from typing import Annotated, Any

import pytest
from pydantic import Field

from pipeline.catalogue import load
from pipeline.compatibility import Reason
from pipeline.versions import Part, difference, output_change, render
from schemas import Extraction, Text


class Facts(Extraction):
    city: Annotated[str, Text(100)] | None


class MoreFacts(Extraction):
    city: Annotated[str, Text(100)] | None
    country: Annotated[str, Text(100)] | None = None


class OtherFacts(Extraction):
    town: Annotated[str, Text(100)] | None


class FactsWithDefault(Extraction):
    city: Annotated[str, Text(100)] | None = Field(default=None)


def _content(extraction: type[Extraction] = Facts, **changed: Any) -> str:
    parts = {
        "files": {".notes": 'LIMIT = 1\nmodels = ("fast",)\n', "": "from . import notes\n"},
        "instructions": "Find the city.\nNever guess.",
        "event": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 100}}},
        "extraction": extraction.model_json_schema(),
    }
    return json.dumps({**parts, **changed}, sort_keys=True)


def test_a_version_does_not_differ_from_itself() -> None:
    for entry in load().entries:
        found = difference(entry.content, entry.content)

        assert found.parts == ()
        assert found.output.level == "none"
        assert render(found, old="1", new="2") == ("1 and 2 are the same",)


def test_a_changed_prompt_shows_as_lines() -> None:
    found = difference(_content(), _content(instructions="Find the town.\nNever guess."))

    assert found.prompt == ("@@ -1,2 +1,2 @@", "-Find the city.", "+Find the town.", " Never guess.")
    assert (found.files, found.event, found.extraction, found.output.level) == ((), (), (), "none")


def test_files_show_by_name_added_and_removed_ones_too() -> None:
    files = {".notes": 'LIMIT = 1\nmodels = ("fast", "strong")\n', ".limits": "FAR = 2"}

    found = difference(_content(), _content(files=files))

    assert [part.name for part in found.files] == ["(package)", "limits", "notes"]
    assert found.files[1].lines == ("@@ -0,0 +1 @@", "+FAR = 2")
    assert '-models = ("fast",)' in found.files[2].lines
    assert '+models = ("fast", "strong")' in found.files[2].lines


def test_a_lost_line_end_shows_since_it_makes_a_version() -> None:
    found = difference(_content(files={".notes": "X = 1\n"}), _content(files={".notes": "X = 1"}))

    assert found.files == (Part("notes", ("@@ -1,2 +1 @@", " X = 1", "-")),)


def test_a_changed_event_schema_shows_as_lines() -> None:
    event = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 200}}}

    found = difference(_content(), _content(event=event))

    assert '-      "maxLength": 100,' in found.event
    assert '+      "maxLength": 200,' in found.event
    assert found.output.level == "none"


def test_a_part_that_this_release_does_not_know_shows_as_well() -> None:
    found = difference(_content(), _content(fence="v2"))

    assert found.others == (Part("fence", ("@@ -0,0 +1 @@", "+v2")),)


def test_an_added_field_is_minor_and_a_renamed_one_major() -> None:
    assert output_change(_content(), _content(MoreFacts)).reasons == (Reason("country", "added", "minor"),)
    assert difference(_content(), _content(OtherFacts)).output.reasons == (
        Reason("city", "removed, or renamed to 'town'", "major"),
        Reason("town", "added", "minor"),
    )


def test_a_default_changes_nothing_that_is_sent() -> None:
    found = difference(_content(), _content(FactsWithDefault))

    assert found.extraction != ()
    assert found.output.level == "none"


def test_the_lines_for_a_terminal_end_with_what_receivers_must_expect() -> None:
    before = _content()
    minor = render(difference(before, _content(MoreFacts, instructions="Find both.")), old="old", new="new")
    major = render(difference(before, _content(OtherFacts)), old="old", new="new")
    none = render(difference(before, _content(instructions="Find it.")), old="old", new="new")

    assert minor[0] == "prompt: 2 lines removed, 1 added"
    assert minor[-2:] == ("output: minor change, receivers of old can read new", "    minor: country: added")
    assert major[-3:-1] == (
        "output: major change, receivers of old may fail on new: it needs a new topic version",
        "    major: city: removed, or renamed to 'town'",
    )
    assert none[-1] == "output: receivers of old see no difference in new"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"extraction": 1}'])
def test_what_is_no_content_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        difference(_content(), text)
