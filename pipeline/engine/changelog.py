"""A task's changelog: how state and position are framed on it, and how they are read back to the true end.

Entry value: one version byte, eight bytes `sequence` (which of the task's transactions wrote it), the payload.
The position is an entry of its own under a reserved key, written with every batch, even one that changed nothing.
"""

from __future__ import annotations

import json
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.state import Anchor, Mark, State

POSITION_KEY = b"__position__"
_VERSION = 1
_FRAME = struct.Struct(">BQ")
_READ_RECORDS = 2_000
"""Made by one call that lets nobody else have the interpreter: eight partitions at once must not hold up the loop."""
_READ_SECONDS = 0.05
_MANY_RECORDS = 50_000
"""To read so many is worth a look at the end first: else every key would be remembered until then."""
_POSITION_AND_MARKER = 2
_LAST_SECONDS = 2.0
_FETCH_BYTES = 4 * 1024 * 1024
_QUEUED_BYTES = 16 * 1024 * 1024
_STALL_SECONDS = 60.0


class BadChangelog(Exception):
    """The changelog cannot be read by this version, or does not end."""


class Unrelated(Exception):
    """A copy of the state on disk is not of this log: it is thrown away."""


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


def decode_position(value: bytes, place: ChangelogPlace) -> Position:
    """The position of such a value. Raises BadChangelog."""
    document = json.loads(value)
    if document["version"] != _VERSION:
        raise BadChangelog(f"{place} position: expected version {_VERSION}, got {document['version']!r}")
    return Position(document["next_offset"], document["sequence"], document["flushed_sequence"])


