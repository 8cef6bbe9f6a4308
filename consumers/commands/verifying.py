"""Files and a database in, what `penstock audit verify` says of them out."""

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from consumers import trust as trusted
from consumers.commands import output
from consumers.commands.progress import progress
from infra.database import Database
from infra.settings import Settings
from infra.signing import check
from infra.store import audit, deviations, proofs
from infra.store.audit import Report
from infra.store.proofs import Proof
from pipeline import checkpoint as checkpoints
from pipeline import keyring, merkle, note, seal
from pipeline.audit import leaf
from pipeline.checkpoint import Checkpoint
from pipeline.errors import Conflict, InvalidSettingsError
from pipeline.keyring import TrustedKey
from pipeline.note import InvalidNote
from pipeline.verify import NAMED, Trust

_SHOWN: Final = 100
_ANOTHER_LOG: Final = (
    "the log of {} records is not the one that your checkpoint signs; run `penstock audit verify`"
)
_LEAF_DIGITS: Final = 64


def trust(settings: Settings, keys: Path | None, kept: Path | None) -> Trust:
    """What is believed: the files that were named, else this deployment's own, with a remark."""
    believed = own_keys(settings) if keys is None else keyring.parse(_text(keys))
    if not believed:
        raise InvalidSettingsError(
            f"{keys}: there is no public key in it; `penstock audit key list` prints them"
        )
    if kept is None:
        file = trusted.checkpoint_file(settings)
        kept = file.path if file and file.path.exists() else None
        if kept is None:
            output.note(
                "No checkpoint was given: a log whose end was cut off looks whole (--checkpoint FILE)."
            )
        else:
            output.note(f"Checkpoints are from {kept}: believe them if it is out of the writer's reach.")
    if keys is None:
        output.note("Keys are this deployment's own: whoever changes it can change them (--keys FILE).")
    bare = Trust(believed, check)
    return Trust(believed, check, _checkpoints(bare, kept) if kept else ())


def own_keys(settings: Settings) -> Sequence[TrustedKey]:
    """The public keys that lie beside the signing key, else the one of the signing key itself."""
    file = trusted.key_file(settings)
    if file is not None and file.public.exists():
        return keyring.parse(file.public.read_text("utf-8"))
    return [TrustedKey(trusted.existing(settings).key)]


def last(believed: Trust, path: Path) -> Checkpoint:
    """The last checkpoint of a file."""
    return _checkpoints(believed, path)[-1]


async def verified(database: Database, believed: Trust, since: Checkpoint | None) -> Report:
    """Verify, with progress on stderr."""
    with progress("records") as tell:
        async with database.read() as connection:
            return await audit.verify(connection, believed, since=since, progress=tell)


async def compare_texts(database: Database, report: Report) -> None:
    """Add what stands beside the log and is not what its records name."""
    async for event_id, what in deviations.every(database):
        report.findings.add(f"event {event_id}", f"{what} is not what its record names")


def tell(report: Report, *, as_json: bool) -> None:
    """Print the report; exits 1 when there is a difference."""
    if as_json:
        output.emit_json(_told(report))
    else:
        _say(report)
    if report.findings.total:
        raise SystemExit(1)


async def proved(database: Database, believed: Trust, record: str, under: Checkpoint | None) -> Proof:
    """The proof of one record, checked as a stranger would; exits 1 when it does not hold."""
    wanted, size = record_named(record), None if under is None else under.size
    async with database.read() as connection:
        found = await (await proofs.prover(connection, size)).prove(wanted)
    for problem in _flaws(found, believed, under):
        output.note(f"audit_record {found.record_id}: {problem}")
        raise SystemExit(1)
    return found


async def size_of(database: Database, settings: Settings, kept: Path) -> int:
    """How many records the last checkpoint in a file signs; raises Conflict when they are not ours."""
    state = last(Trust(own_keys(settings), check), kept)
    async with database.read() as connection:
        seal = await proofs.closing(connection, state.size)
    if note.parse(seal.note).text != state.text:
        raise Conflict(_ANOTHER_LOG.format(state.size))
    return state.size


