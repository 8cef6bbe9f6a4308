"""The register of versions: found by prefix, and asked which of them a new version would break."""

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from infra.database import Database
from infra.store import SqlStore, administration, versions
from pipeline.catalogue import Entry
from pipeline.record import decided
from pipeline.trail import noted
from schemas import Decision, accept, review
from tests.builders import NOTES, NOW, SCRIBE, Facts, answer_of, received

SCHEMA: Final = Facts.model_json_schema()
ANSWER: Final = answer_of(Facts.model_validate({"city": "Oban", "amount": "12.50"}))


def version(prompt: str = "Find both.", *, produces: str = "notes.facts.v1", **fields: Any) -> Entry:
    """A version of the notes workflow: `fields` are added to its answer, or taken from it when None."""
    schema = copy.deepcopy(SCHEMA)
    schema["properties"] = {k: v for k, v in {**schema["properties"], **fields}.items() if v is not None}
    parts = {"files": {".notes": f"produces={produces!r}"}, "instructions": prompt, "event": {}}
    content = json.dumps({**parts, "extraction": schema}, sort_keys=True)
    hashed = hashlib.sha256(content.encode()).hexdigest()
    return Entry(replace(NOTES, produces=produces), prompt, content, hashed)


FIRST: Final = version()
REWORDED: Final = version("Find the city and the amount.")
WIDER: Final = version(country={"type": "string"})
NARROWER: Final = version(amount=None)


async def register(database: Database, *entries: Entry) -> None:
    for entry in entries:
        record = noted(
            "workflow_version", {}, scribe=SCRIBE, now=NOW, workflow="notes", version=entry.version
        )
        await administration.register_versions(database, [entry], [record], release="0.0.0")


async def decide(store: SqlStore, entry: Entry, decision: Decision, *, id: str = "note-1") -> None:
    await store.accept([received(id=id)])
    (claim,) = await store.claim("notes", limit=1)
    now = datetime.now(UTC)
    await store.commit([decided(claim, entry, decision, ANSWER, now=now, scribe=SCRIBE)])


async def broken_by(database: Database, entry: Entry) -> list[str]:
    return [one.published.version for one in await versions.incompatible(database, [entry])]


async def test_a_version_is_found_by_the_beginning_of_its_hash(database: Database) -> None:
    await register(database, FIRST, WIDER)

    (found,) = await versions.find(database, FIRST.version[:8])

    assert (found.version, found.workflow, found.content) == (FIRST.version, "notes", FIRST.content)
    assert await versions.find(database, "%") == []
    assert len(await versions.find(database, "")) == 2


async def test_only_versions_with_a_result_on_a_topic_have_published_there(store: SqlStore) -> None:
    elsewhere = version(produces="notes.facts.v2")
    await register(store.database, FIRST, REWORDED, elsewhere, WIDER)
    await decide(store, FIRST, accept())
    await decide(store, REWORDED, review("look"), id="note-2")
    await decide(store, elsewhere, accept(), id="note-3")

    published = await versions.published(store.database, "notes.facts.v1")

    assert [one.version for one in published] == [FIRST.version]


async def test_a_version_that_receivers_cannot_read_is_named_with_the_cure(store: SqlStore) -> None:
    await register(store.database, FIRST)
    await decide(store, FIRST, accept())

    (found,) = await versions.incompatible(store.database, [NARROWER])

    told = str(found.error)
    assert f"receivers of version {FIRST.version[:12]} on 'notes.facts.v1' cannot read" in told
    assert "amount removed" in told
    assert "produces='notes.facts.v2'" in told


@pytest.mark.parametrize("entry", [REWORDED, WIDER, version(produces="notes.facts.v2", amount=None)])
async def test_a_compatible_version_and_one_on_a_new_topic_may_start(store: SqlStore, entry: Entry) -> None:
    await register(store.database, FIRST)
    await decide(store, FIRST, accept())

    assert await broken_by(store.database, entry) == []


async def test_a_version_that_has_published_nothing_binds_nobody(store: SqlStore) -> None:
    await register(store.database, FIRST)
    await decide(store, FIRST, review("look"))

    assert await broken_by(store.database, NARROWER) == []


async def test_one_that_ran_before_may_run_again(store: SqlStore) -> None:
    await register(store.database, FIRST, WIDER)
    await decide(store, WIDER, accept())

    assert await broken_by(store.database, FIRST) == []


async def test_the_newest_that_would_break_is_named(store: SqlStore) -> None:
    await register(store.database, FIRST, WIDER)
    await decide(store, FIRST, accept())
    await decide(store, WIDER, accept(), id="note-2")

    assert await broken_by(store.database, NARROWER) == [WIDER.version]
    assert await broken_by(store.database, REWORDED) == [WIDER.version]


async def test_a_content_that_this_release_cannot_read_is_compared_with_nothing(store: SqlStore) -> None:
    unknown = replace(FIRST, content="{}", version="f" * 64)
    await register(store.database, unknown)
    await decide(store, unknown, accept())

    assert await broken_by(store.database, NARROWER) == []
