"""Input that was deleted before its task had read it: what is lost, and letting the task go on without it.

Wafa never skips by itself, for that would lose events without a word. Who has decided that the rest is lost moves the
task's position to where its log begins now, in a transaction of the task's own: a worker that should run all the same
is fenced by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from pipeline import topics
from pipeline.engine.changelog import POSITION_KEY, Position, decode_position, encode_position
from pipeline.engine.processor import Outbox
from pipeline.engine.producer import TransactionalProducer, transactional_id
from pipeline.inquiry import need_topics, scan
from pipeline.kafka_clients import bounds, librdkafka_config
from pipeline.places import PROCESSORS, place_of
from pipeline.settings import Settings
from pipeline.topics import Topic

_ANSWER_SECONDS: Final = 10.0
_TRANSACTION_SECONDS: Final = 60.0
_FOR_EVER: Final = (topics.CONTROLS, topics.CUSTOMER_EVENTS)
"""Kept for ever: where input of these is gone, state no longer follows from the log, and going on would hide it."""
_CHANGELOGS: Final = (topics.POSITIONS, topics.IDENTITIES, topics.REPUTATION)
LOOKED_AT: Final = (*topics.SOURCES, topics.CONTROLS, topics.UNIDENTIFIED_EVENTS, topics.MENTIONS)
"""The topics whose tasks are looked at. That of `customers` is told by `wafa rebuild --check`."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A task whose position its log no longer holds."""

    topic: Topic
    partition: int
    position: Position
    begin: int
    end: int

    @property
    def may_go_on(self) -> bool:
        """Whether it may be let go on without what is lost."""
        return self.topic not in _FOR_EVER

    def told(self) -> str:
        """In a sentence."""
        where, at = f"{self.topic.name}[{self.partition}]", self.position.next_offset
        if at < self.begin:
            return f"{where}: records {at} to {self.begin - 1} were deleted before they were read"
        return f"{where}: the position is {at}, and the log ends at {self.end}: the topic was made anew"


def find(settings: Settings) -> list[Lost]:
    """The tasks whose position is outside their log. Raises as reading Kafka does."""
    need_topics(settings, *LOOKED_AT, *_CHANGELOGS)
    found = _outside(settings)
    return _outside(settings) if found else []  # once more: a worker at work may have gone on while its log was cut


def _outside(settings: Settings) -> list[Lost]:
    consumer = Consumer({**librdkafka_config(settings), "group.id": "wafa-reader-lost"})
    found = []
    try:
        for topic, partition, position in _positions(settings):
            place = TopicPartition(settings.topic(topic.name), partition)
            begin, end = bounds(consumer, place, timeout_seconds=_ANSWER_SECONDS)
            if not begin <= position.next_offset <= end:
                found.append(Lost(topic, partition, position, begin, end))
    finally:
        consumer.close()
    return found


def go_on(settings: Settings, lost: Lost) -> None:
    """Let a task go on where its log begins now. Stop the workers first. Raises as writing to Kafka does."""
    name = settings.topic(lost.topic.name)
    producer = TransactionalProducer(
        librdkafka_config(settings),
        transactional_id(settings.worker_app_id, PROCESSORS[lost.topic.name], name, lost.partition),
        transaction_timeout_seconds=_TRANSACTION_SECONDS,
    )
    producer.initialise_blocking()
    try:
        place, before = place_of(settings, lost.topic)(lost.partition), lost.position
        after = Position(lost.begin, before.sequence + 1, before.flushed_sequence)
        outbox = Outbox()
        outbox.emit(place.topic, place.prefix + POSITION_KEY, encode_position(after), partition=place.partition)
        producer.send(outbox)
        producer.commit_blocking()
    finally:
        producer.abandon()


def _positions(settings: Settings) -> Iterator[tuple[Topic, int, Position]]:
    """Where each task stands that has begun."""
    last = {
        (settings.topic(changelog.name), record.partition, record.key): record.value
        for changelog in _CHANGELOGS
        for record in scan(settings, changelog)
        if record.key is not None and record.key.endswith(POSITION_KEY)
    }
    for topic in LOOKED_AT:
        for partition in range(settings.partitions(topic)):
            place = place_of(settings, topic)(partition)
            value = last.get((place.topic, place.partition, place.prefix + POSITION_KEY))
            if value is not None:
                yield topic, partition, decode_position(value, place)
