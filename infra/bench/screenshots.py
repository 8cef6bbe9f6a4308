"""`make screenshots`: the pages on a demo's database in, pictures in light and dark, desk and phone out.

The events of the demo are spread over the day before, so that the charts have something to show. The
pictures go to .local/screenshots, or to the folder that is named. Needs Chromium.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from playwright.sync_api import Page, sync_playwright

#: A waiting event whose text contradicts what was found.
_TELLING: Final = """
    SELECT event_id FROM review JOIN result USING (event_id, revision) JOIN event USING (event_id)
    ORDER BY coalesce(evidence, '') LIKE '%contradicted%' DESC, source_id LIMIT 1
"""
_SIZES: Final = {"desk": (1440, 900), "phone": (390, 844)}
_SETTLE_MS: Final = 600
#: Which times of an event move together.
_TIMES: Final = (("event", "accepted_at"), ("result", "decided_at"), ("attempt", "started_at"))
_TOOK: Final = timedelta(hours=22)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".local/screenshots"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    demo = json.loads(_penstock("demo", "--json").communicate()[0])
    paths = _pages(Path(demo["database"]))
    _penstock("eval", "receipts", PENSTOCK_DATABASE__URL=f"sqlite:///{demo['database']}").communicate()
    with _running(Path(demo["database"])) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        first = browser.new_page()
        first.goto(url)  # the link lets in once
        state = first.context.storage_state()
        for theme in ("light", "dark"):
            for size, (width, height) in _SIZES.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if theme == "dark" else "light",
                    storage_state=state,
                )
                for name, path in paths.items():
                    _take(page, url.partition("/login")[0] + path, folder / f"{name}-{size}-{theme}.png")
                page.close()
        browser.close()
    sys.stdout.write(f"{len(paths) * 2 * len(_SIZES)} pictures in {folder}\n")


def chromium() -> str:
    """Where the browser is; raises FileNotFoundError."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise FileNotFoundError("there is no Chromium; install it: apt-get install chromium")
    return found


def _take(page: Page, url: str, path: Path) -> None:
    page.goto(url)
    page.wait_for_timeout(_SETTLE_MS)
    page.screenshot(path=path, full_page=True)


def _penstock(*arguments: str, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from consumers.cli import main; main()", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **variables})


@contextmanager
def _running(database: Path) -> Iterator[str]:
    """`penstock dev` on the database; yields the address that it prints."""
    process = _penstock(
        "dev", PENSTOCK_DATABASE__URL=f"sqlite:///{database}", PENSTOCK_API__PORT="0", NO_COLOR="1"
    )
    try:
        if process.stderr is None:
            raise RuntimeError("the process has no stderr")
        line = next((line for line in process.stderr if "/login/once" in line), "")
        found = re.search(r"http\S+", line)
        if found is None:
            raise RuntimeError("penstock dev did not print an address")
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def _pages(database: Path) -> dict[str, str]:
    """The pages by name; the demo's events are spread over a day on the way."""
    with sqlite3.connect(database) as connection:
        events = [row[0] for row in connection.execute("SELECT event_id FROM event ORDER BY event_id")]
        query = "SELECT event_id FROM attempt WHERE step = 1 ORDER BY event_id LIMIT 1"
        event = UUID(connection.execute(query).fetchone()[0])
        events.remove(event.hex)  # its story is shown: times that somebody changed are told there
        for event_id in events:
            # By its id, a hash: even, with a rise in the middle of the day.
            share = (int(event_id[:8], 16) / 2**32 + int(event_id[8:12], 16) / 2**16) / 2
            _shift(connection, event_id, _TOOK * share)
        waiting = UUID(connection.execute(_TELLING).fetchone()[0])
        query = "SELECT id FROM audit_record WHERE kind = 'decision' ORDER BY id LIMIT 1"
        record = UUID(connection.execute(query).fetchone()[0])
    return {
        "overview": "/",
        "review": "/review",
        "desk": f"/review/{waiting}",
        "many": "/review/bulk",
        "audit": "/audit",
        "record": f"/audit/{record}",
        "failures": "/failures",
        "workflows": "/workflows",
        "workflow": "/workflows/receipts",
        "spend": "/spend",
        "event": f"/events/{event}/story",
    }


def _shift(connection: sqlite3.Connection, event_id: str, by: timedelta) -> None:
    for table, column in _TIMES:
        query = f"SELECT rowid, {column} FROM {table} WHERE event_id = ?"
        for row, text in connection.execute(query, (event_id,)).fetchall():
            moment = (datetime.fromisoformat(text) - by).astimezone(UTC).replace(tzinfo=None)
            written = moment.isoformat(timespec="microseconds") + "Z"
            update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            connection.execute(update, (written, row))


if __name__ == "__main__":
    main()
