"""What a flush leaves for the next one is still due after a failure in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from faust.types import TP

from pipeline.engine.changelog import (
    POSITION_KEY,
    Position,
    Reading,
    _flushed_at_the_end,
    encode_position,
    frame,
    reader,
    restore,
)
from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Spec, State
from pipeline.engine.producer import TransactionalProducer
from pipeline.engine.runtime import Engine
from pipeline.engine.state import Anchor
from pipeline.engine.task import Limits, Phase
from pipeline.engine.transport import FetchedRecord, FetchedRun
from tests.engine.job import Job

KEYS = [b"a", b"b", b"c"]


class OneAtATime:
    """Shows one changed key a flush, and fails at the second flush."""

    held = None

    def __init__(self, unflushed: Sequence[bytes]) -> None:
        self._unshown = dict.fromkeys(unflushed)
        self._flushes = 0

    @property
    def wants_flush(self) -> bool:
        return bool(self._unshown)

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        for record in batch.records:
            state.put(record.key or b"", b"changed")
            self._unshown[record.key or b""] = None
        if batch.flush:
            self._flushes += 1
            if self._flushes == 2:
                raise RuntimeError("killed by the test")
            del self._unshown[next(iter(self._unshown))]
        return len(batch.records)


async def unflushed_when_made(job: Job) -> list[list[bytes]]:
    """Which keys each processor of the partition was told of, until a second one was made."""
    told: list[list[bytes]] = []

    def factory(partition: int, state: State, unflushed: Sequence[bytes]) -> OneAtATime:
        told.append(list(unflushed))
        return OneAtATime(unflushed)

    topic = f"{job.prefix}in"
    spec = Spec("flush", topic, factory, lambda p: ChangelogPlace(f"{job.prefix}state", p), flush_seconds=0.05)
    engine = Engine(
        [spec], app_id=f"{job.prefix}app", client={"bootstrap.servers": job.bootstrap}, limits=Limits()
    )  # fmt: skip
    deadline = time.monotonic() + 30
    await engine.on_assigned([TP(topic, 0)])
    while engine.status()[0].phase is not Phase.RUNNING:
        assert time.monotonic() < deadline, engine.status()
        await asyncio.sleep(0.01)
    records = [FetchedRecord(topic, 0, offset, 0, key, b"", ()) for offset, key in enumerate(KEYS)]
    engine.take(FetchedRun(topic, 0, records, 0, len(records)))
    while len(told) < 2:
        assert time.monotonic() < deadline, engine.status()
        await asyncio.sleep(0.01)
    await engine.stop()
    return told


def test_what_a_flush_left_for_the_next_one_is_asked_for_after_a_failure(job: Job) -> None:
    job.publish(100)  # so that positions lie within the log
    first, second = asyncio.run(unflushed_when_made(job))
    assert first == []
    assert set(second) >= {b"b", b"c"}


def test_what_was_flushed_is_known_from_the_end_of_a_changelog_before_it_is_read(job: Job) -> None:
    place, client = ChangelogPlace(f"{job.prefix}state", 1), {"bootstrap.servers": job.bootstrap}
    producer = TransactionalProducer(client, f"{job.prefix}t", transaction_timeout_seconds=10)
    producer.initialise_blocking()
    for sequence in (1, 2, 3):
        outbox = Outbox()
        outbox.emit(place.topic, b"key%d" % sequence, frame(b"", sequence), partition=1)
        producer.send(outbox)
        producer.send_position(place.topic, POSITION_KEY, encode_position(Position(0, sequence, sequence - 1)), 1)
        producer.commit_blocking()
    end_offset = producer.position_offset + 2
    with reader(client, group="test") as consumer:
        assert _flushed_at_the_end(consumer, place, end_offset) == 2
        assert _flushed_at_the_end(consumer, place, end_offset - 1) == 0, (
            "its last record is not there: nothing is known"
        )
    reading = Reading(place, State(), Anchor(0))
    reading.flushed_sequence = 2
    assert restore(
        reading, client, end_offset=end_offset, on_progress=lambda remaining: None, should_stop=lambda: False
    )
    assert reading.unflushed == [b"key3"]
    assert dict(reading.state.items()) == {b"key1": b"", b"key2": b"", b"key3": b""}
    assert reading.anchor.sequence == 2


def test_an_entry_counts_as_flushed_by_its_own_sequence_in_whatever_order_they_lie(job: Job) -> None:
    place, client = ChangelogPlace(f"{job.prefix}state", 1), {"bootstrap.servers": job.bootstrap}
    producer = TransactionalProducer(client, f"{job.prefix}t", transaction_timeout_seconds=10)
    producer.initialise_blocking()
    outbox = Outbox()
    for key, sequence in ((b"due", 2), (b"shown", 1), (b"also due", 2), (b"also shown", 1)):
        outbox.emit(place.topic, key, frame(b"", sequence), partition=1)
    producer.send(outbox)
    producer.send_position(place.topic, POSITION_KEY, encode_position(Position(0, 2, 1)), 1)
    producer.commit_blocking()
    reading = Reading(place, State(), Anchor(0))
    assert restore(
        reading, client, end_offset=producer.position_offset + 2,
        on_progress=lambda remaining: None, should_stop=lambda: False,
    )  # fmt: skip
    assert reading.unflushed == [b"due", b"also due"]
