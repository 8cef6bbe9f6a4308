"""`penstock workflow diff`: two versions in, what changed and what receivers notice of it out."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from pipeline.catalogue import Catalogue
    from pipeline.versions import Difference

_PREFIX: Final = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions."""

    version: str
    workflow: str
    content: str


def diff(a: str, b: str, /, *, as_json: Json = False) -> None:
    """What it takes from version A to version B: prompt, schemas, files, and what receivers notice.

    A and B are the hashes of versions that ran on this database, or their first 6 characters and more; a
    workflow's name is its version of today. Models, rules and the policy are in the files.
    """
    from consumers.commands.running import run
    from pipeline import versions

    old, new = run(_sides((a, b)))
    found = versions.difference(old.content, new.content)
    if as_json:
        output.emit_json(_told(old, new, found))
        return
    for which, side in (("A", old), ("B", new)):
        output.say(f"{which}  {side.version[:12]}  {side.workflow}")
    output.say("")
    for line in versions.render(found, old=old.version[:12], new=new.version[:12]):
        output.say(line)


async def _sides(references: Sequence[str]) -> list[Side]:
    """A database is asked only for what is not a workflow's name; raises NotFound or Conflict."""
    from consumers.commands.running import deployed, settings_for
    from pipeline import catalogue as catalogues

    settings = settings_for("cli")
    catalogue = catalogues.load(settings.workflows)
    named = {reference: _today(catalogue, reference) for reference in references}
    if None in named.values():
        from infra.store import versions

        async with deployed() as deployment:
            for reference in [reference for reference, side in named.items() if side is None]:
                _check(catalogue, reference)
                kept = await versions.find(deployment.database, reference)
                registered = [Side(row.version, row.workflow, row.content) for row in kept]
                named[reference] = _only(reference, [*registered, *_running(catalogue, reference)])
    return [side for reference in references if (side := named[reference]) is not None]


def _today(catalogue: "Catalogue", name: str) -> Side | None:
    entry = catalogue.by_name.get(name)
    return Side(entry.version, name, entry.content) if entry else None


def _running(catalogue: "Catalogue", prefix: str) -> list[Side]:
    """Versions of today that may not have run on this database yet."""
    return [
        Side(entry.version, entry.workflow.name, entry.content)
        for entry in catalogue.entries
        if entry.version.startswith(prefix)
    ]


def _check(catalogue: "Catalogue", reference: str) -> None:
    from pipeline.errors import NotFound

    if not _PREFIX.fullmatch(reference):
        names = ", ".join(sorted(catalogue.by_name))
        raise NotFound(
            f"{output.printable(reference)!r} is no workflow and no version: name one of {names}, "
            "or give 6 characters or more of a version's hash"
        )


def _only(prefix: str, sides: Sequence[Side]) -> Side:
    from pipeline.errors import Conflict, NotFound

    found = {side.version: side for side in sides}
    if not found:
        raise NotFound(f"no version {prefix} ran on this database; its versions are in workflow_version")
    if len(found) > 1:
        listed = "\n".join(f"  {side.version[:20]}  {side.workflow}" for side in found.values())
        raise Conflict(f"several versions start with {prefix}; give more of one of these:\n{listed}")
    return next(iter(found.values()))


def _told(old: Side, new: Side, found: "Difference") -> dict[str, Any]:
    reasons = [asdict(reason) for reason in found.output.reasons]
    named = {
        key: {"version": side.version, "workflow": side.workflow} for key, side in (("a", old), ("b", new))
    }
    return {**named, **asdict(found), "output": {"level": found.output.level, "reasons": reasons}}
