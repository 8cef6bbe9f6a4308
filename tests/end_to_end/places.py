"""Where topics end and where a consumer group stands: each run begins at the end of what others left."""

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

# On Python 3.11 kafka-python 3.0 imports itself by a deprecated function, and warnings are errors here.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, TopicPartition
    from kafka.admin import OffsetSpec
    from kafka.errors import (
        CoordinatorLoadInProgressError,
        CoordinatorNotAvailableError,
        NotCoordinatorError,
    )
    from kafka.structs import OffsetAndMetadata

_COORDINATOR_SECONDS: Final = 30.0
_NOT_YET: Final = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)

#: A topic, a partition.
Place = tuple[str, int]


def ends(servers: str) -> dict[Place, int]:
    """The offset after the last message, of every partition that there is."""
    with _admin(servers) as admin:
        topics = [name for name in admin.list_topics() if not name.startswith("__")]
        partitions = [
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in admin.describe_topics(topics)
            for partition in topic["partitions"]
        ]
        found = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        return {(place.topic, place.partition): at.offset for place, at in found.items()}


def begin_at(servers: str, group: str, places: Mapping[Place, int]) -> None:
    """Have a group that has no members yet begin there."""
    offsets = {TopicPartition(*place): OffsetAndMetadata(at, "", -1) for place, at in places.items()}
    with _admin(servers) as admin:
        for place, error in _altered(admin, group, offsets).items():
            assert error.errno == 0, f"{place}: {error}"


def _altered(admin: Any, group: str, offsets: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The first group of a new cluster has to wait until there is a coordinator; the client does not.

    It tells so by an error of the whole call, or of each partition.
    """
    deadline = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            errors: Mapping[Any, Any] = admin.alter_group_offsets(group, offsets)
        except _NOT_YET as error:
            errors = dict.fromkeys(offsets, error)
        if time.monotonic() > deadline or not any(_is_not_yet(error) for error in errors.values()):
            return errors
        time.sleep(0.2)


def _is_not_yet(error: Any) -> bool:
    return isinstance(error, _NOT_YET) or (isinstance(error, type) and issubclass(error, _NOT_YET))


def committed(servers: str, group: str) -> dict[Place, int]:
    """Where the group stands, by its own account."""
    with _admin(servers) as admin:
        offsets = admin.list_group_offsets(group)[group]
        return {(place.topic, place.partition): at.offset for place, at in offsets.items()}


@contextmanager
def _admin(servers: str) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        yield admin
    finally:
        admin.close()
