"""How far a recovery has come, for the log: now and then, and only of those that take time."""

from __future__ import annotations

import time
from typing import Final

import structlog

log = structlog.get_logger("wafa.engine")

_TELL_EVERY_SECONDS: Final = 5.0


class Progress:
    """Says every few seconds what is left, and how long that will take at the pace so far."""

    def __init__(self, task: str, records: int) -> None:
        self._task = task
        self._records = records
        self._started_at = self._told_at = time.monotonic()

    def tell(self, remaining: int) -> None:
        """`remaining` of the records are left to read."""
        now = time.monotonic()
        if now - self._told_at < _TELL_EVERY_SECONDS:
            return
        self._told_at = now
        read = max(1, self._records - remaining)
        log.info(
            "task_recovering", task=self._task, records=self._records, remaining=remaining,
            seconds_left=round((now - self._started_at) * remaining / read, 1),
        )  # fmt: skip
