"""What a person decides about an event, as a changeset guarded by the revision they saw.

Nothing is overwritten: a resolution is a revision of its own, and so is its undoing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pipeline import publish, trail
from pipeline.catalogue import Entry
from pipeline.correction import checked, still_true
from pipeline.errors import Conflict, InvalidCorrection
from schemas.changeset import Actor, AuditRecord, Changeset, ExpectedRevision, OutboxMessage, Result, Scribe
from schemas.decision import MAX_REASON_LENGTH, REOPENED, Outcome
from schemas.event import Received, derived_id
from schemas.messages import ResultMessage, WithdrawnMessage
from schemas.text import clean

#: The stable reason in a dead letter that a person made.
REVIEW: Final = "review"
#: What a receiver of these has read already; an approval adds nothing to it.
_FINAL: Final = frozenset({Outcome.SUCCEEDED, Outcome.APPROVED, Outcome.CORRECTED})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a person judges. `standing` is the published revision that receivers act on, None without one."""

    event: Received
    accepted_at: datetime
    newest: Result
    standing: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who decides (`scribe.actor`), when, and why in their own words; `in_bulk`: on many events at once."""

    scribe: Scribe
    now: datetime
    comment: str = ""
    in_bulk: bool = False

    def reasons(self, otherwise: str) -> tuple[str, ...]:
        """They go where the machine's reasons go: to the result and its message, not into the audit trail."""
        return (clean(self.comment.strip(), max_length=MAX_REASON_LENGTH) or otherwise,)


def standing(states: Iterable[tuple[int, str]]) -> int | None:
    """The revision that receivers act on, of (revision, state) in order of revisions."""
    found, last = None, None
    for revision, state in states:
        outcome = None if state == REOPENED else Outcome(state)
        if outcome is None or not outcome.may_be_acted_on:
            found = None
        elif not (outcome is Outcome.APPROVED and last in _FINAL):
            found = revision
        last = outcome
    return found


def approve(subject: Subject, entry: Entry, verdict: Verdict) -> Changeset:
    """The result stands as it is; published unless receivers have it already.

    Raises Conflict without a result, InvalidCorrection when today's schema no longer takes it.
    """
    newest = _readable(subject)
    if newest.data is None:
        raise Conflict(f"event {newest.event_id} has no result to approve; correct it, or send it back")
    checked(entry, newest.data)
    result = _next(subject, Outcome.APPROVED, entry.version, verdict, otherwise="a person approved it")
    record = _record(subject, result, verdict)
    messages = () if newest.outcome in _FINAL else (_published(subject, entry, result, record),)
    return _changeset(subject, entry, result, record, messages)


def correct(subject: Subject, entry: Entry, data: Mapping[str, Any], verdict: Verdict) -> Changeset:
    """`data` is right, all of it; evidence is kept for the values that have not changed.

    Raises InvalidCorrection when it does not fit the workflow's schema, or changes nothing.
    """
    newest = _readable(subject)
    corrected = checked(entry, data)
    if corrected == newest.data:
        raise InvalidCorrection("nothing differs from what was extracted; approve it instead")
    result = _next(subject, Outcome.CORRECTED, entry.version, verdict, otherwise="a person corrected it")
    evidence = still_true(newest.evidence or {}, newest.data, corrected)
    result = replace(result, data=corrected, evidence=evidence or None)
    record = _record(subject, result, verdict)
    return _changeset(subject, entry, result, record, (_published(subject, entry, result, record),))


def reject(subject: Subject, entry: Entry, verdict: Verdict) -> Changeset:
    """Not to be acted on: it goes to the dead topic, and what was published is withdrawn.

    The result is kept, so that an approval can undo this. Raises Conflict for a rejected event.
    """
    newest = _judged(subject)
    if newest.outcome is Outcome.REJECTED:
        raise Conflict(f"event {newest.event_id} is rejected already")
    result = _next(subject, Outcome.REJECTED, newest.version, verdict, otherwise="a person rejected it")
    record = _record(subject, result, verdict)
    event = subject.event
    letter = publish.dead_letter(result, event, reason=REVIEW, max_bytes=verdict.scribe.max_message_bytes)
    topic = entry.workflow.dead_topic
    messages = [publish.result_message(result, event, record, topic=topic, body=letter)]
    if subject.standing is not None:
        body, topic = _withdrawn(subject, subject.standing, result), entry.workflow.produces
        messages.append(publish.result_message(result, event, record, topic=topic, body=body, index=2))
    return _changeset(subject, entry, result, record, tuple(messages))


