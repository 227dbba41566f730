"""Workers that die, leave and join at random under load; a broker that dies in the middle of a transaction."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from pipeline.local.kafka import run_kafka
from tests.conftest import QUICK_FAILOVER
from tests.engine.job import Job


@pytest.mark.timeout(1800)
def test_of_three_workers_some_die_some_leave_and_others_join_and_every_effect_comes_once(
    job: Job,
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    job.disturb(60 if long else 6, seed=1)
    job.wait_until_done()
    job.check()


def test_a_broker_that_dies_with_a_transaction_open_and_one_that_is_restarted_lose_and_double_nothing(
    tmp_path: Path, jar_cache: Path
) -> None:
    with run_kafka(tmp_path / "kafka", cache=jar_cache, settings=QUICK_FAILOVER) as broker:
        job = Job(broker.bootstrap_servers, tmp_path / "job")
        job.create()
        try:
            job.publish(6_000)
            worker: subprocess.Popen[bytes] = job.start("flushed:4:STOP", batch=100)
            job.wait_until_struck(worker, "flushed:4:STOP")
            broker.kill()
            worker.send_signal(signal.SIGCONT)
            broker.start()
            job.publish(4_000)
            before = job.reached()
            job.wait(lambda: job.reached() > before, "it goes on")
            broker.restart()
            job.publish(2_000)
            job.wait_until_done()
            job.check()
        finally:
            job.stop()
