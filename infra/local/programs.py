"""What services and tests need of the machine: nothing in, all of it installed afterwards, or a sentence out.

Root on Debian and Ubuntu gets them by apt; everybody else is told what to install.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.kafka import jars_folder
from infra.local.place import LocalServiceError
from infra.local.postgres import programs as postgres_programs

OLDEST_JAVA = 17  # Kafka 4's brokers need it
POLICY = Path("/usr/sbin/policy-rc.d")
PACKAGED_SERVERS = {"postgresql": "postgresql", "redis-server": "redis-server"}  # package: its unit
ELSEWHERE = (
    "or set PENSTOCK_DATABASE__URL, PENSTOCK_REDIS__URL and PENSTOCK_KAFKA__BOOTSTRAP_SERVERS "
    "to name services that run already"
)


def require() -> None:
    """Install what is missing, or raise a sentence that names it."""
    packages = missing_packages()
    if packages:
        _install(packages)
    packages = missing_packages()
    if packages:
        raise LocalServiceError(f"apt has installed {', '.join(packages)}, but their programs are not found")
    java = _java_version()
    if java < OLDEST_JAVA:
        raise LocalServiceError(f"Kafka needs Java {OLDEST_JAVA} or newer and `java` here is Java {java}")


def require_browser() -> None:
    """Install the browser that the tests of the pages use, or raise a sentence that names it."""
    if shutil.which("chromium") is None:
        _install(["chromium"])


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not here."""
    programs = {"redis-server": "redis-server", "kcat": "kcat", "default-jre-headless": "java"}
    if not jars_folder().exists():
        programs["maven"] = "mvn"
    missing = [package for package, program in programs.items() if shutil.which(program) is None]
    try:
        postgres_programs()
    except LocalServiceError:
        missing.insert(0, "postgresql")
    return missing


def _install(packages: list[str]) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise LocalServiceError(
            f"these programs are missing (by their Debian names): {names}; install them, {ELSEWHERE}"
        )
    if os.geteuid() != 0:
        raise LocalServiceError(
            f"packages are missing: run `sudo apt-get install {names}` and then this again, {ELSEWHERE}"
        )
    sys.stderr.write(f"infra.local: installing {names} by apt\n")
    with _servers_stay_stopped():
        _apt("update")  # a list that cannot be had is apt's own warning; the install decides
        failed = _apt("install", "--yes", "--no-install-recommends", *packages)
    if failed:
        raise LocalServiceError(f"apt-get could not install {names}:\n{failed}")
    _keep_from_booting(packages)


def _apt(*arguments: str) -> str:
    """What it said, when it failed."""
    done = subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
    )
    return (done.stdout + done.stderr)[-2000:] if done.returncode != 0 else ""


@contextmanager
def _servers_stay_stopped() -> Iterator[None]:
    """Debian's packages start their servers on the standard ports unless this script forbids it."""
    before = POLICY.read_bytes() if POLICY.exists() else None
    mode = POLICY.stat().st_mode if POLICY.exists() else 0
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink()
        else:
            POLICY.write_bytes(before)
            POLICY.chmod(mode)


def _keep_from_booting(packages: list[str]) -> None:
    """Where systemd runs, the next boot would start what was kept from starting now."""
    if not Path("/run/systemd/system").exists():
        return
    for package in packages:
        if unit := PACKAGED_SERVERS.get(package):
            subprocess.run(["systemctl", "disable", "--quiet", unit], capture_output=True)


def _java_version() -> int:
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', shown)
    return int(found.group(1)) if found else 0
