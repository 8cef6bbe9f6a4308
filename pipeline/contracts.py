"""A catalogue in, the JSON Schema of every topic that its workflows write to out: `schemas/contracts/`."""

import functools
import json
import operator
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from pipeline.catalogue import Catalogue
from pipeline.publish import AUDIT_TOPIC, CHECKPOINT_TOPIC
from pipeline.workflow import AnyWorkflow
from schemas.messages import AuditMessage, CheckpointMessage, DeadLetter, published

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REPLACED: Final = ("title", "description")


def contracts(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Schemas by topic, in order: what is produced, the dead letters, the audit trail."""
    producing: dict[str, list[AnyWorkflow]] = {}
    for entry in catalogue.entries:
        producing.setdefault(entry.workflow.produces, []).append(entry.workflow)
    found = {topic: _results(topic, workflows) for topic, workflows in producing.items()}
    for entry in catalogue.entries:
        topic = entry.workflow.dead_topic
        about = f"Events of {entry.workflow.consumes} that are not to be acted on, each with its reason."
        found[topic] = _contract(topic, about, DeadLetter)
    about = "The audit trail: one record for each decision, without payload."
    found[AUDIT_TOPIC] = _contract(AUDIT_TOPIC, about, AuditMessage)
    about = "The signed heads of the audit trail: one for each seal, in order."
    found[CHECKPOINT_TOPIC] = _contract(CHECKPOINT_TOPIC, about, CheckpointMessage)
    return dict(sorted(found.items()))


def written(contract: Mapping[str, Any]) -> str:
    """A contract as the text of its file."""
    return json.dumps(contract, indent=2, ensure_ascii=False) + "\n"


def topics(catalogue: Catalogue) -> list[str]:
    """Every topic that must exist: what is read, and what is written to."""
    return sorted({*catalogue.by_topic, *contracts(catalogue)})


def _results(topic: str, workflows: list[AnyWorkflow]) -> dict[str, Any]:
    names = " and ".join(workflow.name for workflow in workflows)
    about = f"Results of {names} that may be acted on, and withdrawals of such results."
    message = functools.reduce(operator.or_, (published(workflow.extraction) for workflow in workflows))
    return _contract(topic, about, message)


def _contract(topic: str, about: str, message: Any) -> dict[str, Any]:
    schema = TypeAdapter(message).json_schema(mode="serialization", schema_generator=_Written)
    head = {"$schema": _DIALECT, "$id": f"penstock:contracts/{topic}.json", "title": topic}
    return {**head, "description": about, **{k: v for k, v in schema.items() if k not in _REPLACED}}


class _Written(GenerateJsonSchema):
    """What a message looks like on the wire: every field is there, those with a default too.

    An extraction forbids what a model might add; a receiver has to tolerate what a later version adds.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        if written.get("additionalProperties") is False:
            del written["additionalProperties"]
        return written

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - Pydantic's signature
    ) -> bool:
        return True

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # "Event Id" says nothing that "event_id" does not
