"""`python -m infra.bench.throughput`: events from topic to topic on the real services, how fast, how dear.

In: the services that the environment names (`. .local/env`); the labelled receipts. Out: for each latency of
the simulated model, events per second from the first record produced to the last message published, and CPU
per event of each process, with a calibration loop beside them: it tells a slow machine from a slow Penstock.
The model's answer is scripted, so that its rules cost nothing and every event succeeds and goes out.

Every run has a database and a consumer group of its own, and Redis database 15. Topics are those of the
workflows: use services on which nothing else of Penstock runs.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg.sql
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition
from sqlalchemy import make_url

from infra import settings
from infra.bench.documents import documents
from infra.bench.processes import BenchError, Process, free_port, penstock, serving
from infra.kafka import connection
from infra.settings import KafkaSettings, Settings
from pipeline import catalogue
from pipeline.errors import InvalidSettingsError

_ROLES: Final = ("simulator", "ingest", "worker", "relay", "sweep")
_TOPIC: Final = "receipts.scanned.v1"
_WARM_UP: Final = 100
_PATIENCE_SECONDS: Final = 300.0
_CALIBRATION_HASHES: Final = 200_000
_ANSWER: Final = {"company": "Corner Books", "date": "2019-11-21", "address": "88 Mill Road", "total": "8.99"}
_LEFT: Final = """
    SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM work),
           (SELECT count(*) FROM outbox WHERE published_at IS NULL),
           (SELECT count(*) FROM result WHERE state = 'succeeded')
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run; `cpu_ms` is per event, by role."""

    events: int
    seconds: float
    cpu_ms: Mapping[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.throughput")
    parser.add_argument("--events", type=int, default=2_000, metavar="N")
    parser.add_argument("--latency-ms", type=int, nargs="+", default=[0, 500], metavar="MS")
    arguments = parser.parse_args()
    try:
        deployment = settings.load()
        _check(deployment)
        _tell(f"{arguments.events} receipts from topic to topic, {os.cpu_count()} cores")
        for latency_ms in arguments.latency_ms:
            before = _calibration()
            figures = _measure(deployment, arguments.events, latency_ms)
            _report(latency_ms, figures, before, _calibration())
    except (BenchError, InvalidSettingsError, KafkaError, OSError, psycopg.Error) as error:
        sys.stderr.write(f"throughput: {error}\n")
        return 1
    return 0


def _check(deployment: Settings) -> None:
    if deployment.is_embedded or not deployment.database.url.startswith("postgresql"):
        raise BenchError("no services are named: run `make up`, then `. .local/env`, then this again")


def _measure(deployment: Settings, events: int, latency_ms: int) -> Figures:
    roles = {role: free_port() for role in _ROLES}
    with _database(deployment.database.url) as url, tempfile.TemporaryDirectory() as folder:
        group = f"bench-{uuid.uuid4().hex[:12]}"
        environment = _environment(deployment, url, group, roles["simulator"], latency_ms)
        penstock("db", "upgrade", environment=environment)
        penstock("topics", "create", environment=environment)
        _skip_what_is_there(deployment.kafka, group)
        with serving(roles, environment, Path(folder)) as processes, psycopg.connect(_plain(url)) as database:
            database.autocommit = True
            _script(roles["simulator"])
            texts = [document.text for document in documents("receipts", None)[1]]
            _produce(deployment.kafka, texts, _WARM_UP)
            _wait(database, _WARM_UP, processes)
            cpu = {role: process.cpu_seconds() for role, process in processes.items()}
            began = time.monotonic()
            _produce(deployment.kafka, texts, events)
            _wait(database, _WARM_UP + events, processes)
            seconds = time.monotonic() - began
            used = {role: process.cpu_seconds() - cpu[role] for role, process in processes.items()}
    return Figures(events, seconds, {role: 1_000 * spent / events for role, spent in used.items()})


@contextmanager
def _database(url: str) -> Iterator[str]:
    """A database of its own on the same server; dropped at the end."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_plain(url), autocommit=True) as server:
        server.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            drop = psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)")
            server.execute(drop.format(psycopg.sql.Identifier(name)))


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _environment(
    deployment: Settings, url: str, group: str, simulator_port: int, latency_ms: int
) -> dict[str, str]:
    redis = make_url(deployment.redis.url.get_secret_value()).set(database="15")
    variables = {
        "PENSTOCK_DATABASE__URL": url,
        "PENSTOCK_REDIS__URL": redis.render_as_string(hide_password=False),
        "PENSTOCK_KAFKA__GROUP": group,
        "PENSTOCK_SIMULATOR__PORT": str(simulator_port),
        "PENSTOCK_SIMULATOR__LATENCY_MS": str(latency_ms),
    }
    for alias in catalogue.load().aliases:
        prefix = f"PENSTOCK_MODELS__{alias.upper()}__"
        variables[prefix + "BASE_URL"] = f"http://127.0.0.1:{simulator_port}/v1"
        variables[prefix + "MODEL"] = f"simulated-{alias}"
        variables[prefix + "API_KEY"] = "simulated"
    return {**os.environ, **variables}


