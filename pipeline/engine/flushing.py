"""When a task's next flush is due: records go first, and what is left goes out once there is time.

A busy task gives flushes a small share of its time, for a worker has many tasks. One that has come to rest does not
wait for its share: what a slow flush left, or put off, is out of date for nobody's sake. While the worker is behind
nobody is at rest: where no record has come for a second, they wait for the processor like everything else.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.005
"""Of a task's time, for flushes, while records wait here or the worker is behind elsewhere."""
SHARE_AT_EASE: Final = 0.02
"""The same while records come, and none waits."""
REST_SECONDS_MAX: Final = 60.0
"""However long a flush took: where the machine stood still in one, its share would come round after hours."""


class Flushing:
    """Of one task. Instants are monotonic seconds."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._rest_seconds = every_seconds
        self._flushed_at = 0.0
        self._worked_at = 0.0

    def due_at(self, *, is_behind: bool) -> float:
        """When the next flush is due: after its rest, or sooner where no record has come for a while.

        `is_behind`: some task of the worker has more to do than it can.
        """
        rested_at = self._flushed_at + self._rest_seconds
        if is_behind:
            return rested_at
        return min(rested_at, max(self._flushed_at, self._worked_at) + self._every_seconds)

    def worked(self, at: float) -> None:
        """A batch of records was committed."""
        self._worked_at = at

    def flushed(self, at: float, took_seconds: float, *, is_left: bool, is_busy: bool) -> None:
        """A flush was committed, and took so long. `is_left`: there is more to flush; `is_busy`: records go first."""
        self._flushed_at = at
        if is_left and not is_busy and at >= self._worked_at + self._every_seconds:
            self._rest_seconds = 0.0
        else:
            rest = min(REST_SECONDS_MAX, took_seconds / (SHARE if is_busy else SHARE_AT_EASE))
            self._rest_seconds = rest if is_left else max(self._every_seconds, rest)
