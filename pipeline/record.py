"""A decision in, the changeset that writes it out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pipeline import publish, trail
from pipeline.assess import Assessment
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.errors import (
    CallCancelled,
    DeadlineExceeded,
    InputRefused,
    PermanentError,
    PipelineError,
)
from pipeline.extract import GiveUp
from pipeline.sample import FIRST, SAMPLED
from schemas.changeset import (
    AuditRecord,
    Changeset,
    ClaimToken,
    Guard,
    NewEvent,
    OutboxMessage,
    Result,
    ReviewItem,
    Scribe,
)
from schemas.decision import Decision, Outcome
from schemas.event import Received, derived_id
from schemas.evidence import support
from schemas.extraction import Answer, Attempt, Extraction
from schemas.messages import ResultMessage

#: Kept, because Pydantic forgets a parametrised model that nobody holds, and builds it again.
_ANY_RESULT: Final = ResultMessage[Any]


class _Found(NamedTuple):
    """What is known of an event when its calls are over."""

    data: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    model: str | None = None
    cost_micros: int | None = None


_NOTHING: Final = _Found()


def decided(
    claimed: Claimed,
    entry: Entry,
    decision: Decision,
    answer: Answer[Extraction],
    *,
    now: datetime,
    scribe: Scribe,
    flags: Sequence[str] = (),
    judged: Mapping[UUID, Assessment] | None = None,
    sampled: bool = False,
) -> Changeset:
    """The policy decided on an answer; `flags` are what the screening noticed.

    A `sampled` one is published all the same, with a review item beside it.
    """
    outcome, reasons = decision.outcome, decision.reasons
    data, evidence = answer.value.model_dump(mode="json"), trail.evidence_of(answer.evidence)
    found = _Found(data, evidence, answer.model, cost_of(answer.attempts))
    result = _result(claimed.event, claimed.revision, entry, outcome, reasons, found, now=now)
    record = trail.decision(
        result,
        claimed.event,
        answer.attempts,
        code="policy",
        scribe=scribe,
        flags=flags,
        judged=judged,
        sampled=sampled,
    )
    messages: tuple[OutboxMessage, ...] = ()
    if decision.outcome.may_be_acted_on:
        messages = (_published(result, claimed, entry, record, answer.value),)
    guard = ClaimToken(claimed.token)
    indexed = entry.workflow.indexed
    ended = _changeset(result, claimed.event, guard, record, messages, indexed, code="policy", scribe=scribe)
    if not (sampled or ended.review):
        return ended
    why, rank = ((SAMPLED,), FIRST) if sampled else (reasons, answer.score)
    return replace(ended, review=ReviewItem(_item_id(result), why, sampled, rank))


def degraded(
    claimed: Claimed,
    entry: Entry,
    value: Extraction,
    attempts: Sequence[Attempt],
    *,
    reason: str,
    now: datetime,
    scribe: Scribe,
    flags: Sequence[str] = (),
    judged: Mapping[UUID, Assessment] | None = None,
) -> Changeset:
    """No model had an answer that is good enough, for `reason`; `value` is by the workflow's own rules."""
    reasons = (*_causes(reason, attempts), "the answer is by the workflow's own rules, not by a model")
    found = _Found(value.model_dump(mode="json"), cost_micros=cost_of(attempts))
    result = _result(claimed.event, claimed.revision, entry, Outcome.DEGRADED, reasons, found, now=now)
    record = trail.decision(
        result, claimed.event, attempts, code=reason, scribe=scribe, flags=flags, judged=judged
    )
    message = _published(result, claimed, entry, record, value)
    guard = ClaimToken(claimed.token)
    indexed = entry.workflow.indexed
    return _changeset(result, claimed.event, guard, record, (message,), indexed, code=reason, scribe=scribe)


def given_up(
    claimed: Claimed,
    entry: Entry,
    end: GiveUp,
    attempts: Sequence[Attempt],
    *,
    now: datetime,
    scribe: Scribe,
    detail: str | None = None,
    doubted: Assessment | None = None,
    why: tuple[str, ...] = (),
    flags: Sequence[str] = (),
    judged: Mapping[UUID, Assessment] | None = None,
) -> Changeset:
    """The machine found no answer that is good enough: a person decides, or the event is dead.

    `doubted` is the last answer that fits the schema, with what is wrong with it: the reviewer's draft.
    `why` says why the workflow's own rules were of no help.
    """
    causes = (detail,) if detail else _causes(end.reason, attempts)
    reasons = (*causes, *(doubted.complaints if doubted else ()), *why)
    outcome = Outcome.DEAD if end.dead else Outcome.NEEDS_REVIEW
    draft = None if end.dead else doubted
    found = _Found(cost_micros=cost_of(attempts))
    if draft is not None:
        found = found._replace(
            data=draft.value.model_dump(mode="json"), evidence=trail.evidence_of(draft.evidence)
        )
    result = _result(claimed.event, claimed.revision, entry, outcome, reasons, found, now=now)
    record = trail.decision(
        result, claimed.event, attempts, code=end.reason, scribe=scribe, flags=flags, judged=judged
    )
    guard = ClaimToken(claimed.token)
    indexed = entry.workflow.indexed
    ended = _changeset(result, claimed.event, guard, record, (), indexed, code=end.reason, scribe=scribe)
    if draft is None or not ended.review:
        return ended
    score = support((draft.evidence[path] for path in draft.evidence), attempts=len(attempts))
    return replace(ended, review=replace(ended.review, rank=score))


