"""How far a long command has come: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_PLAIN_EVERY_SECONDS: Final = 10.0
_BAR_EVERY_SECONDS: Final = 0.1


class Shown:
    """One step after another, each with its count of things to do."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._every = _BAR_EVERY_SECONDS if console.is_terminal else _PLAIN_EVERY_SECONDS
        self._shown_at = time.monotonic()
        bar = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
        self._progress = Progress(*bar, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def at(self, step: str, done: int, total: int) -> None:
        """`done` of `total` in this step; shown if the last time was long ago, and at the end of each step."""
        now = time.monotonic()
        if done < total and now - self._shown_at < self._every:
            return
        self._shown_at = now
        if self._console.is_terminal:
            self._progress.update(self._task, description=step, completed=done, total=total)
        else:
            self._console.print(f"{step}: {done:,} of {total:,}", markup=False, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
