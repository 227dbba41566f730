"""How long a worker takes to have its customers back, against how many there are: `python -m bench.recovery`.

python -m bench.recovery [--customers 10000,100000,1000000] [--bytes 1024,300] [--partitions 8]
                         [--from log,snapshot,disk,standby]

Fills changelogs as `customers` writes them, in transactions, with values that cannot be compressed (the worst case),
and lets a worker's own engine recover them in a process of its own. The broker runs beside it, on the same cores. Rows:
from the assignment until every partition would flow, the processor time of it, the longest that the event loop stood
still meanwhile, and what a customer takes in memory beside what it takes packed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # left out of its __all__
from faust.types import TP
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from bench.shop import CACHE
from pipeline import app as worker_app
from pipeline.agents import customers
from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.engine.copies import Copies, Kind, path_of
from pipeline.engine.processor import ChangelogPlace, Outbox, Spec
from pipeline.engine.producer import TransactionalProducer
from pipeline.engine.runtime import Engine
from pipeline.engine.snapshot import write_snapshot
from pipeline.engine.task import Limits, Phase
from pipeline.local.kafka import run_kafka

OUT = Path("bench/out")
_TRANSACTION_RECORDS = 8_000
_PATIENCE_SECONDS = 300.0
_BEAT_SECONDS = 0.01
_HEADER = struct.Struct(">BIBBB")
"""As `core.codec` packs it: version, next review, stage, lifecycle, flags."""


def packed_profile(number: int, size: int, noise: bytes) -> bytes:
    """A profile's header, and as many bytes behind it as a profile of that size has."""
    start = number * 7919 % (len(noise) - size)
    review_at = 1_800_000_000 + number * 31 % (7 * 86_400)
    return _HEADER.pack(1, review_at, number % 4, number % 6, 0) + noise[start : start + size - _HEADER.size]


def fill(bootstrap: str, prefix: str, counts: tuple[int, int, int]) -> None:
    """One changelog topic with so many customers of so many bytes over so many partitions."""
    number_of, size, partitions = counts
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [
        NewTopic(f"{prefix}in", partitions, 1),
        NewTopic(f"{prefix}state", partitions, 1, config={"cleanup.policy": "compact"}),
    ]
    for made in admin.create_topics(wanted).values():
        made.result(30)
    noise = os.urandom(4 * 1024 * 1024)
    producer = TransactionalProducer({"bootstrap.servers": bootstrap}, f"{prefix}fill", transaction_timeout_seconds=60)
    producer.initialise_blocking()
    for partition in range(partitions):
        sequence = 0
        for chunk in chunks(range(partition, number_of, partitions)):
            outbox, sequence = Outbox(), sequence + 1
            for number in chunk:
                value = frame(packed_profile(number, size, noise), sequence)
                outbox.emit(
                    f"{prefix}state", b"cus_%016x" % (number * 0x9E3779B97F4A7C15 % 2**64), value, partition=partition
                )
            position = encode_position(Position(0, sequence, sequence))
            outbox.emit(f"{prefix}state", POSITION_KEY, position, partition=partition)
            producer.send(outbox)
            producer.commit_blocking()
    producer.abandon()


def chunks(numbers: range) -> Iterator[range]:
    return (numbers[start : start + _TRANSACTION_RECORDS] for start in range(0, len(numbers), _TRANSACTION_RECORDS))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True)
class Job:
    """What a process of its own is to do."""

    bootstrap: str
    prefix: str
    partitions: int
    source: str
    """What the state is begun from: log, snapshot, disk or standby."""
    folder: str
    is_first: bool
    """Only leave the copy behind that the next one is to begin from."""

    @property
    def topic(self) -> str:
        return f"{self.prefix}in"

    @property
    def engine(self) -> Engine:
        names = customers.Names(self.topic, "t", "d", "p", "l")
        spec = Spec(
            "customers", self.topic, customers.factory(names),
            lambda partition: ChangelogPlace(f"{self.prefix}state", partition), is_large=True,
        )  # fmt: skip
        kinds: dict[str, Kind] = {"snapshot": "snapshot", "disk": "disk"}
        copies = Copies(
            kind=kinds.get(self.source, "memory"), folder=Path(self.folder), has_standbys=self.source == "standby",
            stores=self.partitions,
        )  # fmt: skip
        client: dict[str, object] = {"bootstrap.servers": self.bootstrap}
        return Engine([spec], app_id=f"{self.prefix}app", client=client, limits=Limits(), copies=copies)


