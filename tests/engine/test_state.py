"""A state in memory and one on disk are the same table, through any batches, commits and crashes."""

from __future__ import annotations

import random
import resource
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import metrics
from pipeline.engine import disk
from pipeline.engine.changelog import POSITION_KEY, Position, Reading, Unrelated, encode_position, frame
from pipeline.engine.copies import AGE_SECONDS_MAX, Copies, Log, check_whole, open_reading, path_of, throw_away
from pipeline.engine.disk import DiskState, StoreFailed
from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.snapshot import BadSnapshot, read_snapshot, write_snapshot
from pipeline.engine.snapshots import Snapshots
from pipeline.engine.state import Anchor, Mark, State
from pipeline.metrics import now_seconds

PLACE = ChangelogPlace("state", 0)
KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"m", b""])
VALUES = st.binary(max_size=40)
WRITES = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=6)
HAPPENS = st.sampled_from(["commit", "commit and flush", "fail", "die before it is kept", "die", "start again"])


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def copy_standing_still(before: Path, after: Path) -> None:
    """What a kill would leave of a folder: as at one instant, though RocksDB's threads delete old files beside us."""
    for _ in range(100):
        names = sorted(before.rglob("*"))
        with suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(before, after, ignore=shutil.ignore_patterns("LOCK"))
            if sorted(before.rglob("*")) == names:
                return
        shutil.rmtree(after, ignore_errors=True)
    raise AssertionError(f"{before} never stood still")


class Life:
    """A task's transactions on a log of real records; what is on disk when it dies is what a kill would leave."""

    def __init__(self, kind: str, where: Path) -> None:
        self.copies = Copies(kind=kind, folder=where / "0", cache_bytes=1 << 20)
        self.log: list[Message] = []
        self.sequence = self.flushed = self.deaths = 0
        self.committed: dict[bytes, bytes] = {}
        self.unflushed: set[bytes] = set()
        self.start()

    def start(self) -> None:
        """Restore, as a task does; every time the log is the judge."""
        log_now = Log("id", 0, len(self.log))
        self.reading = open_reading(self.copies, PLACE, log_now, is_large=True)
        self.reading.take(self.log[self.reading.next_offset :])
        check_whole(self.reading)
        self.state, self.anchor = self.reading.state, self.reading.anchor
        if self.log:
            self.state.keep(self.mark())
        assert dict(self.state.items()) == self.committed
        assert self.unflushed <= set(self.reading.unflushed) if self.log else True

    def mark(self) -> Mark:
        return Mark("id", self.anchor, self.sequence, now_seconds())

    def write(self, writes: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
        """One batch; what the table should be after it, by a dictionary."""
        table = dict(self.committed)
        for key, value in writes:
            if value is None:
                self.state.delete(key)
                table.pop(key, None)
            else:
                self.state.put(key, value)
                table[key] = value
            assert self.state.get(key) == value
        assert dict(self.state.items()) == table
        assert {key: self.state.get(key) for key in table} == table
        return table

    def commit(self, table: dict[bytes, bytes], *, flush: bool) -> None:
        """The batch is on the log; not yet on disk."""
        self.sequence += 1
        for key in self.state.changed:
            value = self.state.get(key)
            self.append(key, None if value is None else frame(value, self.sequence))
        self.unflushed = set() if flush else self.unflushed | set(self.state.changed)
        self.flushed = self.sequence if flush else self.flushed
        self.append(POSITION_KEY, encode_position(Position(0, self.sequence, self.flushed)))
        if flush:
            self.anchor = Anchor(len(self.log) - 1, self.sequence)
        self.committed = table

    def append(self, key: bytes, value: bytes | None) -> None:
        self.log.append(Message(topic="state", partition=0, offset=len(self.log), key=key, value=value))

    def keep(self) -> None:
        self.state.keep(self.mark())
        if self.copies.kind == "snapshot":
            assert write_snapshot(path_of(self.copies, PLACE), self.state.copied(), self.mark())

    def die(self) -> None:
        """Go on with the files as they are now: nothing is flushed or closed first."""
        self.deaths += 1
        before, after = self.copies.folder, self.copies.folder.with_name(str(self.deaths))
        if before.exists():
            copy_standing_still(before, after)
        dead, self.copies = self.state, Copies(kind=self.copies.kind, folder=after, cache_bytes=1 << 20)
        self.start()
        dead.close()

    def live(self, writes: list[tuple[bytes, bytes | None]], happens: str) -> None:
        table = self.write(writes)
        match happens:
            case "fail":
                self.state.close()
                self.start()
            case "die":
                self.die()
            case "die before it is kept":
                self.commit(table, flush=False)
                self.die()
            case _:
                self.commit(table, flush="flush" in happens)
                self.keep()
                if happens == "start again":
                    self.state.close()
                    self.start()


@pytest.mark.parametrize("kind", ["memory", "snapshot", "disk"])
@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.tuples(WRITES, HAPPENS), max_size=8))
def test_any_writes_commits_failures_and_deaths_give_what_a_dictionary_of_the_commits_has(
    kind: str, batches: list[tuple[list[tuple[bytes, bytes | None]], str]]
) -> None:
    with folder() as where:
        life = Life(kind, where)
        for writes, happens in batches:
            life.live(writes, happens)
        life.state.close()


