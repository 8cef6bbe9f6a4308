"""PostgreSQL: a folder and a port in, how to start a server with an empty database `penstock` out.

The server refuses to run as root. Root therefore runs it as the user `postgres`, who must be able to
reach its data: where a parent folder is closed to others (a clone in /root, a temporary folder of mode
0700), the data lies in that user's home and `.local/postgres` is a link to it.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.local.daemon import Launch
from infra.local.place import LocalServiceError, Place
from infra.local.service import Service

USER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": ".",  # the data folder, by a short name: socket paths end at 107 bytes
    "max_connections": "300",
    "lock_timeout": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
ROLE_AND_DATABASE = (
    "CREATE ROLE penstock LOGIN CREATEDB CREATEROLE;\nCREATE DATABASE penstock OWNER penstock;\n"
)


def launch(place: Place, ports: list[int]) -> Launch:
    home = _home(place)
    data = home / "data"
    if not data.exists():
        _create(home, data)
    _forget_the_dead(data)
    settings = SETTINGS | {"port": str(ports[0])}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Launch(
        [str(programs() / "postgres"), "-D", str(data), *options],
        folder=data,
        user=run_as(),
        environment=_environment(),
    )


def answers(ports: list[int]) -> bool:
    command = [str(programs() / "psql"), "-XAtq", "-h", "127.0.0.1", "-p", str(ports[0])]
    asked = subprocess.run(
        [*command, "-U", "penstock", "-d", "penstock", "-c", "SELECT 1"],
        capture_output=True,
        text=True,
        env=_environment() | {"PGCONNECT_TIMEOUT": "5"},
    )
    return asked.stdout.strip() == "1"


POSTGRES = Service("postgres", (21432,), launch, answers, polite_signal=signal.SIGINT)  # its "fast" stop


def programs() -> Path:
    """The folder of the server's programs; Debian keeps it off the PATH, one per version."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    versions = [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        *Path("/usr").glob("pgsql-*/bin/initdb"),
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin/initdb"),
    ]
    if not versions:
        raise LocalServiceError("PostgreSQL is not installed")
    return max(versions, key=lambda found: _version(found)).parent


def run_as() -> str | None:
    return USER if os.geteuid() == 0 else None


def _version(initdb: Path) -> int:
    digits = "".join(character for character in initdb.parts[-3] if character.isdigit())
    return int(digits or 0)


def _home(place: Place) -> Path:
    """The folder that holds the data folder; the server's user owns it and can reach it."""
    home = place.home("postgres")
    if home.exists():
        return home.resolve()
    home.unlink(missing_ok=True)  # a link whose target is gone
    if run_as() is None:
        home.mkdir(parents=True)
        return home
    home.mkdir(parents=True)
    shutil.chown(home, USER, USER)
    if _reachable(home):
        return home
    home.rmdir()
    elsewhere = Path(tempfile.mkdtemp(prefix="penstock-", dir=_open_folder()))
    shutil.chown(elsewhere, USER, USER)
    home.symlink_to(elsewhere)
    return elsewhere


def _open_folder() -> Path:
    own = Path(pwd.getpwnam(USER).pw_dir)
    return own if own.is_dir() and _reachable(own) else Path("/var/tmp")  # noqa: S108 (mkdtemp is safe there)


def _reachable(folder: Path) -> bool:
    """Tried, not computed: access lists and mounts have a say too."""
    tried = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
        capture_output=True,
        cwd="/",
        user=USER,
        group=USER,
        extra_groups=[],
    )
    return tried.returncode == 0


def _create(home: Path, data: Path) -> None:
    """Make the cluster under another name and rename it, so that what is there is complete."""
    draft = home / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    locale = "C.UTF-8" if sys.platform == "linux" else "C"
    initdb = [str(programs() / "initdb"), "-D", str(draft), "-U", USER, "--auth=trust"]
    _run([*initdb, "--encoding=UTF8", f"--locale={locale}"], "")
    _run([str(programs() / "postgres"), "--single", "-D", str(draft), "postgres"], ROLE_AND_DATABASE)
    draft.rename(data)


def _forget_the_dead(data: Path) -> None:
    """Remove the lock file of a killed server, once none of its processes works in the data folder.

    PostgreSQL checks the pid alone: it refuses to start while that is a zombie, as in a container whose
    first process does not reap, or belongs to somebody else by now.
    """
    if not Path("/proc/self/cwd").exists():
        return  # not Linux: PostgreSQL's own check decides
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if cwd.readlink() == data:
                return  # a backend that still ends; the next try finds it gone
        except OSError:
            continue  # gone, a zombie, or not ours to see
    (data / "postmaster.pid").unlink(missing_ok=True)


def _run(command: list[str], given: str) -> None:
    user = run_as()
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise LocalServiceError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()}")


def _environment() -> dict[str, str]:
    """Without the caller's PGPORT, PGOPTIONS and the like, and in a language whose words are known."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
