"""Every customer's state derived anew from their log, compared with the changelog, and put in its place.

Nothing is emitted: the processor that workers run is given the log once more, and what it has to say is dropped. The
state comes to stand exactly where the old one stood, so that workers go on as if nothing had happened.

Why a crash does no harm: the new state of a partition is one transaction of the partition's own transactional id. It
is there whole or not at all; a worker that starts meanwhile initialises the same id, which ends it, and begins from the
old state; a worker that ran before is fenced, and what it still held was not committed. Partitions are independent: a
rebuild begun again finds those that are done to be right already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from pipeline import topics
from pipeline.admin import Admin
from pipeline.agents.customers import CONTROL_PREFIX, VIEWS_KEY, Customers, Names
from pipeline.agents.skipping import Skipped, is_mark
from pipeline.core.codec import UnknownVersion, peek
from pipeline.engine.changelog import POSITION_KEY, Position, Reading, encode_position, frame, restore
from pipeline.engine.processor import Batch, Outbox, Record, State
from pipeline.engine.producer import TransactionalProducer, transactional_id
from pipeline.engine.state import Anchor
from pipeline.inquiry import need_topics, scan
from pipeline.kafka_clients import librdkafka_config
from pipeline.places import place_of
from pipeline.replaying import Bounds, Read, bounds_of, replay
from pipeline.schemas import logged
from pipeline.settings import Settings
from pipeline.topics import partition_of

DIFFERENCES_MAX: Final = 1_000
"""Differences named, a partition; the rest is counted."""
_TRANSACTION_SECONDS: Final = 600.0
"""A partition's new state is one transaction; a broker allows 900 s unless told otherwise."""
_SENT_ENTRIES: Final = 5_000

How = Literal["differs", "missing", "too much"]
OnProgress = Callable[[str, int, int], None]
"""Told of a step, how far it has come, and how far it has to go."""


class CannotRebuild(Exception):
    """The state cannot be derived from what is there; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry of the changelog that the log does not lead to."""

    partition: int
    key: str
    how: How

    def __str__(self) -> str:
        """As a line for people."""
        what = {
            "differs": "differs from what the log says",
            "missing": "is in the log and not in the state",
            "too much": "is in the state and not in the log",
        }[self.how]
        kind = "entry" if self.key.startswith("__") else "customer"
        return f"partition {self.partition}: {kind} {self.key} {what}"


@dataclass(slots=True)
class Rebuilt:
    """What came of one partition."""

    partition: int
    position: int
    had_position: bool
    """Else the changelog was empty, and the position is the end of the log."""
    events: int = 0
    passed_over: int = 0
    """Records left out since they are on the skip list."""
    customers: int = 0
    differences_count: int = 0
    differences: list[Difference] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What a person should hear of it."""
        if self.passed_over:
            yield f"partition {self.partition}: {self.passed_over:,} records passed over, which `step` had failed on"
        if not self.had_position and self.position:
            yield (
                f"partition {self.partition}: the changelog had no position; taken: {self.position}, the end of the "
                "log. What workers had not come to is in the state, and nothing is sent for it"
            )
            return  # everybody is missing, then
        yield from map(str, self.differences)
        if self.differences_count > len(self.differences):
            yield f"partition {self.partition}: {self.differences_count - len(self.differences):,} more"


def rebuild(
    settings: Settings, *, partitions: list[int] | None, check: bool, retry_skipped: bool, on_progress: OnProgress
) -> Iterator[Rebuilt]:
    """Derive each partition's state and compare it with the changelog; unless `check`, replace what differs.

    Without `partitions`, all of them, one after the other: only one partition's states are in memory.
    Raises CannotRebuild, Fenced (somebody took the partition: nothing is changed there), Uncertain, BadChangelog,
    LogSilent and KafkaException.
    """
    count = settings.partitions(topics.CUSTOMER_EVENTS)
    unknown = [number for number in partitions or () if number >= count]
    if unknown:
        raise CannotRebuild(f"partition: expected 0 to {count - 1}, got {unknown[0]}")
    need_topics(settings, topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE, topics.PROFILES)
    if not check:
        _need_open_log(settings)
    for partition in partitions or range(count):
        yield _rebuild_partition(
            settings, partition, check=check, retry_skipped=retry_skipped, on_progress=on_progress
        )  # fmt: skip


def need_no_worker(settings: Settings) -> None:
    """Refuse while workers run. They would only be fenced, but take the partitions back while we read."""
    with Admin(settings) as admin:
        members = admin.workers()
    if members:
        raise CannotRebuild(
            f"{len(members)} worker(s) of {settings.worker_app_id} run ({', '.join(members[:5])}): stop them "
            f"first (one that was killed is missed after {settings.kafka_session_timeout_seconds:g} s)"
        )


def _need_open_log(settings: Settings) -> None:
    log = settings.topic(topics.CUSTOMER_EVENTS.name)
    with Admin(settings) as admin:
        if admin.use_of(log) is not None:
            raise CannotRebuild(f"{log} is sealed or retired by a repartition: `wafa topics check` says which")


def _rebuild_partition(
    settings: Settings, partition: int, *, check: bool, retry_skipped: bool, on_progress: OnProgress
) -> Rebuilt:
    producer = None if check else own(settings, partition)
    try:
        found = held(settings, partition, is_owned=not check)
        old, position = found.state, found.position
        log = settings.topic(topics.CUSTOMER_EVENTS.name)
        bounds = bounds_of(settings, log, partition, committed_only=True)
        rebuilt = Rebuilt(partition, bounds.high if position is None else position.next_offset, position is not None)
        new = _Derivation(settings, rebuilt, old, bounds, retry_skipped=retry_skipped).run(on_progress)
        changes = _compare(old, new, rebuilt)
        if producer is not None and (changes or (position is None and rebuilt.position > bounds.low)):
            _replace(settings, producer, changes, rebuilt, position)
    finally:
        if producer is not None:
            producer.abandon()
    return rebuilt


def own(settings: Settings, partition: int) -> TransactionalProducer:
    """Become the partition's owner: who had it is fenced, and their open transaction ended."""
    name = settings.topic(topics.CUSTOMER_EVENTS.name)
    producer = TransactionalProducer(
        librdkafka_config(settings),
        transactional_id(settings.worker_app_id, "customers", name, partition),
        transaction_timeout_seconds=_TRANSACTION_SECONDS,
    )
    producer.initialise_blocking()
    return producer