def lived(kind: str, where: Path) -> Life:
    """Three commits, kept on disk and closed."""
    life = Life(kind, where)
    for value in (b"1", b"2", b"3"):
        life.live([(b"a", value), (b"b" + value, value)], "commit and flush")
    life.state.close()
    return life


@pytest.mark.parametrize("kind", ["snapshot", "disk"])
@pytest.mark.parametrize(
    ("log_now", "why"),
    [
        (Log("another", 0, 9), "another topic"),
        (Log("id", 0, 8), "the copy is ahead of the log"),
        (Log("id", 9, 12), "what follows the copy is gone from the log"),
    ],
)
def test_a_copy_that_the_log_does_not_bear_out_is_not_used(kind: str, log_now: Log, why: str, tmp_path: Path) -> None:
    life = lived(kind, tmp_path)
    reading = open_reading(life.copies, PLACE, log_now, is_large=True)
    assert list(reading.state.items()) == [], why
    assert reading.next_offset == log_now.low
    reading.state.close()


@pytest.mark.parametrize("kind", ["snapshot", "disk"])
def test_a_copy_older_than_tombstones_are_kept_is_not_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = lived(kind, tmp_path)
    later = now_seconds() + AGE_SECONDS_MAX + 1
    monkeypatch.setattr("pipeline.metrics.now_seconds", lambda: later)
    reading = open_reading(life.copies, PLACE, Log("id", 0, 9), is_large=True)
    assert list(reading.state.items()) == []
    reading.state.close()


@pytest.mark.parametrize("kind", ["snapshot", "disk"])
def test_another_sequence_of_transactions_under_the_same_offsets_is_noticed(kind: str, tmp_path: Path) -> None:
    life = lived(kind, tmp_path)
    at = len(life.log) - 1
    life.log[at] = Message(
        topic="state", partition=0, offset=at, key=POSITION_KEY, value=encode_position(Position(0, 77, 77))
    )
    reading = open_reading(life.copies, PLACE, Log("id", 0, at + 1), is_large=True)
    with pytest.raises(Unrelated, match="expected the position of transaction 3"):
        reading.take(life.log[reading.next_offset :])
    reading.state.close()
    throw_away(life.copies, PLACE, "as a task does")
    life.start()
    life.state.close()


def test_a_log_that_ends_before_the_copy_does_is_noticed() -> None:
    reading = Reading(PLACE, State(), Anchor(4, 2))
    reading.mark = Mark("id", reading.begin, 9, now_seconds())
    reading.take(
        [Message(topic="state", partition=0, offset=6, key=POSITION_KEY, value=encode_position(Position(0, 8, 8)))]
    )
    with pytest.raises(Unrelated, match="the copy has transaction 9"):
        check_whole(reading)


def test_a_store_that_another_process_has_says_so(tmp_path: Path) -> None:
    first = DiskState(tmp_path / "store", cache_bytes=1000, block_cache_bytes=1 << 20)
    with pytest.raises(StoreFailed, match="another worker has it: give each its own WAFA_STORE_DIR"):
        DiskState(tmp_path / "store", cache_bytes=1000, block_cache_bytes=1 << 20)
    first.close()


