"""Sends the shop's weeks to Kafka, and lets time pass: no Tick before its events.

How far ingest and `identify` have come is read where they write it, in their changelogs, so that a week takes as long
as its work and no longer: the group's offsets, meant for lag tools, are published only once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # left out of its __all__

from pipeline import topics
from pipeline.admin import Admin
from pipeline.engine.changelog import POSITION_KEY
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.forms import Publication
from pipeline.local.process import ServerFailed
from pipeline.schemas import logged
from pipeline.settings import Settings

STUCK_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.02
_READ_RECORDS: Final = 2_000
_ANSWER_SECONDS: Final = 10.0
_NOT_YET: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH,
)  # fmt: skip
_IDENTIFY_PARTITIONS: Final = topics.UNIDENTIFIED_EVENTS.partitions

Place = tuple[str, int]
"""A topic, without prefix, and a partition."""


class Publisher:
    """The shop's own systems, and the clock of the demonstration. `check` raises when somebody of the cast is gone."""

    def __init__(self, settings: Settings, check: Callable[[], None]) -> None:
        self.published = 0
        """Records that the broker has confirmed."""
        self.said = ""
        """What is being waited for."""
        self._settings = settings
        self._check = check
        self._admin = Admin(settings)
        self._ends: dict[Place, int] = {}
        self._failed: list[str] = []
        self._names = {settings.topic(topic.name): topic.name for topic in topics.TOPICS}
        self._producer = Producer(
            {
                **librdkafka_config(settings, client_id="wafa-demo"), "enable.idempotence": True, "linger.ms": 5,
                "partitioner": "murmur2_random", "compression.type": "lz4", "message.max.bytes": 2_000_000,
            }
        )  # fmt: skip
        self._reader = _Reader(settings)

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._admin.close()

    def publish(self, records: Iterable[Publication]) -> None:
        """Send records and wait until the broker has them."""
        for record in records:
            self._produce(record.topic, record.value, record.key, headers=list(record.headers))
        self._flush()

    def wait_until_ingested(self) -> None:
        """Until ingest has committed past all that was published."""
        self._wait(lambda: self._reader.has_reached(self._ends), "ingest")

    def tick(self, as_of: datetime) -> None:
        """It is now `as_of`: said once `identify` has committed past all that ingest has given it by now."""
        self._wait_until_identified()
        self._produce(topics.CONTROLS.name, logged.encode(logged.Tick(as_of=as_of)), b"Tick", partition=0)
        self._flush()

    def wait_until_done(self) -> None:
        """Until the worker has had all of it, in the customers' log and in the brand's reputation."""
        self.wait_until_ingested()
        self._wait_until_identified()
        last = self._admin.end_offsets((topics.CUSTOMER_EVENTS, topics.MENTIONS))
        self._wait(lambda: self._has_group_reached(last), "customers", poll_seconds=0.1)

    def _wait_until_identified(self) -> None:
        """Until `identify` has committed past all that it has been given by now."""
        self._wait(self._reader.look_at_ends, "the broker", _POLL_SECONDS)
        self._wait(self._reader.has_identified, "identify")

    def _has_group_reached(self, ends: dict[tuple[str, int], int]) -> bool:
        reached = self._admin.positions()
        return all(reached.get(place, 0) >= end for place, end in ends.items())

    def _wait(self, condition: Callable[[], bool], what: str, poll_seconds: float = 0.0) -> None:
        self.said = what
        started_at = time.monotonic()
        while not condition():
            self._check()
            if time.monotonic() - started_at > STUCK_SECONDS:
                raise ServerFailed(f"the worker did not move for {STUCK_SECONDS:.0f} s: waiting for {what}")
            time.sleep(poll_seconds)
        self.said = ""

    def _produce(
        self, topic: str, value: bytes | None, key: bytes | None, *, partition: int = -1,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> None:  # fmt: skip
        full = self._settings.topic(topic)
        while True:
            try:
                self._producer.produce(full, value, key, partition, on_delivery=self._delivered, headers=headers or [])
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(error.str())
            return
        place = self._names[message.topic() or ""], message.partition() or 0
        self._ends[place] = max(self._ends.get(place, 0), (message.offset() or 0) + 1)
        self.published += place[0] != topics.CONTROLS.name

    def _flush(self) -> None:
        self._wait(lambda: self._producer.flush(0.2) == 0, "the broker")
        if self._failed:
            raise ServerFailed(f"Kafka did not take {len(self._failed)} records: {self._failed[0]}")


class _Reader:
    """Follows the positions that the worker commits with its transactions."""

    def __init__(self, settings: Settings) -> None:
        client: dict[str, Any] = librdkafka_config(settings, client_id="wafa-demo")
        self._consumer = Consumer(
            {
                **client,
                "group.id": "wafa-demo",  # required by the client, never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )
        followed = (topics.POSITIONS, topics.IDENTITIES, topics.UNIDENTIFIED_EVENTS)
        self._names = {settings.topic(topic.name): topic.name for topic in followed}
        self._unidentified = settings.topic(topics.UNIDENTIFIED_EVENTS.name)
        self._admin = AdminClient(client)
        self._ends: dict[int, int] = {}
        self._positions: dict[Place, int] = {}
        self._read_to: dict[Place, int] = {}
        self._last: dict[int, int] = {}
        """Past the last event (not the end of a transaction) of each partition that `identify` reads."""
        self._consumer.assign(
            [
                TopicPartition(settings.topic(topic.name), partition, OFFSET_BEGINNING)
                for topic in followed
                for partition in range(topic.partitions)
            ]
        )

    def close(self) -> None:
        """Hang up."""
        self._consumer.close()

    def look_at_ends(self) -> bool:
        """Take down where the events that `identify` reads end now; False: ask again.

        Not the end of what is committed: behind a transaction still open, of `identify` itself, may be a committed one
        of ingest, whose events the Tick must not pass.
        """
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client leaves it untyped
        wanted = {TopicPartition(self._unidentified, each): latest for each in range(_IDENTIFY_PARTITIONS)}
        found = self._admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        try:
            self._ends = {place.partition: future.result(_ANSWER_SECONDS).offset for place, future in found.items()}
        except KafkaException as error:
            if error.args[0].code() in _NOT_YET:  # its leader does not know yet, or has just been elected
                return False
            raise
        return True

    def has_reached(self, ends: dict[Place, int]) -> bool:
        """Whether the tasks have committed past `ends`."""
        return self._after_reading(lambda: all(self._positions.get(place, 0) >= end for place, end in ends.items()))

    def has_identified(self) -> bool:
        """Whether `identify` has committed past the last event before the ends taken down."""
        name = topics.UNIDENTIFIED_EVENTS.name

        def holds() -> bool:
            return all(self._read_to.get((name, each), 0) >= end for each, end in self._ends.items()) and all(
                self._positions.get((name, each), 0) >= last for each, last in self._last.items()
            )

        return self._after_reading(holds)

    def _after_reading(self, holds: Callable[[], bool]) -> bool:
        if holds():
            return True
        for message in self._consumer.consume(_READ_RECORDS, _POLL_SECONDS):
            self._take(message)
        return holds()

    def _take(self, message: Message) -> None:
        topic, partition, offset = self._names[message.topic() or ""], message.partition() or 0, message.offset() or 0
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            self._read_to[topic, partition] = max(offset, self._read_to.get((topic, partition), 0))
            return
        self._read_to[topic, partition] = offset + 1
        key, value = message.key() or b"", message.value() or b""
        if topic == topics.UNIDENTIFIED_EVENTS.name:
            self._last[partition] = offset + 1
        elif topic == topics.IDENTITIES.name and key == POSITION_KEY:
            self._positions[topics.UNIDENTIFIED_EVENTS.name, partition] = _position(value)
        elif topic == topics.POSITIONS.name and key.endswith(b"/" + POSITION_KEY):
            source, number, _ = key.decode().split("/")
            self._positions[source, int(number)] = _position(value)


def _position(value: bytes) -> int:
    """The next offset that a task's position on its changelog names."""
    position: dict[str, int] = msgspec.json.decode(value)
    return position["next_offset"]
