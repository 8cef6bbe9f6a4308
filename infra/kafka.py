"""Kafka: records in, messages out, topics made. kafka-python blocks, so each client has one thread.

No Kafka transactions: the protocol can lose or tear committed writes, and kafka-python does not drive
its successor (KIP-890). Receivers drop repeats by `ce_id`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from infra.logs import logger
from infra.settings import KafkaSettings
from pipeline.ports import Placed
from pipeline.receive import Record
from schemas.changeset import OutboxMessage

log = logger()

R = TypeVar("R")

_REQUEST_TIMEOUT_MS: Final = 15_000
_DELIVERY_TIMEOUT_MS: Final = 30_000
_POLL_MS: Final = 500
#: How long a send may wait for the metadata of a topic that may not exist.
_METADATA_TIMEOUT_MS: Final = 5_000


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """How to reach the cluster, as kafka-python wants it."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": _REQUEST_TIMEOUT_MS,
    }
    if settings.sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    if settings.ssl_cafile:
        options["ssl_cafile"] = settings.ssl_cafile
    return options


@dataclass
class _Threaded:
    """A blocking client and the one thread that may touch it."""

    settings: KafkaSettings
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "kafka"))

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


@dataclass
class Reader(_Threaded):
    """The consumer of `serve ingest`: raw bytes, offsets committed by hand, after the rows are written."""

    topics: Collection[str] = ()
    batch: int = 500
    _consumer: Any = None
    cluster: str = ""

    async def open(self) -> None:
        self._consumer = await self._run(self._open)
        self.cluster = await self._run(lambda: _cluster_id(self.settings))

    def _open(self) -> Any:
        consumer = KafkaConsumer(
            **connection(self.settings),
            group_id=self.settings.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            partition_assignment_strategy=[CooperativeStickyAssignor()],
            max_poll_records=self.batch,
            # Metadata is how a topic made later is noticed.
            metadata_max_age_ms=10_000,
        )
        consumer.subscribe(sorted(self.topics))
        return consumer

    async def read(self) -> list[Record]:
        """Up to `batch` records in partition order; none after half a second of silence."""
        polled = await self._run(lambda: self._consumer.poll(timeout_ms=_POLL_MS))
        return [
            Record(
                cluster=self.cluster,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=record.value,
                headers=tuple((name, value or b"") for name, value in record.headers or ()),
            )
            for records in polled.values()
            for record in records
        ]

    async def commit(self, records: Sequence[Record]) -> None:
        """Move the group past these records. A lost partition's commit fails: another member has it."""
        offsets: dict[Any, Any] = {}
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            offsets[place] = OffsetAndMetadata(record.offset + 1, "", -1)
        with contextlib.suppress(CommitFailedError, IllegalGenerationError, RebalanceInProgressError):
            await self._run(lambda: self._consumer.commit(offsets))

    async def pause(self) -> None:
        """Fetch no more; the group membership is kept by polling on."""
        await self._run(lambda: self._consumer.pause(*self._consumer.assignment()))

    async def resume(self) -> None:
        await self._run(lambda: self._consumer.resume(*self._consumer.paused()))

    async def close(self) -> None:
        if self._consumer is not None:
            await self._run(lambda: self._consumer.close(autocommit=False))
        self._thread.shutdown()


@dataclass
class KafkaPublisher(_Threaded):
    """The Publisher port: idempotent, every message with its own acknowledgement."""

    _producer: Any = None
    _is_sound: bool = True

    async def publish(self, messages: Sequence[OutboxMessage]) -> list[Placed]:
        """Send all, then wait for each. `flush()` would prove nothing: it returns on failure too.

        After a failure the producer is dropped: its order per key can no longer be trusted.
        """
        return await self._run(lambda: self._publish(messages))

    def _publish(self, messages: Sequence[OutboxMessage]) -> list[Placed]:
        if self._producer is None:
            self._producer = self._open()
        failed: dict[str, str] = {}
        placed = list(self._acknowledged(list(self._sent(messages, failed)), failed))
        for topic, error_type in failed.items():
            log.warning("outbox.waiting", topic=topic, error_type=error_type)
        if not self._is_sound:
            self._drop()
        return placed

    def _sent(
        self, messages: Sequence[OutboxMessage], failed: dict[str, str]
    ) -> Iterator[tuple[OutboxMessage, Any]]:
        """Messages on their way, with their futures. A topic that is missing is no other topic's trouble."""
        for message in messages:
            if message.topic not in failed:
                try:
                    yield message, self._send(message)
                except KafkaError as error:
                    failed[message.topic] = type(error).__name__

    def _acknowledged(
        self, sent: Sequence[tuple[OutboxMessage, Any]], failed: dict[str, str]
    ) -> Iterator[Placed]:
        for message, future in sent:
            try:
                record = future.get(timeout=_DELIVERY_TIMEOUT_MS / 1000 + 5)
            except KafkaError as error:
                failed[message.topic] = type(error).__name__
                self._is_sound = False
            else:
                yield Placed(message.id, record.partition, record.offset)

    def _open(self) -> Any:
        return KafkaProducer(
            **connection(self.settings),
            # Set by name: a conflicting option would otherwise turn it off without a word.
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            batch_size=65_536,
            delivery_timeout_ms=_DELIVERY_TIMEOUT_MS,
            max_request_size=self.settings.max_message_bytes + 1_024,
            allow_auto_create_topics=False,
            max_block_ms=_METADATA_TIMEOUT_MS,
        )

    def _send(self, message: OutboxMessage) -> Any:
        headers = [(name, value.encode()) for name, value in message.headers.items()]
        return self._producer.send(message.topic, key=message.key, value=message.value, headers=headers)

    def _drop(self) -> None:
        producer, self._producer, self._is_sound = self._producer, None, True
        producer.close(timeout=0)

    async def close(self) -> None:
        if self._producer is not None:
            await self._run(lambda: self._producer.close(timeout=10))
        self._thread.shutdown()


def create_topics(settings: KafkaSettings, topics: Collection[str]) -> Mapping[str, bool]:
    """Make the topics that do not exist; says for each whether it was made now."""
    admin = KafkaAdminClient(**connection(settings))
    made = {}
    try:
        for topic in sorted(topics):
            wanted = NewTopic(
                topic,
                num_partitions=settings.partitions,
                replication_factor=settings.replication_factor,
                topic_configs={
                    "retention.ms": str(settings.retention_hours * 3_600_000),
                    "max.message.bytes": str(max(settings.max_message_bytes + 1_024, 1_048_588)),
                },
            )
            try:
                admin.create_topics([wanted])
                made[topic] = True
            except TopicAlreadyExistsError:
                made[topic] = False
    finally:
        admin.close()
    return made


def _cluster_id(settings: KafkaSettings) -> str:
    admin = KafkaAdminClient(**connection(settings))
    try:
        return str(admin.describe_cluster().get("cluster_id") or "unknown")
    finally:
        admin.close()


def check(settings: KafkaSettings) -> str:
    """The cluster's id; raises OSError or KafkaError when it cannot be reached."""
    return _cluster_id(settings)
