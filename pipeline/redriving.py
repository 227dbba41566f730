"""Dead letters sent again, as they came, to where they came from: exactly once for the same choice of letters.

What was sent is remembered as the position of a consumer group, committed in the transaction that sends. The group's
name holds the choice (reason, topic), so that mending one cause does not pass over the letters of another. The broker
forgets the position of a choice unused for a week (Kafka's `offsets.retention.minutes`); what is then sent once more
is a duplicate, and dropped as one.

A publisher who compresses can send more than a topic takes plain. Its letter is passed over and counted: sent again it
would stop every letter behind it, and the door would refuse it again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from pipeline import topics
from pipeline.inquiry import need_topics, silence
from pipeline.kafka_clients import RightMissing, bounds, librdkafka_config, reading_failed
from pipeline.schemas.dead_letters import (
    DeadLetter,
    NotADeadLetter,
    Original,
    is_carried,
    read_dead_letter,
    record_bytes,
    redrive_record,
)
from pipeline.settings import Settings

_READ_RECORDS: Final = 200
"""In one transaction; each may be 1 MiB."""
_READ_SECONDS: Final = 0.5
_SILENT_SECONDS: Final = 10.0
_SECONDS: Final = 30.0
_ASKED_SECONDS: Final = 1.0
_FRAME_BYTES: Final = 128
"""What Kafka puts around a record that is sent alone, at most."""
_BATCH_BYTES_MAX: Final = {topic.name: topic.batch_bytes_max for topic in topics.TOPICS}


class _Letter:
    """A dead-letter record in the form the reader takes."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.partition, self.offset = partition, offset
        self.topic = message.topic()
        self.timestamp = message.timestamp()[1]
        self.key = message.key()
        self.value = message.value()
        self.headers: tuple[tuple[str, bytes | None], ...] = tuple(message.headers() or ())  # type: ignore[arg-type]  # as read


@dataclass(slots=True)
class Redriven:
    """What became of the chosen letters."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Sent (or to be sent), by topic and reason."""
    latest: dict[tuple[str, str], DeadLetter] = field(default_factory=dict)
    """Of each, the letter of the record that came last."""
    not_carried: int = 0
    """Told of a record too large for a letter: there is nothing to send."""
    too_large: int = 0
    """Larger than their topic takes: passed over."""


def redrive_letters(settings: Settings, *, reason: str | None, topic: str | None, dry_run: bool) -> Redriven:
    """Send every chosen letter not sent before. `topic` is without prefix.

    Raises BrokerUnreachable, TopicsMissing, NotAnswered and KafkaException; what was committed before stays sent.
    """
    need_topics(settings, topics.DEAD_LETTERS)
    group = "-".join(filter(None, (settings.worker_app_id, "redrive", reason, topic)))
    consumer = Consumer(
        {
            **librdkafka_config(settings), "group.id": group, "enable.auto.commit": False, "enable.partition.eof": True,
            "isolation.level": "read_committed", "auto.offset.reset": "earliest",
        }
    )  # fmt: skip
    redriven = Redriven()
    name = settings.topic(topics.DEAD_LETTERS.name)
    try:
        places = [TopicPartition(name, number) for number in range(topics.DEAD_LETTERS.partitions)]
        sender = None if dry_run else _Sender(settings, consumer, group)  # first: whoever else redrives ends here
        consumer.assign(_sent_up_to(consumer, places, group))
        for batch in _batches(settings, consumer, group):
            chosen = _chosen(batch, reason, topic, redriven)
            if sender is not None:
                sender.send(batch, chosen)
    finally:
        consumer.close()
    return redriven


def _sent_up_to(consumer: Consumer, places: list[TopicPartition], group: str) -> list[TopicPartition]:
    """The group's positions. A client that may not ask for them would ask until its time is over, and not say why."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return consumer.committed(places, timeout=_ASKED_SECONDS)
        except KafkaException as failure:
            message = consumer.poll(0)
            error = None if message is None else message.error()
            if error is not None and error.name() == "GROUP_AUTHORIZATION_FAILED":
                raise RightMissing(f"READ on Group {group} is missing ({error.name()})") from failure
            if failure.args[0].name() != "_TIMED_OUT" or time.monotonic() > deadline:
                raise


def _batches(settings: Settings, consumer: Consumer, group: str) -> Iterator[list[_Letter]]:
    """The letters from the consumer's positions to where each partition ends now.

    What is refused again meanwhile is a new letter, for another time.
    """
    name = settings.topic(topics.DEAD_LETTERS.name)
    unread = set(range(topics.DEAD_LETTERS.partitions))
    ends = {number: bounds(consumer, TopicPartition(name, number), timeout_seconds=_SECONDS)[1] for number in unread}
    heard_at = time.monotonic()
    while unread:
        batch = []
        for message in consumer.consume(_READ_RECORDS, _READ_SECONDS):
            heard_at = time.monotonic()
            error = message.error()
            if error is None and (message.offset() or 0) < ends[message.partition() or 0]:
                batch.append(_Letter(message))
            elif error is None or error.name() == "_PARTITION_EOF":
                unread.discard(message.partition() or 0)
            elif not error.retriable():
                raise reading_failed(error, topic=name, group=group)
        if batch:
            yield batch
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > _SILENT_SECONDS:
            raise silence(settings, name)


def _chosen(letters: list[_Letter], reason: str | None, topic: str | None, redriven: Redriven) -> list[_Letter]:
    chosen = []
    for letter in letters:
        try:
            read = read_dead_letter(letter)
        except NotADeadLetter:
            continue
        if reason not in (None, read.reason) or topic not in (None, read.topic):
            continue
        if not is_carried(read, letter.value):
            redriven.not_carried += 1
        elif not _is_taken(redrive_record(letter)):
            redriven.too_large += 1
        else:
            chosen.append(letter)
            kind = read.topic, read.reason
            redriven.counts[kind] += 1
            redriven.latest[kind] = max(redriven.latest.get(kind, read), read, key=lambda each: each.received_at)
    return chosen


def _is_taken(record: Original) -> bool:
    """Whether the record's topic takes it as we send it: not compressed."""
    return record_bytes(record) + _FRAME_BYTES <= _BATCH_BYTES_MAX.get(record.topic, topics.MAX_RECORD_BYTES)


class _Sender:
    """Sends letters and moves the group's position in one transaction."""

    def __init__(self, settings: Settings, consumer: Consumer, group: str) -> None:
        self._topic = settings.topic
        self._consumer = consumer
        self._producer = Producer(
            {
                **librdkafka_config(settings), "transactional.id": group, "partitioner": "murmur2_random",
                "message.max.bytes": 3 * topics.MAX_RECORD_BYTES,
            }
        )  # fmt: skip
        self._producer.init_transactions(_SECONDS)

    def send(self, read: list[_Letter], chosen: list[_Letter]) -> None:
        """Send the chosen letters, and never again what was read."""
        self._producer.begin_transaction()
        for letter in chosen:
            where, key, value, headers = redrive_record(letter)
            self._producer.produce(self._topic(where), value, key, headers=list(headers))
            self._producer.poll(0)
        ends = {letter.partition: letter.offset + 1 for letter in read}
        name = self._topic(topics.DEAD_LETTERS.name)
        positions = [TopicPartition(name, number, end) for number, end in ends.items()]
        self._producer.send_offsets_to_transaction(positions, self._consumer.consumer_group_metadata(), _SECONDS)
        self._producer.commit_transaction(_SECONDS)
