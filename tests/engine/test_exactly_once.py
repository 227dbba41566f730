"""Every effect once, whatever is killed: the engine on a real broker, checked against the plain computation."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.local.kafka import KafkaServer, run_kafka
from tests.conftest import QUICK_FAILOVER
from tests.engine.checking import Pair, differences, positions, read_committed
from tests.engine.small_job import EVERY

REPOSITORY = Path(__file__).resolve().parents[2]
PARTITIONS = 4
_numbers = count()


@dataclass
class Job:
    """The small job on its own topics, with its worker processes."""

    bootstrap: str
    folder: Path
    prefix: str = field(default_factory=lambda: f"job{os.getpid()}-{next(_numbers)}.")
    published: int = 0
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def create(self) -> None:
        """Make the three topics."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [
            NewTopic(f"{self.prefix}in", PARTITIONS, 1),
            NewTopic(f"{self.prefix}out", PARTITIONS, 1),
            NewTopic(f"{self.prefix}state", PARTITIONS, 1, config={"cleanup.policy": "compact"}),
        ]
        for made in admin.create_topics(wanted).values():
            made.result(30)

    def publish(self, records: int, keys: int = 500) -> None:
        """More input, drawn from a seed."""
        draw = random.Random(self.published)
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
        for number in range(self.published, self.published + records):
            producer.produce(f"{self.prefix}in", json.dumps({"n": number}), f"c{draw.randrange(keys)}")
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(30) == 0
        self.published += records

    def start(
        self, strike: str = "", batch: int = 500, *, again: int | None = None, **told: str
    ) -> subprocess.Popen[bytes]:
        """One worker more; `strike` is STEP:TIMES at which it kills itself.

        `again`: with the folder of that worker; `told`: its environment, as `small_job` reads it.
        """
        folder = self.folder / f"data{len(self.workers) if again is None else again}"
        command = [sys.executable, "-m", "tests.engine.small_job", self.bootstrap, self.prefix, str(folder)]
        environment = {
            **os.environ,
            "BATCH": str(batch),
            **told,
        }
        with (self.folder / f"worker{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, *([strike] if strike else [])], cwd=REPOSITORY, env=environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def log_of(self, number: int) -> str:
        """What a worker said."""
        return (self.folder / f"worker{number}.log").read_text(errors="replace")

    def reached(self) -> int:
        """Records whose effect is committed."""
        return sum(positions(self.bootstrap, f"{self.prefix}state", PARTITIONS).values())

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Until `condition` holds, or fail with the workers' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- worker {n}\n{self.log_of(n)[-3000:]}" for n in range(len(self.workers)))
                pytest.fail(f"{what}: not in {seconds} s\n{logs}")

    def wait_until_done(self) -> None:
        """Until everything published has had its effect."""
        self.wait(lambda: self.reached() >= self.published, f"{self.published} records processed")

    def check(self) -> None:
        """Sequence of outputs and state of every partition are the oracle's."""
        read = {
            name: read_committed(self.bootstrap, f"{self.prefix}{name}", PARTITIONS) for name in ("in", "out", "state")
        }
        assert sum(map(len, read["in"].values())) == self.published
        problems = [
            f"partition {number}: {problem}"
            for number in range(PARTITIONS)
            for problem in differences(read["in"][number], read["out"][number], read["state"][number])
        ]
        assert problems == []

    def stop(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(5)


@pytest.fixture
def job(kafka: KafkaServer, tmp_path: Path) -> Iterator[Job]:
    """A job on the session's broker."""
    job = Job(kafka.bootstrap_servers, tmp_path)
    job.create()
    try:
        yield job
    finally:
        job.stop()


@pytest.mark.parametrize(
    ("strike", "store"),
    [
        ("initialised:2", "memory"),
        ("restored:3", "memory"),
        ("fetched:3", "memory"),
        ("stepped:4", "memory"),
        ("produced:2", "memory"),
        ("produced:5", "memory"),
        ("committed:3", "memory"),
        ("committed:9", "snapshot"),
        ("restored:3", "disk"),
        ("produced:5", "disk"),
        ("committed:3", "disk"),
        ("committed:9", "disk"),
    ],
)
def test_a_worker_killed_at_any_step_of_the_protocol_leaves_every_effect_exactly_once(
    job: Job, strike: str, store: str
) -> None:
    """`committed` is between the commit and what is kept on disk."""
    job.publish(6_000)
    killed = job.start(strike, STORE=store)
    job.wait(lambda: killed.poll() is not None, f"killed at {strike}")
    assert killed.returncode == -signal.SIGKILL
    job.start(again=0, STORE=store)
    job.publish(3_000)
    job.wait_until_done()
    job.check()


def test_two_workers_share_and_hand_over_and_one_that_is_killed_is_replaced(job: Job) -> None:
    job.publish(5_000)
    first = job.start()
    job.wait(lambda: job.reached() > 0, "the first worker works")
    job.start()
    job.publish(10_000)
    job.wait(lambda: "given_up=2" in job.log_of(0), "the first worker hands two partitions over")
    job.publish(10_000)
    first.kill()
    job.publish(5_000)
    job.wait_until_done()
    job.check()


def test_a_worker_that_was_stopped_and_wakes_again_is_fenced_and_nothing_of_it_is_seen(job: Job) -> None:
    job.publish(20_000)
    zombie = job.start(batch=200)
    job.wait(lambda: job.reached() > 0, "the first worker works")
    zombie.send_signal(signal.SIGSTOP)
    job.start()
    job.publish(5_000)
    job.wait_until_done()
    zombie.send_signal(signal.SIGCONT)
    job.publish(5_000)
    job.wait_until_done()
    job.check()


def test_a_broker_killed_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, jar_cache: Path) -> None:
    with run_kafka(tmp_path / "kafka", cache=jar_cache, settings=QUICK_FAILOVER) as broker:
        job = Job(broker.bootstrap_servers, tmp_path)
        job.create()
        try:
            job.publish(20_000)
            job.start(batch=200)
            job.wait(lambda: job.reached() > 0, "the worker works")
            broker.kill()
            broker.restart()
            job.publish(5_000)
            job.wait_until_done()
            job.check()
        finally:
            job.stop()


def _good_run() -> tuple[list[Pair], list[Pair], list[Pair]]:
    """One key, thirty inputs, three outputs, its state: computed by hand, not by the code under test."""
    inputs = [(b"a", json.dumps({"n": 1}).encode()) for _ in range(3 * EVERY)]
    outputs = [(b"a", json.dumps([n * EVERY, n * EVERY]).encode()) for n in (1, 2, 3)]
    frame = b"\x01" + bytes(8)
    return inputs, outputs, [(b"a", frame + json.dumps([3 * EVERY, 3 * EVERY]).encode())]


def test_the_checker_passes_a_good_run_and_catches_every_kind_of_bad_one() -> None:
    inputs, outputs, changelog = _good_run()
    assert differences(inputs, outputs, changelog) == []
    assert differences(inputs, outputs[1:], changelog), "a dropped output"
    assert differences(inputs, [*outputs, outputs[-1]], changelog), "a repeated output"
    assert differences(inputs, [outputs[1], outputs[0], outputs[2]], changelog), "two swapped outputs"
    assert differences(inputs, outputs[:-1], changelog), "a cut tail"
    assert differences(inputs, outputs, []), "a lost state"
