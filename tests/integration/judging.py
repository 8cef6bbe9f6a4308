"""Events that people judged: many at once, right or wrong, with the evidence that their answers had."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from infra.store import SqlStore, history
from pipeline.record import decided
from pipeline.resolve import Verdict, approve, reject
from schemas import accept, review
from schemas.event import Received
from schemas.evidence import EvidenceMap, Grounding
from schemas.evidence import Verdict as Found
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.scenes import note


async def doubted(store: SqlStore, number: int, score: int, *, sampled: bool = False) -> Received:
    """An event that waits for a person, its city found in the text as well as `score` says."""
    event = note(number)
    await store.accept([event])
    (claim,) = await store.claim("notes", limit=1)
    grounding = Grounding("city", Found.EXACT if score == 100 else Found.FUZZY, 0, 4, score)
    facts = Facts(city="Oban", amount=Decimal("12.50"))
    answer = replace(answer_of(facts), evidence=EvidenceMap([grounding]))
    decision = accept() if sampled else review("a large amount")
    # One after the other, a while ago.
    at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=number)
    await store.commit([decided(claim, entry(), decision, answer, now=at, scribe=SCRIBE, sampled=sampled)])
    return event


async def judged(store: SqlStore, numbers: range, score: int, *, right: bool, sampled: bool = False) -> None:
    """The same, decided by a person."""
    for number in numbers:
        event = await doubted(store, number, score, sampled=sampled)
        subject = await history.subject(store.database, event.event_id)
        verdict = Verdict(SCRIBE, datetime.now(UTC), "checked")
        await store.commit([(approve if right else reject)(subject, entry(), verdict)])
