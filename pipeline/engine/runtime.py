"""The worker's tasks: which run here, how they start and end with the partitions, and how it goes with them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # left out of its __all__
from faust.types import TP

from pipeline import metrics
from pipeline.engine.changelog import Reading
from pipeline.engine.copies import Copies, Log
from pipeline.engine.pace import Pace
from pipeline.engine.processor import ChangelogPlace, Spec
from pipeline.engine.standby import Standbys
from pipeline.engine.task import Limits, Phase, Surroundings, Task
from pipeline.engine.transport import BatchConsumer, FetchedRun

log = structlog.get_logger("wafa.engine")

_THREADS = 64
_WATERMARK_SECONDS = 10.0
_UNASKED_SECONDS = 10.0
"""A running task at the end of its log gets on with every answer that there is no more; without one for so long it
stands still."""
_IN_MEMORY = Copies()


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How it goes with one task, for probes, metrics and people."""

    name: str
    topic: str
    partition: int
    phase: Phase
    reason: str
    position: int
    lag_records: int
    recovery_remaining: int
    stands_still_seconds: float
    committed_at: float | None
    oldest_age_seconds: float


class Engine:
    """Runs tasks for whatever partitions Faust is assigned. One to a worker."""

    def __init__(  # noqa: PLR0913 - all that a worker is made of, each named where it is made
        self,
        specs: Sequence[Spec],
        *,
        app_id: str,
        client: Mapping[str, object],
        limits: Limits,
        copies: Copies = _IN_MEMORY,
        at: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._specs = {spec.topic: spec for spec in specs}
        self._tasks: dict[TP, Task] = {}
        self._consumer: BatchConsumer | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._assigned_once = False
        self._is_rebalancing = False
        self._revoked_at: float | None = None
        self._unassigned_since: float | None = None
        self._blocking = ThreadPoolExecutor(_THREADS, thread_name_prefix="wafa-blocking")
        self._client = client
        self._probe_lock = threading.Lock()
        self._probe: Consumer | None = None
        self._admin: AdminClient | None = None
        self._copies = copies
        self._assignments = 0
        self._follow_lock = threading.Lock()
        self._standbys = Standbys(copies, client, self._describe_log_blocking)
        self._around = Surroundings(
            app_id=app_id, client=client, limits=limits, pace=Pace(limits.transactions_per_second),
            blocking=self._blocking, log_bounds=self._log_bounds_blocking, resume=self._resume, pause=self._pause,
            buffer=self._buffer, copies=copies, describe_log=self._describe_log_blocking,
            take_standby=self._take_standby, at=at,
        )  # fmt: skip

    @property
    def topics(self) -> tuple[str, ...]:
        """Every input topic."""
        return tuple(self._specs)

    # -- what agents and transport call ---------------------------------------------------------------------------

    def use(self, consumer: BatchConsumer) -> None:
        """The consumer whose partitions these are."""
        self._consumer = consumer
        self._unassigned_since = time.monotonic()

    def take(self, run: FetchedRun) -> None:
        """Hand a fetched run to its task; returns at once."""
        task = self._tasks.get(TP(run.topic, run.partition))
        if task is not None:
            task.offer(run.records, run.begin_offset, run.next_offset)

    async def on_revoked(self, revoked: Iterable[TP]) -> None:
        """Finish every batch in hand; the tasks stay until it is known who gets the partitions."""
        self._is_rebalancing = True
        self._revoked_at = self._unassigned_since = time.monotonic()
        metrics.REBALANCES.inc()
        await asyncio.gather(*(self._tasks[tp].revoke() for tp in revoked if tp in self._tasks))

    async def on_assigned(self, assigned: Iterable[TP]) -> None:
        """Give up the tasks that went elsewhere, take up those that stayed, start the new ones (they recover alone)."""
        wanted = {TP(tp.topic, tp.partition) for tp in assigned if tp.topic in self._specs}
        lost = [self._tasks.pop(tp) for tp in list(self._tasks) if tp not in wanted]
        for task in lost:  # not awaited: this runs inside the rebalance, before heartbeats start again
            ending = asyncio.get_running_loop().create_task(task.stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        for tp in sorted(wanted):
            if tp in self._tasks and self._tasks[tp].phase is not Phase.BROKEN:
                await self._tasks[tp].assign()
            else:
                self._tasks[tp] = Task(self._specs[tp.topic], tp.partition, self._around)
                self._tasks[tp].start()
        self._assigned_once, self._is_rebalancing, self._unassigned_since = True, False, None
        if self._revoked_at is not None:
            metrics.REBALANCE_SECONDS.observe(time.monotonic() - self._revoked_at)
            self._revoked_at = None
        log.info("assigned", tasks=len(wanted), given_up=len(lost))
        if self._copies.has_standbys:
            self._assignments += 1
            following = asyncio.get_running_loop().run_in_executor(
                self._blocking, self._follow_others_blocking, frozenset(wanted), self._assignments
            )
            following.add_done_callback(_told_if_failed)

    def may_flow(self, tp: TP) -> bool:
        """Whether the partition's task has recovered."""
        task = self._tasks.get(TP(tp.topic, tp.partition))
        return task is not None and task.phase is Phase.RUNNING

    def positions(self) -> Mapping[TP, int]:
        """How far each running task has come, for lag tools and the clock. Asked once a second."""
        for tp, task in self._tasks.items():
            if self._consumer is not None and self.is_assigned:
                task.compare(self._consumer.position_of(tp))
        return {tp: task.reached for tp, task in self._tasks.items() if task.phase is Phase.RUNNING}

    async def stop(self) -> None:
        """Commit what is in hand and give every task up."""
        if self._asking is not None:
            self._asking.cancel()
        await asyncio.gather(*(task.stop() for task in self._tasks.values()), *self._ending)
        self._tasks.clear()
        await asyncio.to_thread(self._standbys.stop)
        if self._probe is not None:
            await asyncio.to_thread(self._probe.close)  # it waits for who asks it just now
        self._blocking.shutdown(wait=False)

    def standbys(self) -> Mapping[ChangelogPlace, int]:
        """The changelogs followed here for other workers' partitions, and up to which offset."""
        return self._standbys.status()

    # -- how it goes ----------------------------------------------------------------------------------------------

    @property
    def is_assigned(self) -> bool:
        """Whether this worker has been given its partitions and no rebalance is under way."""
        return self._assigned_once and not self._is_rebalancing

    def owns(self, topic: str, partition: int) -> bool:
        """Whether the task of this partition runs here."""
        task = self._tasks.get(TP(topic, partition))
        return task is not None and task.phase is Phase.RUNNING and self.is_assigned

    def look(self) -> None:
        """Take note of where the logs end now. Expected every second, on the event loop."""
        unfetched = []
        for tp, task in self._tasks.items():
            if task.phase is not Phase.RUNNING:
                unfetched.append(tp)
            elif self._consumer is not None:
                if (end_offset := self._consumer.end_of(tp)) is not None:
                    task.see(end_offset, fetched_at=self._consumer.fetched_at(tp))
                if self.is_assigned and task.fetch_if_forgotten():
                    self._consumer.let_flow()
        if unfetched and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_ends(unfetched))

    async def _ask_ends(self, unfetched: Sequence[TP]) -> None:
        """Ask where logs end that nothing is fetched from now. Without an answer, what was known stands."""
        loop = asyncio.get_running_loop()
        try:
            ends = await loop.run_in_executor(self._blocking, self._ends_blocking, unfetched)
        except (KafkaException, TimeoutError):
            return
        for tp, end_offset in ends.items():
            task = self._tasks.get(tp)
            if task is not None and task.has_position and task.phase is not Phase.RUNNING:
                task.see(end_offset)

    def _ends_blocking(self, tps: Sequence[TP]) -> dict[TP, int]:
        latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # confluent_kafka's own stubs
        asked = self._admin_client().list_offsets(
            {TopicPartition(tp.topic, tp.partition): latest for tp in tps},
            isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_WATERMARK_SECONDS,
        )  # fmt: skip
        ends: dict[TP, int] = {}
        untold: set[str] = set()
        for at, told in asked.items():
            try:
                ends[TP(at.topic, at.partition)] = told.result(_WATERMARK_SECONDS).offset
            except KafkaException:
                untold.add(at.topic)
        for topic in untold:
            _find_leaders_blocking(self._admin_client(), topic)
        return ends

    def status(self) -> list[TaskStatus]:
        """Every task's state of affairs, as of the last look."""
        now, wall = time.monotonic(), metrics.now_seconds()
        return [
            TaskStatus(
                name=task.spec.name, topic=tp.topic, partition=tp.partition, phase=task.phase, reason=task.reason,
                position=task.reached, lag_records=task.lag_records, recovery_remaining=task.recovery_remaining,
                stands_still_seconds=now - task.moved_at, committed_at=task.committed_at,
                oldest_age_seconds=0.0 if (oldest_at := task.oldest_at) is None else max(0.0, wall - oldest_at),
            )
            for tp, task in sorted(self._tasks.items())
        ]  # fmt: skip

    @property
    def unassigned_seconds(self) -> float:
        """For how long a rebalance, or the first assignment, has been under way; 0 while none is."""
        since = self._unassigned_since
        return 0.0 if since is None else time.monotonic() - since

    def standing(self) -> list[TaskStatus]:
        """Tasks that should get on: with records to process, in recovery, or with a log that nobody asks for more.

        None in a rebalance; nor those held or broken, which wait for a person.
        """
        if self._is_rebalancing:
            return []
        return [
            task
            for task in self.status()
            if task.phase is Phase.RECOVERING
            or (task.phase in (Phase.RUNNING, Phase.FENCED) and task.lag_records > 0)
            or (task.phase is Phase.RUNNING and task.stands_still_seconds > _UNASKED_SECONDS)
        ]

    # -- what tasks call --------------------------------------------------------------------------------------------

    async def _resume(self, topic: str, partition: int, offset: int) -> None:
        if self._consumer is not None:
            await self._consumer.flow_from(TP(topic, partition), offset)

    def _pause(self, topic: str, partition: int) -> None:
        if self._consumer is not None:
            self._consumer.pause_partitions({TP(topic, partition)})

    def _buffer(self, topic: str, partition: int, *, is_full: bool) -> None:
        if self._consumer is None:
            return
        if is_full:
            self._consumer.on_buffer_full(TP(topic, partition))
        else:
            self._consumer.on_buffer_drop(TP(topic, partition))

    def _take_standby(self, place: ChangelogPlace, log_now: Log) -> Reading | None:
        return self._standbys.take(place, log_now) if self._copies.has_standbys else None

    def _follow_others_blocking(self, ours: frozenset[TP], assignment: int) -> None:
        """Follow every partition of large states that is another worker's now; of two assignments the later counts."""
        places: dict[bool, list[ChangelogPlace]] = {True: [], False: []}
        for spec in self._specs.values():
            if spec.is_large:
                known = self._admin_client().list_topics(spec.topic, timeout=_WATERMARK_SECONDS)
                for number in known.topics[spec.topic].partitions:
                    places[TP(spec.topic, number) in ours].append(spec.changelog(number))
        with self._follow_lock:
            if assignment == self._assignments:
                self._standbys.follow(others=places[False], ours=places[True])

    def _admin_client(self) -> AdminClient:
        with self._probe_lock:
            if self._admin is None:
                client: dict[str, Any] = {**self._client}  # confluent_kafka's own stubs know no callbacks
                self._admin = AdminClient(client)
            return self._admin

    def _describe_log_blocking(self, place: ChangelogPlace) -> Log:
        """The changelog's bounds; its topic's id too, where a copy of the state may have to be told from another's."""
        low, high = self._log_bounds_blocking(place.topic, place.partition)
        if self._copies.kind == "memory" and not self._copies.has_standbys:
            return Log("", low, high)
        described = self._admin_client().describe_topics(
            TopicCollection([place.topic]), request_timeout=_WATERMARK_SECONDS
        )
        return Log(str(described[place.topic].result(_WATERMARK_SECONDS).topic_id), low, high)

    def _log_bounds_blocking(self, topic: str, partition: int) -> tuple[int, int]:
        with self._probe_lock:
            if self._probe is None:
                self._probe = Consumer(
                    {
                        **self._client,
                        "group.id": "wafa-reader-watermarks",  # required by the client, never joined
                        "enable.auto.commit": False,
                        "isolation.level": "read_uncommitted",
                    }
                )
            try:
                low, high = self._probe.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=_WATERMARK_SECONDS, cached=False
                )
            except KafkaException:
                _find_leaders_blocking(self._probe, topic)
                raise
        return low, high


def _find_leaders_blocking(client: Consumer | AdminClient, topic: str) -> None:
    """Whoever leads it now: the next one who asks knows. By itself a client looks for them every five minutes."""
    with contextlib.suppress(KafkaException):
        client.list_topics(topic, timeout=_WATERMARK_SECONDS)


def _told_if_failed(future: asyncio.Future[None]) -> None:
    """Standbys only save time: without them work goes on."""
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("standbys_failed", error=repr(error))