class Reading:
    """A changelog, as far as it has been read into a state: by a recovery, which ends, or a standby, which goes on."""

    def __init__(self, place: ChangelogPlace, state: State, begin: Anchor) -> None:
        self.place = place
        self.state = state
        self.begin = begin
        """Where it began: the beginning of the log, or where a copy of the state says to read on."""
        self.mark: Mark | None = None
        """What that copy says of itself."""
        self.source = "log"
        """What it began with: the log alone, a snapshot, a store on disk, or a standby."""
        self.position: Position | None = None
        """The last one read. None: nothing was ever committed."""
        self.next_offset = begin.offset
        """Everything before it has been read."""
        self.records = 0
        self._unflushed: deque[tuple[int, list[bytes]]] = deque()
        """(sequence, keys) of the transactions after the last flush that has been read, oldest first."""
        self.flushed_sequence = 0
        """Known before all is read: of keys of transactions up to here nothing has to be remembered."""
        self._anchors: deque[Anchor] = deque([begin])
        """The position records since the last flush, and before them the one to begin at next time."""
        self._erased: list[bytes] = []
        """Keys of tombstones, which carry no sequence, until their transaction's position is read."""

    @property
    def unflushed(self) -> list[bytes]:
        """The keys that changed since the last flush. A repartition writes entries out of their sequence."""
        flushed = self.position.flushed_sequence if self.position else 0
        written_by = {key: sequence for sequence, keys in self._unflushed for key in keys}
        return [key for key, sequence in written_by.items() if sequence > flushed]

    @property
    def anchor(self) -> Anchor:
        """Where the next reading may begin, and still learn of every key that is not flushed."""
        return self._anchors[0]

    def take(self, messages: Sequence[Message]) -> None:
        """Committed records, in order. Another task's, on a shared partition, are passed over. Raises Unrelated."""
        if self.next_offset == self.begin.offset and self.begin.sequence is not None:
            self._compare_first(messages)
        prefix, restore = self.place.prefix, self.state.restore
        skip, runs, count, offset = len(prefix), self._unflushed, 0, self.next_offset - 1
        run_sequence, run = runs[-1] if runs else (-1, [])
        flushed_sequence = self.flushed_sequence
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
                self._stand_at(decode_position(value, self.place), offset)
                run_sequence, run = runs[-1] if runs else (-1, [])
            else:
                version, sequence = _FRAME.unpack_from(value)
                if version != _VERSION:
                    raise BadChangelog(f"{self.place} at {offset}: expected version {_VERSION}, got {version}")
                restore(key, value[_FRAME.size :])
                if sequence <= flushed_sequence:
                    continue
                if sequence != run_sequence:
                    run_sequence, run = sequence, []
                    runs.append((sequence, run))
                run.append(key)
        self.records += count
        self.next_offset = max(self.next_offset, offset + 1)

    def _compare_first(self, messages: Sequence[Message]) -> None:
        """Where a copy stands, the log has the position of its transaction, or (compacted) nothing any more."""
        for message in messages[:1]:
            key, value = message.key() or b"", message.value() or b""
            if message.offset() == self.begin.offset and (
                key != self.place.prefix + POSITION_KEY
                or decode_position(value, self.place).sequence != self.begin.sequence
            ):
                raise Unrelated(
                    f"{self.place} at {self.begin.offset}: expected the position of transaction {self.begin.sequence}, "
                    f"got {key!r}"
                )

    def _stand_at(self, position: Position, offset: int) -> None:
        """A transaction ends here; what was flushed by then is of no interest any more."""
        if self._erased:
            self._unflushed.append((position.sequence, self._erased))
            self._erased = []
        while self._unflushed and self._unflushed[0][0] <= position.flushed_sequence:
            self._unflushed.popleft()
        self._anchors.append(Anchor(offset, position.sequence))
        while len(self._anchors) > 1 and (self._anchors[1].sequence or 0) <= position.flushed_sequence:
            self._anchors.popleft()
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
            "auto.offset.reset": "error",
            "queued.min.messages": 100_000,
            "queued.max.messages.kbytes": queued_bytes // 1024,
            "max.partition.fetch.bytes": _FETCH_BYTES,
            "fetch.wait.max.ms": 20,
            # After its queue was full librdkafka would not fetch for a second: most of a recovery was that.
            "fetch.queue.backoff.ms": 10,
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
    `end_offset` is the high watermark captured *after* the task's producer was initialised; for a reader that does not
    own the task, the last stable offset, before which there are whole transactions only. Another task's open
    transaction on a shared partition only makes this wait: the end is a position, never the last record seen.
    """
    place = reading.place
    if reading.next_offset >= end_offset:
        return True
    with reader(client, group="wafa-reader-restore") as consumer:
        if end_offset - reading.next_offset > _MANY_RECORDS:
            reading.flushed_sequence = _flushed_at_the_end(consumer, place, end_offset)
        consumer.assign([TopicPartition(place.topic, place.partition, reading.next_offset)])
        moved_at = time.monotonic()
        while reading.next_offset < end_offset:
            if should_stop():
                return False
            messages = consumer.consume(_READ_RECORDS, _READ_SECONDS)
            before = reading.next_offset
            good = [each for each in messages if each.error() is None and (each.offset() or 0) < end_offset]
            reading.take(good)
            if len(good) < len(messages):
                _pass_ends(reading, messages, end_offset)
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


def _flushed_at_the_end(consumer: Consumer, place: ChangelogPlace, end_offset: int) -> int:
    """What the last transaction says was flushed, where its position is the last record; else 0: nothing is known."""
    consumer.assign([TopicPartition(place.topic, place.partition, max(0, end_offset - _POSITION_AND_MARKER))])
    for message in consumer.consume(1, _LAST_SECONDS):
        if message.error() is None and message.key() == place.prefix + POSITION_KEY:
            return decode_position(message.value() or b"", place).flushed_sequence
    return 0


def _pass_ends(reading: Reading, messages: Iterable[Message], end_offset: int) -> None:
    """Stand where the log ends, or where reading was to end: what comes later may be half of a transaction."""
    for message in messages:
        error, offset = message.error(), message.offset() or 0
        if error is None:
            reading.next_offset = max(reading.next_offset, min(offset, end_offset))
        elif error.code() == KafkaError._PARTITION_EOF:
            reading.next_offset = max(reading.next_offset, offset)
        else:
            raise KafkaException(error)


def payload_of(value: bytes) -> bytes:
    """An entry's payload, for readers of somebody else's changelog."""
    return value[_FRAME.size :]
