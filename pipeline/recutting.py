"""A log and its changelog written anew under another partition count, and read back: the copying of a repartition.

Control by control: the events between two controls go to their new partitions, one old partition after the other, then
the control goes once to each. What workers had processed comes first, and the new positions are behind it. The old
topics are only read; nobody else writes to the new ones, so that a record's offset there is its number.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from pipeline import topics
from pipeline.agents import skipping
from pipeline.agents.customers import CONTROL_PREFIX, VIEWS_KEY
from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.kafka_clients import librdkafka_config, told
from pipeline.rebuilding import held
from pipeline.replaying import Read, bounds_of, replay
from pipeline.schemas.logged import CONTROL_KEY
from pipeline.settings import Settings
from pipeline.topics import partition_of

_POLL_SECONDS: Final = 0.1
_SEND_SECONDS: Final = 60.0
_AHEAD_BYTES: Final = 64 * 1024 * 1024
"""Read ahead in memory, by the readers of all old partitions together."""
_POLL_EVERY: Final = 1_000
_SHOWN, _DUE = 1, 2
"""The new changelog's transactions, as its entries count them: views put out up to the first, due since."""

OnProgress = Callable[[str, int, int], None]
"""Told of a step, how far it has come, and how far it has to go."""


_LET_A_WORKER_FINISH: Final = (
    "Let a worker run until `wafa lag` shows next to nothing on the log, stop it, and run this again"
)


class CannotRepartition(Exception):
    """It is refused, or what was written is not what was read; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Old:
    """An old partition but for its customers: where it stands, its controls, what was passed over."""

    partition: int
    position: int
    has_position: bool
    controls: dict[bytes, bytes]
    skipped: dict[int, bytes]
    views_from: int

    @classmethod
    def read(cls, settings: Settings, partition: int) -> Old:
        """As its changelog has it."""
        found = held(settings, partition, is_owned=False)
        entries = dict(found.state.items())
        return cls(
            partition,
            0 if found.position is None else found.position.next_offset,
            found.position is not None,
            {key: value for key, value in entries.items() if key.startswith(CONTROL_PREFIX)},
            {offset: value for key, value in entries.items() if (offset := skipping.record_of(key)) is not None},
            int(entries.get(VIEWS_KEY, b"0")),
        )


# -- the log -----------------------------------------------------------------------------------------------------------


class Sums:
    """What a partition holds, in a few bytes: two that hold the same records in the same order have the same."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, record: Read) -> None:
        """One record more."""
        self.count += 1
        parts = [str(record.timestamp).encode(), record.key, record.value]
        for name, value in record.headers:
            parts += [name.encode(), value]
        for part in parts:
            self._digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        self._digest.update(b"\n")

    def result(self) -> bytes:
        """Of all so far."""
        return self._digest.digest()


@dataclass(slots=True)
class Laid:
    """A new partition as far as it is written."""

    partition: int
    sums: Sums = field(default_factory=Sums)
    position: int = 0
    marks: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Records written; the next one's offset, for nobody else writes here, and no transaction."""
        return self.sums.count


class _Cursor:
    """An old partition being read, record by record, with a look at the next one."""

    def __init__(self, records: Iterator[list[Read]]) -> None:
        self._records = (record for found in records for record in found)
        self.next = next(self._records, None)

    def take(self) -> Read:
        """The next record, which is there."""
        record, self.next = self.next, next(self._records, None)
        assert record is not None
        return record

    def events(self, *, before: int | None = None) -> Iterator[Read]:
        """Up to the next control, or to an offset."""
        while self.next is not None and self.next.key != CONTROL_KEY and (before is None or self.next.offset < before):
            yield self.take()


