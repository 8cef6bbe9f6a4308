"""`penstock prune`: what is older than the retention settings keep, removed now."""

from collections import Counter
from typing import TYPE_CHECKING

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from infra.store.holds import Hold


def prune(*, as_json: Json = False) -> None:
    """Remove what PENSTOCK_RETENTION__* no longer keep; `serve sweep` and `dev` do it once a day.

    What is in flight, waits for a person or for the relay, or is on hold, stays. Outcomes whose results
    are removed go on to be counted. Each batch is on record in the audit trail.
    """
    from dataclasses import replace

    from consumers import wiring
    from consumers.commands.running import deployed, run
    from infra.store import holds
    from pipeline.retention import Terms

    async def work() -> "tuple[Counter[str], list[Hold], bool]":
        async with deployed() as deployment:
            pruner = wiring.pruner(deployment)
            pruner.scribe = replace(deployment.scribe, actor=wiring.operator())
            removed = await pruner.prune()
            return removed, await holds.holds(deployment.database), pruner.terms == Terms()

    removed, held, keeps_all = run(work())
    if as_json:
        output.emit_json({"removed": dict(removed), "holds": len(held)})
        return
    output.say(", ".join(f"{rows} rows of {table}" for table, rows in sorted(removed.items())) or "Nothing.")
    if keeps_all:
        output.note("PENSTOCK_RETENTION__* are unset: everything is kept.")
    if held:
        output.note(f"{len(held)} holds keep what they name: penstock hold list")
