"""The tables. `pipeline/README.md` says what each is for; `infra/migrations` makes them.

For statements: `from infra import tables as t`, `t.event.c.topic`.
"""

from infra.tables.access import configuration, login_failures, login_link, session, token, user
from infra.tables.calls import answer_cache, attempt, budget_window, endpoint_state, spend_day
from infra.tables.decisions import (
    audit_record,
    evaluation,
    label,
    result,
    result_index,
    review,
    workflow_version,
)
from infra.tables.flow import content, counter, event, lane, outbox, topic_log, work
from infra.tables.privacy import hold, subject_key
from infra.tables.seals import audit_leaf, audit_seal, audit_unsealed

__all__ = [
    "answer_cache",
    "attempt",
    "audit_leaf",
    "audit_record",
    "audit_seal",
    "audit_unsealed",
    "budget_window",
    "configuration",
    "content",
    "counter",
    "endpoint_state",
    "evaluation",
    "event",
    "hold",
    "label",
    "lane",
    "login_failures",
    "login_link",
    "outbox",
    "result",
    "result_index",
    "review",
    "session",
    "spend_day",
    "subject_key",
    "token",
    "topic_log",
    "user",
    "work",
    "workflow_version",
]