@dataclass(frozen=True, slots=True)
class Held:
    """What a partition's changelog holds. `unflushed`: customers whose views are due."""

    state: State
    position: Position | None = None
    unflushed: frozenset[bytes] = frozenset()


def held(settings: Settings, partition: int, *, is_owned: bool) -> Held:
    """State and position as the changelog has them. Not owned: as of the last whole transaction."""
    place, state = place_of(settings, topics.CUSTOMER_EVENTS)(partition), State()
    bounds = bounds_of(settings, place.topic, partition, committed_only=not is_owned)
    if bounds.low == bounds.high:
        return Held(state)
    reading = Reading(place, state, Anchor(bounds.low))
    restore(
        reading, librdkafka_config(settings), end_offset=bounds.high,
        on_progress=lambda remaining: None, should_stop=lambda: False,
    )  # fmt: skip
    return Held(state, reading.position, frozenset(reading.unflushed))


class _Derivation:
    """One partition's state on its way from the log."""

    def __init__(
        self, settings: Settings, rebuilt: Rebuilt, old: State, bounds: Bounds, *, retry_skipped: bool
    ) -> None:
        self._settings = settings
        self._topic = settings.topic(topics.CUSTOMER_EVENTS.name)
        self._rebuilt = rebuilt
        self._old = old
        self._bounds = bounds
        self._retry_skipped = retry_skipped
        self._skipped = Skipped(State() if retry_skipped else old)
        self._unvisited: frozenset[bytes] | None = None
        """At the Tick the old state stands in the middle of: who was due, and had not been visited."""
        self._state = State()
        self._processor = Customers(
            rebuilt.partition, self._state, (), names=Names.of(settings.topic), passes_over=self._passes_over
        )

    def run(self, on_progress: OnProgress) -> State:
        """Replay the log up to the position."""
        rebuilt, bounds = self._rebuilt, self._bounds
        where = f"{self._topic}[{rebuilt.partition}]"
        if bounds.low > 0:
            raise CannotRebuild(
                f"{where} begins at {bounds.low}, not at 0: what came before is gone, and state with it"
            )
        if rebuilt.position > bounds.high:
            raise CannotRebuild(
                f"{where} ends at {bounds.high}, and the state stands at {rebuilt.position}: the log was cut or made "
                "anew"
            )
        end = min(rebuilt.position + 1, bounds.high)  # the Tick at the position may be half done
        on_progress(f"partition {rebuilt.partition}", 0, rebuilt.position)
        for records in replay(self._settings, self._topic, rebuilt.partition, begin=bounds.low, end=end):
            before = [each for each in records if each.offset < rebuilt.position]
            taken = [each for each in before if each.offset not in self._skipped.offsets]
            rebuilt.events += len(before)
            rebuilt.passed_over += len(before) - len(taken)
            self._process(taken)
            if len(before) < len(records):
                self._finish_tick(records[-1])
            on_progress(
                f"partition {rebuilt.partition}", min(records[-1].offset + 1, rebuilt.position), rebuilt.position
            )
        for key, value in self._old.items():
            if key == VIEWS_KEY or (is_mark(key) and not self._retry_skipped):  # what no replay leads to
                self._state.put(key, value)
        if (
            not rebuilt.had_position
            and (highest := _highest_view(self._settings, rebuilt.partition)) > rebuilt.position
        ):
            self._state.put(VIEWS_KEY, str(highest).encode())  # of before a repartition; those to come are later
        rebuilt.customers = sum(not key.startswith(b"__") for key, _ in self._state.items())
        return self._state

    def _process(self, records: list[Read]) -> None:
        """As a worker would; a Tick that visits many takes several turns. What there is to say is dropped."""
        left: list[Record] = list(records)
        while left:
            batch = Batch(self._topic, self._rebuilt.partition, left, left[-1].offset + 1, flush=False)
            left = left[self._processor.process(batch, self._state, Outbox()) :]
            self._state.changed.clear()

    def _finish_tick(self, record: Read) -> None:
        """The record at the position: if it is a Tick that was being visited, visit whom it had visited.

        They are visited in a fixed order, so they are the first so many of those due.
        """
        if record.key != logged.CONTROL_KEY:
            return
        try:
            tick = logged.decode(record.value or b"")
        except msgspec.MsgspecError:
            return
        adopted = self._old.get(CONTROL_PREFIX + b"Tick")
        if not isinstance(tick, logged.Tick) or adopted is None or logged.decode(adopted) != tick:
            return
        until = int(tick.as_of.timestamp())
        due = sorted(
            (peek(value).next_review_at, key)
            for key, value in self._state.items()
            if not key.startswith(b"__") and peek(value).next_review_at <= until
        )
        visited = [number for number, (_, key) in enumerate(due) if _review_at(self._old.get(key)) > until]
        self._unvisited = frozenset(key for _, key in due[visited[-1] + 1 if visited else 0 :])
        self._process([record])
        self._unvisited = None

    def _passes_over(self, customer: bytes, tick: logged.Tick) -> bool:
        return (self._unvisited is not None and customer in self._unvisited) or self._skipped.covers(
            customer, tick.as_of
        )


