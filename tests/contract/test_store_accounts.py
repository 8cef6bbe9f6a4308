"""Accounts, sessions and failed logins: who is in, who is out, and when."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import update

from infra import passwords
from infra import tables as t
from infra.database import Database
from infra.store import accounts, logins, sessions
from infra.store.accounts import User
from infra.store.sessions import Opening
from pipeline.errors import Conflict, InvalidSettingsError, NotFound
from pipeline.trail import noted
from schemas.changeset import AuditRecord
from schemas.kinds import RecordKind
from tests.builders import SCRIBE
from tests.contract.scenes import rows

ANNA = "anna@example.com"
NAME, ADDRESS = b"name", b"address"


def record(kind: RecordKind = "user_role") -> AuditRecord:
    return noted(kind, {}, scribe=SCRIBE, now=datetime.now(UTC), nonce=str(uuid4()))


def opening(number: int = 1, *, seconds: float = 60.0) -> Opening:
    return Opening(bytes([number]) * 32, f"csrf-{number}", seconds)


async def add(database: Database, name: str = ANNA) -> User:
    await accounts.add_user(
        database, uuid4(), name=name, role="reviewer", password_hash="$hash", record=record("user_added")
    )
    user = await accounts.find_user(database, name)
    assert user is not None
    return user


async def kinds(database: Database) -> list[str]:
    return sorted(row.kind for row in await rows(database, t.audit_record))


async def test_an_account_is_made_once_with_its_record(database: Database) -> None:
    user = await add(database)

    with pytest.raises(Conflict, match="exists"):
        await add(database)

    assert (user.role, user.password_hash, user.disabled_at) == ("reviewer", "$hash", None)
    assert await accounts.users(database) == [user]
    assert await accounts.find_user(database, "nobody") is None
    assert await kinds(database) == ["user_added"]


async def test_a_session_is_found_until_it_is_closed(database: Database) -> None:
    user = await add(database)

    assert await sessions.open_session(database, opening(), user, record("session_opened"))
    found = await sessions.find_session(database, opening().digest)
    closed = [
        await sessions.close_session(database, opening().digest, record("session_closed")) for _ in "ab"
    ]

    assert found == sessions.Session(ANNA, "reviewer", "csrf-1")
    assert closed == [True, False]
    assert await sessions.find_session(database, opening().digest) is None
    assert await kinds(database) == ["session_closed", "session_opened", "user_added"]


async def test_a_session_ends_by_itself_and_its_row_goes_with_the_next(database: Database) -> None:
    user = await add(database)
    await sessions.open_session(database, opening(1, seconds=-1), user, record())

    assert await sessions.find_session(database, opening(1).digest) is None
    await sessions.open_session(database, opening(2), user, record())

    assert [row.hash for row in await rows(database, t.session)] == [opening(2).digest]


@pytest.mark.parametrize("change", ["role", "password", "disabled"])
async def test_a_change_of_an_account_ends_its_sessions_at_once_and_no_other(
    database: Database, change: str
) -> None:
    anna, bert = await add(database), await add(database, "bert")
    await sessions.open_session(database, opening(1), anna, record())
    await sessions.open_session(database, opening(2), bert, record())

    await changed(database, change)

    assert await sessions.find_session(database, opening(1).digest) is None
    assert await sessions.find_session(database, opening(2).digest) is not None
    assert not await sessions.open_session(database, opening(3), anna, record()), "it was read before"
    assert (await kinds(database)).count("user_role") == 3, "two logins and the change"


async def changed(database: Database, change: str) -> None:
    if change == "role":
        await accounts.set_role(database, ANNA, "admin", record())
    elif change == "password":
        await accounts.set_password(database, ANNA, "$other", record())
    else:
        await accounts.set_disabled(database, ANNA, record(), disabled=True)


async def test_who_is_not_there_cannot_be_changed(database: Database) -> None:
    with pytest.raises(NotFound, match="penstock user list"):
        await accounts.set_role(database, "nobody", "admin", record())

    assert await kinds(database) == []


async def test_a_disabled_account_can_be_enabled_again(database: Database) -> None:
    user = await add(database)

    await accounts.set_disabled(database, ANNA, record(), disabled=True)
    disabled = await accounts.find_user(database, ANNA)
    await accounts.set_disabled(database, ANNA, record(), disabled=False)

    assert disabled is not None
    assert disabled.disabled_at is not None
    assert await accounts.find_user(database, ANNA) == user


async def test_a_link_opens_one_session_even_when_it_is_followed_twice_at_once(database: Database) -> None:
    await sessions.add_link(database, b"link")

    opened = await asyncio.gather(*(by_link(database, b"link", number) for number in (1, 2, 3)))

    assert sorted(opened) == [False, False, True]
    (session,) = await rows(database, t.session)
    assert (session.name, session.role, session.user_id) == ("local", "admin", None)
    assert await kinds(database) == ["session_opened"]


async def test_a_new_start_withdraws_old_links_and_another_link_does_not(database: Database) -> None:
    for link, alone in ((b"first", False), (b"start", True), (b"more", False)):
        await sessions.add_link(database, link, alone=alone)

    opened = [await by_link(database, link, n) for n, link in enumerate((b"first", b"start", b"more"))]

    assert opened == [False, True, True]


async def test_an_old_link_opens_nothing(database: Database) -> None:
    await sessions.add_link(database, b"link")
    async with database.write() as connection:
        await connection.execute(update(t.login_link).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))

    assert not await by_link(database, b"link", 1)


async def by_link(database: Database, link: bytes, number: int) -> bool:
    return await sessions.open_by_link(
        database, opening(number), link, name="local", role="admin", record=record("session_opened")
    )


async def test_after_five_failures_a_name_must_wait_and_waiting_is_not_made_longer(
    database: Database,
) -> None:
    limits = {NAME: 5, ADDRESS: 100}

    waits = [await logins.count_try(database, limits) for _ in range(8)]

    assert waits[:5] == [None] * 5
    assert all(wait is not None and 890 < wait <= 900 for wait in waits[5:])
    assert {row.scope: row.failures for row in await rows(database, t.login_failures)} == {
        NAME: 5,
        ADDRESS: 5,
    }


async def test_a_thousand_guesses_at_once_are_five(database: Database) -> None:
    waits = await asyncio.gather(*(logins.count_try(database, {NAME: 5, ADDRESS: 5}) for _ in range(40)))

    assert waits.count(None) == 5


async def test_after_a_quarter_of_an_hour_failures_are_forgotten(database: Database) -> None:
    for _ in range(5):
        await logins.count_try(database, {NAME: 5})
    async with database.write() as connection:
        await connection.execute(update(t.login_failures).values(since=datetime(2020, 1, 1, tzinfo=UTC)))

    assert await logins.count_try(database, {NAME: 5}) is None
    assert [row.failures for row in await rows(database, t.login_failures)] == [1]


async def test_the_right_password_forgives_the_name_and_its_own_try(database: Database) -> None:
    for _ in range(3):
        await logins.count_try(database, {NAME: 5, ADDRESS: 30})

    await logins.forgive(database, wholly=NAME, once=ADDRESS)

    assert {row.scope: row.failures for row in await rows(database, t.login_failures)} == {ADDRESS: 2}


def test_a_password_is_kept_as_a_hash_that_is_never_the_same() -> None:
    first, second = (passwords.hashed("correct horse battery") for _ in "ab")

    assert first != second
    assert first.startswith("$argon2id$")
    assert passwords.is_right("correct horse battery", first)
    assert not passwords.is_right("correct horse batterz", first)
    assert not passwords.is_right("", passwords.nobodys())
    assert not passwords.is_right("anything at all", "no hash")


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1_001])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(InvalidSettingsError, match="12 to 1000"):
        passwords.hashed(password)
