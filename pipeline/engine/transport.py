"""Faust's transport, with the fetched run of one partition as its unit instead of the record.

Faust keeps the membership, the rebalances, the topics and the agents. What changes: the consumer hands over whole runs,
reads committed records only, never trusts group offsets, and lets a partition flow only when its task has recovered.
Everything here that reaches a private name of Faust 0.15.3 or aiokafka 0.14.0 is pinned and listed in
`tests/engine/test_pins.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import aiokafka
import msgspec
import structlog
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record import default_records, memory_records
from faust.events import Event
from faust.topics import Topic
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from pipeline.engine.processor import Headers, Record

log = structlog.get_logger("wafa.engine")

_FETCH_WAIT_MS = 20
"""How long the broker may hold a fetch. A partition with room again waits for the fetch in flight: keep it short."""
_NO_PARTITION_SECONDS = 1.0
_METADATA_REST_SECONDS = 0.2
_CANCELLED_REST_SECONDS = 0.2
_FETCH_BYTES_MIN = 64 * 1024
"""Fetches that bring less wait that long: under load some hundred fetches a second would each bring a little."""


@dataclass(frozen=True, slots=True)
class FetchedRun:
    """One fetched run of one partition, as an agent receives it. Without records it only moves the position."""

    topic: str
    partition: int
    records: Sequence[Record]
    begin_offset: int
    """The consumer's position before the run. Past the end of the run before it: one between was lost on its way."""
    next_offset: int
    """The consumer's position behind the run: past control records too."""


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as processors see it: aiokafka's own has more fields than we look at, and costs four times as much.

    The garbage collector does not look at it: a worker that is behind has some hundred thousand of them waiting.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def pace_metadata(client: Any) -> None:
    """Let a client of aiokafka ask for metadata no oftener than every so long.

    aiokafka 0.14.0 asks again at once where a partition has no leader, and again when nobody answers: while a broker
    that ended in order is away, every worker would keep a core busy with that, and say so a thousand times a second.
    """
    update, asked_at = client._metadata_update, -_METADATA_REST_SECONDS

    async def paced(*of: Any) -> Any:
        nonlocal asked_at
        await asyncio.sleep(max(0.0, asked_at + _METADATA_REST_SECONDS - time.monotonic()))
        asked_at = time.monotonic()
        return await update(*of)

    client._metadata_update = paced


