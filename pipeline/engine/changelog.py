"""A task's changelog: how state and position are framed on it, and how they are read back to the true end.

Entry value: one version byte, eight bytes `sequence` (which of the task's transactions wrote it), the payload.
The position is an entry of its own under a reserved key, written with every batch, even one that changed nothing.
"""

from __future__ import annotations

import json
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.engine.processor import ChangelogPlace, State

POSITION_KEY = b"__position__"
_VERSION = 1
_FRAME = struct.Struct(">BQ")
_READ_RECORDS = 10_000
_READ_SECONDS = 0.05
_FETCH_BYTES = 4 * 1024 * 1024
_QUEUED_BYTES = 16 * 1024 * 1024
_STALL_SECONDS = 60.0


class BadChangelog(Exception):
    """The changelog cannot be read by this version, or does not end."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a task stands: next input offset, its count of transactions, and which of them last flushed."""

    next_offset: int
    sequence: int
    flushed_sequence: int


def frame(payload: bytes, sequence: int) -> bytes:
    """An entry's value on the changelog."""
    return _FRAME.pack(_VERSION, sequence) + payload


def encode_position(position: Position) -> bytes:
    """The position's value on the changelog."""
    return json.dumps({"version": _VERSION, **asdict(position)}).encode()


def _decode_position(value: bytes, place: ChangelogPlace) -> Position:
    document = json.loads(value)
    if document["version"] != _VERSION:
        raise BadChangelog(f"{place} position: expected version {_VERSION}, got {document['version']!r}")
    return Position(document["next_offset"], document["sequence"], document["flushed_sequence"])


class Reading:
    """A changelog as far as it has been read into a state: by a recovery, which ends, or by a standby, which goes on."""

    def __init__(self, place: ChangelogPlace, state: State) -> None:
        self.place = place
        self.state = state
        self.position: Position | None = None
        """The last one read. None: nothing was ever committed."""
        self.next_offset = 0
        """Everything before it has been read."""
        self.records = 0
        self._unflushed: deque[tuple[int, list[bytes]]] = deque()
        """(sequence, keys) of the transactions after the last flush that has been read, oldest first."""
        self._erased: list[bytes] = []
        """Keys of tombstones, which carry no sequence, until their transaction's position is read."""

    @property
    def unflushed(self) -> list[bytes]:
        """The keys that changed since the last flush, in order."""
        return list(dict.fromkeys(key for _, keys in self._unflushed for key in keys))

    def take(self, messages: Iterable[Message]) -> None:
        """Committed records, in order. Another task's, on a shared partition, are passed over."""
        prefix, restore = self.place.prefix, self.state.restore
        skip, runs, count, offset = len(prefix), self._unflushed, 0, self.next_offset - 1
        run_sequence, run = runs[-1] if runs else (-1, [])
        for message in messages:
            count += 1
            offset = message.offset() or 0
            key, value = message.key() or b"", message.value()
            if skip:
                if not key.startswith(prefix):
                    continue
                key = key[skip:]
            if value is None:
                restore(key, None)
                self._erased.append(key)
            elif key == POSITION_KEY:
                self._stand_at(_decode_position(value, self.place))
                run_sequence, run = runs[-1] if runs else (-1, [])
            else:
                version, sequence = _FRAME.unpack_from(value)
                if version != _VERSION:
                    raise BadChangelog(f"{self.place} at {offset}: expected version {_VERSION}, got {version}")
                restore(key, value[_FRAME.size :])
                if sequence != run_sequence:
                    run_sequence, run = sequence, []
                    runs.append((sequence, run))
                run.append(key)
        self.records += count
        self.next_offset = max(self.next_offset, offset + 1)

    def _stand_at(self, position: Position) -> None:
        """A transaction ends here; what was flushed by then is of no interest any more."""
        if self._erased:
            self._unflushed.append((position.sequence, self._erased))
            self._erased = []
        while self._unflushed and self._unflushed[0][0] <= position.flushed_sequence:
            self._unflushed.popleft()
        self.position = position


@contextmanager
def reader(client: Mapping[str, object], *, group: str, queued_bytes: int = _QUEUED_BYTES) -> Iterator[Consumer]:
    """A consumer of changelogs: committed records only, told of each end, in fetches as large as it may queue."""
    consumer = Consumer(
        {
            **client,
            "group.id": group,  # required by the client, never used: we assign and do not commit
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "queued.min.messages": 100_000,
            "queued.max.messages.kbytes": queued_bytes // 1024,
            "max.partition.fetch.bytes": _FETCH_BYTES,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def restore(
    reading: Reading,
    client: Mapping[str, object],
    *,
    end_offset: int,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Read on, until the reader stands at or past `end_offset`; False if stopped before.

    `reading.next_offset` is where to begin, said in figures: librdkafka takes half a second longer to find it out.
    `end_offset` is the high watermark captured *after* the task's producer was initialised. Another task's open
    transaction on a shared partition only makes this wait: the end is a position, never the last record seen.
    """
    place = reading.place
    if reading.next_offset >= end_offset:
        return True
    with reader(client, group=f"restore-{place.topic}") as consumer:
        consumer.assign([TopicPartition(place.topic, place.partition, reading.next_offset)])
        moved_at = time.monotonic()
        while reading.next_offset < end_offset:
            if should_stop():
                return False
            messages = consumer.consume(_READ_RECORDS, _READ_SECONDS)
            before = reading.next_offset
            good = [message for message in messages if message.error() is None]
            reading.take(good)
            if len(good) < len(messages):
                _pass_ends(reading, messages)
            now = time.monotonic()
            if reading.next_offset > before:
                moved_at = now
            on_progress(max(0, end_offset - reading.next_offset))
            if now - moved_at > _STALL_SECONDS:
                raise BadChangelog(
                    f"{place}: expected to read to {end_offset}, stood at {reading.next_offset} for "
                    f"{_STALL_SECONDS:.0f} s (an open transaction that does not end?)"
                )
    return True


def _pass_ends(reading: Reading, messages: Iterable[Message]) -> None:
    for message in messages:
        error = message.error()
        if error is None:
            continue
        if error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        reading.next_offset = max(reading.next_offset, message.offset() or 0)


def payload_of(value: bytes) -> bytes:
    """An entry's payload, for readers of somebody else's changelog."""
    return value[_FRAME.size :]
