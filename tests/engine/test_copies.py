"""Copies of states on disk, and standbys, on a real broker: they save time, and are never believed against the log."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.engine.job import Job

COPIES = ["snapshot", "disk"]


def sources(job: Job, worker: int) -> set[str]:
    """What this worker's partitions were restored from."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", job.log_of(worker))
    return {
        source
        for source in ("log", "snapshot", "disk", "standby")
        if re.search(rf"task_recovered.*source\W+{source}\b", plain)
    }


def work_and_die(job: Job, store: str) -> None:
    """A worker that had time to keep a copy of every partition, and was killed."""
    job.publish(8_000)
    worker = job.start(WAFA_STORE_KIND=store, batch=200)
    job.wait_until_done()
    if store == "snapshot":
        job.wait(lambda: len(list(job.folder.rglob("*.snapshot"))) == 4, "a snapshot of each partition")
        worker.kill()
    else:
        worker.terminate()  # a store that is closed has everything on disk
    worker.wait(20)


@pytest.mark.parametrize("store", COPIES)
def test_a_worker_started_again_goes_on_from_its_copy_and_reads_little(job: Job, store: str) -> None:
    work_and_die(job, store)
    job.publish(2_000)
    job.start(again=0, WAFA_STORE_KIND=store)
    job.wait_until_done()
    job.check()
    assert sources(job, 1) == {store}


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("store", "files", "harm"),
    [
        ("snapshot", "*.snapshot", cut_in_half),
        ("snapshot", "*.snapshot", flip_a_bit),
        ("disk", "*.sst", flip_a_bit),
        ("disk", "MANIFEST-*", cut_in_half),
    ],
)
def test_a_copy_that_was_harmed_is_thrown_away_and_the_log_read_instead(
    job: Job, store: str, files: str, harm: Callable[[Path], None]
) -> None:
    work_and_die(job, store)
    harmed = list(job.folder.rglob(files))
    assert harmed
    for path in harmed:
        harm(path)
    job.publish(2_000)
    job.start(again=0, WAFA_STORE_KIND=store)
    job.wait_until_done()
    job.check()
    assert "log" in sources(job, 1)


@pytest.mark.parametrize("store", COPIES)
def test_a_copy_of_a_topic_that_was_made_anew_since_is_thrown_away(job: Job, store: str) -> None:
    work_and_die(job, store)
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    names = [f"{job.prefix}{name}" for name in ("in", "out", "state")]
    for gone in admin.delete_topics(names).values():
        gone.result(30)
    job.wait(lambda: not set(names) & admin.list_topics(timeout=10).topics.keys(), "the topics are gone")
    job.create()
    job.published = 0
    job.publish(9_000, keys=300)
    job.start(again=0, WAFA_STORE_KIND=store)
    job.wait_until_done()
    job.check()
    assert sources(job, 1) == {"log"}
    assert "the topic was made anew since" in job.log_of(1)


@pytest.mark.parametrize("store", ["memory", "disk"])
def test_who_takes_over_from_a_worker_that_was_killed_goes_on_from_its_standby(job: Job, store: str) -> None:
    job.publish(6_000)
    first = job.start(WAFA_STORE_KIND=store, STANDBY="1")
    job.start(WAFA_STORE_KIND=store, STANDBY="1")
    job.wait(lambda: job.log_of(1).count("standby_follows") >= 2, "the second follows the first one's partitions")
    job.publish(6_000)
    job.wait_until_done()
    first.kill()
    job.publish(3_000)
    job.wait_until_done()
    job.check()
    assert "standby" in sources(job, 1), job.log_of(1)


def test_a_full_disk_stops_a_store_with_a_clear_reason_and_nothing_is_wrong_afterwards(job: Job) -> None:
    job.publish(8_000)
    worker = job.start(batch=200, WAFA_STORE_KIND="disk", FILE_BYTES="4096")
    job.wait(lambda: "is the disk full" in job.log_of(0), "it says why it stands still")
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    job.publish(2_000)
    job.start(again=0, WAFA_STORE_KIND="disk")
    job.wait_until_done()
    job.check()


@pytest.mark.parametrize(
    ("strike", "store"),
    [("committed:9", "snapshot"), ("restored:3", "disk"), ("produced:5", "disk"), ("committed:3", "disk"),
     ("committed:9", "disk")],
)  # fmt: skip
def test_a_worker_killed_beside_its_copy_leaves_every_effect_exactly_once(job: Job, strike: str, store: str) -> None:
    """`committed` is between the commit and what is kept on disk."""
    job.publish(6_000)
    job.wait_until_struck(job.start(strike, WAFA_STORE_KIND=store), strike)
    job.start(again=0, WAFA_STORE_KIND=store)
    job.publish(3_000)
    job.wait_until_done()
    job.check()