def record_named(record: str) -> UUID | bytes:
    """A record's id, or its leaf; raises InvalidSettingsError."""
    try:
        return bytes.fromhex(record) if len(record) == _LEAF_DIGITS else UUID(record)
    except ValueError as error:
        raise InvalidSettingsError(f"{record!r} is no id of a record and no leaf (64 hex digits)") from error


def tell_proof(found: Proof, *, as_json: bool) -> None:
    if not as_json:
        sys.stdout.write(seal.proof(found.canonical, found.sequence, found.path, found.seal.note))
        return
    output.emit_json(
        {
            "record": found.canonical.decode(),
            "leaf": leaf(found.canonical).hex(),
            "index": found.sequence,
            "path": [base64.b64encode(step).decode() for step in found.path],
            "checkpoint": found.seal.note,
        }
    )


def _flaws(found: Proof, believed: Trust, under: Checkpoint | None) -> Iterator[str]:
    try:
        read = note.parse(found.seal.note)
        state = checkpoints.parse(read.text)
    except InvalidNote as error:
        yield f"the note of seal {found.seal.batch} cannot be read: {error}"
        return
    flaw = believed.flaw(believed.signed_by(read), read, state)
    if flaw is None and under is None:
        flaw = believed.retired(read, state.size)
    if flaw is not None:
        yield f"seal {found.seal.batch} proves nothing: {flaw}"
        return
    if under is not None and state != under:
        yield _ANOTHER_LOG.format(state.size)
    if not merkle.is_included(leaf(found.canonical), found.sequence, state.size, found.path, state.root):
        yield f"its bytes are not those at place {found.sequence}; run `penstock audit verify`"


def _told(report: Report) -> dict[str, object]:
    newest = report.newest
    return {
        "ok": not report.findings.total,
        "seals": report.seals,
        "records": report.records,
        "since": report.since,
        "pruned_by": report.anchor.record if report.anchor else None,
        "unsealed": report.unsealed,
        "sealed_at": newest.sealed_at if newest else None,
        "differences": report.findings.total,
        "named": report.findings.named,
    }


def _say(report: Report) -> None:
    after = f" after the first {report.since}" if report.since else ""
    output.say(
        f"{report.records} records{after} under {report.seals} seals; {report.unsealed} not sealed yet."
    )
    if report.anchor:
        output.say(f"What was before them was pruned; the audit record {report.anchor.record} says so.")
    if report.newest:
        sealed_at = report.newest.sealed_at.isoformat(timespec="seconds")
        output.say(
            f"The newest seal is number {report.newest.batch}, of {sealed_at}, by {report.newest.key}."
        )
    if not report.findings.total:
        output.say("Nothing differs from what was signed.")
        return
    output.say(f"{report.findings.total} differences:")
    for difference in report.findings.named[:_SHOWN]:
        output.say(f"  {difference}")
    if report.findings.total > _SHOWN:
        output.say(f"  ... and {report.findings.total - _SHOWN} more; --json names the first {NAMED}.")


def _checkpoints(believed: Trust, path: Path) -> Sequence[Checkpoint]:
    found = believed.read(_notes(_text(path)))
    if not found:
        raise InvalidSettingsError(f"{path}: there is no checkpoint in it that a trusted key signed")
    return found


def _notes(text: str) -> str:
    """The notes of a file that holds them, or the lines that `penstock tail audit.checkpoints.v1` printed."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        found = [json.loads(line)["value"]["checkpoint"] for line in text.split("\n") if line.strip()]
        return "\n\n".join(found)
    except (ValueError, KeyError, TypeError):
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSettingsError(f"{path}: this is no text") from error
    except (IsADirectoryError, PermissionError) as error:
        raise InvalidSettingsError(f"{path} cannot be read: {error.strerror}") from error
