"""How long a worker takes to have its customers back, against how many there are: `python -m bench.recovery`.

python -m bench.recovery [--customers 10000,100000,1000000] [--bytes 1024,300] [--partitions 8]

Fills changelogs as `customers` writes them, in transactions, with values that cannot be compressed (the worst case), and
lets a worker's own engine recover them in a process of its own. The broker runs beside it, on the same cores. Each row:
from the assignment until every partition would flow, the longest that the event loop stood still meanwhile, and what a
customer takes in memory beside what it takes packed.
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
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP
from rich.console import Console
from rich.table import Table

from bench.shop import CACHE
from pipeline import app as worker_app
from pipeline.agents import customers
from pipeline.engine.changelog import POSITION_KEY, Position, encode_position, frame
from pipeline.engine.processor import ChangelogPlace, Outbox, Spec
from pipeline.engine.producer import TransactionalProducer
from pipeline.engine.runtime import Engine
from pipeline.engine.task import Limits, Phase
from pipeline.local.kafka import run_kafka

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


async def recover(bootstrap: str, prefix: str, partitions: int) -> dict[str, float]:
    """Take all partitions as a worker would, in this process, and measure."""
    worker_app._collect_rarely()
    names = customers.Names(f"{prefix}in", "t", "d", "p", "l")
    spec = Spec("customers", f"{prefix}in", customers.factory(names), lambda p: ChangelogPlace(f"{prefix}state", p))
    engine = Engine([spec], app_id=f"{prefix}app", client={"bootstrap.servers": bootstrap}, limits=Limits())
    before, started_at, cpu_before = resident_bytes(), time.monotonic(), time.process_time()
    late = asyncio.create_task(lateness(started_at + _PATIENCE_SECONDS))
    await engine.on_assigned([TP(f"{prefix}in", each) for each in range(partitions)])
    while not all(task.phase is Phase.RUNNING for task in engine.status()):
        if time.monotonic() > started_at + _PATIENCE_SECONDS:
            raise TimeoutError(str(engine.status()))
        await asyncio.sleep(_BEAT_SECONDS)
    seconds, cpu = time.monotonic() - started_at, time.process_time() - cpu_before
    late.cancel()
    found = sum(table.population.total() for table in customers.Customers.live)
    taken = resident_bytes() - before
    await engine.stop()
    return {
        "seconds": seconds,
        "customers": found,
        "resident_bytes": taken / max(1, found),
        "loop_late_seconds": worst[0],
        "cpu_seconds": cpu,
    }


worst = [0.0]


async def lateness(deadline: float) -> None:
    """The longest that a timer came too late."""
    while time.monotonic() < deadline:
        before = time.monotonic()
        await asyncio.sleep(_BEAT_SECONDS)
        worst[0] = max(worst[0], time.monotonic() - before - _BEAT_SECONDS)


def in_a_process(bootstrap: str, prefix: str, partitions: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.recovery", "--recover", bootstrap, prefix, str(partitions)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer: dict[str, float] = json.loads(told.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", default="10000,100000,1000000")
    parser.add_argument("--bytes", default="1024,300", help="of a packed profile")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--recover", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.recover:
        bootstrap, prefix, partitions = given.recover
        print(json.dumps(asyncio.run(recover(bootstrap, prefix, int(partitions)))))
        return
    table = Table("customers", "packed bytes", "partitions", "seconds", "customers/s", "resident bytes", "loop late, s")
    with (
        tempfile.TemporaryDirectory() as name,
        run_kafka(Path(name) / "kafka", cache=CACHE, fast_start=False, heap="1g") as kafka,
    ):
        for size in map(int, given.bytes.split(",")):
            for count in map(int, given.customers.split(",")):
                prefix = f"r{count}-{size}-"
                fill(kafka.bootstrap_servers, prefix, (count, size, given.partitions))
                row = in_a_process(kafka.bootstrap_servers, prefix, given.partitions)
                assert row["customers"] == count, row
                print(count, size, row, flush=True)
                table.add_row(
                    f"{count:,}",
                    str(size),
                    str(given.partitions),
                    f"{row['seconds']:.1f}",
                    f"{count / row['seconds']:,.0f}",
                    f"{row['resident_bytes']:,.0f}",
                    f"{row['loop_late_seconds']:.2f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
