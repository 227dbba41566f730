"""One task: one input partition of one processor, from its recovery to its last commit.

Its life: *recovering* (fence, restore, find the position), *running* (gather, process, commit, again), and either
*stopped* (revoked), *held* (its processor wants no more), *fenced* (another worker has it) or *broken* (its position is
not in the log any more). A failed batch goes back to *recovering*, after a pause; nothing else is ever retried.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

import structlog

from pipeline import metrics
from pipeline.engine.changelog import POSITION_KEY, Position, Reading, Unrelated, encode_position, frame, restore
from pipeline.engine.copies import Copies, Log, check_whole, open_reading, throw_away
from pipeline.engine.flushing import Flushing
from pipeline.engine.pace import BEHIND_SECONDS, Pace
from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Processor, Record, Spec
from pipeline.engine.producer import Fenced, TransactionalProducer, Uncertain, transactional_id
from pipeline.engine.progress import Progress
from pipeline.engine.snapshots import Snapshots
from pipeline.engine.state import Anchor, Mark, State

T = TypeVar("T")

log = structlog.get_logger("wafa.engine")

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PENDING_BATCHES = 3
_BEHIND_BATCHES = 4
"""Where so many batches wait already they are taken as one: fewer commits, and a customer's many events packed once."""
_TELLING_RECORDS = 50
"""A batch of fewer says little about what a record costs."""
_PASSED_SECONDS = 60.0
"""A position that only marks of transactions and what was given up have moved is committed after so long."""
_LOOK_AGAIN_SECONDS = 1.0
_FORGOTTEN_SECONDS = 10.0
"""A running task with nothing in hand that has not got on for so long is fetched for anew: the consumer may have lost
sight of its partition."""
_FORGIVEN = 1
"""Failures in a row after which getting well again is still progress; after more only a commit is."""


STEPS = (
    "initialised", "restoring", "restored", "fetched", "stepped", "produced", "flushed", "committed", "kept",
    "revoking", "revoked",
)  # fmt: skip
"""The protocol's steps by name, as a task takes them: recovery, a batch, the loss of its partition.

*produced* is queued here, *flushed* is on the broker and uncommitted; after *committed* memory follows: *kept*.
"""


class Phase(StrEnum):
    """Where a task is in its life."""

    RECOVERING = "recovering"
    RUNNING = "running"
    HELD = "held"
    FENCED = "fenced"
    BROKEN = "broken"
    STOPPED = "stopped"


class TellBuffer(Protocol):
    """Tells the consumer that a partition's buffer is full, or has room again."""

    def __call__(self, topic: str, partition: int, *, is_full: bool) -> None:
        """Safe to repeat."""


class _Times(NamedTuple):
    """When each phase of a batch ended (monotonic seconds)."""

    started_at: float
    processed_at: float
    produced_at: float
    committed_at: float


@dataclass(slots=True)
class _Missing:
    """What did not come here: runs lost on their way, and offsets between records."""

    refetch: asyncio.Future[None] | None = None
    """Fetching again what was lost on its way."""
    gap: tuple[int, int] | None = None
    """Where the task and its consumer stood a second ago, when the consumer was ahead."""
    none_to: int = 0
    """Up to here no record is missing between those that came: the log was asked."""
    is_looking: bool = False
    """It is being asked: what comes meanwhile is fetched again afterwards."""
    look: asyncio.Future[None] | None = None
    outside: PositionOutsideLog | None = None
    """Records were deleted before they came here: raised when what did come is done."""
    asked_at: int | None = None
    """When the log was last asked for more, as of the last look; in the consumer's own count."""
    remembered_at: float = 0.0
    """When it was last fetched anew because nothing had come."""


@dataclass(slots=True)
class _Tenure:
    """Which time it is that we have the partition."""

    number: int = 0
    """Counts the times it was taken from us: what was fetched in an earlier one is void."""
    began_in: int = 0
    """The one in which the last recovery or transaction began."""


