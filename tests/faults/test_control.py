"""The negative control: the same job, input, kills and checker. Faust as it comes fails, with either of its guarantees.

A test that everything passes proves nothing; this is what it catches. Long form only.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.local.kafka import KafkaServer
from tests.engine.checking import lost_and_repeated, read_committed
from tests.engine.job import PARTITIONS, Job
from tests.engine.oracle import oracle

ROUNDS = 6
SEED = 11
QUIET_SECONDS = 20.0
"""Nothing more comes once nothing came for so long: Faust commits twice a second, and sessions end after two."""
FRAME = 9
"""Version and count of the transaction, before a Wafa changelog's entry."""
ENGINES = ("wafa", "at_least_once", "exactly_once")


@dataclass(frozen=True)
class Verdict:
    """What a read-committed reader finds at the end."""

    unread: int
    partitions_wrong: int
    outputs: str
    keys_wrong: int
    keys: int

    @property
    def is_clean(self) -> bool:
        return (self.unread, self.partitions_wrong, self.keys_wrong) == (0, 0, 0)

    def __str__(self) -> str:
        return (
            f"{self.unread} inputs not processed; outputs: {self.outputs}, {self.partitions_wrong} of {PARTITIONS} "
            f"partitions not the oracle's sequence; state: {self.keys_wrong} of {self.keys} keys wrong"
        )


def verdict(job: Job, changelog: str, frame: int) -> Verdict:
    """Outputs by sequence, state by key; `changelog` has the job's table, each entry behind `frame` bytes."""
    read = {name: read_committed(job.bootstrap, f"{job.prefix}{name}", PARTITIONS) for name in ("in", "out")}
    tables = read_committed(job.bootstrap, changelog, PARTITIONS)
    all_wanted, all_seen, wrong_sequences, wrong, keys = [], [], 0, 0, 0
    for number in range(PARTITIONS):
        state, wanted = oracle(read["in"][number])
        seen = [(key, json.loads(value)) for key, value in read["out"][number]]
        table = {key: json.loads(value[frame:]) for key, value in tables[number] if key in state}
        wrong += sum(state[key] != table.get(key) for key in state)
        keys += len(state)
        wrong_sequences += wanted != seen
        all_wanted += wanted
        all_seen += seen
    return Verdict(unread(job), wrong_sequences, lost_and_repeated(all_wanted, all_seen), wrong, keys)


def unread(job: Job) -> int:
    """How many inputs the job's group has not committed."""
    consumer = Consumer({"bootstrap.servers": job.bootstrap, "group.id": f"{job.prefix}app".replace(".", "-")})
    places = [TopicPartition(f"{job.prefix}in", number) for number in range(PARTITIONS)]
    try:
        committed = {each.partition: max(0, each.offset) for each in consumer.committed(places, timeout=10)}
        return sum(consumer.get_watermark_offsets(each)[1] - committed[each.partition] for each in places)
    except KafkaException:  # the group's coordinator is not there yet
        return job.published
    finally:
        consumer.close()


LONG_FORM = "a control for the long form"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ENGINES)
def test_under_the_same_kills_wafa_is_right_and_faust_as_it_comes_is_not(
    kafka: KafkaServer,
    tmp_path: Path,
    engine: str,
    long: bool,  # noqa: FBT001 - a fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not long:
        pytest.skip(LONG_FORM)  # says what Faust does, not whether Wafa is right: minutes for no news
    monkeypatch.setenv("GUARANTEE", engine)
    module = "tests.engine.small_job" if engine == "wafa" else "tests.faults.stock_faust"
    job = Job(kafka.bootstrap_servers, tmp_path, module=module)
    job.create()
    try:
        stood_still = job.disturb(ROUNDS, seed=SEED, workers=1, kill_only=True, may_stand_still=engine != "wafa")
        wait_until_quiet(job)
        found = verdict(job, table_of(job, engine), FRAME if engine == "wafa" else 0)
    finally:
        job.stop()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{engine}, {ROUNDS} kills, {job.published} inputs ({stood_still} rounds stood still): {found}\n"
        )
    assert found.is_clean == (engine == "wafa")


@pytest.mark.timeout(300)
def test_faust_as_it_comes_passes_where_nothing_is_killed(
    kafka: KafkaServer,
    tmp_path: Path,
    long: bool,  # noqa: FBT001 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not long:
        pytest.skip(LONG_FORM)  # says what Faust does, not whether Wafa is right: minutes for no news
    monkeypatch.setenv("GUARANTEE", "at_least_once")
    job = Job(kafka.bootstrap_servers, tmp_path, module="tests.faults.stock_faust")
    job.create()
    try:
        job.publish(3_000, keys=50)
        job.start()
        wait_until_quiet(job)
        found = verdict(job, table_of(job, "at_least_once"), 0)
    finally:
        job.stop()
    assert found.is_clean, str(found)


def table_of(job: Job, engine: str) -> str:
    """The changelog of the job's table."""
    return f"{job.prefix}state" if engine == "wafa" else f"{job.prefix}app".replace(".", "-") + "-totals-changelog"


def wait_until_quiet(job: Job) -> None:
    """Until everything is committed, or nothing more has come for a while."""
    reader = job.watch()
    seen, changed_at = (-1, -1), time.monotonic()
    while (left := unread(job)) and time.monotonic() - changed_at < QUIET_SECONDS:
        if (reader.count, left) != seen:
            seen, changed_at = (reader.count, left), time.monotonic()
