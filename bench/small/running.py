"""One row, once: start the engine on the waiting records, watch what comes out, end it, check, and time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # left out of its __all__

from bench.cpu import Meter
from bench.small.job import PARTITIONS, Order, Output, Truth
from bench.small.rate import WARM_FRACTION, Run, Timed, measure
from bench.small.rows import COMMIT_SECONDS, Row

INPUT: Final = "small-in"
_START_SECONDS: Final = 90.0
"""Without an output for so long, an engine has not started, or stands still."""
_END_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 0.25
_ADMIN_SECONDS: Final = 30.0
_PUBLISH_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Bench:
    """The broker, where files go, and what is right."""

    bootstrap: str
    broker_pid: int
    folder: Path
    truth: Truth

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})


def create(admin: AdminClient, *names: str, compacted: bool = False) -> None:
    """Topics of four partitions."""
    config = {"cleanup.policy": "compact"} if compacted else {}
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in names]).values():
        made.result(_ADMIN_SECONDS)


def publish(bootstrap: str, given: Iterable[Order]) -> None:
    """Put the records where the engines find them, each in its partition, in order."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "lz4", "enable.idempotence": True}
    )
    for order in given:
        while True:
            try:
                producer.produce(INPUT, order.value(), order.customer, order.partition)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(_PUBLISH_SECONDS):
        raise TimeoutError(f"the records were not published within {_PUBLISH_SECONDS:.0f} s")


@contextmanager
def reader(bootstrap: str, topic: str) -> Iterator[Consumer]:
    """A committed reader of the whole topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": "small-reader", "enable.auto.commit": False,
            "isolation.level": "read_committed", "enable.partition.eof": True, "fetch.wait.max.ms": 500,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, each, 0) for each in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def messages(consumer: Consumer, seconds: float) -> Iterator[Message]:
    """What comes within so many seconds, at most 10,000; also the errors that say a partition ended here."""
    for message in consumer.consume(10_000, seconds):
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        yield message


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a run: outputs with the second in which the broker received each; the state if it can be read."""

    received: list[tuple[float, Output]]
    state: list[Output] | None
    complete: bool
    meter: Meter


def run(bench: Bench, row: Row, command: list[str], number: int, *, seconds_max: float) -> Run:
    """One run of one engine, checked and timed. Raises RuntimeError with the end of its log when it does not work."""
    prefix = f"run{number}-{row.name}-"
    (bench.folder / prefix).mkdir(parents=True)
    if row.name == "ceiling":
        return _run_ceiling(bench, command, bench.folder / prefix)
    came = work_off(bench, row, command, prefix, seconds_max=seconds_max)
    problems = bench.truth.problems((said for _, said in came.received), came.state, complete=came.complete)
    timed = measure(bench.truth, came.received)
    _forget(bench.admin, prefix)
    return run_of(timed, came.meter, outputs=len(came.received), complete=came.complete, problems=tuple(problems))


def work_off(  # noqa: PLR0913 - what, with what, how many of them, for how long
    bench: Bench, row: Row, command: list[str], prefix: str, *, seconds_max: float, workers: int = 1
) -> Came:
    """Let an engine work off what waits in the topic, until all outputs are there or so long after the first."""
    folder = bench.folder / prefix
    folder.mkdir(parents=True, exist_ok=True)
    create(bench.admin, f"{prefix}out")
    if row.is_ours_to_make and row.changelog is not None:
        create(bench.admin, row.changelog.format(prefix=prefix), compacted=True)
    log = folder / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAFA_")}
    processes = []
    with log.open("wb") as out:
        for number in range(workers):
            arguments = [bench.bootstrap, prefix, str(folder / f"state{number}"), str(COMMIT_SECONDS)]
            processes.append(subprocess.Popen([*command, *arguments], stdout=out, stderr=out, env=environment))
    meter = Meter((*(process.pid for process in processes), bench.broker_pid))
    try:
        received = _watch(bench, f"{prefix}out", processes, meter, log, seconds_max)
    finally:
        for process in processes:
            _end(process)
    state = None
    if row.read is not None and row.changelog is not None:
        state = list(_state(bench.bootstrap, row, row.changelog.format(prefix=prefix)))
    return Came(received, state, len(received) >= len(bench.truth.causes), meter)


