"""`penstock review quality`: how good the machine's answers are, as people found them, and how it knows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from consumers.commands import output
from consumers.commands.output import Json
from pipeline.confidence import CHANCE, Coverage, Estimate, Quality, threshold_for

if TYPE_CHECKING:
    from consumers.quality import Measured

_SHARE: Final = Number(gt=0, lt=1)
_SAMPLED: Final = "Drawn at random from what succeeded: what you would find in all of it"
_DOUBTED: Final = "Doubted: picked by the machine, so it says nothing of what was not doubted"


def quality(
    *,
    workflow: Annotated[str | None, Parameter(help="Only of this workflow.")] = None,
    since: Annotated[
        datetime | None, Parameter(help="Only events decided on from this time on (UTC without a zone).")
    ] = None,
    error: Annotated[
        float, Parameter(help="The share of wrong results you can live with.", validator=_SHARE)
    ] = 0.01,
    as_json: Json = False,
) -> None:
    """How often people found the machine wrong, and whether its own signals told right from wrong.

    Right is what a person let stand, wrong what they corrected or rejected. AUROC: how often a right answer
    has more of a signal than a wrong one; 0.5 is chance. Each number has its 95 % interval, and of signals
    there is none from fewer than 30 right or 30 wrong ones. Only a random sample (`audit_share` of the
    workflow) measures what nobody doubted; a threshold is suggested from nothing else. The newest 10,000
    events count, of all versions and models.
    """
    from consumers.commands.running import deployed, run
    from consumers.quality import measure

    since = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since

    async def work() -> "list[Measured]":
        async with deployed() as deployment:
            catalogue = deployment.catalogue
            names = list(catalogue.by_name) if workflow is None else [catalogue.named(workflow).workflow.name]
            return [await measure(deployment.database, name, since=since) for name in names]

    found = run(work())
    if as_json:
        output.emit_json([_told(one, error) for one in found])
        return
    for one in found:
        _show(one, error)


def _told(one: "Measured", error: float) -> dict[str, Any]:
    return {
        "workflow": one.workflow,
        "sampled": one.sampled,
        "doubted": one.doubted,
        "sample_waiting": one.waiting,
        "wished_error": error,
        "threshold": threshold_for(error, one.sampled.curve),
    }


def _show(one: "Measured", error: float) -> None:
    output.say(f"Workflow {one.workflow}")
    for title, group in ((_SAMPLED, one.sampled), (_DOUBTED, one.doubted)):
        output.say(f"\n  {title}")
        _show_group(group)
    if one.waiting:
        output.say(
            f"\n  {one.waiting} of the sample still wait: what is missing may differ from what is there."
        )
    if one.sampled.curve:
        _show_threshold(threshold_for(error, one.sampled.curve), error)
    elif not one.sampled.right + one.sampled.wrong:
        output.say("\n  No threshold without a sample: set audit_share=0.02 in the workflow's file.")
    output.say("")


def _show_group(group: Quality) -> None:
    number = group.right + group.wrong
    if group.error is None:
        output.say("    nobody has decided on any")
        return
    output.say(f"    {number} judged, {group.wrong} wrong: {_percent(group.error)}")
    if group.too_few:
        output.say(f"    Nothing about signals: {group.too_few}.")
        return
    _show_separation(group.separation)
    for step in group.curve:
        output.say(
            f"    the best {step.share:4.0%} (score {step.threshold:.2f}): {_percent(step.error)} wrong"
        )


def _show_separation(separation: Mapping[str, Estimate]) -> None:
    for name, found in separation.items():
        sense = "" if found.low > CHANCE else "  no better than chance, as far as this tells"
        label = name.replace("_", " ")
        output.say(f"    {label:<16} AUROC {found.value:.2f} ({found.low:.2f} to {found.high:.2f}){sense}")


def _show_threshold(found: Coverage | None, error: float) -> None:
    if found is None:
        output.say(f"\n  No threshold keeps errors under {error:.1%} for sure; judge more of the sample.")
        return
    output.say(
        f"\n  To keep errors under {error:.1%}, accept where answer.score >= {found.threshold:.2f}: "
        f"{found.share:.0%} of what succeeds, {found.wrong} of {found.items} judged wrong."
    )


def _percent(found: Estimate) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
