"""`python -m infra.bench.pages`: how fast pages and lists are when there is a lot behind them.

In: `--database` (a PostgreSQL server's URL, whose user may make databases), `--records`, `--reviews`,
`--rounds`. Out: per page and list the median and the 95th percentile of the whole answer over real HTTP, in
milliseconds, from `penstock serve api` with a person logged in. The database is made for the run: decisions
of three workflows over thirty days, of which some wait for a person, are dead, dear or slow.
"""

import argparse
import http.client
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from infra.bench.processes import free_port, penstock, serving

_PASSWORD: Final = secrets.token_hex(16)
_WAITING: Final = 10

_ENDPOINT: Final = {
    "BASE_URL": "http://127.0.0.1:1/v1",
    "MODEL": "none",
    "INPUT_PRICE": "1",
    "OUTPUT_PRICE": "1",
}

#: Ids are hashes of numbers. %(n)s rows, of which %(waiting)s in a hundred wait.
_FILL: Final = (
    """
    CREATE TEMPORARY TABLE made AS
    SELECT n, md5('event' || n)::uuid AS event_id, md5('record' || n)::uuid AS record_id,
           (ARRAY['receipts', 'support', 'contracts'])[1 + n %% 3] AS workflow,
           now() - n * interval '30 days' / %(n)s AS at,
           CASE WHEN n %% 100 < %(waiting)s THEN 'needs_review' WHEN n %% 1000 = 999 THEN 'dead'
                WHEN n %% 50 = 49 THEN 'corrected' ELSE 'succeeded' END AS outcome
    FROM generate_series(1, %(n)s) AS n
    """,
    """
    INSERT INTO event (event_id, topic, source, source_id, workflow, type, key, fingerprint, content_id,
                       accepted_at)
    SELECT event_id, workflow || '.v1', 'bench', 'scan-' || n, workflow, 'scan', '', '',
           event_id, at FROM made
    """,
    """
    INSERT INTO result (id, event_id, revision, workflow, version, state, reasons, decided_at, data,
                        cost_micros)
    SELECT event_id, event_id, 1, workflow, repeat('5', 64), outcome,
           CASE outcome WHEN 'dead' THEN '["not JSON"]' WHEN 'needs_review' THEN '["large amount"]'
                ELSE '[]' END::jsonb,
           at + interval '1 second', '{"total": "8.99"}', 400 FROM made
    """,
    """
    INSERT INTO audit_record (id, kind, canonical, leaf, occurred_at, actor_kind, actor_name, event_id,
                              revision, workflow, version, outcome, code, model, cost_micros, took_ms, words)
    SELECT record_id, 'decision',
           convert_to('{"kind":"decision","pad":"' || repeat('x', 800) || '"}', 'UTF8'),
           sha256(convert_to(record_id::text, 'UTF8')), at + interval '1 second', 'service',
           'penstock/0.1.0', event_id, 1, workflow, repeat('5', 64), outcome, 'policy', 'gpt-x',
           CASE WHEN n %% 500 = 0 THEN 20000 ELSE 400 END, CASE WHEN n %% 700 = 0 THEN 15000 ELSE 900 END,
           concat_ws(E'\\n', record_id, event_id, 'bench', 'scan-' || n, workflow, 'reason: large amount')
    FROM made
    """,
    """
    INSERT INTO review (id, event_id, revision, workflow, reasons, sampled, rank, created_at)
    SELECT event_id, event_id, 1, workflow, '["large amount"]', false, n %% 1000 / 10, at
    FROM made WHERE outcome = 'needs_review'
    LIMIT %(reviews)s
    """,
    # A call for each event, and one of the stronger model after it for ten in a hundred; some failed.
    """
    INSERT INTO attempt (id, event_id, revision, step, version, alias, endpoint, model_asked, model_answered,
                         skeleton_id, text_ids, request_sha256, response_content_id, started_at, latency_ms,
                         status, failure, complaints, input_tokens, output_tokens, cached_tokens, cost_micros,
                         larger, is_unknown)
    SELECT md5('attempt' || step || '/' || n)::uuid, event_id, 1, step, repeat('5', 64),
           CASE step WHEN 1 THEN 'fast' ELSE 'strong' END, '', CASE step WHEN 1 THEN 'gpt-x' ELSE 'gpt-y' END,
           CASE step WHEN 1 THEN 'gpt-x' ELSE 'gpt-y' END, event_id, '[]',
           sha256(convert_to(n::text, 'UTF8')), event_id, at, 300 + n %% 900, 200,
           CASE WHEN n %% 10 = 0 AND step = 1 THEN 'unusable_output' END, '[]', 900, 120, 512, 400, false,
           false
    FROM made CROSS JOIN generate_series(1, 2) AS step WHERE step = 1 OR n %% 10 = 0
    """,
    """
    INSERT INTO spend_day (day, workflow, source, model, shard, calls, lost, cached, saved_micros,
                           input_tokens, prompt_cached_tokens, output_tokens, cost_micros, unknown_micros,
                           decided, answered, answered_by_first)
    SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), workflow, source, model_asked,
           get_byte(request_sha256, 0) %% 16, count(*), 0, 0, 0, sum(input_tokens), sum(cached_tokens),
           sum(output_tokens), sum(cost_micros), 0, count(*), count(*), count(*)
    FROM attempt JOIN event USING (event_id) GROUP BY 1, 2, 3, 4, 5
    """,
    """
    INSERT INTO counter (name, workflow, shard, value)
    SELECT 'accepted', workflow, 0, count(*) FROM made GROUP BY workflow
    """,
    "ANALYZE",
)