def refused(claimed: Claimed, entry: Entry, why: str, *, now: datetime, scribe: Scribe) -> Changeset:
    """The text is not one that a model should read; no call was made."""
    reasons = (str(InputRefused()), why)
    result = _result(claimed.event, claimed.revision, entry, Outcome.REFUSED_INPUT, reasons, now=now)
    record = trail.decision(result, claimed.event, (), code=InputRefused.reason, scribe=scribe)
    guard = ClaimToken(claimed.token)
    return _changeset(result, claimed.event, guard, record, (), code=InputRefused.reason, scribe=scribe)


def dead_at_the_door(
    event: Received, entry: Entry, error: PermanentError, *, now: datetime, scribe: Scribe
) -> Changeset:
    """Bytes that are no valid event: stored, told on the dead topic, never worked on."""
    result = _result(event, 1, entry, Outcome.DEAD, (str(error),), now=now)
    record = trail.decision(result, event, (), code=error.reason, scribe=scribe)
    return _changeset(result, event, NewEvent(), record, (), code=error.reason, scribe=scribe)


def bury(changeset: Changeset, error: PermanentError, *, scribe: Scribe) -> Changeset:
    """The same event, dead: for a changeset that cannot be written or published."""
    result = replace(changeset.result, state=Outcome.DEAD, reasons=(str(error),), data=None, evidence=None)
    record = trail.buried(result, changeset.event, changeset.audit[0], code=error.reason, scribe=scribe)
    buried = _changeset(
        result, changeset.event, changeset.guard, record, (), code=error.reason, scribe=scribe
    )
    return replace(buried, asked=changeset.asked, charge=changeset.charge)


def cost_of(attempts: Sequence[Attempt]) -> int | None:
    """Micro-units of all attempts; None when no price is set."""
    costs = [attempt.cost_micros for attempt in attempts if attempt.cost_micros is not None]
    return sum(costs) if costs else None


def _causes(reason: str, attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """The sentence of `reason`; after a deadline also what its time was spent on."""
    spent_on = [
        attempt.failure for attempt in attempts if attempt.failure not in (None, CallCancelled.reason)
    ]
    causes = [reason, *(spent_on if reason == DeadlineExceeded.reason else ())]
    return tuple(dict.fromkeys(sentence(cause or "") for cause in causes))


def sentence(reason: str) -> str:
    """The default message of the error with this reason."""
    waiting: list[type[PipelineError]] = [PipelineError]
    while waiting:
        error = waiting.pop()
        if error.reason == reason:
            return str(error())
        waiting += error.__subclasses__()
    return reason


def _result(
    event: Received,
    revision: int,
    entry: Entry,
    outcome: Outcome,
    reasons: tuple[str, ...],
    found: _Found = _NOTHING,
    *,
    now: datetime,
) -> Result:
    return Result(
        id=derived_id(event.event_id, revision, "result"),
        event_id=event.event_id,
        revision=revision,
        workflow=entry.workflow.name,
        version=entry.version,
        state=outcome,
        reasons=reasons,
        decided_at=now,
        supersedes=revision - 1 or None,
        data=found.data,
        evidence=found.evidence,
        model=found.model,
        cost_micros=found.cost_micros,
    )


def _published(
    result: Result, claimed: Claimed, entry: Entry, record: AuditRecord, value: Extraction
) -> OutboxMessage:
    body: ResultMessage[Extraction] = _ANY_RESULT(
        event_id=result.event_id,
        workflow=result.workflow,
        version=result.version,
        revision=result.revision,
        source=claimed.event.identity.source,
        id=claimed.event.identity.id,
        outcome=result.state,
        supersedes=result.supersedes,
        data=value,
        model=result.model,
        reasons=list(result.reasons),
        accepted_at=claimed.accepted_at,
        decided_at=result.decided_at,
    )
    return publish.result_message(result, claimed.event, record, topic=entry.workflow.produces, body=body)


def _item_id(result: Result) -> UUID:
    return derived_id(result.event_id, result.revision, "review")


def _changeset(
    result: Result,
    event: Received,
    guard: Guard,
    record: AuditRecord,
    messages: tuple[OutboxMessage, ...],
    indexed: tuple[str, ...] = (),
    *,
    code: str,
    scribe: Scribe,
) -> Changeset:
    outcome = Outcome(result.state)
    if outcome.is_dead_letter:
        body = publish.dead_letter(result, event, reason=code, max_bytes=scribe.max_message_bytes)
        topic = f"{event.identity.topic}.dead"
        messages = (publish.result_message(result, event, record, topic=topic, body=body),)
    item = None
    if outcome is Outcome.NEEDS_REVIEW:
        item = ReviewItem(_item_id(result), result.reasons)
    return Changeset(
        event=event,
        guard=guard,
        result=result,
        audit=(record,),
        outbox=(*messages, publish.audit_message(event, record)),
        review=item,
        indexed=indexed,
    )
