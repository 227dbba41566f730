"""The small job under test: its topics, its worker processes, what was published, and how it must compare."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.engine.checking import LiveReader, differences, positions, read_committed
from tests.engine.oracle import EVERY, oracle

REPOSITORY = Path(__file__).resolve().parents[2]
PARTITIONS = 4
WORKERS = 3
RECORDS_A_ROUND = 1_500
STANDSTILL_SECONDS = 60.0
PATIENCE_SECONDS = 15.0
"""For an engine that may stand still."""
_numbers = count()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether SIGSTOP has it. Leaves its state to be asked again."""
    return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None


@dataclass
class Job:
    """The small job on its own topics, with its worker processes."""

    bootstrap: str
    folder: Path
    prefix: str = field(default_factory=lambda: f"job{os.getpid()}-{next(_numbers)}.")
    module: str = "tests.engine.small_job"
    published: int = 0
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    readers: list[LiveReader] = field(default_factory=list)

    def create(self) -> None:
        """Make the three topics."""
        self.folder.mkdir(parents=True, exist_ok=True)
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
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5,
                "enable.idempotence": True, "log_level": 0,
            }
        )  # fmt: skip
        for number in range(self.published, self.published + records):
            producer.produce(f"{self.prefix}in", json.dumps({"n": number}), f"c{draw.randrange(keys)}")
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(30) == 0
        self.published += records

    def folder_of(self, number: int) -> Path:
        """Where a worker writes."""
        return self.folders[number]

    def start(
        self, strike: str = "", batch: int = 500, bootstrap: str = "", *, again: int | None = None, **told: str
    ) -> subprocess.Popen[bytes]:
        """One worker more; `strike` says where it strikes itself (`strikes.py`).

        `again`: with the folder of that worker, which has ended; `told`: its environment, as `small_job` reads it.
        """
        number = len(self.workers)
        self.folders.append(self.folder / f"data{number}" if again is None else self.folders[again])
        self.folder_of(number).joinpath("listens").unlink(missing_ok=True)
        command = [
            sys.executable, "-m", self.module, bootstrap or self.bootstrap, self.prefix, str(self.folder_of(number)),
        ]  # fmt: skip
        environment = {**os.environ, "BATCH": str(batch), **told}
        with (self.folder / f"worker{number}.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, *([strike] if strike else [])], cwd=REPOSITORY, env=environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def watch(self) -> LiveReader:
        """Have somebody read the outputs from now on; `check` looks at what they saw."""
        reader = LiveReader(self.bootstrap, f"{self.prefix}out", PARTITIONS)
        self.readers.append(reader)
        return reader

    def log_of(self, number: int) -> str:
        """What a worker said."""
        return (self.folder / f"worker{number}.log").read_text(errors="replace")

    @property
    def logs(self) -> str:
        """What every worker said last."""
        return "\n".join(f"--- worker {n}\n{self.log_of(n)[-3000:]}" for n in range(len(self.workers)))

    def reached(self) -> int:
        """Records whose effect is committed."""
        return sum(positions(self.bootstrap, f"{self.prefix}state", PARTITIONS).values())

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Until `condition` holds, or fail with the workers' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not in {seconds} s\n{self.logs}")
            time.sleep(0.01)

    def wait_until_struck(self, worker: subprocess.Popen[bytes], strike: str) -> None:
        """Until a worker lies where its strike was to find it."""
        if strike.endswith(":STOP"):
            self.wait(lambda: is_stopped(worker), f"stopped at {strike}")
        else:
            self.wait(lambda: worker.poll() is not None, f"killed at {strike}")
            assert worker.returncode == -signal.SIGKILL

    def wait_until_done(self, seconds: float = 60.0) -> None:
        """Until everything published has had its effect."""
        self.wait(lambda: self.reached() >= self.published, f"{self.published} records processed", seconds)

    def disturb(
        self, rounds: int, *, seed: int, workers: int = WORKERS, kill_only: bool = False, may_stand_still: bool = False
    ) -> int:
        """Workers under load: in each round one of them dies or leaves, and others join.

        A round ends after some of its outputs are committed. Returns how many did not get so far, if they may.
        """
        draw = random.Random(seed)
        running = [self.start(batch=50) for _ in range(workers)]
        reader, stood_still = self.watch(), 0
        for _ in range(rounds):
            self.publish(RECORDS_A_ROUND, keys=50)
            goal = reader.count + draw.randrange(1, RECORDS_A_ROUND // EVERY // 2)
            deadline = time.monotonic() + (PATIENCE_SECONDS if may_stand_still else STANDSTILL_SECONDS)
            while reader.count < goal and time.monotonic() < deadline:
                time.sleep(0.005)
            if reader.count < goal:
                stood_still += 1
                assert may_stand_still, "\n".join(self.log_of(number)[-2000:] for number in range(len(self.workers)))
            victim = draw.choice(running)
            ways = [signal.SIGKILL] if kill_only else [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
            victim.send_signal(draw.choice(ways))
            running.remove(victim)
            joining = 1 if kill_only else draw.choice([1, 2] if len(running) < workers else [0, 1])
            running += [self.start(batch=50) for _ in range(joining)]
        return stood_still

    def check(self) -> None:
        """Outputs in their order and the changelog are the oracle's; so is what live readers saw, and what lives on."""
        read = {
            name: read_committed(self.bootstrap, f"{self.prefix}{name}", PARTITIONS) for name in ("in", "out", "state")
        }
        assert sum(map(len, read["in"].values())) == self.published
        problems = [
            f"partition {number}: {problem}"
            for number in range(PARTITIONS)
            for problem in differences(read["in"][number], read["out"][number], read["state"][number])
        ]
        assert not problems, "\n".join([*problems, self.logs])
        for reader in self.readers:
            self.wait(lambda: reader.count >= sum(map(len, read["out"].values())), "the live reader is level")  # noqa: B023 - called before the loop goes on
            assert reader.seen == read["out"], "a live reader saw what is not there"
        if any(worker.poll() is None for worker in self.workers):
            state = [(number, oracle(records)[0]) for number, records in sorted(read["in"].items())]
            self.wait(lambda: self.live() == state, "what lives in memory is the oracle's state, each partition once")

    def live(self) -> list[tuple[int, dict[bytes, list[int]]]]:
        """The tables that living workers have in memory, each with its partition."""
        tables = []
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                continue
            file = self.folder_of(number) / "live.json"
            self.wait(self.folder_of(number).joinpath("listens").exists, f"worker {number} has started")
            file.unlink(missing_ok=True)
            worker.send_signal(signal.SIGHUP)
            self.wait(file.exists, f"worker {number} tells what it has in memory")
            for partition, table in json.loads(file.read_text()).items():
                tables.append((int(partition), {key.encode(): value for key, value in table.items()}))
        return sorted(tables, key=lambda each: each[0])

    def stop(self) -> None:
        """End every worker and reader that still runs."""
        for reader in self.readers:
            reader.close()
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
