"""The workflows of this deployment and the senders of its webhooks: explicit tuples."""

from pipeline.source import Source
from pipeline.workflow import AnyWorkflow
from pipeline.workflows import contracts, helpdesk, receipts, support

WORKFLOWS: tuple[AnyWorkflow, ...] = (receipts.workflow, contracts.workflow, support.workflow)
SOURCES: tuple[Source, ...] = (helpdesk.source,)
