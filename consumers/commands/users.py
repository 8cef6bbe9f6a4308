"""`penstock user`: accounts of people. Each change is on record in the audit trail."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json
from consumers.roles import PersonsRole

if TYPE_CHECKING:
    from infra.database import Database
    from schemas.changeset import AuditRecord
    from schemas.kinds import RecordKind

app = App(name="user", help="Accounts of people.")

Role = Annotated[PersonsRole, Parameter(help="What the person may do.")]
FromStdin = Annotated[
    bool,
    Parameter(name="--password-stdin", negative="", help="Read the password's line from standard input."),
]


@app.command
def add(
    name: str,
    /,
    *,
    role: Role,
    password_stdin: FromStdin = False,
    without_password: Annotated[
        bool, Parameter(negative="", help="For single sign-on: only a trusted proxy can name this user.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an account. The password, of 12 characters or more, is asked for twice."""
    from uuid import uuid4

    from infra.store import accounts
    from pipeline.errors import InvalidSettingsError

    if without_password and password_stdin:
        raise InvalidSettingsError("give --without-password or --password-stdin, not both")
    name, user_id = _valid(name), uuid4()
    password_hash = None if without_password else _password_hash(from_stdin=password_stdin)

    async def work(database: "Database", record: "AuditRecord") -> None:
        await accounts.add_user(
            database, user_id, name=name, role=role, password_hash=password_hash, record=record
        )

    body = {"user_id": str(user_id), "user": name, "role": role, "has_password": not without_password}
    _change(work, "user_added", body)
    _tell({"name": name, "role": role}, f"{name} may come in, as {role}.", as_json=as_json)


@app.command(name="list")
def show(*, as_json: Json = False) -> None:
    """Every account: its role, whether it has a password, and since when nobody may use it."""
    from consumers.commands.running import database, run, settings_for
    from infra.store import accounts

    async def work() -> list[accounts.User]:
        async with database(settings_for("cli")) as connected:
            return await accounts.users(connected)

    users = run(work())
    if as_json:
        output.emit_json(
            [
                {
                    "name": user.name,
                    "role": user.role,
                    "has_password": user.password_hash is not None,
                    "created_at": user.created_at,
                    "disabled_at": user.disabled_at,
                }
                for user in users
            ]
        )
        return
    rows = [
        (user.name, user.role, "yes" if user.password_hash else "no", user.created_at, user.disabled_at)
        for user in users
    ]
    output.table(("name", "role", "password", "made", "disabled"), rows)


@app.command(name="role")
def change_role(name: str, role: Role, /, *, as_json: Json = False) -> None:
    """Give another role. Sessions of the person end at once."""
    from infra.store import accounts

    async def work(database: "Database", record: "AuditRecord") -> None:
        await accounts.set_role(database, name, role, record)

    name = _valid(name)
    _change(work, "user_role", {"user": name, "role": role})
    _tell({"name": name, "role": role}, f"{name} is {role} from the next login on.", as_json=as_json)


@app.command(name="password")
def change_password(name: str, /, *, password_stdin: FromStdin = False, as_json: Json = False) -> None:
    """Set another password, asked for twice. Sessions of the person end at once."""
    from infra.store import accounts

    async def work(database: "Database", record: "AuditRecord") -> None:
        await accounts.set_password(database, name, password_hash, record)

    name = _valid(name)
    password_hash = _password_hash(from_stdin=password_stdin)
    _change(work, "user_password", {"user": name})
    _tell({"name": name}, f"{name} has a new password.", as_json=as_json)


@app.command
def disable(name: str, /, *, as_json: Json = False) -> None:
    """Let nobody in by this account; sessions end at once. The name stays taken, for the record."""
    _set_disabled(name, disabled=True, as_json=as_json)


@app.command
def enable(name: str, /, *, as_json: Json = False) -> None:
    """Let a disabled account in again."""
    _set_disabled(name, disabled=False, as_json=as_json)


def _set_disabled(name: str, *, disabled: bool, as_json: bool) -> None:
    from infra.store import accounts

    async def work(database: "Database", record: "AuditRecord") -> None:
        await accounts.set_disabled(database, name, record, disabled=disabled)

    name = _valid(name)
    _change(work, "user_disabled" if disabled else "user_enabled", {"user": name})
    said = f"{name} is locked out." if disabled else f"{name} may log in again."
    _tell({"name": name, "disabled": disabled}, said, as_json=as_json)


def _valid(name: str) -> str:
    from consumers.api.proxy import USER_NAME
    from pipeline.errors import InvalidSettingsError

    name = name.lower()
    if not USER_NAME.fullmatch(name) or name == "local":
        raise InvalidSettingsError(
            f"{name!r} is no name for a user; use a-z, 0-9 and ._@+-, at most 100, and not local"
        )
    return name


def _password_hash(*, from_stdin: bool) -> str:
    from getpass import getpass

    from infra import passwords
    from pipeline.errors import InvalidSettingsError

    if from_stdin:
        return passwords.hashed(sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise InvalidSettingsError("there is no terminal to ask for the password; use --password-stdin")
    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise InvalidSettingsError("the two passwords differ; nothing was changed")
    return passwords.hashed(password)


def _change(
    work: Callable[["Database", "AuditRecord"], Awaitable[None]], kind: "RecordKind", body: dict[str, Any]
) -> None:
    from dataclasses import replace

    from consumers import wiring
    from consumers.commands.running import deployed, run
    from pipeline.trail import noted

    async def change() -> None:
        async with deployed() as deployment:
            scribe = replace(deployment.scribe, actor=wiring.operator())
            await work(deployment.database, noted(kind, body, scribe=scribe, now=wiring.clock()))

    run(change())


def _tell(value: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(value)
    else:
        output.say(said)