def _highest_view(settings: Settings, partition: int) -> int:
    """The highest offset that a view of this partition's customers carries."""
    count = settings.partitions(topics.CUSTOMER_EVENTS)
    views = (each for each in scan(settings, topics.PROFILES) if partition_of(each.key or b"", count) == partition)
    return max((_offset_of(each.value).offset for each in views if each.value is not None), default=0)


class _Offset(msgspec.Struct, frozen=True):
    """What a view says of the log's offset."""

    offset: int


_offset_of: Final = msgspec.json.Decoder(_Offset).decode


def _review_at(packed: bytes | None) -> int:
    """When a customer is due; 0 for one that is missing or unreadable."""
    try:
        return 0 if packed is None else peek(packed).next_review_at
    except (UnknownVersion, IndexError, ValueError):
        return 0


def _compare(old: State, new: State, rebuilt: Rebuilt) -> dict[bytes, bytes | None]:
    """What has to be written so that `old` becomes `new`; None for what must go."""
    changes: dict[bytes, bytes | None] = {}
    for key, value in new.items():
        before = old.get(key)
        if before != value:
            changes[key] = value
            _note(rebuilt, key, "missing" if before is None else "differs")
    for key in [key for key, _ in old.items() if key not in new]:
        changes[key] = None
        _note(rebuilt, key, "too much")
    return changes


def _note(rebuilt: Rebuilt, key: bytes, how: How) -> None:
    rebuilt.differences_count += 1
    if len(rebuilt.differences) < DIFFERENCES_MAX:
        rebuilt.differences.append(Difference(rebuilt.partition, key.decode(errors="replace"), how))


def _replace(
    settings: Settings,
    producer: TransactionalProducer,
    changes: dict[bytes, bytes | None],
    rebuilt: Rebuilt,
    old: Position | None,
) -> None:
    """One transaction: what differs, tombstones, the position. What it writes counts as not shown yet."""
    place = place_of(settings, topics.CUSTOMER_EVENTS)(rebuilt.partition)
    sequence, flushed = (1, 0) if old is None else (old.sequence + 1, old.flushed_sequence)
    outbox = Outbox()
    for key, value in changes.items():
        framed = None if value is None else frame(value, sequence)
        outbox.emit(place.topic, place.prefix + key, framed, partition=place.partition)
        if len(outbox.messages) >= _SENT_ENTRIES:
            producer.send(outbox)
            outbox = Outbox()
    position = encode_position(Position(rebuilt.position, sequence, flushed))
    outbox.emit(place.topic, place.prefix + POSITION_KEY, position, partition=place.partition)
    producer.send(outbox)
    producer.commit_blocking()
