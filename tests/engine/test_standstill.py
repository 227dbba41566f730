"""What counts as standing still, and how far behind a task is, whatever it is at."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from faust.types import TP

from pipeline.engine import changelog
from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.engine.producer import TransactionalProducer, transactional_id
from pipeline.engine.runtime import Engine
from pipeline.engine.task import Limits, Phase
from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.metrics import now_seconds
from tests.conftest import QUICK_FAILOVER
from tests.engine.driven import Driven, Takes, engine_of, let_producers_close, record_of, until
from tests.engine.job import Job

A_WHILE_SECONDS = 0.3
RECORDS = 100


def fill(job: Job, records: int) -> None:
    """A changelog of so many records, in one transaction, that stands at the log's beginning."""
    producer = TransactionalProducer(
        {"bootstrap.servers": job.bootstrap}, f"{job.prefix}t", transaction_timeout_seconds=10
    )
    producer.initialise_blocking()
    outbox = Outbox()
    for number in range(records):
        outbox.emit(f"{job.prefix}state", b"key%d" % number, frame(b"", 1), partition=0)
    producer.send(outbox)
    producer.send_position(f"{job.prefix}state", POSITION_KEY, encode_position(Position(0, 1, 1)), 0)
    producer.commit_blocking()


def stands_still(engine: Engine) -> float:
    """For how long the one task has not got on."""
    (status,) = engine.status()
    return status.stands_still_seconds


def let_pass(engine: Engine) -> float:
    """A while in which nothing is got on with; called in a task's thread. How long it stands still by then."""
    deadline = time.monotonic() + 30
    while (seconds := stands_still(engine)) < A_WHILE_SECONDS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return seconds


