"""A partition of a log read again, from its beginning to a position: committed records, in order, and no further."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from pipeline.engine.processor import Headers
from pipeline.kafka_clients import bounds, librdkafka_config, reading_failed
from pipeline.settings import Settings

_READ_RECORDS: Final = 5_000
_READ_SECONDS: Final = 0.1
_SILENT_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 30.0
_GROUP: Final = "wafa-reader-replay"
"""Required by the client, never joined."""
_AHEAD_BYTES: Final = 16 * 1024 * 1024
"""Read ahead in memory, a reader, at most."""


class LogSilent(Exception):
    """The log gave no answer for too long: the broker is away, or a transaction on it does not end."""


class Read(NamedTuple):
    """A record as the engine takes it. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a partition begins, and where it ends."""

    low: int
    high: int


def _consumer(settings: Settings, isolation: str, ahead_bytes: int = _AHEAD_BYTES) -> Consumer:
    return Consumer(
        {
            **librdkafka_config(settings),
            "group.id": _GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "auto.offset.reset": "error",
            "max.poll.interval.ms": 24 * 60 * 60 * 1000,  # a reader may wait for its turn
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": ahead_bytes // 1024,
        }
    )


def bounds_of(settings: Settings, topic: str, partition: int, *, committed_only: bool) -> Bounds:
    """Where a partition begins and ends: with `committed_only`, short of the first open transaction."""
    return all_bounds(settings, topic, [partition], committed_only=committed_only)[0]


def all_bounds(settings: Settings, topic: str, partitions: Iterable[int], *, committed_only: bool) -> list[Bounds]:
    """The same of several partitions."""
    consumer = _consumer(settings, "read_committed" if committed_only else "read_uncommitted")
    try:
        places = [TopicPartition(topic, partition) for partition in partitions]
        return [Bounds(*bounds(consumer, place, timeout_seconds=_ASK_SECONDS)) for place in places]
    finally:
        consumer.close()


def replay(  # noqa: PLR0913 - what to read, from where to where
    settings: Settings, topic: str, partition: int, *, begin: int, end: int, ahead_bytes: int = _AHEAD_BYTES
) -> Iterator[list[Read]]:
    """Every committed record from `begin` up to `end`, in lists of at most 5,000.

    The end is a position, never the last record seen: control records and compaction leave gaps. Raises LogSilent,
    RightMissing and KafkaException.
    """
    if begin >= end:
        return
    consumer = _consumer(settings, "read_committed", ahead_bytes)
    try:
        consumer.assign([TopicPartition(topic, partition, begin)])
        at, moved_at = begin, time.monotonic()
        while at < end:
            found: list[Read] = []
            for message in consumer.consume(_READ_RECORDS, _READ_SECONDS):
                error = message.error()
                offset = message.offset() or 0
                if error is None:
                    if offset < end:
                        found.append(_read(message, topic, partition, offset))
                    at, moved_at = offset + 1, time.monotonic()
                elif error.name() == "_PARTITION_EOF":
                    at = max(at, offset)
                elif not error.retriable() and error.name() != "_ALL_BROKERS_DOWN":
                    raise reading_failed(error, topic=topic, group=_GROUP)
            if found:
                yield found
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > _SILENT_SECONDS:
                raise LogSilent(
                    f"{topic}[{partition}]: expected to read to {end}, stood at {at} for {_SILENT_SECONDS:.0f} s (the "
                    "broker is away, or a transaction does not end)"
                )
    finally:
        consumer.close()


def _read(message: Message, topic: str, partition: int, offset: int) -> Read:
    headers: Headers = tuple(message.headers() or ())  # type: ignore[arg-type]  # as read
    return Read(topic, partition, offset, message.timestamp()[1], message.key(), message.value(), headers)