def test_what_is_remembered_of_a_store_stays_within_its_bound(tmp_path: Path) -> None:
    state = DiskState(tmp_path / "store", cache_bytes=1_000, block_cache_bytes=1 << 20)
    for number in range(200):
        state.put(b"%d" % number, b"x" * 100)
        state.keep(Mark("id", Anchor(0), number, 0.0))
        assert state._recent_bytes == sum(len(key) + len(value) for key, value in state._recent.items()) <= 1_000
    assert all(state.get(b"%d" % number) == b"x" * 100 for number in range(200))
    state.close()


def test_a_disk_that_is_full_in_the_middle_leaves_a_store_that_is_a_whole_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.disk._WRITE_BUFFER_BYTES", 64 * 1024)
    state = DiskState(tmp_path / "store", cache_bytes=1_000, block_cache_bytes=1 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def batches() -> Iterator[int]:
        for sequence in range(1, 1_000):
            for number in range(10):
                state.put(b"%d" % number, b"%d" % sequence + random.randbytes(1_000))
            state.keep(Mark("id", Anchor(sequence), sequence, 0.0))
            yield sequence

    kept = batches()
    assert next(kept) == 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        with pytest.raises(StoreFailed, match=r"is the disk full"):
            deque(kept, maxlen=0)
        state.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state = DiskState(tmp_path / "store", cache_bytes=1_000, block_cache_bytes=1 << 20)
    mark, entries = state.mark(), dict(state.items())
    assert (mark is None and not entries) or (
        mark is not None and {value[:-1_000] for value in entries.values()} == {b"%d" % mark.sequence}
    )
    state.close()


@pytest.mark.parametrize("harm", [slice(0, 5), slice(None, -1), slice(0, 40), slice(0, 0)])
def test_no_cut_snapshot_is_read(harm: slice, tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    entries = {b"%d" % number: bytes(50) for number in range(10_000)}
    assert write_snapshot(path, entries, Mark("id", Anchor(3), 4, 5.0))
    whole, state = path.read_bytes(), State()
    assert read_snapshot(path, state) == Mark("id", Anchor(3), 4, 5.0)
    assert dict(state.items()) == entries
    path.write_bytes(whole[harm])
    with pytest.raises(BadSnapshot):
        read_snapshot(path, State())


def test_a_snapshot_told_to_stop_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    write_snapshot(path, {b"a": b"1"}, Mark("id", Anchor(3), 4, 5.0))
    assert not write_snapshot(path, {b"a": b"2"}, Mark("id", Anchor(4), 5, 6.0), should_stop=lambda: True)
    state = State()
    read_snapshot(path, state)
    assert state.get(b"a") == b"1"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_costs_the_snapshot_and_leaves_the_one_before(tmp_path: Path) -> None:
    snapshots = Snapshots(Copies(kind="snapshot", folder=tmp_path), PLACE, "a task")
    path, state = path_of(Copies(kind="snapshot", folder=tmp_path), PLACE), State()
    state.put(b"a", bytes(100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failed = metrics.SNAPSHOTS.labels(outcome="failed")._value.get()
    with ThreadPoolExecutor(1) as pool:
        snapshots.begin(state, Mark("id", Anchor(3), 4, 5.0), pool)
    before = path.read_bytes()
    for number in range(1_000):
        state.put(b"%d" % number, random.randbytes(100))
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        with ThreadPoolExecutor(1) as pool:
            snapshots.begin(state, Mark("id", Anchor(9), 9, 9.0), pool)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert metrics.SNAPSHOTS.labels(outcome="failed")._value.get() == failed + 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_on_disk_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    disk._rocksdict.cache_clear()
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    with pytest.raises(disk.NotInstalled, match=r"pip install 'wafa\[disk\]'"):
        disk.require_rocksdb()


def test_a_snapshot_with_any_byte_changed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    write_snapshot(path, {b"%d" % number: bytes(20) for number in range(30)}, Mark("id", Anchor(3), 4, 5.0))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(BadSnapshot):
            read_snapshot(path, State())