class _Copying:
    """Writes to one topic, in order within each partition, and hears of what failed."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._failure: str | None = None
        self._sent = 0
        self._producer = Producer(
            {
                **librdkafka_config(settings), "enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4",
                "message.max.bytes": 3 * topics.MAX_RECORD_BYTES, "queue.buffering.max.kbytes": 64 * 1024,
            }
        )  # fmt: skip

    def send(self, partition: int, key: bytes | None, value: bytes | None, **more: object) -> None:
        """Queue a record; waits while the queue is full, which is bounded by its bytes."""
        deadline = time.monotonic() + _SEND_SECONDS
        while True:
            try:
                self._producer.produce(self._topic, value, key, partition, on_delivery=self._heard, **more)  # type: ignore[arg-type]  # as read
                break
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
                if time.monotonic() > deadline:
                    raise CannotRepartition(
                        f"{self._topic}: the broker took nothing for {_SEND_SECONDS:.0f} s"
                    ) from None
        self._sent += 1
        if self._sent % _POLL_EVERY == 0:
            self._producer.poll(0)
        if self._failure:
            raise CannotRepartition(f"{self._topic}: a record was not taken: {self._failure}")

    def finish(self) -> None:
        """Wait until the broker has everything."""
        if self._producer.flush(_SEND_SECONDS) or self._failure:
            raise CannotRepartition(f"{self._topic}: not everything was taken: {self._failure or 'no answer'}")

    def _heard(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = told(error)


class _NewLog:
    """The new log as far as it is written."""

    def __init__(self, target: Settings, old: list[Old]) -> None:
        self.laid = [Laid(partition) for partition in range(target.log_partitions)]
        self._old = old
        self._copying = _Copying(target, target.topic(topics.CUSTOMER_EVENTS.name))

    def take(self, records: Iterable[Read], on_each: Callable[[], None]) -> None:
        """Events, each to the partition of its customer; one that was passed over stays so at its new offset."""
        for record in records:
            into = self.laid[partition_of(record.key or b"", len(self.laid))]
            problem = self._old[record.partition].skipped.get(record.offset)
            if problem is not None:
                into.marks[skipping.record_key(into.count)] = problem
            self._put(into, record)
            on_each()

    def take_control(self, control: Read) -> None:
        """Once to each partition."""
        for into in self.laid:
            self._put(into, control)

    def stand_here(self) -> None:
        """What is written so far is what workers had processed."""
        for into in self.laid:
            into.position = into.count

    def finish(self) -> None:
        """Wait until the broker has it all."""
        self._copying.finish()

    def _put(self, into: Laid, record: Read) -> None:
        headers = list(record.headers)
        self._copying.send(into.partition, record.key, record.value, timestamp=record.timestamp, headers=headers)
        into.sums.add(record)


def copy_log(
    settings: Settings, target: Settings, old: list[Old], ends: list[int], on_progress: OnProgress
) -> list[Laid]:
    """The new log, control by control; the new positions, and the marks of passed-over records at their new offsets."""
    name = settings.topic(topics.CUSTOMER_EVENTS.name)
    ahead = _AHEAD_BYTES // len(old)
    cursors = [_Cursor(replay(settings, name, p, begin=0, end=end, ahead_bytes=ahead)) for p, end in enumerate(ends)]
    new, read, total = _NewLog(target, old), 0, sum(ends)

    def on_each() -> None:
        nonlocal read
        read += 1
        if read % _POLL_EVERY == 0:
            on_progress("copying the log", min(read, total - 1), total)

    stands = False
    while True:
        if not stands:
            for each, cursor in zip(old, cursors, strict=True):
                new.take(cursor.events(before=each.position), on_each)
            stands = _stand_here(name, old, cursors)
            if stands:
                new.stand_here()
        for cursor in cursors:
            new.take(cursor.events(), on_each)
        control = _control(name, cursors)
        if control is None:
            break
        new.take_control(control)
    new.finish()
    on_progress("copying the log", total, total)
    return new.laid


def _stand_here(name: str, old: list[Old], cursors: list[_Cursor]) -> bool:
    """Whether the state stands between the last control and the next one: in every partition, or in none."""
    here = [
        cursor.next is None or cursor.next.offset >= each.position for each, cursor in zip(old, cursors, strict=True)
    ]
    if any(here) and not all(here):
        raise CannotRepartition(
            f"{name}: partition {here.index(True)} has not come to a control that partition {here.index(False)} has "
            f"passed. {_LET_A_WORKER_FINISH}"
        )
    return all(here)


def _control(name: str, cursors: list[_Cursor]) -> Read | None:
    """The next control, which must be the same in every partition; None at the end of the log."""
    if all(cursor.next is None for cursor in cursors):
        return None
    controls = [None if cursor.next is None else cursor.take() for cursor in cursors]
    first = controls[0]
    for partition, control in enumerate(controls):
        if first is None or control is None or control.value != first.value:
            raise CannotRepartition(f"{name}: partitions 0 and {partition} do not have the same controls")
    return first


def verify_log(target: Settings, laid: list[Laid], on_progress: OnProgress) -> None:
    """Read the new log back, and compare it with what was read of the old one."""
    name = target.topic(topics.CUSTOMER_EVENTS.name)
    for each in laid:
        end = bounds_of(target, name, each.partition, committed_only=True).high
        sums = Sums()
        for records in replay(target, name, each.partition, begin=0, end=end):
            for record in records:
                sums.add(record)
        if (end, sums.count, sums.result()) != (each.count, each.count, each.sums.result()):
            raise CannotRepartition(
                f"{name}[{each.partition}]: read back {sums.count:,} records up to {end}, not the {each.count:,} "
                "written"
            )
        on_progress("verifying the log", each.partition + 1, len(laid))


# -- the state ---------------------------------------------------------------------------------------------------------


class _NewState:
    """The new changelog as far as it is written, with a sum of what each partition holds."""

    def __init__(self, target: Settings) -> None:
        self.sums = [0] * target.log_partitions
        self._copying = _Copying(target, target.topic(topics.CUSTOMER_STATE.name))

    def put(self, partition: int, key: bytes, value: bytes, *, is_due: bool = False) -> None:
        """An entry; `is_due`: its customer's view has still to go out."""
        self._copying.send(partition, key, frame(value, _DUE if is_due else _SHOWN))
        self.sums[partition] += _entry_sum(key, value, is_due=is_due)

    def finish(self, laid: list[Laid]) -> None:
        """The positions, and wait until the broker has it all."""
        for into in laid:
            position = encode_position(Position(into.position, _DUE, _SHOWN))
            self._copying.send(into.partition, POSITION_KEY, position)
        self._copying.finish()


