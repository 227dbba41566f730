"""A task's changelog: how state and position are framed on it, and how they are read back to the true end.

Entry value: one version byte, eight bytes `sequence` (which of the task's transactions wrote it), the payload.
The position is an entry of its own under a reserved key, written with every batch, even one that changed nothing.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.engine.processor import ChangelogPlace, State

POSITION_KEY = b"__position__"
_VERSION = 1
_FRAME = struct.Struct(">BQ")
_READ_RECORDS = 10_000
_READ_SECONDS = 0.5
_STALL_SECONDS = 60.0


class BadChangelog(Exception):
    """The changelog cannot be read by this version, or does not end."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a task stands: next input offset, its count of transactions, and which of them last flushed."""

    next_offset: int
    sequence: int
    flushed_sequence: int


@dataclass(slots=True)
class Restored:
    """What a changelog held.

    `position` None: nothing was ever committed. `unflushed`: the keys that changed since the last flush.
    """

    position: Position | None
    unflushed: list[bytes]
    records: int


def frame(payload: bytes, sequence: int) -> bytes:
    """An entry's value on the changelog."""
    return _FRAME.pack(_VERSION, sequence) + payload


def encode_position(position: Position) -> bytes:
    """The position's value on the changelog."""
    return json.dumps({"version": _VERSION, **asdict(position)}).encode()


def _decode_position(value: bytes, place: ChangelogPlace) -> Position:
    document = json.loads(value)
    if document["version"] != _VERSION:
        raise BadChangelog(
            f"{place.topic}[{place.partition}] position: expected version 1, got {document['version']!r}"
        )
    return Position(document["next_offset"], document["sequence"], document["flushed_sequence"])


def restore(  # noqa: PLR0913 - what to read, into what, from where; and how to be told of it
    place: ChangelogPlace,
    state: State,
    client: Mapping[str, object],
    *,
    begin_offset: int,
    end_offset: int,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> Restored | None:
    """Read the changelog, committed records only, until the reader stands at or past `end_offset`; None if stopped.

    `begin_offset` is where the log begins, said in figures: librdkafka takes half a second longer to find it out.
    `end_offset` is the high watermark captured *after* the task's producer was initialised; for a reader that does not
    own the task, the last stable offset, before which there are whole transactions only. Another task's open
    transaction on a shared partition only makes this wait: the end is a position, never the last record seen.
    """
    reading = _Reading(place, state)
    consumer = Consumer(
        {
            **client,
            "group.id": f"restore-{place.topic}",  # required by the client, never used: we assign and do not commit
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "queued.min.messages": 100_000,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        consumer.assign([TopicPartition(place.topic, place.partition, begin_offset)])
        at, moved_at = 0, time.monotonic()
        while at < end_offset:
            if should_stop():
                return None
            for message in consumer.consume(_READ_RECORDS, _READ_SECONDS):
                error = message.error()
                offset = message.offset() or 0
                if error is None:
                    if offset < end_offset:  # else somebody's later transaction, and perhaps half of it
                        reading.take(message.key() or b"", message.value(), offset)
                    at, moved_at = offset + 1, time.monotonic()
                elif error.code() == KafkaError._PARTITION_EOF:
                    at = max(at, offset)
                else:
                    raise KafkaException(error)
            on_progress(max(0, end_offset - at))
            if time.monotonic() - moved_at > _STALL_SECONDS:
                raise BadChangelog(
                    f"{place.topic}[{place.partition}]: expected to read to {end_offset}, stood at {at} for "
                    f"{_STALL_SECONDS:.0f} s (an open transaction that does not end?)"
                )
    finally:
        consumer.close()
    return reading.restored()


class _Reading:
    """A changelog as far as it has been read."""

    __slots__ = ("_place", "_position", "_prefix", "_records", "_state", "_written_by")

    def __init__(self, place: ChangelogPlace, state: State) -> None:
        self._place = place
        self._prefix = place.prefix
        self._state = state
        self._position: Position | None = None
        self._written_by: dict[bytes, int] = {}
        self._records = 0

    def take(self, key: bytes, value: bytes | None, offset: int) -> None:
        """One committed record. Another task's, on a shared partition, is passed over."""
        self._records += 1
        if not key.startswith(self._prefix):
            return
        key = key[len(self._prefix) :]
        if value is None:
            self._state.restore(key, None)
            self._written_by.pop(key, None)
        elif key == POSITION_KEY:
            self._position = _decode_position(value, self._place)
        else:
            version, sequence = _FRAME.unpack_from(value)
            if version != _VERSION:
                place = self._place
                raise BadChangelog(f"{place.topic}[{place.partition}]@{offset}: expected version 1, got {version}")
            self._state.restore(key, value[_FRAME.size :])
            self._written_by[key] = sequence

    def restored(self) -> Restored:
        """What it came to."""
        flushed = self._position.flushed_sequence if self._position else 0
        unflushed = [key for key, sequence in self._written_by.items() if sequence > flushed]
        return Restored(self._position, unflushed, self._records)


def payload_of(value: bytes) -> bytes:
    """An entry's payload, for readers of somebody else's changelog."""
    return value[_FRAME.size :]
