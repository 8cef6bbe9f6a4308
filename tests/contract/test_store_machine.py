"""Any sequence of the store's writes against a model of a few lines: an event is in one place at a time."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra import database as databases
from infra import tables as t
from infra.store import SqlStore
from pipeline.claim import Claimed, Release
from pipeline.ports import Admission, Placed, Written
from pipeline.retry import SUSPECT_CRASHES
from schemas import reject, review
from schemas.changeset import Changeset, ExpectedRevision
from schemas.decision import REOPENED
from tests.builders import SCRIBE
from tests.conftest import Shelf
from tests.contract.scenes import (
    LANE,
    amount_of,
    balance,
    dead_on_arrival,
    expire_leases,
    gave_up,
    note,
    replay_of,
    rows,
    succeeded,
)

#: Few, so that the rules meet on the same events.
NUMBERS = st.integers(0, 3)
R = TypeVar("R")


@dataclass
class Known:
    """What must be true of one accepted event; `state` is its newest revision's, `token` that of the claim
    that holds, `is_other` tells which data came first under its id.
    """

    is_other: bool = False
    revision: int = 0
    state: str = REOPENED
    works: bool = True
    token: UUID | None = None
    is_leased: bool = False
    crashes: int = 0


@dataclass
class World:
    events: dict[int, Known] = field(default_factory=dict)
    claims: list[Claimed] = field(default_factory=list)
    dead: dict[int, Changeset] = field(default_factory=dict)
    published: set[UUID] = field(default_factory=set)


def number_of(claim: Claimed) -> int:
    return int(claim.event.identity.id.removeprefix("note-"))


class Machine(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = databases.connect(url)
        self.store = SqlStore(self.database, SCRIBE)
        self.world = World()

    def wait(self, action: Coroutine[Any, Any, R]) -> R:
        return self.runner.run(action)

    def teardown(self) -> None:
        self.wait(self.database.close())
        self.runner.close()

    @initialize()
    def begin(self) -> None:
        self.accept([0, 1], other=False)

    @rule(numbers=st.lists(NUMBERS, max_size=4), other=st.booleans())
    def accept(self, numbers: list[int], *, other: bool) -> None:
        content = {"content": b"other"} if other else {}

        admissions = self.wait(self.store.accept([note(number, **content) for number in numbers]))

        for number, admission in zip(numbers, admissions, strict=True):
            if number not in self.world.events:
                assert admission is Admission.ACCEPTED
                self.world.events[number] = Known(is_other=other)
            else:
                same = self.world.events[number].is_other == other
                assert admission is (Admission.DUPLICATE if same else Admission.ID_REUSED)

    @rule(number=NUMBERS)
    def bury_at_the_door(self, number: int) -> None:
        changeset = dead_on_arrival(note(number))

        (written,) = self.wait(self.store.commit([changeset]))

        is_new = number not in self.world.events
        assert written is (Written.COMMITTED if is_new else Written.FENCED)
        if is_new:
            self.world.events[number] = Known(revision=1, state="dead", works=False)
            self.world.dead[number] = changeset

    @rule(limit=st.integers(1, 4), suspects=st.booleans())
    def claim(self, limit: int, *, suspects: bool) -> None:
        free = {
            number
            for number, known in self.world.events.items()
            if known.works and not known.is_leased and (known.crashes >= SUSPECT_CRASHES) == suspects
        }

        claims = self.wait(self.store.claim(LANE, limit=limit, suspects=suspects))

        assert len(claims) == min(limit, len(free))
        for claim in claims:
            assert number_of(claim) in free
            known = self.world.events[number_of(claim)]
            known.crashes += 1
            known.token, known.is_leased = claim.token, True
            assert (claim.crashes, claim.revision) == (known.crashes, known.revision + 1)
        self.world.claims += claims

    @rule()
    def expire(self) -> None:
        self.wait(expire_leases(self.database))
        for known in self.world.events.values():
            known.is_leased = False

    def drawn(self, data: st.DataObject) -> list[Claimed]:
        """Some of all claims ever handed out, those that were lost and those that ended too."""
        return data.draw(st.lists(st.sampled_from(self.world.claims), max_size=4, unique_by=id))

    def holds(self, claim: Claimed) -> bool:
        known = self.world.events[number_of(claim)]
        return known.works and known.token == claim.token

    @precondition(lambda self: self.world.claims)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        claims = self.drawn(data)
        changesets = [self.decision(claim, data) for claim in claims]

        written = self.wait(self.store.commit(changesets))

        for claim, changeset, fate in zip(claims, changesets, written, strict=True):
            held = self.holds(claim)
            buried = "\0" in str((changeset.result.data or {}).get("city"))
            assert fate is ((Written.BURIED if buried else Written.COMMITTED) if held else Written.FENCED)
            if held:
                known = self.world.events[number_of(claim)]
                known.state = "dead" if buried else changeset.result.state
                known.revision, known.works, known.crashes = known.revision + 1, False, 0
                known.token, known.is_leased = None, False
                if known.state == "dead":
                    self.world.dead[number_of(claim)] = changeset

    def decision(self, claim: Claimed, data: st.DataObject) -> Changeset:
        kind = data.draw(st.sampled_from(["good", "dead", "review", "reject", "nul"]))
        match kind:
            case "dead":
                return gave_up(claim)
            case "nul":
                return succeeded(claim, city="\0")
            case "review":
                return succeeded(claim, review("large"))
            case "reject":
                return succeeded(claim, reject("no city"))
            case _:
                return succeeded(claim)

    @precondition(lambda self: self.world.claims)
    @rule(data=st.data(), fault=st.booleans())
    def release(self, data: st.DataObject, *, fault: bool) -> None:
        claims = self.drawn(data)

        self.wait(self.store.release([Release(claim, timedelta(0), "x", fault) for claim in claims]))

        for claim in claims:
            if self.holds(claim):
                known = self.world.events[number_of(claim)]
                known.token, known.is_leased, known.crashes = None, False, 0

    @precondition(lambda self: self.world.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claims = self.drawn(data)

        kept = self.wait(self.store.renew(claims))

        assert kept == {claim.event.event_id for claim in claims if self.holds(claim)}
        for claim in claims:
            if self.holds(claim):
                self.world.events[number_of(claim)].is_leased = True

    @precondition(lambda self: self.world.dead)
    @rule(data=st.data(), behind=st.integers(0, 1))
    def reopen(self, data: st.DataObject, behind: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.world.dead)))
        known, dead = self.world.events[number], self.world.dead[number]
        seen = max(known.revision - behind, 1)
        newest = replace(dead.result, revision=seen, state="dead")
        changeset = replace(replay_of(dead.event, newest), guard=ExpectedRevision(seen))

        (written,) = self.wait(self.store.commit([changeset]))

        fits = seen == known.revision and not known.works
        assert written is (Written.COMMITTED if fits else Written.FENCED)
        if fits:
            known.revision, known.state, known.works = known.revision + 1, REOPENED, True

    @rule(limit=st.integers(1, 20))
    def publish(self, limit: int) -> None:
        messages = self.wait(self.store.unpublished(limit=limit))

        self.wait(self.store.published([Placed(message.id, 0, 0) for message in messages]))

        assert not self.world.published & {message.id for message in messages}
        self.world.published |= {message.id for message in messages}

    @invariant()
    def the_books_balance(self) -> None:
        told = self.wait(balance(self.database))
        known = self.world.events.values()

        assert told.balanced
        assert told.accepted == len(known)
        assert told.in_flight == sum(event.works for event in known)
        assert told.outcomes == Counter(event.state for event in known if not event.works)

    @invariant()
    def each_revision_is_one_result_and_one_audit_record(self) -> None:
        revisions = sum(event.revision for event in self.world.events.values())

        results = self.wait(rows(self.database, t.result))

        assert len(results) == len({(row.event_id, row.revision) for row in results}) == revisions
        assert self.wait(amount_of(self.database, t.audit_record)) == revisions


def test_an_event_is_in_one_place_at_a_time_whatever_is_done(shelf_sqlite: Shelf) -> None:
    class Fresh(Machine):
        def __init__(self) -> None:
            super().__init__(shelf_sqlite.make())

    run_state_machine_as_test(
        Fresh,
        settings=settings(max_examples=15, stateful_step_count=30, deadline=None),
    )
