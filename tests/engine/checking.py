"""The checker of the fault tests: what a read-committed reader sees against what the oracle computes.

It compares sequences, not totals: per input partition, output i must be the oracle's output i. The state is what the
changelog says to somebody who reads it from the start, and each transaction in it must be whole: the keys of its input,
then its position.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.engine.oracle import oracle

Pair = tuple[bytes, bytes]
POSITION_KEY = b"__position__"
_FRAME = struct.Struct(">BQ")
"""How an entry begins, as `docs/exactly-once.md` has it: version, count of its transaction."""
_NOT_KNOWN_YET = {
    KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT,
}  # fmt: skip


class Record(NamedTuple):
    """A record as Kafka has it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def _reader(bootstrap: str, topic: str, partitions: Iterable[int]) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": "checker", "isolation.level": "read_committed",
            "enable.partition.eof": True, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50, "reconnect.backoff.max.ms": 200, "log_level": 0,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    return consumer


def _messages(bootstrap: str, topic: str, partitions: int, seconds: float) -> Iterator[Message]:
    """Every committed record of the topic, to its end, in order within each partition."""
    unread = set(range(partitions))
    consumer, deadline = _reader(bootstrap, topic, unread), time.monotonic() + seconds
    ends = {number: _end(consumer, TopicPartition(topic, number), deadline) for number in unread}
    try:
        while unread:
            assert time.monotonic() < deadline, f"{topic}: partitions {unread} not read to their end in {seconds} s"
            for message in consumer.consume(5000, 0.02):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    if message.offset() >= ends[message.partition()]:
                        unread.discard(message.partition())
                elif error.fatal():
                    raise AssertionError(str(error))
    finally:
        consumer.close()


def _end(consumer: Consumer, place: TopicPartition, deadline: float) -> int:
    """Where what is committed ends. Asked again while the client, just made, does not know who leads the partition."""
    while True:
        try:
            end: int = consumer.get_watermark_offsets(place, timeout=max(0.1, deadline - time.monotonic()))[1]
        except KafkaException as error:
            if error.args[0].code() not in _NOT_KNOWN_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            consumer.list_topics(place.topic, timeout=5)
        else:
            return end


def read_committed(bootstrap: str, topic: str, partitions: int, *, seconds: float = 30.0) -> dict[int, list[Pair]]:
    """Every committed (key, value) of each partition, in order, to its end. Headers stay shut: they may be no text."""
    found: dict[int, list[Pair]] = {number: [] for number in range(partitions)}
    for message in _messages(bootstrap, topic, partitions, seconds):
        found[message.partition()].append((message.key(), message.value()))
    return found


def read_records(bootstrap: str, topic: str, partitions: int, *, seconds: float = 30.0) -> list[Record]:
    """Every committed record whole, to the end of each partition, in order within it."""
    return [
        Record(
            message.topic(), message.partition(), message.offset(), message.timestamp()[1], message.key(),
            message.value(), tuple(message.headers() or ()),
        )
        for message in _messages(bootstrap, topic, partitions, seconds)
    ]  # fmt: skip


class LiveReader:
    """Somebody who reads committed records all the while, as an integrator would."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.seen: dict[int, list[Pair]] = {number: [] for number in range(partitions)}
        self._consumer = _reader(bootstrap, topic, self.seen)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(1000, 0.05):
                if message.error() is None:
                    self.seen[message.partition()].append((message.key(), message.value()))

    @property
    def count(self) -> int:
        """How many records it has seen."""
        return sum(map(len, self.seen.values()))

    def close(self) -> None:
        """Stop reading."""
        self._ended.set()
        self._thread.join(10)
        self._consumer.close()


def positions(bootstrap: str, topic: str, partitions: int) -> dict[int, int]:
    """The committed position on each partition of a changelog."""
    found = {}
    for number, pairs in read_committed(bootstrap, topic, partitions).items():
        for key, value in pairs:
            if key == POSITION_KEY:
                found[number] = json.loads(value)["next_offset"]
    return found


def state_of(pairs: Iterable[Pair]) -> dict[bytes, list[int]]:
    """The table that a changelog partition adds up to."""
    return {key: json.loads(value[_FRAME.size :]) for key, value in pairs if key != POSITION_KEY}


def torn(inputs: Sequence[Pair], changelog: Iterable[Pair]) -> list[str]:
    """The first transaction on a changelog that is not whole, in order, and of exactly its input's keys."""
    reached, sequence, keys = 0, 0, set[bytes]()
    for key, value in changelog:
        if key != POSITION_KEY:
            if _FRAME.unpack_from(value)[1] != sequence + 1:
                return [f"after transaction {sequence}: {key!r} of {_FRAME.unpack_from(value)[1]}"]
            keys.add(key)
            continue
        position = json.loads(value)
        wanted = {key for key, _ in inputs[reached : position["next_offset"]]}
        if position["sequence"] != sequence + 1 or position["next_offset"] < reached:
            return [f"after transaction {sequence} to {reached}: {position}"]
        if keys != wanted:
            return [f"torn transaction {sequence + 1}: keys {sorted(keys ^ wanted)[:3]} missing or too many"]
        reached, sequence, keys = position["next_offset"], position["sequence"], set()
    return [f"torn transaction {sequence + 1}: {len(keys)} keys and no position"] if keys else []


def lost_and_repeated(expected: Sequence[tuple[bytes, list[int]]], seen: Sequence[tuple[bytes, list[int]]]) -> str:
    """How many of the oracle's outputs are missing, and how many outputs are not the oracle's or came again."""
    wanted, got = [(key, *value) for key, value in expected], [(key, *value) for key, value in seen]
    lost = len(set(wanted) - set(got))
    repeated = len(got) - len(set(got))
    wrong = len(set(got) - set(wanted))
    return f"{lost} of {len(wanted)} lost, {repeated} repeated, {wrong} that should not be"


def differences(inputs: Sequence[Pair], outputs: Sequence[Pair], changelog: Sequence[Pair]) -> list[str]:
    """What is wrong with one partition: nothing, if each effect came once and in order."""
    problems = torn(inputs, changelog)
    expected_state, expected = oracle(inputs)
    seen = [(key, json.loads(value)) for key, value in outputs]
    for index, (want, got) in enumerate(zip(expected, seen, strict=False)):
        if want != got:
            problems.append(f"output {index}: expected {want}, got {got}")
            break
    if len(expected) != len(seen):
        problems.append(f"expected {len(expected)} outputs, got {len(seen)}")
    if problems:
        problems.append(lost_and_repeated(expected, seen))
    state = state_of(changelog)
    wrong = {key for key in expected_state.keys() | state.keys() if expected_state.get(key) != state.get(key)}
    if wrong:
        key = min(wrong)
        problems.append(
            f"state of {len(wrong)} keys, first {key!r}: expected {expected_state.get(key)}, got {state.get(key)}"
        )
    return problems
