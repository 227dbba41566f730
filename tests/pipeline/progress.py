"""How far the workers have come, as their own logs say: what was committed, seen within milliseconds.

A task's position lies on its changelog, written with its effects. The group's offsets say the same a second later,
which a test that lets twenty weeks pass would wait for sixty times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline import topics
from pipeline.engine.changelog import POSITION_KEY
from pipeline.settings import Settings
from pipeline.topics import Topic

_OWN_CHANGELOG = {
    topics.IDENTITIES.name: topics.UNIDENTIFIED_EVENTS.name,
    topics.CUSTOMER_STATE.name: topics.CUSTOMER_EVENTS.name,
    topics.REPUTATION.name: topics.MENTIONS.name,
}
"""Changelog by changelog: whose positions it holds. Everybody else's are among `positions`."""
INPUTS = (
    *topics.SOURCES, topics.UNIDENTIFIED_EVENTS, topics.CONTROLS, topics.CUSTOMER_EVENTS, topics.MENTIONS,
)  # fmt: skip
_FOLLOWED = (*INPUTS, topics.POSITIONS, topics.IDENTITIES, topics.CUSTOMER_STATE, topics.REPUTATION)
Place = tuple[str, int]


class Progress:
    """A read-committed reader of every input and every changelog of one shop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plain = {settings.topic(topic.name): topic.name for topic in _FOLLOWED}
        self._full = {name: full for full, name in self._plain.items()}
        client = {
            "bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": "progress", "enable.auto.commit": False,
            "enable.partition.eof": True, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20,
            "reconnect.backoff.max.ms": 200, "log_level": 0,
        }  # fmt: skip
        self._consumer = Consumer({**client, "isolation.level": "read_committed"})
        self._ends = Consumer({**client, "isolation.level": "read_uncommitted"})
        """Sees what is about to be committed too: it counts as there."""
        self._consumer.assign(
            [
                TopicPartition(settings.topic(topic.name), number, 0)
                for topic in _FOLLOWED
                for number in range(settings.partitions(topic))
            ]
        )
        self._behind_last: dict[Place, int] = {}
        """The offset after the last committed record, by topic (without prefix) and partition."""
        self._read_to: dict[Place, int] = {}
        self.positions: dict[Place, int] = {}
        """Each task's committed position, by its input."""

    def close(self) -> None:
        """Hang up."""
        self._consumer.close()
        self._ends.close()

    def is_done(self, wanted: Iterable[Topic]) -> bool:
        """Whether every record there is now on these topics has had its effect. No, while the broker is away."""
        places = [(topic.name, number) for topic in wanted for number in range(self._settings.partitions(topic))]
        try:
            ends = {place: self._end_of(place) for place in places}
        except KafkaException:
            return False
        self._read()
        return all(
            self._read_to.get(place, 0) >= end and self.positions.get(place, 0) >= self._behind_last.get(place, 0)
            for place, end in ends.items()
            if end > 0
        )

    def has_begun(self, firsts: Mapping[Place, int]) -> bool:
        """Whether one of the records at these offsets has had its effect."""
        self._read()
        return any(self.positions.get(place, 0) > offset for place, offset in firsts.items())

    def _end_of(self, place: Place) -> int:
        name, number = place
        end: int = self._ends.get_watermark_offsets(TopicPartition(self._full[name], number), timeout=5)[1]
        return end

    def _read(self) -> None:
        while messages := self._consumer.consume(5_000, 0.02):
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    continue  # the broker may be away: that is what some tests are about
                place = (self._plain[message.topic()], message.partition())
                if error is not None:
                    self._read_to[place] = max(self._read_to.get(place, 0), message.offset())
                    continue
                self._read_to[place] = self._behind_last[place] = message.offset() + 1
                self._learn(place, message.key() or b"", message.value() or b"")

    def _learn(self, place: Place, key: bytes, value: bytes) -> None:
        if not key.endswith(POSITION_KEY):
            return
        topic, partition = place
        if topic in _OWN_CHANGELOG:
            task = (_OWN_CHANGELOG[topic], partition)
        elif topic == topics.POSITIONS.name:
            name, number, _ = key.decode().split("/")
            task = (name, int(number))
        else:
            return
        self.positions[task] = json.loads(value)["next_offset"]