class PositionOutsideLog(Exception):
    """The log no longer holds (or never held) the position: unread input is gone, or the topic was made anew."""

    @classmethod
    def of(cls, topic: str, partition: int, position: int, low: int, high: int) -> PositionOutsideLog:
        """With the offsets."""
        return cls(
            f"{topic}[{partition}]: expected the position {position} between {low} and {high}; "
            "unread input was deleted, or the topic was made anew"
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a transaction, and how long things may take."""

    batch_records_max: int = 8000
    batch_seconds_max: float = 0.05
    linger_seconds: float = 0.025
    transactions_per_second: float = 250.0
    """Of small transactions a worker begins so many; a full batch waits for none of them."""
    transaction_timeout_seconds: float = 10.0
    refenced_after_seconds: float = 10.0
    """A task fenced while still assigned is taken up again only after this: longer than any zombie stays a member."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a task needs of its worker."""

    app_id: str
    client: Mapping[str, object]
    limits: Limits
    pace: Pace
    blocking: Executor
    log_bounds: Callable[[str, int], tuple[int, int]]
    """(low, high) watermarks of a partition, uncommitted records included; blocking."""
    resume: Callable[[str, int, int], Awaitable[None]]
    """Let the consumer fetch this partition from this offset on."""
    pause: Callable[[str, int], None]
    """Let the consumer fetch no more of this partition, until it is resumed."""
    buffer: TellBuffer
    copies: Copies
    describe_log: Callable[[ChangelogPlace], Log]
    """A changelog partition as it stands, uncommitted records included; blocking."""
    take_standby: Callable[[ChangelogPlace, Log], Reading | None]
    """The partition's changelog as far as a standby here has read it, if one has; blocking."""
    at: Callable[[str], None]
    """Called at each of STEPS; where fault tests strike."""


class Task:
    """Runs one partition. `offer` is called with fetched runs; everything else happens in `run`."""

    def __init__(self, spec: Spec, partition: int, around: Surroundings) -> None:
        self.spec = spec
        self.partition = partition
        self.phase = Phase.RECOVERING
        self.position = 0
        """Next input offset to process; committed."""
        self.has_position = False
        """Whether the position is known yet: the changelog says it."""
        self.end_offset = 0
        self.moved_at = time.monotonic()
        """When the task last got on, or had nothing to do."""
        self.committed_at: float | None = None
        """When it last committed here, in seconds since 1970."""
        self.recovery_remaining = 0
        self.reason = ""
        """Why it last failed, until it has got on again; or why it does not go on."""
        self._around = around
        self._place = spec.changelog(partition)
        self._name = f"{spec.name}/{spec.topic}/{partition}"
        self._state = State()
        self._topic_id = ""
        self._anchor = Anchor(0)
        self._snapshots = Snapshots(around.copies, self._place, self._name) if spec.is_large else None
        self._processor: Processor | None = None
        self._producer: TransactionalProducer | None = None
        self._pending: deque[Record] = deque()
        self._fetched_to = 0
        self._first_at = 0.0
        self._passed_at = 0.0
        """When it was last moved by a run without records."""
        self._is_full = False
        self._wakeup = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_assigned = True
        self._tenure = _Tenure()
        self._stopping = False
        self._runner: asyncio.Task[None] | None = None
        self._missing = _Missing()
        self._sequence = 0
        """Counts the task's transactions, over all its owners."""
        self._flushed_sequence = 0
        self._flushing = Flushing(spec.flush_seconds)
        self._seconds_per_record = 20e-6
        self._failures = 0
        """In a row, since records were last committed."""
        self._waits_since: float | None = None
        """When the broker received the first record behind the position, where it has been seen; seconds since 1970."""
        self._none_waited_at = metrics.now_seconds()
        """What waits unseen came after this: when the last record processed came, or none waited; at first, now."""

    # -- what the worker calls ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin recovering, then run until stopped."""
        self._runner = asyncio.get_running_loop().create_task(self._run(), name=f"wafa task {self._name}")

    async def stop(self) -> None:
        """Finish the batch in hand, then give everything up. Safe to call more than once."""
        self._stopping = True
        self._wakeup.set()
        if self._runner is not None:
            await asyncio.gather(self._runner, return_exceptions=True)
        self.phase = Phase.STOPPED
        self._around.pace.forget(self._name)
        metrics.forget_partition(self.spec.topic, self.partition)

    async def revoke(self) -> None:
        """The partition is not ours until it is assigned again: finish the batch in hand, forget what was fetched."""
        self._is_assigned = False
        self._tenure.number += 1
        self._pending.clear()
        self._stand_at_position()  # else a flush without records would pass over what was just dropped
        self._is_full = False
        self._wakeup.set()
        self._around.at("revoking")
        await self._is_idle.wait()
        self._around.at("revoked")

    def _stand_at_position(self) -> None:
        """Nothing behind the position has come, nor is known not to be missing."""
        self._fetched_to = self._missing.none_to = self.position

    async def assign(self) -> None:
        """The partition is ours again: go on from the position, or (where it failed) from the log."""
        self._is_assigned = True
        self._wakeup.set()
        if self.phase is Phase.RUNNING:
            self._stand_at_position()
            self._gets_on()
            await self._around.resume(self.spec.topic, self.partition, self.position)

    @property
    def _takes_runs(self) -> bool:
        return self.phase is Phase.RUNNING and self._is_assigned and not self._missing.is_looking

    def offer(self, records: Sequence[Record], begin_offset: int, next_offset: int) -> None:
        """Take a fetched run. Records before the position are what a seek has already overtaken."""
        if not self._takes_runs:
            return
        if begin_offset > self._fetched_to:
            self._fetch_again(begin_offset)
            return
        fresh = (
            [record for record in records if record.offset >= self._fetched_to]
            if (records and records[0].offset < self._fetched_to)
            else records
        )
        hole_to = fresh[0].offset if fresh else next_offset
        if hole_to > max(self._fetched_to, self._missing.none_to):
            self._look_into(hole_to, lambda: self.offer(records, begin_offset, next_offset))
            return
        if not fresh and next_offset > self._fetched_to:
            if self._fetched_to <= self.position:
                self._passed_at = time.monotonic()
            self._wakeup.set()
        self._fetched_to = max(self._fetched_to, next_offset)
        if not fresh:
            if not self._pending and self._is_idle.is_set():
                self._gets_on()
            return
        self._put_in(fresh)

    def _put_in(self, fresh: Sequence[Record]) -> None:
        """These wait for their batch."""
        if self._waits_since is None:
            self._waits_since = fresh[0].timestamp / 1000
        if not self._pending:
            self._first_at = time.monotonic()
        self._pending.extend(fresh)
        if len(self._pending) >= _PENDING_BATCHES * self._around.limits.batch_records_max:
            self._is_full = True  # told again while it is: whoever resumes the partition does not know
            self._around.buffer(self.spec.topic, self.partition, is_full=True)
        self._wakeup.set()

    def see(self, end_offset: int, *, fetched_at: int | None = None) -> None:
        """Take note of where the log ends now. A running task that has come there has nothing to get on with.

        But for that its log must be asked: `fetched_at` is when it last was, and has to change from look to look.
        """
        self.end_offset = end_offset
        if self.phase is Phase.RUNNING and end_offset < self.position:
            self._look_into(self._missing.none_to)
        was_asked, self._missing.asked_at = fetched_at != self._missing.asked_at, fetched_at
        if self.lag_records:
            return
        self._none_waited_at = metrics.now_seconds()
        if self.phase is Phase.RUNNING and was_asked:
            self.moved_at = time.monotonic()

    def fetch_if_forgotten(self) -> bool:
        """Fetch from where the task stands, if nothing came for long though it could take it. Whether it was so."""
        missing, now = self._missing, time.monotonic()
        is_at_rest = self._takes_runs and not self._pending and self._is_idle.is_set()
        if not is_at_rest or now - max(self.moved_at, missing.remembered_at) <= _FORGOTTEN_SECONDS:
            return False
        missing.remembered_at = now
        log.warning("nothing_fetched", task=self._name, at=self._fetched_to, seconds=round(now - self.moved_at))
        self._fetch_from_here()
        return True

    def compare(self, fetch_position: int | None) -> None:
        """Take note of where the consumer stands. Ahead of what has come here, and still so a second later: lost."""
        before, self._missing.gap = self._missing.gap, None
        if self._takes_runs and (fetch_position or 0) > self._fetched_to:
            self._missing.gap = (self._fetched_to, fetch_position or 0)
            if self._missing.gap == before:
                self._fetch_again(self._missing.gap[1])

    def _fetch_again(self, lost_to: int) -> None:
        """A fetched run was lost on its way here (Faust drops what comes in a rebalance): fetch from where we stand."""
        if self._fetch_from_here():
            log.info("fetched_again", task=self._name, lost_from=self._fetched_to, lost_to=lost_to)

    def _fetch_from_here(self) -> bool:
        """Once at a time, for the consumer may be long about it. Whether it was not at it already."""
        if self._missing.refetch is not None and not self._missing.refetch.done():
            return False
        again = self._around.resume(self.spec.topic, self.partition, self._fetched_to)
        self._missing.refetch = asyncio.ensure_future(again)
        return True

    def _look_into(self, hole_to: int, go_on: Callable[[], None] = lambda: None) -> None:
        """Offsets were passed over: marks of transactions and what was given up, or records deleted unread.

        aiokafka says nothing when the log does not hold the position any more, and goes on where the log begins.
        """
        missing = self._missing
        if missing.outside is None and not missing.is_looking:
            missing.is_looking = True
            self._around.pause(self.spec.topic, self.partition)
            missing.look = asyncio.ensure_future(self._look(self._fetched_to, hole_to, go_on))

    async def _look(self, begin: int, hole_to: int, go_on: Callable[[], None]) -> None:
        topic, partition, missing, tenure = self.spec.topic, self.partition, self._missing, self._tenure.number
        bounds: tuple[int, int] | None = None
        try:
            bounds = await self._in_thread(lambda: self._around.log_bounds(topic, partition))
        except Exception as error:  # noqa: BLE001 - whatever it was: it is asked again when the run comes again
            log.info("hole_not_looked_into", task=self._name, begin=begin, end=hole_to, error=repr(error))
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        missing.is_looking = False
        if self.phase is not Phase.RUNNING or not self._is_assigned:  # whoever goes on begins at the position
            return
        if bounds is not None and begin == self._fetched_to and tenure == self._tenure.number:
            if not bounds[0] <= begin <= bounds[1]:
                missing.outside = PositionOutsideLog.of(topic, partition, begin, *bounds)
                self._wakeup.set()
                return
            missing.none_to = max(missing.none_to, hole_to)
            go_on()
        if not missing.is_looking:
            await self._around.resume(topic, partition, self._fetched_to)

    @property
    def reached(self) -> int:
        """Everything before this offset has had its effect: the position, or past the control records behind it."""
        return self.position if self._pending or not self._is_idle.is_set() else max(self.position, self._fetched_to)

    @property
    def lag_records(self) -> int:
        """Records between what is reached and the end of the log, as last seen."""
        return max(0, self.end_offset - self.reached)

    @property
    def oldest_at(self) -> float | None:
        """When the broker received the oldest record not processed (seconds since 1970); None while none waits.

        As far as is known: where the record itself has not been seen, it came after all that was before it.
        """
        if self._waits_since is not None:
            return self._waits_since
        return self._none_waited_at if self.lag_records else None

    # -- its life ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._until_assigned()
                if not self._stopping:
                    await self._recover()
                await self._process_until_stopped()
            except Fenced as error:
                # Another worker owns it, or the broker gave up on a transaction of ours. Initialising again would fence
                # that owner: only when assigned anew, or when still a member after any zombie must have been expelled.
                self._fail(Phase.FENCED, "fenced", error)
                await self._give_up()
                await self._pause_for(self._around.limits.refenced_after_seconds, tenure=self._tenure.began_in)
            except PositionOutsideLog as error:
                self._fail(Phase.BROKEN, "broken", error)
                await self._give_up()
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, the log is right and memory is not
                self._fail(Phase.RECOVERING, "uncertain" if isinstance(error, Uncertain) else "failed", error)
                await self._give_up()
                await self._pause_for(_BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS)) - 1])
        await self._give_up()

    async def _until_stopped(self) -> None:
        while not self._stopping:
            self._wakeup.clear()
            await self._wait(None)

    async def _until_assigned(self) -> None:
        while not self._is_assigned and not self._stopping:
            self._wakeup.clear()
            await self._wait(None)

    def _fail(self, phase: Phase, outcome: str, error: Exception) -> None:
        self.phase = phase
        self._around.pause(self.spec.topic, self.partition)  # what came now would be dropped
        self._failures += 1
        self.reason = f"{type(error).__name__}: {error}"
        metrics.COMMITS.labels(outcome=outcome if outcome in ("uncertain", "fenced") else "aborted").inc()
        log.warning(
            "task_failed",
            how=outcome,
            task=self._name,
            position=self.position,
            error=self.reason,
            exc_info=outcome == "failed",
        )

    def _gets_on(self) -> None:
        """What was done counts as progress, unless it only makes up for failure after failure."""
        if self._failures <= _FORGIVEN:
            self.moved_at = time.monotonic()

    async def _pause_for(self, seconds: float, *, tenure: int | None = None) -> None:
        """Wait; with `tenure`, only until the partition is taken from us."""
        deadline = time.monotonic() + seconds
        while tenure in (None, self._tenure.number) and (left := deadline - time.monotonic()) > 0:
            if self._stopping:
                return
            self._wakeup.clear()
            await self._wait(left)

    async def _give_up(self) -> None:
        """Drop state, processor, producer and everything fetched."""
        producer, self._producer, self._processor = self._producer, None, None
        if self._snapshots is not None:
            self._snapshots.stop()
        state, self._state = self._state, State()
        await self._in_thread(state.close)
        self._pending.clear()
        self._stand_at_position()  # what was fetched has had no effect: it is lag again
        self._is_full = False
        if producer is not None:
            producer.abandon()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._around.blocking, call)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wakeup.wait()
        except TimeoutError:
            pass

    async def _recover(self) -> None:
        self.phase, self._tenure.began_in = Phase.RECOVERING, self._tenure.number
        started_at = time.monotonic()
        around, topic = self._around, self.spec.topic
        name = transactional_id(around.app_id, self.spec.name, topic, self.partition)
        reading = await self._in_thread(lambda: self._restore_blocking(name))
        if reading is None or self._stopping:
            return
        around.at("restored")
        low, high = await self._in_thread(lambda: around.log_bounds(topic, self.partition))
        position = reading.position or Position(next_offset=low, sequence=0, flushed_sequence=0)
        if position.next_offset != self.position:  # somebody else went on from there
            self._waits_since = None
        self.position, self._sequence, self._flushed_sequence = (
            position.next_offset, position.sequence, position.flushed_sequence,
        )  # fmt: skip
        if not low <= self.position <= high:
            raise PositionOutsideLog.of(topic, self.partition, self.position, low, high)
        self.end_offset, self.has_position = high, True
        self._anchor = reading.anchor
        if self._snapshots is not None:
            self._snapshots.restored(reading)
        # In a thread: a processor may look at every entry, which takes seconds where there are a million.
        self._processor = await self._in_thread(
            lambda: self.spec.factory(self.partition, self._state, reading.unflushed)
        )
        self._state.changed.clear()
        self._stand_at_position()
        self._missing.outside = None
        self._pending.clear()
        self._gets_on()
        self._flushing.flushed(time.monotonic(), 0.0, is_left=False, is_busy=False)
        self.phase, self.recovery_remaining = Phase.RUNNING, 0
        seconds = time.monotonic() - started_at
        metrics.RECOVERY_SECONDS.observe(seconds)
        metrics.RECOVERIES.labels(source=reading.source).inc()
        log.info(
            "task_recovered", task=self._name, position=self.position, entries=len(self._state), source=reading.source,
            records=reading.records, seconds=round(seconds, 3),
        )  # fmt: skip
        if self._is_assigned:
            await around.resume(topic, self.partition, self.position)

    def _restore_blocking(self, name: str) -> Reading | None:
        """The state and where it stands, from the changelog; None if stopped meanwhile."""
        around, place = self._around, self._place
        self._producer = TransactionalProducer(
            around.client, name, transaction_timeout_seconds=around.limits.transaction_timeout_seconds
        )
        self._producer.initialise_blocking()
        around.at("initialised")
        log_now = around.describe_log(place)
        self._topic_id = log_now.topic_id
        while True:
            reading = around.take_standby(place, log_now) or open_reading(
                around.copies, place, log_now, is_large=self.spec.is_large
            )
            self._state = reading.state
            try:
                if not self._read_on(reading, log_now.end):
                    return None
                check_whole(reading)
            except Unrelated as unrelated:  # happens once: what is opened next begins at the log's beginning
                reading.state.close()
                throw_away(around.copies, place, str(unrelated))
                continue
            if reading.position is not None:
                self._state.keep(self._mark(reading.anchor, reading.position.sequence))
            return reading

    def _read_on(self, reading: Reading, end_offset: int) -> bool:
        self.recovery_remaining = end_offset - reading.next_offset
        told = Progress(self._name, self.recovery_remaining)

        def on_progress(remaining: int) -> None:
            if remaining < self.recovery_remaining:
                self._gets_on()
            self.recovery_remaining = remaining
            told.tell(remaining)
            self._around.at("restoring")

        return restore(
            reading, self._around.client,
            end_offset=end_offset, on_progress=on_progress, should_stop=lambda: self._stopping,
        )  # fmt: skip

    def _mark(self, anchor: Anchor, sequence: int) -> Mark:
        return Mark(self._topic_id, anchor, sequence, metrics.now_seconds())

    async def _process_until_stopped(self) -> None:
        if self._stopping:  # told so while it recovered: there may be no processor
            return
        processor = self._processor
        assert processor is not None
        while not self._stopping:
            if processor.held is not None:
                self.phase, self.reason = Phase.HELD, processor.held
                self._around.pause(self.spec.topic, self.partition)
                log.error("task_held", task=self._name, position=self.position, reason=processor.held)
                await self._until_stopped()
                return
            flush = await self._gather()
            outside = self._missing.outside
            if not (self._pending or flush or outside or self._passed_in(time.monotonic()) == 0.0):
                continue
            self._is_idle.clear()
            try:
                await self._transact(flush=flush)
            finally:
                self._is_idle.set()
            if outside is not None and not self._pending:  # and it is still ours: else it may stand elsewhere by now
                raise outside

    async def _gather(self) -> bool:
        """Wait until a batch is worth closing: full, or lingered and in its turn; or due without records.

        True if a flush is due.
        """
        processor, limits = self._processor, self._around.limits
        assert processor is not None
        while not self._stopping:
            if self._missing.outside is not None and not self._pending:
                return False
            now = time.monotonic()
            may_flush = processor.wants_flush and self._is_assigned
            flush_in = self._flush_in(now) if may_flush else None
            passed_in = self._passed_in(now)
            if flush_in == 0.0 or passed_in == 0.0:
                return flush_in == 0.0
            if self._pending:
                due_at = max(self._first_at + limits.linger_seconds, self._around.pace.next_at(self._name, now))
                linger = due_at - now
                if linger <= 0 or len(self._pending) >= self._batch_records():
                    return False
                timeout: float | None = linger if flush_in is None else min(linger, flush_in)
            else:
                timeout = min((each for each in (flush_in, passed_in) if each is not None), default=None)
            self._wakeup.clear()
            await self._wait(timeout)
        return False

    def _passed_in(self, now: float) -> float | None:
        """Seconds until a position without records is due; None: there is none.

        Else a log whose end nobody but a crashed worker wrote would, once deleted, seem to have been deleted unread.
        """
        if self._pending or self._fetched_to <= self.position or not self._is_assigned:
            return None
        return max(0.0, self._passed_at + _PASSED_SECONDS - now)

    def _flush_in(self, now: float) -> float:
        """Seconds until a flush is due. Behind, it is asked again within a second: that may be over by then."""
        is_behind = self._around.pace.is_behind(now)
        due_in = max(0.0, self._flushing.due_at(is_behind=is_behind) - now)
        return min(due_in, BEHIND_SECONDS) if is_behind else due_in

    def _batch_records(self) -> int:
        """How many records the next transaction takes: its time's worth, or more while far more are waiting."""
        limits = self._around.limits
        records = int(limits.batch_seconds_max / self._seconds_per_record)
        if len(self._pending) >= _BEHIND_BATCHES * records:
            records *= _BEHIND_BATCHES
        return max(1, min(limits.batch_records_max, records))

    async def _transact(self, *, flush: bool) -> None:
        """One batch, one transaction: outputs, changed state and position, or nothing."""
        processor, producer, state, at = self._processor, self._producer, self._state, self._around.at
        assert processor is not None
        assert producer is not None
        started_at = time.monotonic()
        pending, tenure, most = self._pending, self._tenure.number, self._batch_records()
        self._tenure.began_in = tenure
        self._around.pace.begin(self._name, started_at, is_behind=self._is_full or len(pending) >= 2 * most)
        records = [pending.popleft() for _ in range(min(len(pending), most))]
        # With nothing left: over the control records behind the last one too, so that lag can reach 0.
        next_offset = records[-1].offset + 1 if pending else max(self._fetched_to, self.position)
        batch = Batch(self.spec.topic, self.partition, records, next_offset, flush)
        outbox = Outbox()
        at("fetched")
        consumed = processor.process(batch, state, outbox)
        processed_at = time.monotonic()
        at("stepped")
        position = next_offset if consumed == len(records) else records[consumed].offset
        sequence = self._sequence + 1
        # A flush may leave some for the next one: those count as not flushed, and are asked for after a crash.
        flushed_sequence = self._flushed_sequence if processor.wants_flush else sequence
        self._add_changes(outbox, sequence)
        producer.send(outbox)
        producer.send_position(
            self._place.topic, self._place.prefix + POSITION_KEY,
            encode_position(Position(position, sequence, flushed_sequence)), self._place.partition,
        )  # fmt: skip
        produced_at = time.monotonic()
        at("produced")
        await self._in_thread(lambda: producer.commit_blocking(at))
        committed_at = time.monotonic()
        at("committed")
        if consumed < len(records) and tenure == self._tenure.number:
            pending.extendleft(reversed(records[consumed:]))
        self._first_at = 0.0  # what is left has lingered already
        if flushed_sequence == sequence:
            self._anchor = Anchor(producer.position_offset, sequence)
        await self._keep(self._mark(self._anchor, sequence))
        self.position, self._sequence, self._flushed_sequence = position, sequence, flushed_sequence
        self._note_oldest(records, consumed)
        self.committed_at = metrics.now_seconds()
        if records or not self.lag_records:  # views alone put out do not bring the records on
            self._failures, self.reason, self.moved_at = 0, "", time.monotonic()
        for effect in outbox.after_commit:
            effect()
        self._measure(records[:consumed], _Times(started_at, processed_at, produced_at, committed_at), flush=flush)
        if self._is_full and len(self._pending) < self._around.limits.batch_records_max:
            self._is_full = False
            self._around.buffer(self.spec.topic, self.partition, is_full=False)
        at("kept")

    def _note_oldest(self, records: Sequence[Record], consumed: int) -> None:
        """What is the first record not processed now, and what was the last one that is."""
        if consumed:
            self._none_waited_at = records[consumed - 1].timestamp / 1000
        left = records[consumed] if consumed < len(records) else next(iter(self._pending), None)
        self._waits_since = None if left is None else left.timestamp / 1000

    def _add_changes(self, outbox: Outbox, sequence: int) -> None:
        place, state = self._place, self._state
        for key in state.changed:
            payload = state.get(key)
            value = None if payload is None else frame(payload, sequence)
            outbox.emit(place.topic, place.prefix + key, value, partition=place.partition)

    async def _keep(self, mark: Mark) -> None:
        """What was committed is kept on this machine too, where the settings say so."""
        state = self._state
        if state.is_on_disk:
            await self._in_thread(lambda: state.keep(mark))
            return
        state.keep(mark)
        if self._snapshots is not None and self._snapshots.is_due(state, mark):
            self._snapshots.begin(state, mark, self._around.blocking)

    def _measure(self, records: Sequence[Record], times: _Times, *, flush: bool) -> None:
        count, topic = len(records), self.spec.topic
        if flush:
            took = times.processed_at - times.started_at - count * self._seconds_per_record
            is_left = self._processor is not None and self._processor.wants_flush
            self._flushing.flushed(
                times.committed_at, max(0.0, took), is_left=is_left,
                is_busy=bool(self._pending) or self._around.pace.is_behind(times.committed_at),
            )  # fmt: skip
        if count:
            self._flushing.worked(times.committed_at)
        if count >= _TELLING_RECORDS and not flush:
            seconds_per_record = (times.produced_at - times.started_at) / count
            self._seconds_per_record += 0.2 * (seconds_per_record - self._seconds_per_record)
        metrics.COMMITS.labels(outcome="committed").inc()
        metrics.BATCH_SECONDS.labels(phase="process").observe(times.processed_at - times.started_at)
        metrics.BATCH_SECONDS.labels(phase="produce").observe(times.produced_at - times.processed_at)
        metrics.BATCH_SECONDS.labels(phase="commit").observe(times.committed_at - times.produced_at)
        if count:
            metrics.BATCH_RECORDS.observe(count)
            now = metrics.now_seconds()
            metrics.PROCESSING.labels(topic=topic).observe_many([now - record.timestamp / 1000 for record in records])
