"""`penstock eval`: labelled cases through the real path in, how much is right and at what price out.

Cases are from files, and from what people approved or corrected (`penstock eval add-from-reviews`).
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from consumers.commands import output
from consumers.commands.labelled import Origin
from consumers.commands.output import Json
from pipeline.comparison import MARGIN

if TYPE_CHECKING:
    from consumers.commands.labelled import Labelled
    from consumers.commands.rehearsal import Rehearsal, Rehearsed
    from infra.settings import Settings
    from pipeline.cases import Case
    from pipeline.catalogue import Entry
    from pipeline.comparison import Comparison, ShareDifference
    from pipeline.report import Report

app = App(name="eval")
app.command(
    "consumers.commands.goldens:add_from_reviews",
    name="add-from-reviews",
    help="Make golden cases of what people approved or corrected.",
)

#: A provider may ask for a minute of silence; one that asks for more is away.
_PATIENCE_SECONDS: Final = 120.0
_SHARE: Final = Number(gte=0, lte=1)
#: The draws of the intervals: the same for everybody.
_SEED: Final = 0
_From = Annotated[
    Origin, Parameter(name="--from", help="Cases from reviews, from files (or our own), or both.")
]
_Keep = Annotated[bool, Parameter(negative="--no-keep", help="Keep the scores, for the workflow's page.")]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All that is told; `left_out` are the cases that could not be decided, by reason."""

    report: "Report"
    origin: str
    seconds: float
    simulated: bool
    left_out: Counter[str]
    bugs: Counter[str]
    comparison: "Comparison | None" = None
    baseline: "Report | None" = None
    regressions: "tuple[ShareDifference, ...]" = ()


@app.default
def evaluate(
    name: str,
    /,
    *,
    cases: Annotated[Path | None, Parameter(help="JSON lines with id, data and expected.")] = None,
    origin: _From = "both",
    against: Annotated[Path | None, Parameter(help="An earlier report to compare with.")] = None,
    model: Annotated[str | None, Parameter(help="Ask this alias only, instead of the workflow's.")] = None,
    out: Annotated[Path | None, Parameter(help="Write the report there, as JSON.")] = None,
    concurrency: Annotated[int, Parameter(help="Cases at once.", validator=Number(gte=1))] = 8,
    margin: Annotated[float, Parameter(help="A loss up to this share is none.", validator=_SHARE)] = MARGIN,
    keep: _Keep = True,
    as_json: Json = False,
) -> None:
    """Run labelled cases through the workflow NAME and score each field; no event is made of them.

    Without --cases the examples (receipts, contracts, support) have cases of their own; beside them stand
    those that `penstock eval add-from-reviews` added, and reading them is on record. Compared with a report
    of --against, by pairs of the same case, a field regresses when it got worse and may, by the 95 % interval
    of the difference, have lost more than the margin. Without PENSTOCK_MODELS__* the simulated model answers,
    which says nothing about a real one. A database, where there is one, keeps the figures for the pages.

    Exit code 1 on a regression, 2 when cases or reports cannot be used, 6 when the model could not be asked
    for all cases; those are left out.
    """
    from consumers.commands import scoreboard
    from consumers.commands.labelled import labelled
    from consumers.commands.running import run

    settings, entry = _loaded(name)
    given = partial(labelled, entry, cases, reviewed=_reviewed(settings, entry, origin), origin=origin)
    found, baseline = _checked(entry, given, against, out)
    done = run(_evaluate(settings, entry, found, alias=model, concurrency=concurrency))
    done = _compared(done, baseline, margin)
    _write(done, out, kept_by=settings if keep else None)
    scoreboard.show(done, margin=margin, against=str(against), out=out, as_json=as_json)
    _end(done)


def _loaded(name: str) -> "tuple[Settings, Entry]":
    from consumers.commands.running import settings_for
    from pipeline import catalogue as catalogues

    settings = settings_for("cli")
    return settings, catalogues.load(settings.workflows).named(name)


def _reviewed(settings: "Settings", entry: "Entry", origin: Origin) -> "Sequence[Case]":
    """Cases from reviews, where they are wanted; what is left out of them is told."""
    from consumers.commands.goldens import goldens
    from consumers.commands.running import run

    if origin == "files":
        return ()
    found = run(goldens(settings, entry))
    if found.gone:
        output.note(f"{found.gone} cases from reviews are gone: their texts were erased or pruned.")
    if found.misfits:
        output.note(f"{found.misfits} cases from reviews do not fit today's schemas.")
    return found.cases


def _end(done: Evaluated) -> None:
    """With the exit code of the gravest thing that is to be told."""
    from consumers.cli import EXIT_FAILURE, EXIT_UNAVAILABLE, EXIT_USAGE

    if done.regressions:
        raise SystemExit(EXIT_FAILURE)
    if done.left_out:
        raise SystemExit(EXIT_UNAVAILABLE)
    if done.baseline is not None and done.comparison is None:
        raise SystemExit(EXIT_USAGE)