async def recover(job: Job) -> dict[str, float]:
    """Take all partitions as a worker would, in this process, and measure."""
    worker_app.collect_rarely()
    engine, before = job.engine, resident_bytes()
    if job.source == "standby":
        await asyncio.to_thread(follow, engine, job)
    started_at, cpu_before = time.monotonic(), time.process_time()
    late = asyncio.create_task(lateness(started_at + _PATIENCE_SECONDS))
    await engine.on_assigned([TP(job.topic, each) for each in range(job.partitions)])
    while not all(task.phase is Phase.RUNNING for task in engine.status()):
        if time.monotonic() > started_at + _PATIENCE_SECONDS:
            raise TimeoutError(str(engine.status()))
        await asyncio.sleep(_BEAT_SECONDS)
    seconds, cpu = time.monotonic() - started_at, time.process_time() - cpu_before
    found = sum(table.population.total() for table in customers.live())
    taken = resident_bytes() - before
    if job.source == "snapshot" and job.is_first:
        await asyncio.to_thread(snapshot_all, engine)
    late.cancel()
    await engine.stop()
    return {
        "seconds": seconds, "cpu_seconds": cpu, "customers": found, "resident_bytes": taken / max(1, found),
        "loop_late_seconds": worst[0],
    }  # fmt: skip


def follow(engine: Engine, job: Job) -> None:
    """Follow everything, until level."""
    engine._follow_others_blocking(frozenset(), 0)  # noqa: SLF001 - as when others have the partitions
    ends = {
        each: engine._log_bounds_blocking(f"{job.prefix}state", each)[1]  # noqa: SLF001 - measured from within
        for each in range(job.partitions)
    }
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # A transaction's last mark on the log is no record: level is one before the end.
    while len(engine.standbys()) < len(ends) or any(
        offset < ends[place.partition] - 1 for place, offset in engine.standbys().items()
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{engine.standbys()}, not {ends}")
        time.sleep(0.1)


def snapshot_all(engine: Engine) -> None:
    """Write every partition's snapshot now: else it would wait for enough to have changed."""
    for task in engine._tasks.values():  # noqa: SLF001 - measured from within
        path = path_of(task._around.copies, task._place)  # noqa: SLF001 - measured from within
        write_snapshot(path, task._state.copied(), task._mark(task._anchor, task._sequence))  # noqa: SLF001 - measured from within


worst = [0.0]


async def lateness(deadline: float) -> None:
    """The longest that a timer came too late."""
    while time.monotonic() < deadline:
        before = time.monotonic()
        await asyncio.sleep(_BEAT_SECONDS)
        worst[0] = max(worst[0], time.monotonic() - before - _BEAT_SECONDS)


def in_a_process(job: Job) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.recovery", "--job", json.dumps(asdict(job))]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    answer: dict[str, float] = json.loads(told.splitlines()[-1])
    return answer


def measured(job: Job) -> dict[str, float]:
    """Where a copy is to be begun from, a process before this one leaves it."""
    if job.source in ("snapshot", "disk"):
        in_a_process(replace(job, is_first=True))
    return in_a_process(job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", default="10000,100000,1000000")
    parser.add_argument("--bytes", default="1024,300", help="of a packed profile")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--from", dest="sources", default="log", help="of log,snapshot,disk,standby")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(asyncio.run(recover(Job(**json.loads(given.job))))))
        return
    found: list[dict[str, object]] = []
    table = Table(
        "customers", "packed bytes", "from", "seconds", "CPU s", "customers/s", "resident bytes", "loop late, s"
    )
    with tempfile.TemporaryDirectory() as name, run_kafka(
        Path(name) / "kafka", cache=CACHE, fast_start=False, heap="1g"
    ) as kafka:  # fmt: skip
        for size in map(int, given.bytes.split(",")):
            for count in map(int, given.customers.split(",")):
                prefix = f"r{count}-{size}-"
                fill(kafka.bootstrap_servers, prefix, (count, size, given.partitions))
                for source in given.sources.split(","):
                    folder = str(Path(name) / f"{prefix}{source}")
                    row = measured(
                        Job(kafka.bootstrap_servers, prefix, given.partitions, source, folder, is_first=False)
                    )
                    assert row["customers"] == count, row
                    print(count, size, source, row, flush=True)
                    found.append({"packed_bytes": size, "from": source, "partitions": given.partitions, **row})
                    table.add_row(
                        f"{count:,}", str(size), source, f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}",
                        f"{count / row['seconds']:,.0f}", f"{row['resident_bytes']:,.0f}",
                        f"{row['loop_late_seconds']:.2f}",
                    )  # fmt: skip
    Console().print(f"{given.partitions} partitions")
    Console().print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"recovery-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"machine": machine(), "recovery": found}, indent=2) + "\n")
    Console().print(f"Written: {path}")


if __name__ == "__main__":
    main()
