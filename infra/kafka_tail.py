"""A topic's name in, its messages out, for a person who looks: no group, no offsets, nothing is changed."""

import logging
import time
from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from infra.kafka import connection
from infra.settings import KafkaSettings
from pipeline.errors import NotFound
from pipeline.receive import Record

_BOOTSTRAP_MS: Final = 5_000
_POLL_MS: Final = 500
_SILENT_SECONDS: Final = 30.0


def hush() -> None:
    """At a command line the error itself is told, once; kafka-python logs a page of lines before it."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL + 1)


def read(settings: KafkaSettings, topic: str, *, last: int | None, follow: bool) -> Iterator[Record]:
    """The `last` messages over all partitions, by time (None: all), then, with `follow`, the new ones.

    Raises NotFound for a topic that does not exist, KafkaError when the cluster is away.
    """
    hush()
    consumer = KafkaConsumer(
        **connection(settings),
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
        group_id=None,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
    )
    try:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise NotFound(f"no topic {topic!r} on this cluster; `penstock topics create` makes ours")
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(places)
        starts, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        for place in places:
            start = starts[place] if last is None else max(starts[place], ends[place] - last)
            consumer.seek(place, start)
        backlog = _until(consumer, ends)
        if last is not None:
            backlog = iter(sorted(backlog, key=lambda record: record.timestamp)[-last:] if last else ())
        yield from map(_record, backlog)
        while follow:
            yield from map(_record, _polled(consumer))
    finally:
        consumer.close()


def _until(consumer: Any, ends: dict[TopicPartition, int]) -> Iterator[Any]:
    """What lies before `ends`; positions, not records, tell the end: the last offset may hold no record."""
    deadline = time.monotonic() + _SILENT_SECONDS
    while any(consumer.position(place) < end for place, end in ends.items()):
        found = _polled(consumer)
        if found:
            deadline = time.monotonic() + _SILENT_SECONDS
        elif time.monotonic() > deadline:
            raise ConnectionError(f"Kafka sent nothing for {_SILENT_SECONDS:.0f} s")
        yield from found


def _polled(consumer: Any) -> list[Any]:
    return [record for records in consumer.poll(timeout_ms=_POLL_MS).values() for record in records]


def _record(found: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in found.headers or ())
    return Record("", found.topic, found.partition, found.offset, found.key, found.value, headers)