def run_of(timed: Timed, meter: Meter, *, outputs: int, complete: bool, problems: tuple[str, ...] = ()) -> Run:
    run = Run(timed.events, timed.end - timed.start, outputs, complete, problems)
    use = meter.between(timed.start, timed.end)
    if use is None:
        return run
    *engines, broker = use.processes
    return replace(run, engine_cpu_seconds=sum(engines), broker_cpu_seconds=broker, others_fraction=use.others_fraction)


def _run_ceiling(bench: Bench, command: list[str], folder: Path) -> Run:
    arguments = [bench.bootstrap, "", str(folder), str(bench.truth.records), str(WARM_FRACTION)]
    with (folder / "log").open("w+") as out:
        process = subprocess.Popen([*command, *arguments], stdout=out, stderr=out)
        meter, deadline = Meter((process.pid, bench.broker_pid)), time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            meter.look()
            time.sleep(_LOOK_SECONDS)
        _end(process)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise RuntimeError(told[-2000:])
    events, start, end = told.split()
    return run_of(Timed(int(events), float(start), float(end)), meter, outputs=0, complete=True)


def _watch(  # noqa: PLR0913, PLR0917 - what to watch, and until when
    bench: Bench, topic: str, processes: list[subprocess.Popen[bytes]], meter: Meter, log: Path, seconds_max: float
) -> list[tuple[float, Output]]:
    """Every committed output with the second in which the broker received it: until all are there, or time is up."""
    received: list[tuple[float, Output]] = []
    wanted, started_at, moved_at = len(bench.truth.causes), time.monotonic(), time.monotonic()
    first_at: float | None = None
    with reader(bench.bootstrap, topic) as consumer:
        while len(received) < wanted:
            now = time.monotonic()
            meter.look()
            if any(each.poll() is not None for each in processes) or now - moved_at > _START_SECONDS:
                raise RuntimeError(f"{processes[0].args!r} gave no output:\n{log.read_text(errors='replace')[-2000:]}")
            if first_at is not None and now - first_at > seconds_max:
                break
            for message in messages(consumer, _POLL_SECONDS):
                if message.error() is None:
                    received.append((message.timestamp()[1] / 1000, Output(**json.loads(message.value() or b""))))
                    moved_at = now
                    first_at = first_at if first_at is not None else now
    meter.look()
    print(f"  {len(received)} of {wanted} outputs, {time.monotonic() - started_at:.0f} s in all", flush=True)
    return received


def _end(process: subprocess.Popen[bytes]) -> None:
    """As an operator would: it may commit what it has."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    process.kill()
    process.wait()


def _state(bootstrap: str, row: Row, topic: str) -> Iterator[Output]:
    """The latest entry of each customer on the changelog."""
    assert row.read is not None
    latest: dict[bytes, bytes] = {}
    unread = set(range(PARTITIONS))
    with reader(bootstrap, topic) as consumer:
        while unread:
            for message in messages(consumer, 1.0):
                if message.error() is not None:
                    unread.discard(message.partition())
                else:
                    latest[message.key() or b""] = message.value() or b""
    for key, value in latest.items():
        said = row.read(key, value)
        if said is not None:
            yield said


def _forget(admin: AdminClient, prefix: str) -> None:
    """Delete the run's topics: their files would burden the next."""
    names = [name for name in admin.list_topics(timeout=_ADMIN_SECONDS).topics if prefix in name]
    for deleted in admin.delete_topics(names).values():
        deleted.result(_ADMIN_SECONDS)