class _KeptRecords(fetcher.MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """A fetched partition's batches, with the bytes they are read from."""

    def __init__(self, fetched: bytes) -> None:
        super().__init__(fetched)
        self.fetched = fetched


class _ForgivingBytes(bytes):
    """Bytes that always are a text: what is not UTF-8 is written out, as Python writes bytes."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _ForgivingBytes(found) if isinstance(found, bytes) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        """Never raises."""
        return super().decode(encoding, errors)


class _ForgivingBatch(default_records._DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    """A batch of which each record can be read, whatever the names of its headers are made of."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _ForgivingBytes):
            self._buffer = _ForgivingBytes(self._buffer)


class _ForgivingRecords(memory_records._MemoryRecordsPy):  # type: ignore[misc]  # as above
    """The batches of a fetched partition from an offset on, read in Python, slowly: when the quick way has failed."""

    def __init__(self, fetched: bytes, from_offset: int) -> None:
        super().__init__(fetched)
        self._batches: deque[Any] = deque()
        while super().has_next():
            inside = self._next_slice
            batch = super().next_batch()
            if isinstance(batch, default_records.DefaultRecordBatch):
                batch = _ForgivingBatch(inside)
            if batch.next_offset > from_offset:
                self._batches.append(batch)

    def has_next(self) -> bool:
        return bool(self._batches)

    def next_batch(self) -> Any:
        return self._batches.popleft()


class _LeanRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's reading of a fetched partition, with lean records, and past headers whose names are not UTF-8.

    aiokafka 0.14.0 raises at such a record, each time it is fetched: one publisher's mistake would stop the partition.
    """

    _records: Any
    _records_iterator: Iterator[FetchedRecord]
    next_fetch_offset: int

    def __iter__(self) -> Iterator[FetchedRecord]:
        """The records as they are unpacked: aiokafka would go through a `__next__` of its own at each."""
        return self._records_iterator

    def _unpack_records(self) -> Iterator[FetchedRecord]:
        try:
            yield from super()._unpack_records()
        except (UnicodeDecodeError, CorruptRecordException) as error:
            if not isinstance(error, UnicodeDecodeError) and not isinstance(error.__cause__, UnicodeDecodeError):
                raise
            self._records = _ForgivingRecords(self._records.fetched, self.next_fetch_offset)
            yield from super()._unpack_records()

    def _consumer_record(self, tp: TopicPartition, record: Any) -> FetchedRecord:
        return FetchedRecord(
            tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, record.headers
        )


fetcher.MemoryRecords = _KeptRecords
fetcher.PartitionRecords = _LeanRecords  # where aiokafka's fetcher finds it; every consumer here is ours


class Runtime(Protocol):
    """What the transport asks of the engine."""

    def use(self, consumer: BatchConsumer) -> None:
        """The consumer to resume and seek."""

    async def on_revoked(self, revoked: Iterable[TP]) -> None:
        """Finish what is in hand."""

    async def on_assigned(self, assigned: Iterable[TP]) -> None:
        """Start, take up or give up tasks."""

    def may_flow(self, tp: TP) -> bool:
        """Whether the partition's task is ready for records."""

    def positions(self) -> Mapping[TP, int]:
        """How far each task has come."""


class BatchTopic(Topic):
    """A topic whose events are fetched runs: nothing is decoded before the processor sees it."""

    async def decode(self, message: Message, *, propagate: bool = False) -> Event:
        """The run as an event, untouched."""
        return self._create_event(None, message.value, message.headers, message=message)  # type: ignore[return-value]  # Faust's own type of event

    def _compile_decode(self) -> None:
        """Keep `decode` as it is: the stock one compiles Faust's codecs in."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in its thread: read-committed, with short fetches, and commits that cannot crash anything."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._handed: dict[TP, int] = {}
        """Where the last run of each partition ended, or the last seek led."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        consumer = aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_min_bytes=_FETCH_BYTES_MIN,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )
        pace_metadata(consumer._client)
        return consumer

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None = None, max_records: int | None = None
    ) -> Mapping[TP, Any]:
        """The fetched runs, each with the consumer's position taken in the same step.

        They are `FetchedRun`s, where Faust has lists of records: it only hands them through.

        A partition that had only control or aborted records to offer gives a run without records: else the lag of an
        idle partition could never reach 0.
        """
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        runs: dict[TP, FetchedRun] = {}
        # A copy: Faust's loop, in another thread, pauses and resumes partitions in this very set.
        for tp in tuple(active_partitions):
            records, position = fetched.get(tp, ()), self.position_of(tp)
            if position is None:
                continue
            begin_offset = self._handed.get(tp, position)
            if records or begin_offset < position:
                next_offset = max(position, records[-1].offset + 1 if records else 0)
                runs[tp] = FetchedRun(tp.topic, tp.partition, records, begin_offset, next_offset)
            self._handed[tp] = position
        return runs

    async def seek_here(self, tp: TP, offset: int) -> None:
        """Seek, in the thread that fetches: Faust does it from its own, while a fetch may be moving the position."""
        await self.call_thread(self._seek_now, tp, offset)

    async def _seek_now(self, tp: TP, offset: int) -> None:
        self._ensure_consumer().seek(TopicPartition(tp.topic, tp.partition), offset)
        self._handed[tp] = offset

    def position_of(self, tp: TP) -> int | None:
        """Where the next fetch of this partition begins; None while that is not known."""
        state = self._state_of(tp)
        return state.position if state is not None and state.has_valid_position else None

    def end_of(self, tp: TP) -> int | None:
        """The end of what is committed in this partition, as the last fetch saw it."""
        state = self._state_of(tp)
        return None if state is None else state.lso

    def fetched_at(self, tp: TP) -> int | None:
        """When a fetch of this partition was last answered, in milliseconds of the wall clock; None: not yet."""
        state = self._state_of(tp)
        return None if state is None else state.timestamp

    def _state_of(self, tp: TP) -> Any:
        """What aiokafka keeps of a partition; None where it is not assigned: its public questions raise then.

        Asked from the thread of the event loop, while this one may be giving the partition up.
        """
        assignment = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment
        if assignment is None or not assignment.active:
            return None
        return assignment.state_value(TopicPartition(tp.topic, tp.partition))

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Publish positions as group offsets, for lag tools and the clock. Nobody starts from them."""
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not wanted:
            return False
        try:
            await consumer.commit(wanted)
        except KafkaError as error:
            log.info("group_offsets_not_published", error=repr(error))
            return False
        return True


class BatchConsumer(driver.Consumer):
    """Faust's consumer, handing one fetched run at a time to the stock conductor."""

    transport: BatchTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room = asyncio.Event()
        """Set when a partition flows (again)."""
        self._runtime.use(self)

    @property
    def _runtime(self) -> Runtime:
        return self.transport.runtime

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetched runs, one for each partition that has any."""
        if self.flow_active and not self._get_active_partitions():
            await self._until_room()
            return
        runs, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not runs or self.should_stop or not self.flow_active:
            return
        fetched: Mapping[TP, Any] = runs
        for tp, run in fetched.items():
            if self.app.consumer_generation_id != generation or not self.flow_active:
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._message_of(tp, run, generation)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on what is fetched until told to end. Whatever is cancelled below is tried again: Faust would end here.

        Silently: a task that ends because it was cancelled counts as told to, though nobody told this one.
        """
        while True:
            try:
                return await super()._drain_messages(fetcher)
            except asyncio.CancelledError:
                this = asyncio.current_task()
                if this is None or this.cancelling() or self.should_stop or fetcher.should_stop:
                    raise
                log.warning("fetching_cancelled_below")
                await asyncio.sleep(_CANCELLED_REST_SECONDS)

    def let_flow(self) -> None:
        """Let Faust's streams flow if it left them suspended. For when nothing came for long, though it should."""
        if not self.flow_active:
            log.warning("flow_was_suspended")
            self.app.flow_control.resume()
            self.resume_flow()

    async def _until_room(self) -> None:
        """Until a partition flows, or a second: Faust would sleep the whole second when all buffers are full."""
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NO_PARTITION_SECONDS):
                await self._room.wait()

    def on_buffer_drop(self, tp: TP) -> None:
        """A partition's task has room again."""
        super().on_buffer_drop(tp)
        if tp in self._paused_partitions:  # Faust's own buffer has room again, and would let it flow
            self._get_active_partitions().discard(tp)
        self._room.set()

    def _message_of(self, tp: TP, run: FetchedRun, generation: int) -> ConsumerMessage:
        value: Any = run  # Faust has bytes here, and only hands them through
        return ConsumerMessage(
            tp.topic, tp.partition, run.next_offset - 1, 0.0, 0, None, None, value,
            checksum=None, serialized_key_size=0, serialized_value_size=0, tp=tp, generation_id=generation,
        )  # fmt: skip

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish what is in hand before Faust lets go of the partitions."""
        await self._runtime.on_revoked(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Let Faust do its part, then start or take up the tasks; they resume their partitions when recovered."""
        await super().on_partitions_assigned(assigned, generation_id)
        await self._runtime.on_assigned(assigned)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume only those whose task has recovered; `flow_from` resumes the rest, each when it is ready."""
        super().resume_partitions({tp for tp in tps if self._runtime.may_flow(tp)})
        self._room.set()

    async def perform_seek(self) -> None:
        """Faust would seek to group offsets here. Positions come from the changelog: `flow_from` seeks to them."""

    async def flow_from(self, tp: TP, offset: int) -> None:
        """Fetch this partition from `offset` on. Not assigned (any more): nothing, the next assignment will do it."""
        if tp not in self.assignment():
            return
        await self.seek(tp, offset)
        super().resume_partitions({tp})
        self._room.set()

    def end_of(self, tp: TP) -> int | None:
        """The end of what is committed in this partition, as the last fetch saw it."""
        thread: BatchConsumerThread = self._thread  # type: ignore[assignment]  # made by _new_consumer_thread
        return thread.end_of(tp) if tp in self.assignment() else None

    def fetched_at(self, tp: TP) -> int | None:
        """When a fetch of this partition was last answered, in milliseconds of the wall clock; None: not yet."""
        thread: BatchConsumerThread = self._thread  # type: ignore[assignment]  # made by _new_consumer_thread
        return thread.fetched_at(tp) if tp in self.assignment() else None

    async def _seek(self, partition: TP, offset: int) -> None:
        thread: BatchConsumerThread = self._thread  # type: ignore[assignment]  # made by _new_consumer_thread
        await thread.seek_here(partition, offset)

    def position_of(self, tp: TP) -> int | None:
        """Where the next fetch of this partition begins; None while that is not known."""
        thread: BatchConsumerThread = self._thread  # type: ignore[assignment]  # made by _new_consumer_thread
        return thread.position_of(tp) if tp in self.assignment() else None

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Publish the tasks' positions; Faust's own acks decide nothing."""
        positions = {
            tp: offset for tp, offset in self._runtime.positions().items() if self._committed_offset[tp] != offset
        }
        if positions and await self._commit(positions):
            self._committed_offset.update(positions)
        return bool(positions)

    def ack(self, message: Message) -> bool:
        """An agent has handed the run to its task: nothing to remember."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Runs are not consecutive to Faust's eye; the tasks know their positions."""

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock alarm compares unlike clocks; `Engine.stalled` is ours."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer. `runtime` is set before the app starts."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
    runtime: Runtime
