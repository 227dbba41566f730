"""How often a worker begins transactions: the more of its tasks are at work, the longer each lets records gather.

A small transaction costs the broker as much as a large one, for every partition it writes to. Twenty tasks that commit
as soon as they can keep a broker busy with markers, and every record waits for it: with some patience all are sooner.
"""

from __future__ import annotations

from typing import Final

AT_WORK_SECONDS: Final = 0.5
"""A task that began a transaction within this time is at work."""
BEHIND_SECONDS: Final = 1.0
"""A worker is behind for so long after the last transaction that left a whole batch waiting, or paused fetching."""
REST_SECONDS_MAX: Final = 0.25
"""However many are at work, none waits longer for its turn."""


class Pace:
    """Shared by the tasks of a worker, all on one event loop."""

    def __init__(self, transactions_per_second: float) -> None:
        self._per_second = transactions_per_second
        self._began_at: dict[str, float] = {}
        self._behind_at = -BEHIND_SECONDS

    def begin(self, task: str, now: float, *, is_behind: bool = False) -> None:
        """A transaction of this task begins.

        `is_behind`: it leaves the next one a whole batch, or so much waits that fetching has paused.
        Instants are monotonic seconds.
        """
        self._began_at[task] = now
        if is_behind:
            self._behind_at = now

    def is_behind(self, now: float) -> bool:
        """Whether some task of the worker had more to do lately than it could: what can wait should."""
        return now < self._behind_at + BEHIND_SECONDS

    def forget(self, task: str) -> None:
        """The task is not here any more."""
        self._began_at.pop(task, None)

    def next_at(self, task: str, now: float) -> float:
        """When its turn comes again; a batch that is full need not wait for it."""
        began_at = self._began_at.get(task)
        if began_at is None:
            return now
        at_work = sum(each >= now - AT_WORK_SECONDS for each in self._began_at.values())
        return began_at + min(REST_SECONDS_MAX, at_work / self._per_second)