def _skip_what_is_there(kafka: KafkaSettings, group: str) -> None:
    """Put a new group at the end of the topics: it would read from their beginning else."""
    consumer = KafkaConsumer(**connection(kafka), group_id=group, enable_auto_commit=False)
    try:
        topics = [entry.workflow.consumes for entry in catalogue.load().entries]
        places = [
            TopicPartition(topic, part) for topic in topics for part in consumer.partitions_for_topic(topic)
        ]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in ends.items()})
    finally:
        consumer.close()


def _script(port: int) -> None:
    body = json.dumps({"rules": [{"sha256": "*", "answer": _ANSWER}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/script", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - our own process
        pass


def _produce(kafka: KafkaSettings, texts: Sequence[str], events: int) -> None:
    producer = KafkaProducer(**connection(kafka), acks="all", linger_ms=5)
    try:
        sent = [
            producer.send(
                _TOPIC, key=b"%d" % number, value=json.dumps({"text": texts[number % len(texts)]}).encode()
            )
            for number in range(events)
        ]
        for future in sent:
            future.get(30)
    finally:
        producer.close()


def _wait(database: "psycopg.Connection[Any]", events: int, processes: Mapping[str, Process]) -> None:
    """Until every event has succeeded and every message is published."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        row = database.execute(_LEFT).fetchone()
        if row == (events, 0, 0, events):
            return
        ended = [role for role, process in processes.items() if process.popen.poll() is not None]
        if ended or time.monotonic() > deadline:
            told = f"{events} events sent; accepted, in work, unpublished, succeeded: {row}"
            raise BenchError(f"they do not come to their end: {told}; processes that ended: {ended}")
        time.sleep(0.1)


def _calibration() -> tuple[float, float]:
    """A fixed piece of work on one core: its wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = b""
    for _ in range(_CALIBRATION_HASHES):
        value = hashlib.sha256(value).digest()
    return time.perf_counter() - wall, time.process_time() - cpu


def _report(
    latency_ms: int, figures: Figures, before: tuple[float, float], after: tuple[float, float]
) -> None:
    rate = figures.events / figures.seconds
    _tell(
        f"\nmodel latency {latency_ms} ms: {rate:.0f} events/s ({figures.events} in {figures.seconds:.1f} s)"
    )
    _tell("  CPU ms per event: " + ", ".join(f"{role} {ms:.2f}" for role, ms in figures.cpu_ms.items()))
    for name, (wall, cpu) in (("before", before), ("after", after)):
        share = 100 * cpu / wall
        _tell(f"  calibration loop {name}: {cpu:.3f} s of CPU in {wall:.3f} s, {share:.0f} % of a core")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
