"""`python -m infra.bench.erasing`: a hundred of ten thousand people are erased, and what is left of them.

Every person is a marker of their own, in the text, the key, the subject and the reasons of a letter. The
letters go through `penstock dev` (SQLite, the simulated model), some into a bug, so that Sentry hears of
them. Then `penstock erase` for `--erased` of the `--people`, drawn at random; and every file is read byte
by byte: the database, its log, the logs of the processes, what Sentry was sent. Out: in which file how many
markers of the erased stand before and after, and of the others. Exit code 1 when one is left, when one of
the others is gone, or when the audit log does not verify.
"""

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from infra.bench.processes import PENSTOCK, BenchError

_TOPIC: Final = "letters.written.v1"
_MARKER: Final = re.compile(rb"m[0-9a-f]{16}z")
_ENVELOPES: Final = "sentry.envelopes"
_BUG_EVERY: Final = 50
_STALLED_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a database, logs and what Sentry was sent; and the environment that leads to it."""

    folder: Path
    environment: dict[str, str]

    def penstock(self, *arguments: str, stdin: str = "") -> str:
        """What the command printed; its log goes beside the others. Raises BenchError when it fails."""
        with (self.folder / "commands.log").open("ab") as log:
            ended = subprocess.run(
                [PENSTOCK, *arguments],
                cwd=self.folder,
                env=self.environment,
                input=stdin.encode(),
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
            )
        if ended.returncode:
            raise BenchError(f"penstock {arguments[0]} ended with {ended.returncode}; see {log.name}")
        return ended.stdout.decode()

    def markers(self) -> dict[str, set[str]]:
        """Which markers stand in which file."""
        found = {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}
        return {name: {one.decode() for one in _MARKER.findall(data)} for name, data in found.items()}


@contextmanager
def sentry(folder: Path) -> Iterator[str]:
    """A Sentry project on 127.0.0.1 that writes what it is sent into a file; the block gets its DSN."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            with (folder / _ENVELOPES).open("ab") as file:
                file.write(body + b"\n")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not to this command's terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://public@127.0.0.1:{server.server_port}/1"
    server.shutdown()


def letter(number: int, marker: str) -> str:
    """One line for `penstock emit`: every fiftieth meets a bug, every tenth is looked at by a person."""
    customer = f"{marker}@planted.example"
    about = "a bug" if number % _BUG_EVERY == 0 else "letter 2" if number % 10 == 1 else "a letter"
    data = {"customer": customer, "text": f"{customer} writes {about}, number {number}."}
    event = {"specversion": "1.0", "id": f"letter-{number}", "source": "post", "type": "letter"}
    return json.dumps({**event, "subject": customer, "partitionkey": customer, "data": data})


def work(place: Place, people: int) -> float:
    """Run `penstock dev` until every letter has its outcome and all is sealed; returns the seconds."""
    began = time.monotonic()
    with (place.folder / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [PENSTOCK, "dev"], cwd=place.folder, env=place.environment, stdout=log, stderr=log
        )
    try:
        last, moved = -1, began
        while (in_flight := json.loads(place.penstock("stats", "--json"))["in_flight"]) != 0:
            moved = time.monotonic() if in_flight != last else moved
            last = in_flight
            if process.poll() is not None or time.monotonic() - moved > _STALLED_SECONDS:
                raise BenchError(f"{in_flight} of {people} letters are left; see {log.name}")
            time.sleep(2)
    finally:
        process.terminate()
        process.wait(60)
    return time.monotonic() - began


def run(folder: Path, people: int, erased: int, seed: int) -> bool:
    """Print what was made, erased and found; True when it is as it should be."""
    dice = random.Random(seed)  # noqa: S311 - a sample to look at
    markers = [f"m{dice.getrandbits(64):016x}z" for _ in range(people)]
    gone = sorted(dice.sample(range(people), erased))
    with sentry(folder) as dsn:
        place = Place(folder, _environment(folder, dsn))
        place.penstock("db", "upgrade")
        lines = [letter(number, marker) for number, marker in enumerate(markers)]
        place.penstock("emit", _TOPIC, "-", stdin="\n".join(lines))
        _say(f"{work(place, people):8.1f} s  {people} letters decided")
        before, began = place.markers(), time.monotonic()
        for number in gone:
            place.penstock("erase", "--subject", "-", "--yes", stdin=f"{markers[number]}@planted.example\n")
        _say(f"{time.monotonic() - began:8.1f} s  {erased} people erased")
        place.penstock("audit", "verify", "--texts")
        _say("            the audit log verifies, with every text that is left")
    after, wanted = place.markers(), {markers[number] for number in gone}
    show(place.folder, before, after, wanted)
    kept = _is_told(place, markers, set(gone), dice)
    others_stay = after["penstock.db"] >= before["penstock.db"] - wanted
    return kept and others_stay and not any(found & wanted for found in after.values())


def show(folder: Path, before: dict[str, set[str]], after: dict[str, set[str]], wanted: set[str]) -> None:
    """File by file, how many markers stand there."""
    _say(f"\n{'file':<28} {'kB':>8} {'erased, before':>15} {'after':>7} {'others, after':>15}")
    for name in sorted(after):
        counts = [len(found.get(name, set()) & wanted) for found in (before, after)]
        others, size = len(after.get(name, set()) - wanted), (folder / name).stat().st_size // 1_000
        _say(f"{name:<28} {size:>8} {counts[0]:>15} {counts[1]:>7} {others:>15}")


def _is_told(place: Place, markers: Sequence[str], gone: set[int], dice: random.Random) -> bool:
    """Are the erased ones' stories without them, and those of some others whole?"""
    others = dice.sample([number for number in range(len(markers)) if number not in gone], 10)
    some = dice.sample(sorted(gone), min(10, len(gone)))
    told = {number: place.penstock("audit", "explain", f"letter-{number}", "--reveal") for number in some}
    whole = {number: place.penstock("audit", "explain", f"letter-{number}", "--reveal") for number in others}
    silent = all(
        "its texts are gone" in text and markers[number] not in text for number, text in told.items()
    )
    _say(f"\n{len(some)} stories of erased letters, {len(others)} of others, read with --reveal")
    return silent and all(markers[number] in text for number, text in whole.items())


def _environment(folder: Path, dsn: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    wanted = {
        "WORKFLOWS": "infra.bench.letters",
        "DATABASE__URL": f"sqlite:///{folder}/penstock.db",
        "API__PORT": "0",
        "SIMULATOR__PORT": "0",
        "SENTRY__DSN": dsn,
        "SENTRY__TRACES_SAMPLE_RATE": "0.05",
        "LOG__LEVEL": "debug",
    }
    return {**own, **{f"PENSTOCK_{name}": value for name, value in wanted.items()}}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.erasing")
    parser.add_argument("--people", type=int, default=10_000, metavar="N")
    parser.add_argument("--erased", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-erasing-") as folder:
        if not run(Path(folder), arguments.people, arguments.erased, arguments.seed):
            sys.exit("something is left of who was erased, or gone of who was not")


if __name__ == "__main__":
    main()
