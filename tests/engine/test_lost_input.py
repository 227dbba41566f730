"""Input that was deleted before it was read is said, and nothing is done as if it had never been."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.engine import task
from pipeline.engine.task import Limits, Phase
from pipeline.engine.transport import FetchedRun
from tests.engine.checking import positions, read_committed, state_of
from tests.engine.driven import Driven, let_producers_close, run_of, until
from tests.engine.job import PARTITIONS, Job, is_stopped

_QUICK = Limits(refenced_after_seconds=0.2)


def delete_all(job: Job, *, but: int) -> None:
    """Delete every partition's input, but for its last records: as a topic's retention does."""
    topic, admin = f"{job.prefix}in", AdminClient({"bootstrap.servers": job.bootstrap})
    records = read_committed(job.bootstrap, topic, PARTITIONS)
    places = [TopicPartition(topic, number, len(records[number]) - but) for number in range(PARTITIONS)]
    for deleted in admin.delete_records(places).values():
        deleted.result(30)


def counted(job: Job) -> int:
    """How many records the state says there were."""
    changelogs = read_committed(job.bootstrap, f"{job.prefix}state", PARTITIONS)
    return sum(count for changelog in changelogs.values() for count, _ in state_of(changelog).values())


def while_it_is_away(job: Job, publish_and_delete: Callable[[], None]) -> None:
    """The worker has ended, and another comes."""
    worker = job.workers[0]
    worker.terminate()
    worker.wait(60)
    publish_and_delete()
    job.start(again=0)


def while_it_is_behind(job: Job, publish_and_delete: Callable[[], None]) -> None:
    """The worker stands still for a moment, shorter than its session."""
    worker = job.workers[0]
    worker.send_signal(signal.SIGSTOP)
    job.wait(lambda: is_stopped(worker), "it stands still")
    publish_and_delete()
    worker.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("left", [0, 10])
@pytest.mark.parametrize("happens", [while_it_is_away, while_it_is_behind])
def test_unread_input_that_was_deleted_stops_its_partition_with_the_offsets(
    job: Job, happens: Callable[[Job, Callable[[], None]], None], left: int
) -> None:
    job.publish(2_000)
    job.start(SESSION_SECONDS="30")
    job.wait_until_done()
    before = positions(job.bootstrap, f"{job.prefix}state", PARTITIONS)

    def publish_and_delete() -> None:
        job.publish(2_000)
        delete_all(job, but=left)

    happens(job, publish_and_delete)
    said = re.compile(rf"{re.escape(job.prefix)}in\[(\d)\]: expected the position (\d+) between (\d+) and")
    found = lambda: {int(each[0]): each for each in said.findall(job.log_of(len(job.workers) - 1))}  # noqa: E731 - it is asked twice
    job.wait(lambda: len(found()) == PARTITIONS, "each partition says so")
    after = positions(job.bootstrap, f"{job.prefix}state", PARTITIONS)
    for number, (_, position, low) in found().items():
        assert before[number] <= int(position) == after[number] < int(low)


def fill(job: Job, records: int) -> None:
    """Records in partition 0."""
    producer = Producer({"bootstrap.servers": job.bootstrap, "enable.idempotence": True, "log_level": 0})
    for _ in range(records):
        producer.produce(f"{job.prefix}in", b"", b"key", 0)
    assert producer.flush(30) == 0


def delete(job: Job, before: int) -> None:
    """Those of partition 0 before an offset."""
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    place = TopicPartition(f"{job.prefix}in", 0, before)
    admin.delete_records([place])[place].result(30)


def test_what_is_deleted_while_a_partition_is_away_is_noticed_although_its_log_had_been_asked(job: Job) -> None:
    async def came_back() -> str:
        fill(job, 600)
        driven = await Driven.of(job)
        await driven.take(range(100), 0)
        driven.engine.take(FetchedRun(driven.place.topic, 0, (), 100, 500))  # as if there were only marks
        await until(lambda: driven.status.position == 500 or driven.engine.positions()[driven.place] == 500)
        await driven.engine.on_revoked([driven.place])
        delete(job, 300)
        await driven.engine.on_assigned([driven.place])
        driven.engine.take(run_of(driven.place.topic, range(300, 310), 100))
        await until(lambda: driven.status.phase is Phase.BROKEN)
        reason = driven.status.reason
        await driven.engine.stop()
        return reason

    assert "expected the position 100 between 300 and" in asyncio.run(came_back())


@pytest.mark.filterwarnings("ignore:Producer abort_transaction failed during close")  # of who was fenced, rightly
def test_who_comes_back_after_another_did_its_work_is_fenced_and_goes_on_from_there(job: Job) -> None:
    """What was deleted meanwhile was read, by the other one."""

    async def came_back() -> int:
        fill(job, 100)
        zombie, other = await Driven.of(job, limits=_QUICK), await Driven.of(job)  # the second fences the first
        await other.take(range(60), 0)
        await other.engine.stop()
        delete(job, 50)
        zombie.engine.take(run_of(zombie.place.topic, range(50, 60), 0))
        await until(lambda: zombie.status.phase is Phase.RUNNING and zombie.status.position == 60)
        await zombie.take(range(60, 70), 60)
        await zombie.engine.stop()
        return positions(job.bootstrap, f"{job.prefix}state", PARTITIONS)[0]

    assert asyncio.run(came_back()) == 70
    let_producers_close(job.prefix)


def test_a_full_partition_is_paused_again_at_each_run_that_comes(job: Job) -> None:
    """Whoever had it resumed, to fetch again or to look into a hole, did not know that it was full."""

    async def told() -> int:
        fill(job, 600)
        driven = await Driven.of(job, limits=Limits(batch_records_max=10))
        for begin in (0, 100, 200):
            driven.engine.take(run_of(driven.place.topic, range(begin, begin + 100), begin))
        full = len(driven.reader.full)
        await until(lambda: driven.status.position == 300)
        await driven.engine.stop()
        return full

    assert asyncio.run(told()) == 3


def test_a_log_that_is_shorter_than_what_was_read_of_it_stops_its_partition(job: Job) -> None:
    """As after an election that lost records: what comes in their place would be taken for what was read long ago."""
    topic, admin = f"{job.prefix}in", AdminClient({"bootstrap.servers": job.bootstrap})
    job.publish(400)

    async def shortened() -> str:
        driven = await Driven.of(job)
        await driven.take(range(20), 0)
        admin.delete_topics([topic])[topic].result(30)
        job.wait(lambda: topic not in admin.list_topics(timeout=10).topics, "it is gone")
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
        job.publish(10, keys=1)

        def is_broken() -> bool:
            driven.engine.look()  # once a second, in a worker
            return driven.status.phase is Phase.BROKEN

        await until(is_broken)
        reason = driven.status.reason
        await driven.engine.stop()
        return reason

    assert "expected the position 20 between 0 and" in asyncio.run(shortened())


def test_input_that_was_given_up_and_the_marks_of_transactions_are_no_loss(job: Job) -> None:
    """To who reads it, an aborted transaction is a hole like one that was deleted."""
    job.start(SESSION_SECONDS="30")
    producer = Producer({"bootstrap.servers": job.bootstrap, "transactional.id": job.prefix, "log_level": 0})
    producer.init_transactions(30)
    for number in range(40):
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(f"{job.prefix}in", b'{"n": %d}' % number, b"c%d" % partition, partition)
        producer.flush(30)
        if number % 3:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
            job.published += PARTITIONS
    job.wait(lambda: counted(job) == job.published, "what was committed has had its effect")
    assert "task_failed" not in job.log_of(0)


def test_a_position_that_only_marks_have_moved_is_kept_too(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what lies before it would, when it is deleted one day, seem to have been deleted unread."""
    monkeypatch.setattr(task, "_PASSED_SECONDS", 0.2)
    topic = f"{job.prefix}in"
    producer = Producer({"bootstrap.servers": job.bootstrap, "transactional.id": job.prefix, "log_level": 0})
    producer.init_transactions(30)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(topic, b"{}", b"key", 0)
        producer.flush(30)
        end(30)

    async def kept() -> int:
        driven = await Driven.of(job)
        await driven.take(range(1), 0)
        committed_at = driven.status.committed_at

        def is_kept() -> bool:
            driven.engine.take(FetchedRun(topic, 0, (), 1, 4))  # a mark, a record that was given up, and its mark
            return driven.status.committed_at != committed_at

        await until(is_kept)
        await driven.engine.stop()
        return positions(job.bootstrap, f"{job.prefix}state", PARTITIONS)[0]

    assert asyncio.run(kept()) == 4
