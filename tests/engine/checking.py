"""The checker of the fault tests: what a read-committed reader sees against what the oracle computes.

It compares sequences, not totals: per input partition, output i must be the oracle's output i. The state is what the
changelog says to somebody who reads it from the start.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer, KafkaError, TopicPartition

from pipeline.engine.changelog import POSITION_KEY, payload_of
from tests.engine.small_job import oracle

Pair = tuple[bytes, bytes]


def read_committed(bootstrap: str, topic: str, partitions: int, *, seconds: float = 30.0) -> dict[int, list[Pair]]:
    """Every committed (key, value) of each partition, to its end, in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": "checker", "isolation.level": "read_committed",
            "enable.partition.eof": True, "enable.auto.commit": False, "auto.offset.reset": "earliest",
        }
    )  # fmt: skip
    found: dict[int, list[Pair]] = {number: [] for number in range(partitions)}
    ends = {}
    for number in found:
        ends[number] = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
    unread = set(found)
    consumer.assign([TopicPartition(topic, number, 0) for number in found])
    deadline = time.monotonic() + seconds
    try:
        while unread:
            assert time.monotonic() < deadline, f"{topic}: partitions {unread} not read to their end in {seconds} s"
            for message in consumer.consume(5000, 0.02):
                error = message.error()
                if error is None:
                    found[message.partition()].append((message.key(), message.value()))
                elif error.code() == KafkaError._PARTITION_EOF:
                    if message.offset() >= ends[message.partition()]:
                        unread.discard(message.partition())
                else:
                    raise AssertionError(str(error))
    finally:
        consumer.close()
    return found


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
    state = {}
    for key, value in pairs:
        if key != POSITION_KEY:
            state[key] = json.loads(payload_of(value))
    return state


def differences(inputs: Sequence[Pair], outputs: Sequence[Pair], changelog: Iterable[Pair]) -> list[str]:
    """What is wrong with one partition: nothing, if each effect came once and in order."""
    expected_state, expected = oracle(inputs)
    seen = [(key, json.loads(value)) for key, value in outputs]
    problems = []
    for index, (want, got) in enumerate(zip(expected, seen, strict=False)):
        if want != got:
            problems.append(f"output {index}: expected {want}, got {got}")
            break
    if len(expected) != len(seen):
        problems.append(f"expected {len(expected)} outputs, got {len(seen)}")
    state = state_of(changelog)
    wrong = {key for key in expected_state.keys() | state.keys() if expected_state.get(key) != state.get(key)}
    if wrong:
        key = min(wrong)
        problems.append(
            f"state of {len(wrong)} keys, first {key!r}: expected {expected_state.get(key)}, got {state.get(key)}"
        )
    return problems
