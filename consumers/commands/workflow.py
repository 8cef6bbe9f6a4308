"""`penstock workflow`: which there are, a new one, pause and resume, the contracts of their topics.

`try` and `diff` are in modules of their own.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.difference import diff
from consumers.commands.output import Json
from consumers.commands.trying import try_workflow

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.store.evaluations import Kept
    from pipeline.catalogue import Catalogue, Entry

_NEXT = """Edit them; then, if `penstock dev` runs, start it again, and try:
  echo '{{"text": "Northwind Traders, 3 May 2024, total 12.50"}}' | penstock emit {name}.received.v1 -
  penstock tail -f {name}.extracted.v1
When you change what it publishes: penstock workflow contracts --write"""

app = App(name="workflow", help="List, show, try, scaffold, compare, pause and resume workflows.")
app.command(try_workflow, name="try")
app.command(diff)


def _catalogue() -> "tuple[Settings, Catalogue]":
    from infra import settings as all_settings
    from pipeline import catalogue as catalogues

    settings = all_settings.load()
    return settings, catalogues.load(settings.workflows)


def _told(entry: "Entry") -> dict[str, Any]:
    workflow = entry.workflow
    return {
        "name": workflow.name,
        "version": entry.version,
        "consumes": workflow.consumes,
        "produces": workflow.produces,
        "models": workflow.models,
    }


@app.command(name="list")
def list_workflows(*, as_json: Json = False) -> None:
    """The workflows of this deployment."""
    _, catalogue = _catalogue()
    workflows = [_told(entry) for entry in catalogue.entries]
    if as_json:
        output.emit_json(workflows)
        return
    rows = [
        (one["name"], one["version"][:12], one["consumes"], one["produces"], ", ".join(one["models"]))
        for one in workflows
    ]
    output.table(("name", "version", "consumes", "produces", "models"), rows)


@app.command
def show(name: str, /, *, as_json: Json = False) -> None:
    """One workflow: its topics, models, prompt and schemas, and whether it is paused."""
    _, catalogue = _catalogue()
    entry = catalogue.named(name)
    paused_by, scored = _known(entry)
    workflow = entry.workflow
    event, extraction = workflow.event.model_json_schema(), workflow.extraction.model_json_schema()
    if as_json:
        told = {**_told(entry), "dead_letters": workflow.dead_topic, "ordered": workflow.ordered}
        told["cache_seconds"] = workflow.cache.total_seconds() if workflow.cache else None
        told["audit_share"] = workflow.audit_share
        schemas = {"event": event, "extraction": extraction}
        told["evaluation"] = scored
        output.emit_json({**told, "paused_by": paused_by, "prompt": entry.instructions, **schemas})
        return
    facts = {
        "version": entry.version,
        "file": workflow.file,
        "consumes": workflow.consumes,
        "produces": workflow.produces,
        "dead": workflow.dead_topic,
        "models": ", ".join(workflow.models),
        "ordered": "by key" if workflow.ordered else "no",
        "cache": str(workflow.cache).removesuffix(", 0:00:00") if workflow.cache else "off",
        "sample": f"{workflow.audit_share:.1%} of what succeeds" if workflow.audit_share else "none",
        "paused": f"by {paused_by}; penstock workflow resume {name}" if paused_by else "no",
        "scores": _scores(scored) if scored else f"none yet; penstock eval {name}",
    }
    output.say(f"Workflow {name}")
    for fact, value in facts.items():
        output.say(f"  {fact:<9} {value}")
    output.say(f"\nPrompt\n{entry.instructions}")
    for title, schema in (("Event", event), ("Extraction", extraction)):
        output.say(f"\n{title}\n{json.dumps(schema, indent=2, ensure_ascii=False)}")


def _known(entry: "Entry") -> "tuple[str | None, Kept | None]":
    """Who paused it, and the last evaluation of this version; None where there is no database to ask."""
    from consumers.commands.running import deployed, run
    from infra.store import administration, evaluations
    from pipeline.errors import InvalidSettingsError, NotFound, StoreUnavailable

    name = entry.workflow.name

    async def work() -> "tuple[str | None, Kept | None]":
        async with deployed() as deployment:
            paused = await administration.paused_lanes(deployment.database)
            kept = await evaluations.of_workflow(deployment.database, name)
            return paused.get(name), next((one for one in kept if one.version == entry.version), None)

    try:
        return run(work())
    except (InvalidSettingsError, NotFound, StoreUnavailable) as error:
        output.note(f"Whether it is paused, and how it scored, is not known: {error}")
        return None, None


def _scores(found: "Kept") -> str:
    overall = found.summary.overall
    told = "simulated, " if found.simulated else ""
    exact = overall.exact / overall.cases if overall.cases else 0.0
    return f"{told}{exact:.1%} of fields exact in {found.summary.cases} cases, {found.evaluated_at:%Y-%m-%d}"


@app.command
def new(name: str, /, *, as_json: Json = False) -> None:
    """Write a workflow NAME that works at once: its file, its prompt and its test; then edit them.

    They go into the package that PENSTOCK_WORKFLOWS names first (in a checkout: pipeline/workflows, the
    test into tests/unit), and into its WORKFLOWS; the contracts of its topics are written too. No file
    that exists is overwritten.
    """
    from consumers.commands import contract_files, scaffold
    from infra import settings as all_settings
    from pipeline import catalogue as catalogues

    package, *others = all_settings.load().workflows
    made = scaffold.scaffold(name, package)
    if made.changed:
        contract_files.write(catalogues.load([package, *others]), contract_files.folder_of(package))
    if as_json:
        files = [str(path) for path in made.files]
        output.emit_json({"name": name, "files": files, "changed": made.changed and str(made.changed)})
        return
    for path in (*made.files, *((made.changed,) if made.changed else ())):
        output.say(str(path))
    if made.to_do:
        output.note(made.to_do)
    output.note(_NEXT.format(name=name))


@app.command
def pause(name: str, /, *, as_json: Json = False) -> None:
    """Claim no more events of this workflow; they are accepted and wait. On record in the audit trail."""
    _set_paused(name, paused=True, as_json=as_json)


@app.command
def resume(name: str, /, *, as_json: Json = False) -> None:
    """Work on its events again. On record in the audit trail."""
    _set_paused(name, paused=False, as_json=as_json)


def _set_paused(name: str, *, paused: bool, as_json: bool) -> None:
    from consumers import wiring
    from consumers.commands.running import deployed, run
    from consumers.lanes import set_paused

    async def work() -> bool:
        async with deployed() as deployment:
            actor = wiring.operator()
            return await set_paused(deployment.store, deployment.catalogue, name, paused=paused, actor=actor)

    changed = run(work())
    state = "paused" if paused else "running"
    if as_json:
        output.emit_json({"workflow": name, "state": state, "changed": changed})
    else:
        output.say(f"{name} is {state}." if changed else f"{name} was {state} already.")


@app.command
def contracts(
    *,
    check: Annotated[bool, Parameter(negative="", help="Exit 1 when a file differs, and name it.")] = False,
    write: Annotated[bool, Parameter(negative="", help="Write the files.")] = False,
    folder: Annotated[Path | None, Parameter(help="Where they are.")] = None,
    as_json: Json = False,
) -> None:
    """The JSON Schema of every topic that workflows write to, and whether its file is up to date.

    The files of the examples are in schemas/contracts, those of another package in `contracts` inside it.
    """
    from consumers.cli import EXIT_FAILURE
    from consumers.commands import contract_files

    settings, catalogue = _catalogue()
    place = folder or contract_files.folder_of(settings.workflows[0])
    states = contract_files.compare(catalogue, place)
    if write:
        contract_files.write(catalogue, place)
    if as_json:
        output.emit_json({"folder": str(place), "written": write, "files": states})
    else:
        for name, state in states.items():
            if state != "same" or not (check or write):
                output.say(f"{'written' if write else state:<8} {place / name}")
    if check and not write and set(states.values()) != {"same"}:
        output.note("Contracts and workflows differ; run: penstock workflow contracts --write")
        raise SystemExit(EXIT_FAILURE)
