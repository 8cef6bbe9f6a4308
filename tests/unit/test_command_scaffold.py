"""Where a new workflow is listed, whatever the package's `__init__.py` looks like."""

import ast

import pytest

from consumers.commands.listing import listed

OURS = '''"""The workflows."""

from pipeline.workflow import AnyWorkflow
from pipeline.workflows import contracts, helpdesk

WORKFLOWS: tuple[AnyWorkflow, ...] = (contracts.workflow,)
SOURCES = (helpdesk.source,)
'''
LONG = "a_name_that_is_so_long_that_the_line_grows_over_its_limit_of_one_hundred_and_ten"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            OURS,
            OURS.replace("import contracts, helpdesk", "import contracts, helpdesk, orders").replace(
                "(contracts.workflow,)", "(contracts.workflow, orders.workflow)"
            ),
        ),
        ("WORKFLOWS = ()\n", "from pipeline.workflows import orders\n\nWORKFLOWS = (orders.workflow,)\n"),
        (
            '"""Ours."""\n\nWORKFLOWS = ()\n',
            '"""Ours."""\n\nfrom pipeline.workflows import orders\n\nWORKFLOWS = (orders.workflow,)\n',
        ),
        (
            "from . import notes\n\nWORKFLOWS = (\n    notes.workflow,\n)\n",
            "from . import notes, orders\n\nWORKFLOWS = (notes.workflow, orders.workflow)\n",
        ),
        (
            "import x\n\nWORKFLOWS = (x.workflow,)\n",
            "import x\nfrom pipeline.workflows import orders\n\nWORKFLOWS = (x.workflow, orders.workflow)\n",
        ),
    ],
)
def test_the_module_is_imported_and_its_workflow_listed(before: str, after: str) -> None:
    assert listed(before, "pipeline.workflows", "orders") == after


def test_lines_that_grow_too_long_become_one_item_per_line() -> None:
    after = listed(OURS, "pipeline.workflows", LONG) or ""

    assert max(map(len, after.splitlines())) <= 110
    assert f"    {LONG}.workflow,\n)" in after
    ast.parse(after)


@pytest.mark.parametrize("text", ["", "WORKFLOWS = tuple(found)\n", "WORKFLOWS += ()\n", "OTHERS = ()\n"])
def test_what_is_laid_out_otherwise_is_left_to_its_owner(text: str) -> None:
    assert listed(text, "pipeline.workflows", "orders") is None