def test_a_slow_recovery_gets_on_as_long_as_it_reads(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "_READ_RECORDS", RECORDS // 5)
    fill(job, RECORDS)
    left = [RECORDS + 2]
    """Of the changelog, at each reading that brought some; a commit takes a place too."""
    stood: list[tuple[float, float]] = []
    """For how long, before and after each of these."""

    async def recovered() -> None:
        def slowly(step: str) -> None:
            (status,) = engine.status()
            if step == "restoring" and status.recovery_remaining < left[-1]:
                left.append(status.recovery_remaining)
                stood.append((status.stands_still_seconds, let_pass(engine)))

        engine = engine_of(job, Takes, slowly)
        await engine.on_assigned([TP(f"{job.prefix}in", 0)])
        assert [task.phase for task in engine.standing()] == [Phase.RECOVERING], "a recovery is watched too"
        await until(lambda: engine.status()[0].phase is Phase.RUNNING)
        await engine.stop()

    asyncio.run(recovered())
    assert len(stood) >= 5
    for (_, before), (after, _) in pairwise(stood):
        assert after < before, "what was read since was progress"


def test_to_fail_and_recover_again_and_again_is_to_stand_still_and_it_is_said_why(job: Job) -> None:
    class Fails(Takes):
        def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
            raise RuntimeError("record 0 is too much for it")

    job.publish(RECORDS)
    topic = f"{job.prefix}in"
    stood: list[tuple[float, float]] = []

    async def failing() -> str:
        engine = engine_of(job, Fails)
        await engine.on_assigned([TP(topic, 0)])
        for _ in range(4):
            await until(lambda: engine.status()[0].phase is Phase.RUNNING)
            stood.append((time.monotonic(), stands_still(engine)))
            (standing,) = engine.standing()
            engine.take(record_of(topic, 0, 0))
            await until(lambda: engine.status()[0].phase is Phase.RECOVERING)
        await engine.stop()
        return standing.reason

    assert asyncio.run(failing()) == "RuntimeError: record 0 is too much for it"
    (first_at, _), *_ = stood[1:]
    for at, seconds in stood[2:]:
        assert seconds > at - first_at, "it has not got on since its second recovery"


def test_a_record_that_comes_after_hours_of_rest_has_not_stood_still_for_hours(job: Job) -> None:
    job.publish(RECORDS)
    topic = f"{job.prefix}in"

    async def rested() -> tuple[float, float]:
        driven = await Driven.of(job)
        engine, reader = driven.engine, driven.reader
        engine.take(record_of(topic, 0, 0))
        await until(lambda: engine.status()[0].position == 1)
        reader.end_offset = 1
        await until(lambda: stands_still(engine) > A_WHILE_SECONDS)
        began_at = time.monotonic()
        engine.look()
        assert engine.standing() == [], "there is nothing to get on with"
        reader.end_offset = 2
        engine.look()
        (standing,) = engine.standing()
        await engine.stop()
        return standing.stands_still_seconds, time.monotonic() - began_at

    seconds, since_nothing_waited = asyncio.run(rested())
    assert seconds <= since_nothing_waited


@pytest.mark.filterwarnings("ignore:Producer abort_transaction failed during close")  # of who was fenced, rightly
def test_a_task_fenced_while_its_partition_is_taken_from_it_goes_on_once_it_has_it_again(job: Job) -> None:
    """And not only when no zombie can be a member any more, as where it is fenced and has the partition still."""
    rest = Limits(refenced_after_seconds=60.0)
    job.publish(RECORDS)
    taken: list[asyncio.Task[None]] = []

    async def fenced() -> None:
        class IsRevoked(Takes):
            def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
                taken.append(asyncio.get_running_loop().create_task(driven.engine.on_revoked([driven.place])))
                return len(batch.records)

        driven = await Driven.of(job, IsRevoked, limits=rest)
        successor = TransactionalProducer(
            {"bootstrap.servers": job.bootstrap},
            transactional_id(f"{job.prefix}app", "driven", driven.place.topic, 0), transaction_timeout_seconds=10,
        )  # fmt: skip
        await asyncio.to_thread(successor.initialise_blocking)
        driven.engine.take(record_of(driven.place.topic, 0, 0))
        await until(lambda: driven.status.phase is Phase.FENCED)
        await asyncio.gather(*taken)
        await asyncio.sleep(A_WHILE_SECONDS)
        assert driven.status.phase is Phase.FENCED, "it is somebody else's until it is given"
        await driven.engine.on_assigned([driven.place])
        await until(lambda: driven.status.phase is Phase.RUNNING)
        await driven.engine.stop()

    asyncio.run(fenced())
    let_producers_close(job.prefix)


def test_a_log_that_nobody_asks_for_more_is_asked_anew_and_to_be_without_an_answer_is_to_stand_still(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.task._FORGOTTEN_SECONDS", A_WHILE_SECONDS)
    monkeypatch.setattr("pipeline.engine.runtime._UNASKED_SECONDS", A_WHILE_SECONDS)
    job.publish(RECORDS)

    async def forgotten() -> None:
        driven = await Driven.of(job)
        engine, reader = driven.engine, driven.reader
        await driven.take(range(1), 0)
        reader.end_offset = 1

        def stands() -> bool:
            engine.look()
            return stands_still(engine) > A_WHILE_SECONDS

        for _ in range(3):
            assert not stands(), "it is told time and again that there is no more"
            await asyncio.sleep(A_WHILE_SECONDS)
        assert reader.flows == [0]
        reader.is_asking = False
        await until(stands)
        (standing,) = engine.standing()
        assert standing.lag_records == 0, "as far as the last fetch told"
        await until(lambda: stands() and len(reader.flows) > 2)
        assert set(reader.flows[1:]) == {1}, "from where it stands"
        assert engine.standing(), "to ask is not to be answered"
        reader.is_asking = True
        assert not stands()
        assert engine.standing() == []
        await engine.stop()

    asyncio.run(forgotten())


class Blows(Takes):
    """Takes one record, and wants no more."""

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        self.held = "a fuse has blown"
        return 1


def test_what_waits_while_a_task_is_held_is_counted_and_not_fetched(job: Job) -> None:
    job.publish(RECORDS)
    topic = f"{job.prefix}in"

    async def held() -> None:
        driven = await Driven.of(job, Blows)
        engine, reader = driven.engine, driven.reader
        assert reader.paused == set()
        received_at = now_seconds() - 3_600
        engine.take(record_of(topic, 0, received_at))
        await until(lambda: engine.status()[0].phase is Phase.HELD)
        assert reader.paused == {TP(topic, 0)}
        _, end_offset = engine._log_bounds_blocking(topic, 0)
        assert end_offset > 1, "more waits"

        def behind() -> bool:
            engine.look()
            return engine.status()[0].lag_records == end_offset - 1

        await until(behind)
        (status,) = engine.status()
        assert 3_600 <= status.oldest_age_seconds < 3_600 + 60, "what waits came after the last that was processed"
        assert engine.standing() == [], "a person is waited for"
        await engine.stop()

    asyncio.run(held())


def test_what_waits_while_a_task_is_held_is_counted_also_once_another_leads_its_log(
    tmp_path: Path, jar_cache: Path
) -> None:
    """A client that knows an earlier leader is told that it is fenced, for five minutes, unless it looks again."""

    async def held(broker: KafkaServer, job: Job) -> None:
        driven = await Driven.of(job, Blows)
        driven.engine.take(record_of(driven.place.topic, 0, now_seconds()))
        await until(lambda: driven.status.phase is Phase.HELD)

        def waits(records: int) -> bool:
            driven.engine.look()
            return driven.status.lag_records == records

        await until(lambda: waits(end_of(driven.place, broker) - 1))
        for _ in range(2):
            broker.kill()
            broker.start()
            before = driven.status.lag_records
            job.publish(RECORDS)
            end_offset = end_of(driven.place, broker)
            assert end_offset - 1 > before, "more waits"
            await until(lambda: waits(end_offset - 1))  # noqa: B023 - called before the loop goes on
        await driven.engine.stop()

    with run_kafka(tmp_path / "kafka", cache=jar_cache, settings=QUICK_FAILOVER) as broker:
        job = Job(broker.bootstrap_servers, tmp_path / "job")
        job.create()
        job.publish(RECORDS)
        try:
            asyncio.run(held(broker, job))
        finally:
            job.stop()


def end_of(place: TP, broker: KafkaServer) -> int:
    """Where the log ends, as a client that asks for the first time is told."""
    client = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "asks", "log_level": 0})
    try:
        end_offset: int = client.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=30)[1]
    finally:
        client.close()
    return end_offset


def test_a_record_that_fails_grows_older_while_its_task_recovers(job: Job) -> None:
    class Fails(Takes):
        def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
            if batch.records[-1].offset > 0:
                raise RuntimeError("too much for it")
            return len(batch.records)

    job.publish(RECORDS)
    topic = f"{job.prefix}in"

    async def failing() -> None:
        engine = engine_of(job, Fails)
        await engine.on_assigned([TP(topic, 0)])
        await until(lambda: engine.status()[0].phase is Phase.RUNNING)
        engine.take(record_of(topic, 0, now_seconds() - 7_200))
        await until(lambda: engine.status()[0].position == 1)
        engine.take(record_of(topic, 1, now_seconds() - 3_600))
        await until(lambda: engine.status()[0].phase is Phase.RECOVERING)
        assert 3_600 <= engine.status()[0].oldest_age_seconds < 3_600 + 60
        await engine.on_revoked([TP(topic, 0)])
        assert 3_600 <= engine.status()[0].oldest_age_seconds < 3_600 + 60
        await engine.stop()

    asyncio.run(failing())