def main() -> int:
    """Fill, serve, ask, print."""
    arguments = _arguments()
    with _database(arguments.database) as url:
        environment = {**os.environ, **_settings(url)}
        penstock("db", "upgrade", environment=environment)
        began = time.monotonic()
        event_id, record_id = _fill(url, arguments.records, arguments.reviews)
        made = f"{arguments.records:,} records, {arguments.reviews:,} reviews"
        _say(f"{made} made in {time.monotonic() - began:.0f} s")
        _add_user(environment)
        with tempfile.TemporaryDirectory() as folder:
            health = free_port()
            with serving({"api": health}, environment, Path(folder)):
                _measure(
                    int(environment["PENSTOCK_API__PORT"]), _paths(event_id, record_id), arguments.rounds
                )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.pages", description=__doc__)
    parser.add_argument("--database", metavar="URL", required=True)
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--reviews", type=int, default=100_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=40, metavar="N")
    return parser.parse_args()


def _paths(event_id: str, record_id: str) -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {
        "overview": "/",
        "review": "/review",
        "review of a workflow": "/review?workflow=receipts",
        "review, many at once": "/review/bulk?workflow=receipts",
        "review, 500 at once": "/review/bulk?workflow=receipts&limit=500",
        "review, an id of many": f"/review/bulk?text={event_id}",
        "review, words of many": "/review/bulk?text=large+amount",
        "review, none of many": "/review/bulk?outcome=dead",
        "desk": f"/review/{event_id}",
        **_searches(event_id),
        "record": f"/audit/{record_id}",
        "story": f"/events/{event_id}/story",
        "failures": "/failures",
        "workflows": "/workflows",
        "workflow": "/workflows/receipts",
        "spend": "/spend",
        "spend, 7 days": f"/spend?since={today - timedelta(days=6)}",
        "spend, 30 days": f"/spend?since={today - timedelta(days=29)}",
        "API: records": "/api/audit/records",
        "API: reviews": "/api/reviews",
    }


def _searches(event_id: str) -> dict[str, str]:
    def audit(**query: str) -> str:
        return f"/audit?{urlencode(query)}"

    return {
        "audit": "/audit",
        "audit, needs review": audit(outcome="needs_review"),
        "audit, failed": audit(outcome="dead"),
        "audit, expensive": audit(cost="0.01"),
        "audit, slow": audit(took="10"),
        "audit, settings": audit(kind="configuration"),
        "audit, a workflow": audit(workflow="support"),
        "audit, a day": audit(since="2026-01-01", until="2036-01-01"),
        "audit, a common word": audit(text="large amount"),
        "audit, an id": audit(text=event_id),
        "audit, a sender's id": audit(text="scan-4711"),
        "audit, nothing": audit(text="no such words"),
        "audit, count": "/audit/count",
        "audit, count of failed": "/audit/count?outcome=dead",
    }


def _measure(port: int, paths: dict[str, str], rounds: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    cookie = _log_in(connection)
    _say(f"{'page':<26}{'median':>9}{'p95':>9}   ms")
    for name, path in paths.items():
        times = [_timed(connection, path, cookie) for _ in range(rounds)]
        p95 = statistics.quantiles(times, n=20)[-1]
        _say(f"{name:<26}{statistics.median(times):>9.1f}{p95:>9.1f}")


def _timed(connection: http.client.HTTPConnection, path: str, cookie: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie, "Accept": "text/html"})
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - began) * 1_000
    if answer.status != 200:
        raise SystemExit(f"GET {path} answered {answer.status}")
    return took


def _log_in(connection: http.client.HTTPConnection) -> str:
    form = urlencode({"name": "bench@example.com", "password": _PASSWORD})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    connection.request("POST", "/login", form, headers)
    answer = connection.getresponse()
    answer.read()
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def _add_user(environment: dict[str, str]) -> None:
    own = str(Path(sys.executable).parent / "penstock")
    command = [own, "user", "add", "bench@example.com"]
    options = ["--role", "reviewer", "--password-stdin"]
    subprocess.run(
        [*command, *options], input=_PASSWORD.encode(), env=environment, check=True, capture_output=True
    )


def _fill(url: str, records: int, reviews: int) -> tuple[str, str]:
    """Returns the ids of an event that waits, and of its record."""
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        for statement in _FILL:
            values = {"n": records, "reviews": reviews, "waiting": _WAITING}
            connection.execute(statement, values)
        row = connection.execute(
            "SELECT event_id, record_id FROM made WHERE outcome = 'needs_review' LIMIT 1"
        )
        event_id, record_id = row.fetchone() or ("", "")
    return str(event_id), str(record_id)


def _settings(url: str) -> dict[str, str]:
    """Distributed, though nothing answers where Kafka and Redis should be: pages need neither."""
    return {
        "PENSTOCK_DATABASE__URL": url,
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "PENSTOCK_REDIS__URL": "redis://127.0.0.1:1/0",
        "PENSTOCK_SECRET": secrets.token_hex(32),
        "PENSTOCK_API__PORT": str(free_port()),
        **{
            f"PENSTOCK_MODELS__{alias}__{name}": text
            for alias in ("FAST", "STRONG")
            for name, text in _ENDPOINT.items()
        },
    }


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"bench_pages_{secrets.token_hex(4)}"
    plain = server.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
