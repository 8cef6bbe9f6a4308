"""An evaluation in, its scores in the database out, where there is one: for the workflow's page."""

from typing import TYPE_CHECKING

from consumers import wiring
from consumers.commands import output, running
from infra.store import evaluations
from infra.store.evaluations import Evaluation
from pipeline.errors import InvalidSettingsError, StoreUnavailable

if TYPE_CHECKING:
    from consumers.commands.eval import Evaluated
    from infra.settings import Settings


async def keep(settings: "Settings", done: "Evaluated") -> bool:
    """Whether they are kept. Asking must not make a database, and one that is away keeps no scores back."""
    path = settings.sqlite_path
    if (path is not None and not path.exists()) or not done.report.cases:
        return False
    report = done.report
    found = Evaluation(
        workflow=report.workflow,
        version=report.version,
        model=report.model,
        cases_from=done.origin,
        simulated=done.simulated,
        left_out=done.left_out.total(),
        evaluated_by=wiring.operator().name,
        summary=report.summary,
    )
    try:
        async with running.database(settings) as database:
            await evaluations.keep(database, found)
    except (InvalidSettingsError, StoreUnavailable) as error:
        output.note(f"The scores are not kept for the workflow's page: {error}")
        return False
    return True
