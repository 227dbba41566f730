"""An engine driven by hand: its tasks run on a real broker, and what is fetched is what a test hands over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Spec, State
from pipeline.engine.runtime import Engine, TaskStatus
from pipeline.engine.task import Limits, Phase
from pipeline.engine.transport import FetchedRecord, FetchedRun
from tests.engine.job import Job

_USUAL = Limits()


class Takes:
    """Takes every record."""

    wants_flush = False
    held: str | None = None

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        return len(batch.records)


class Reader:
    """A consumer that tells where a log ends, and fetches nothing."""

    def __init__(self) -> None:
        self.end_offset = 0
        self.is_asking = True
        self.flows: list[int] = []
        """From where it was told to fetch on, each time."""
        self.paused: set[TP] = set()
        self.full: list[TP] = []
        """Told of, each time."""

    def pause_partitions(self, tps: set[TP]) -> None:
        self.paused |= tps

    def on_buffer_full(self, tp: TP) -> None:
        self.full.append(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        pass

    def end_of(self, tp: TP) -> int:
        return self.end_offset

    def fetched_at(self, tp: TP) -> int | None:
        return time.monotonic_ns() if self.is_asking else 1

    def let_flow(self) -> None:
        pass

    def position_of(self, tp: TP) -> None:
        return None

    async def flow_from(self, tp: TP, offset: int) -> None:
        self.paused.discard(tp)
        self.flows.append(offset)


def engine_of(
    job: Job,
    process: Callable[[], Takes],
    at: Callable[[str], None] = lambda step: None,
    client: Any = None,
    limits: Limits = _USUAL,
) -> Engine:
    """An engine with one task, to be driven by hand."""

    def factory(partition: int, state: State, unflushed: Sequence[bytes]) -> Takes:
        return process()

    spec = Spec("driven", f"{job.prefix}in", factory, lambda p: ChangelogPlace(f"{job.prefix}state", p))
    return Engine(
        [spec], app_id=f"{job.prefix}app", client=client or {"bootstrap.servers": job.bootstrap}, limits=limits, at=at
    )  # fmt: skip


async def until(condition: Callable[[], bool]) -> None:
    """Until it is so, or fail."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def run_of(topic: str, offsets: range, begin: int, received_at: float = 0.0) -> FetchedRun:
    """A run of these records, fetched from `begin` on, that the broker received then."""
    records = [FetchedRecord(topic, 0, offset, int(received_at * 1000), b"key", b"", ()) for offset in offsets]
    return FetchedRun(topic, 0, records, begin, offsets.stop)


def record_of(topic: str, offset: int, received_at: float) -> FetchedRun:
    """A run of one record."""
    return run_of(topic, range(offset, offset + 1), offset, received_at)


@dataclass
class Driven:
    """An engine on partition 0, and the consumer it takes what is handed over to come from."""

    job: Job
    engine: Engine
    reader: Reader

    @classmethod
    async def of(cls, job: Job, process: Callable[[], Takes] = Takes, *, limits: Limits = _USUAL) -> Driven:
        """With its one task running."""
        driven = cls(job, engine_of(job, process, limits=limits), Reader())
        consumer: Any = driven.reader
        driven.engine.use(consumer)
        await driven.engine.on_assigned([driven.place])
        await until(lambda: driven.status.phase is Phase.RUNNING)
        return driven

    @property
    def place(self) -> TP:
        """Its partition."""
        return TP(f"{self.job.prefix}in", 0)

    @property
    def status(self) -> TaskStatus:
        """Of its task."""
        return self.engine.status()[0]

    async def take(self, offsets: range, begin: int) -> None:
        """Fetch these records; they are done."""
        self.engine.take(run_of(self.place.topic, offsets, begin))
        await until(lambda: self.status.position == offsets.stop)


def let_producers_close(prefix: str) -> None:
    """Wait for those that were abandoned: what they say as they close is of the test that had them."""
    for thread in threading.enumerate():
        if thread.name.startswith(f"wafa-abandon-{prefix}"):
            thread.join(60)
