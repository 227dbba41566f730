"""When a task's state is written to a snapshot: beside the work, in a thread, once reading on would take too long."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor
from typing import Final

import structlog

from pipeline import metrics
from pipeline.engine.changelog import Reading
from pipeline.engine.copies import Copies, path_of
from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.snapshot import write_snapshot
from pipeline.engine.state import Mark, State

log = structlog.get_logger("wafa.engine")

_SHARE: Final = 8
"""At most an eighth as many records as there are entries are left to be read on."""


class Snapshots:
    """One task's snapshots. At most one is being written at a time."""

    def __init__(self, copies: Copies, place: ChangelogPlace, task: str) -> None:
        self._copies = copies
        self._place = place
        self._task = task
        self._path = path_of(copies, place)
        self._offset = 0
        """Where the last one stands, or the changelog began."""
        self._begun_at = 0.0
        self._stop = threading.Event()
        self._writing = threading.Lock()

    def restored(self, reading: Reading) -> None:
        """The state was read anew: from the last snapshot, or without one."""
        self._offset = reading.begin.offset

    def is_due(self, state: State, mark: Mark) -> bool:
        """Whether so much was committed since the last one (or since a start) that another is worth its time."""
        if self._copies.kind != "snapshot":
            return False
        records = mark.anchor.offset - self._offset
        return (
            records >= max(self._copies.snapshot_records_min, len(state) // _SHARE)
            and time.monotonic() - self._begun_at >= self._copies.snapshot_seconds
            and not self._writing.locked()
        )

    def begin(self, state: State, mark: Mark, executor: Executor) -> None:
        """Write the state as it is now; returns at once."""
        self._stop = stop = threading.Event()
        self._begun_at = time.monotonic()
        entries = state.copied()
        executor.submit(self._write_blocking, entries, mark, stop)

    def stop(self) -> None:
        """What is being written is of no use any more, or must not keep the process from ending."""
        self._stop.set()

    def _write_blocking(self, entries: dict[bytes, bytes], mark: Mark, stop: threading.Event) -> None:
        with self._writing:
            started_at = time.monotonic()
            try:
                is_written = write_snapshot(self._path, entries, mark, should_stop=stop.is_set)
            except OSError as error:
                metrics.SNAPSHOTS.labels(outcome="failed").inc()
                log.warning("snapshot_failed", task=self._task, path=str(self._path), error=str(error))
                return
            if not is_written:
                return
            self._offset = mark.anchor.offset
            seconds = time.monotonic() - started_at
            metrics.SNAPSHOTS.labels(outcome="written").inc()
            log.info("snapshot_written", task=self._task, entries=len(entries), seconds=round(seconds, 3))
