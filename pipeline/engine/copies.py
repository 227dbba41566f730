"""What a worker keeps of a large state besides memory, and whether it still holds: the log decides, always.

A copy (snapshot, store on disk, standby's state) only says where to begin reading the changelog. It is thrown away
when it is of another topic, older than Kafka keeps tombstones, ahead of the log, or not readable: then all is read.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog

from pipeline import metrics
from pipeline.engine.changelog import Reading, Unrelated
from pipeline.engine.disk import DiskState, StoreFailed
from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.snapshot import BadSnapshot, read_mark, read_snapshot
from pipeline.engine.state import Anchor, Mark, State

log = structlog.get_logger("wafa.engine")

AGE_SECONDS_MAX: Final = 20 * 3600.0
"""A copy not written for longer is not trusted: Kafka may have dropped tombstones (it keeps them 24 h) it never saw."""
_RECENT_SHARE: Final = 4
"""A fourth of a store's cache holds values as they are, the rest is RocksDB's blocks."""
Kind = Literal["memory", "snapshot", "disk"]


@dataclass(frozen=True, slots=True)
class Copies:
    """How this worker keeps large states: in memory, there with a snapshot now and then, or on disk."""

    kind: Kind = "memory"
    folder: Path = Path(".wafa/store")
    cache_bytes: int = 256 * 1024 * 1024
    """Of all stores on disk together."""
    stores: int = 16
    """Stores on disk that this worker may have open, at most: each has its share of the cache."""
    snapshot_seconds: float = 60.0
    """Snapshots of one state are at least so far apart."""
    snapshot_records_min: int = 20_000
    """Fewer are read from the changelog in no time: no snapshot for them."""
    has_standbys: bool = False
    """Follow the changelogs of partitions that other workers have."""


@dataclass(frozen=True, slots=True)
class Log:
    """A changelog partition as it stands on the broker."""

    topic_id: str
    low: int
    end: int


def path_of(copies: Copies, place: ChangelogPlace) -> Path:
    """Where the copy of this changelog's state is."""
    suffix = ".snapshot" if copies.kind == "snapshot" else ".rocksdb"
    return copies.folder / f"{place.topic}-{place.partition}{suffix}"


def open_reading(copies: Copies, place: ChangelogPlace, log_now: Log, *, is_large: bool) -> Reading:
    """A state to read the changelog into, and where to begin: at the copy's mark, or at the log's beginning.

    Raises StoreFailed when a store on disk cannot be had at all.
    """
    kind = copies.kind if is_large else "memory"
    whole = Anchor(log_now.low)
    if kind == "memory":
        return Reading(place, State(), whole)
    if kind == "snapshot":
        state, mark = _from_snapshot(path_of(copies, place), log_now)
    else:
        state, mark = _from_disk(copies, path_of(copies, place), log_now)
    reading = Reading(place, state, whole if mark is None else mark.anchor)
    if mark is not None:
        reading.mark, reading.source = mark, kind
    return reading


def check_whole(reading: Reading) -> None:
    """The log's last position is not before what the copy had. Raises Unrelated."""
    mark, position = reading.mark, reading.position
    if mark is not None and (position is None or position.sequence < mark.sequence):
        raise Unrelated(f"{reading.place}: the copy has transaction {mark.sequence}, the log ends with {position}")


def throw_away(copies: Copies, place: ChangelogPlace, why: str) -> None:
    """Delete the copy: the next reading begins at the log's beginning."""
    path = path_of(copies, place)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    _told(path, why)


def _told(path: Path, why: str) -> None:
    log.warning("copy_thrown_away", path=str(path), why=why)
    metrics.COPIES_THROWN_AWAY.inc()


def _objection(mark: Mark, log_now: Log) -> str | None:
    """Why a copy that stands so may not be used."""
    if mark.topic_id != log_now.topic_id:
        return "the topic was made anew since"
    if not log_now.low <= mark.anchor.offset < log_now.end:
        return f"it stands at {mark.anchor.offset}, the log holds {log_now.low} to {log_now.end}"
    if metrics.now_seconds() - mark.written_at > AGE_SECONDS_MAX:
        return f"it was not written for {AGE_SECONDS_MAX / 3600:.0f} h"
    return None


def _from_snapshot(path: Path, log_now: Log) -> tuple[State, Mark | None]:
    try:
        why = _objection(read_mark(path), log_now)
        if why is None:
            state = State()
            return state, read_snapshot(path, state)
    except FileNotFoundError:
        return State(), None
    except (BadSnapshot, OSError) as error:
        why = str(error)
    _told(path, why)
    return State(), None


def _from_disk(copies: Copies, path: Path, log_now: Log) -> tuple[State, Mark | None]:
    def opened() -> DiskState:
        recent = copies.cache_bytes // _RECENT_SHARE
        return DiskState(path, cache_bytes=recent // copies.stores, block_cache_bytes=copies.cache_bytes - recent)

    exists = path.exists()
    try:
        state = opened()
    except StoreFailed:
        if path.exists():
            raise
        _told(path, "it is corrupt")
        state, exists = opened(), False
    try:
        mark = state.mark()
    except StoreFailed:
        state.close()
        raise
    why = (
        _objection(mark, log_now)
        if mark is not None
        else "it was never whole"
        if exists and not state.is_empty()
        else None
    )
    if why is None:
        return state, mark
    state.close()
    shutil.rmtree(path)
    _told(path, why)
    return opened(), None
