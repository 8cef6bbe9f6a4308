"""`penstock user`, `penstock link` and the link of `penstock dev`, as people use them."""

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from infra import passwords
from tests.integration.test_cli import RUN, Shell, rows, shell_on

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

PASSWORD: Final = "correct horse battery"
LINK: Final = re.compile(r"http://127\.0\.0\.1:(\d+)(/login/once\?t=\S+)")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = shell_on(tmp_path)
    assert made.penstock("db", "upgrade").code == 0
    return made


def kinds(shell: Shell) -> list[str]:
    found = rows(shell, "SELECT kind FROM audit_record ORDER BY occurred_at")
    return [kind for (kind,) in found if kind.startswith("user_")]


def test_an_account_from_its_first_day_to_its_last(shell: Shell) -> None:
    def run(*arguments: str, stdin: str = "") -> int:
        return shell.penstock("user", *arguments, stdin=stdin).code

    codes = [
        run("add", "Anna@Example.com", "--role", "reviewer", "--password-stdin", stdin=f"{PASSWORD}\n"),
        run("role", "anna@example.com", "operator"),
        run("password", "anna@example.com", "--password-stdin", stdin="another horse battery\n"),
        run("add", "sso", "--role", "viewer", "--without-password"),
        run("disable", "sso"),
        run("enable", "sso"),
        run("disable", "sso", "--json"),
    ]
    told = shell.penstock("user", "list", "--json").json

    assert codes == [0] * 7
    assert [(one["name"], one["role"], one["has_password"], one["disabled_at"] is None) for one in told] == [
        ("anna@example.com", "operator", True, True),
        ("sso", "viewer", False, False),
    ]
    ((kept,),) = rows(shell, "SELECT password_hash FROM user WHERE password_hash IS NOT NULL")
    assert passwords.is_right("another horse battery", str(kept))
    assert PASSWORD.encode() not in (shell.folder / "penstock.db").read_bytes()
    assert kinds(shell) == [
        *("user_added", "user_role", "user_password", "user_added"),
        *("user_disabled", "user_enabled", "user_disabled"),
    ]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("add", "anna", "--role", "viewer", "--password-stdin"), "too short\n", 2, "12 to 1000 characters"),
        (("add", "anna", "--role", "viewer"), "", 2, "--password-stdin"),
        (("add", "anna", "--role", "sender", "--without-password"), "", 2, "sender"),
        (("add", "an na", "--role", "viewer", "--without-password"), "", 2, "no name for a user"),
        (("add", "local", "--role", "viewer", "--without-password"), "", 2, "no name for a user"),
        (("add", "taken", "--role", "viewer", "--without-password"), "", 4, "choose another name"),
        (("role", "nobody", "viewer"), "", 3, "penstock user list"),
        (("disable", "nobody"), "", 3, "penstock user list"),
    ],
)
def test_what_cannot_be_done_is_told_and_not_on_record(
    shell: Shell, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    shell.penstock("user", "add", "taken", "--role", "viewer", "--without-password")

    ended = shell.penstock("user", *arguments, stdin=stdin)

    assert (ended.code, said in ended.err + ended.out) == (code, True), ended
    assert kinds(shell) == ["user_added"]


def test_dev_prints_a_link_that_works_once_and_link_prints_another(shell: Shell) -> None:
    with dev(shell) as link:
        port = int(link[1])
        first, cookie = follow(port, link[2])
        again, _ = follow(port, link[2])
        other = LINK.search(shell.penstock("link", "--port", str(port)).out)
        assert other
        second, _ = follow(int(other[1]), other[2])

    assert (first, again, second) == (303, 401, 303)
    assert "HttpOnly" in cookie


def test_dev_refuses_to_be_reached_from_elsewhere(shell: Shell) -> None:
    ended = shell.separate("dev", PENSTOCK_API__HOST="0.0.0.0", PENSTOCK_API__PORT="0")  # noqa: S104 - refused

    assert (ended.code, ended.err.count("PENSTOCK_API__HOST: embedded mode has no tokens")) == (2, 1)


@contextmanager
def dev(shell: Shell) -> Iterator["re.Match[str]"]:
    """A running `penstock dev`, by its link."""
    log = shell.folder / "dev.log"
    ports = {"PENSTOCK_API__PORT": "0", "PENSTOCK_SIMULATOR__PORT": "0"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, "dev"],
            cwd=shell.folder,
            env=shell.environment(**ports),
            stderr=written,
        )
    try:
        until = time.monotonic() + 60
        while (found := LINK.search(log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def follow(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Set-Cookie") or ""
    finally:
        connection.close()