def send_back(subject: Subject, entry: Entry, verdict: Verdict) -> Changeset:
    """To the machine, once more, under today's version.

    Raises Conflict while receivers act on a result: a reopened event publishes nothing, so that they
    would not hear of it.
    """
    newest = _readable(subject)
    if subject.standing is not None:
        raise Conflict(f"event {newest.event_id} is {newest.state} and published; reject it first")
    otherwise = f"sent back by {verdict.scribe.actor.name}"
    result = _emptied(_next(subject, REOPENED, entry.version, verdict, otherwise=otherwise))
    record = _record(subject, result, verdict)
    return replace(_changeset(subject, entry, result, record, ()), reopen=True)


def reopen(
    event: Received, newest: Result, *, version: str, actor: Actor, release: str, now: datetime
) -> Changeset:
    """Put a dead event back to work, under today's `version`; raises Conflict when it is not dead.

    The new revision is `reopened`: it supersedes, publishes nothing and is no outcome.
    """
    if newest.outcome is not Outcome.DEAD:
        raise Conflict(f"event {event.event_id} is {newest.state}, not dead; only dead letters are replayed")
    result = _emptied(_superseding(newest, REOPENED, version, (f"replayed by {actor.name}",), now=now))
    body = {"reasons": list(result.reasons), "supersedes": newest.revision}
    record = trail.about(result, event, kind="replay", body=body, actor=actor, release=release)
    return Changeset(
        event=event,
        guard=ExpectedRevision(newest.revision),
        result=result,
        audit=(record,),
        reopen=True,
    )


def _judged(subject: Subject) -> Result:
    if subject.newest.outcome is None:
        raise Conflict(f"event {subject.event.event_id} is in flight; wait for what the machine decides")
    return subject.newest


def _readable(subject: Subject) -> Result:
    if subject.event.is_erased:
        raise Conflict(f"the text of event {subject.event.event_id} was erased or pruned; it can be rejected")
    return _judged(subject)


def _next(subject: Subject, state: str, version: str, verdict: Verdict, *, otherwise: str) -> Result:
    return _superseding(subject.newest, state, version, verdict.reasons(otherwise), now=verdict.now)


def _superseding(
    newest: Result, state: str, version: str, reasons: tuple[str, ...], *, now: datetime
) -> Result:
    """The revision after `newest`, with its data; what it cost is counted there."""
    return replace(
        newest,
        id=derived_id(newest.event_id, newest.revision + 1, "result"),
        revision=newest.revision + 1,
        supersedes=newest.revision,
        state=state,
        reasons=reasons,
        decided_at=now,
        version=version,
        cost_micros=None,
    )


def _emptied(result: Result) -> Result:
    return replace(result, data=None, evidence=None, model=None)


def _record(subject: Subject, result: Result, verdict: Verdict) -> AuditRecord:
    before, event = subject.newest, subject.event
    return trail.resolution(result, before, event, scribe=verdict.scribe, in_bulk=verdict.in_bulk)


def _published(subject: Subject, entry: Entry, result: Result, record: AuditRecord) -> OutboxMessage:
    """Its `supersedes` is what receivers have, where they have something."""
    body = ResultMessage[Any](
        event_id=result.event_id,
        workflow=result.workflow,
        version=result.version,
        revision=result.revision,
        source=subject.event.identity.source,
        id=subject.event.identity.id,
        outcome=result.state,
        supersedes=subject.standing or result.supersedes,
        data=entry.workflow.extraction.model_validate(result.data),
        model=result.model,
        reasons=list(result.reasons),
        accepted_at=subject.accepted_at,
        decided_at=result.decided_at,
    )
    return publish.result_message(result, subject.event, record, topic=entry.workflow.produces, body=body)


def _withdrawn(subject: Subject, published: int, result: Result) -> WithdrawnMessage:
    return WithdrawnMessage(
        event_id=result.event_id,
        workflow=result.workflow,
        version=result.version,
        revision=result.revision,
        source=subject.event.identity.source,
        id=subject.event.identity.id,
        supersedes=published,
        reasons=list(result.reasons),
        decided_at=result.decided_at,
    )


def _changeset(
    subject: Subject, entry: Entry, result: Result, record: AuditRecord, messages: tuple[OutboxMessage, ...]
) -> Changeset:
    return Changeset(
        event=subject.event,
        guard=ExpectedRevision(subject.newest.revision),
        result=result,
        audit=(record,),
        outbox=(*messages, publish.audit_message(subject.event, record)),
        indexed=entry.workflow.indexed,
    )
