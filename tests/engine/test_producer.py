"""A task's producer, on a real broker: who was fenced says so, whatever it was doing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.engine.processor import Outbox
from pipeline.engine.producer import Fenced, TransactionalProducer
from tests.engine.driven import let_producers_close
from tests.engine.job import Job


def send(producer: TransactionalProducer, job: Job, records: int) -> None:
    """A transaction's worth, and its position."""
    outbox = Outbox()
    for number in range(records):
        outbox.emit(f"{job.prefix}out", b"key", b"%d" % number, partition=number % 4)
    producer.send(outbox)
    producer.send_position(f"{job.prefix}state", b"position", b"{}", 0)


def commit(producer: TransactionalProducer, job: Job) -> None:
    """What it had queued."""
    producer.commit_blocking()


def send_and_commit(producer: TransactionalProducer, job: Job) -> None:
    """What it had queued, and a little more."""
    send(producer, job, 1)
    producer.commit_blocking()


def send_without_end(producer: TransactionalProducer, job: Job) -> None:
    """Until its queue is full, and on."""
    for _ in range(1_000):
        send(producer, job, 1_000)


@pytest.mark.filterwarnings("ignore:Producer abort_transaction failed during close")  # of who was fenced, rightly
@pytest.mark.parametrize("next_step", [commit, send_and_commit, send_without_end])
def test_who_was_fenced_is_told_so_and_not_that_something_failed(
    job: Job, next_step: Callable[[TransactionalProducer, Job], None]
) -> None:
    """Else it would be made anew at once, and fence the partition's new owner in its turn."""
    client = {"bootstrap.servers": job.bootstrap, "log_level": 0}
    for _ in range(5):
        one, other = (TransactionalProducer(client, f"{job.prefix}t", transaction_timeout_seconds=10) for _ in range(2))
        one.initialise_blocking()
        send(one, job, 1)
        one.commit_blocking()
        send(one, job, 5_000)
        other.initialise_blocking()
        with pytest.raises(Fenced):
            next_step(one, job)
        one.abandon()
        other.abandon()
    let_producers_close(job.prefix)