def _checked(
    entry: "Entry", given: "Callable[[], Labelled]", against: Path | None, out: Path | None
) -> "tuple[Labelled, Report | None]":
    """All that can be wrong before a model is paid: ends the command with every problem told."""
    from consumers.cli import EXIT_USAGE
    from consumers.commands.labelled import BadCases

    problems: list[str] = []
    found = baseline = None
    try:
        found = given()
    except BadCases as error:
        problems += error.problems
    if against is not None:
        baseline = _baseline(against, entry, problems)
    if found and baseline and not {case.id for case in found.cases} & {one.id for one in baseline.cases}:
        problems.append(f"{against}: has no case of these, by their ids")
    if out is not None and not out.absolute().parent.is_dir():
        problems.append(f"{out}: there is no such folder to write to")
    if found is None or problems:
        for problem in problems:
            output.note(problem)
        output.note("No model was asked.")
        raise SystemExit(EXIT_USAGE)
    return found, baseline


def _baseline(file: Path, entry: "Entry", problems: list[str]) -> "Report | None":
    from pipeline import report
    from pipeline.errors import NotFound
    from pipeline.report import InvalidReportError

    try:
        found = report.read(file.read_text("utf-8"))
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
    except (InvalidReportError, UnicodeDecodeError) as error:
        problems.append(f"{file}: {error}")
        return None
    if found.workflow != entry.workflow.name:
        problems.append(f"{file}: is a report of {found.workflow}, not of {entry.workflow.name}")
    return found


async def _evaluate(
    settings: "Settings", entry: "Entry", found: "Labelled", *, alias: str | None, concurrency: int
) -> Evaluated:
    from consumers.commands import scoring
    from consumers.commands.rehearsal import is_simulated, rehearsal
    from pipeline.report import Report

    started = time.monotonic()
    async with rehearsal(settings, entry, patience_seconds=_PATIENCE_SECONDS, alias=alias) as ready:
        ends = await _run_all(ready, found.cases, concurrency=min(concurrency, ready.slots))
    pairs = zip(found.cases, ends, strict=True)
    scores = [scoring.case_score(ready.entry, case, end) for case, end in pairs if end.changeset]
    attempts = tuple(attempt for end in ends for attempt in end.attempts)
    answered_by = Counter(attempt.model_answered for attempt in attempts if attempt.model_answered)
    return Evaluated(
        report=Report(
            workflow=entry.workflow.name,
            version=entry.version,
            model=", ".join(model for model, _ in answered_by.most_common()) or "nobody",
            cases=tuple(scores),
        ),
        origin=found.origin,
        seconds=time.monotonic() - started,
        simulated=is_simulated(attempts),
        left_out=Counter(end.waits_for or "" for end in ends if not end.changeset),
        bugs=Counter(type(end.bug).__name__ for end in ends if end.bug),
    )


async def _run_all(ready: "Rehearsal", cases: "Sequence[Case]", *, concurrency: int) -> "list[Rehearsed]":
    from consumers.commands.progress import progress

    slots = asyncio.Semaphore(concurrency)
    ended = itertools.count(1)
    with progress("cases", len(cases)) as tell:
        # A group: Ctrl-C and a fault of ours end all calls.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run(ready, case, slots)) for case in cases]
            for task in tasks:
                task.add_done_callback(lambda _: tell(next(ended)))
    return [task.result() for task in tasks]


async def _run(ready: "Rehearsal", case: "Case", slots: asyncio.Semaphore) -> "Rehearsed":
    from consumers.commands.rehearsal import stamp
    from pipeline import receive

    async with slots:
        topic = ready.entry.workflow.consumes
        envelope = receive.plain(dict(case.data), source="eval", id=case.id, type=topic)
        return await ready.run(receive.received(envelope, ready.entry, stamp=stamp()))


def _compared(done: Evaluated, baseline: "Report | None", margin: float) -> Evaluated:
    from pipeline.comparison import compare_reports, regressions
    from pipeline.report import InvalidReportError

    if baseline is None or not done.report.cases:
        return done
    try:
        comparison = compare_reports(baseline, done.report, seed=_SEED)
    except InvalidReportError as error:
        output.note(f"Compared with nothing: {error}")
        return replace(done, baseline=baseline)
    worse = regressions(comparison, margin=margin)
    return replace(done, comparison=comparison, baseline=baseline, regressions=worse)


def _write(done: Evaluated, out: Path | None, *, kept_by: "Settings | None") -> None:
    from consumers.commands.keeping import keep
    from consumers.commands.running import run
    from pipeline import report

    if out is not None and done.report.cases:
        out.write_text(report.write(done.report) + "\n", "utf-8")
    if kept_by is not None:
        run(keep(kept_by, done))
