"""What people found of the machine's answers, read back from the audit trail."""

from dataclasses import replace
from datetime import timedelta

from infra.store import SqlStore, history, judgements
from pipeline.judged import judged
from pipeline.resolve import Verdict, approve, correct
from schemas import review
from schemas.changeset import Actor
from tests.builders import NOW, SCRIBE, entry
from tests.contract.scenes import LANE, claimed, succeeded

DECIDED = NOW + timedelta(hours=1)
VERDICT = Verdict(replace(SCRIBE, actor=Actor("person", "os:ada@desk")), DECIDED)


async def test_reviewed_events_are_read_with_all_their_decisions(store: SqlStore) -> None:
    doubted, sampled, waiting = await claimed(store, 3)
    await store.commit(
        [
            succeeded(doubted, review("large amount")),
            succeeded(sampled, sampled=True),
            succeeded(waiting, sampled=True),
        ]
    )
    wrong, right = [
        await history.subject(store.database, claim.event.event_id) for claim in (doubted, sampled)
    ]
    data = {**(wrong.newest.data or {}), "city": "Mull"}
    later = replace(VERDICT, now=DECIDED + timedelta(hours=1))
    await store.commit([correct(wrong, entry(), data, VERDICT), approve(right, entry(), later)])

    found = [judged(records) for records in await judgements.reviewed(store.database, LANE)]
    since = await judgements.reviewed(store.database, LANE, since=later.now)

    assert [one and (one.right, one.sampled) for one in found] == [(True, True), (False, False)]
    assert len(since) == 1
    assert await judgements.reviewed(store.database, "other") == []
    assert await judgements.sample_waiting(store.database, LANE) == 1
