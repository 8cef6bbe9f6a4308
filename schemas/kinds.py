"""The kinds of record in the audit trail. One written under a name that is not here is a type error."""

from typing import Final, Literal, get_args

RecordKind = Literal[
    # about one event
    "decision",
    "review",
    "replay",
    "payload_read",
    # what decides, and whether it runs
    "workflow_version",
    "workflow_paused",
    "workflow_resumed",
    "configuration",
    # who may
    "token_made",
    "token_revoked",
    "user_added",
    "user_role",
    "user_password",
    "user_disabled",
    "user_enabled",
    "session_opened",
    "session_closed",
    # labelled cases
    "labels_added",
    "labels_read",
    # the log's own keys, and what is kept no longer
    "audit_key",
    "pruned",
    "audit_pruned",
    # people's data
    "erasure",
    "hold_added",
    "hold_removed",
    "keys_rewrapped",
]
RECORD_KINDS: Final[tuple[RecordKind, ...]] = get_args(RecordKind)
