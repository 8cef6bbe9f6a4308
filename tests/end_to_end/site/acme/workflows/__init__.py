"""The workflows of ACME: orders that may end their process, and a ledger whose order counts."""

from pipeline.workflow import AnyWorkflow

from . import ledger, orders

WORKFLOWS: tuple[AnyWorkflow, ...] = (orders.workflow, ledger.workflow)