def copy_state(settings: Settings, target: Settings, old: list[Old], laid: list[Laid], on_progress: OnProgress) -> int:
    """The new changelog, one old partition after the other; the number of customers."""
    _need_same_controls(settings, old)
    ends = [
        bounds_of(settings, settings.topic(topics.CUSTOMER_EVENTS.name), each.partition, committed_only=True).high
        for each in old
    ]
    views_from = max(ends) + max(each.views_from for each in old)  # a view made from now on is the later
    new, customers = _NewState(target), 0
    for each in old:
        found = held(settings, each.partition, is_owned=False)
        for key, value in found.state.items():
            who = skipping.customer_of(key) or key
            if not who.startswith(b"__"):
                new.put(partition_of(who, len(laid)), key, value, is_due=key in found.unflushed)
                customers += key == who
        on_progress("copying the state", each.partition + 1, len(old))
    for into in laid:
        for key, value in {**old[0].controls, **into.marks, VIEWS_KEY: str(views_from).encode()}.items():
            new.put(into.partition, key, value)
    new.finish(laid)
    for into, wanted in zip(laid, new.sums, strict=True):
        _verify_state(target, into, wanted)
        on_progress("verifying the state", into.partition + 1, len(laid))
    return customers


def _need_same_controls(settings: Settings, old: list[Old]) -> None:
    for each in old:
        if each.controls != old[0].controls:
            raise CannotRepartition(
                f"{settings.topic(topics.CUSTOMER_STATE.name)}: partitions 0 and {each.partition} have other controls "
                f"in force (one is in the middle of a Tick?). {_LET_A_WORKER_FINISH}"
            )


def _verify_state(target: Settings, into: Laid, wanted: int) -> None:
    found = held(target, into.partition, is_owned=False)
    got = sum(_entry_sum(key, value, is_due=key in found.unflushed) for key, value in found.state.items())
    if found.position is None or (got, found.position.next_offset) != (wanted, into.position):
        raise CannotRepartition(
            f"{target.topic(topics.CUSTOMER_STATE.name)}[{into.partition}]: read back is not what was written"
        )


def _entry_sum(key: bytes, value: bytes, *, is_due: bool) -> int:
    """Of an entry; summed over all, in whatever order they come."""
    entry = b"%d:%b:%d:%b" % (len(key), key, is_due, value)
    return int.from_bytes(hashlib.blake2b(entry, digest_size=16).digest(), "big")
