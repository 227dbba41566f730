"""Time passes in the log here: a Tick says that it is now `as_of` and that everything before is in the log.

No Tick before its events. At t the ends of the sources are read; once ingest, then `identify`, have committed past
them, `Tick(t)` is appended. If they are stuck no Tick comes, and an alert says so: unproven silence is no silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from pipeline import metrics
from pipeline.schemas import logged
from pipeline.topics import Topic

log = structlog.get_logger("wafa.clock")

_POLL_SECONDS: Final = 0.5
_SAY_STUCK_AFTER_SECONDS: Final = 60.0

Offsets = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the clock needs: blocking calls, made in a thread."""

    is_ours: Callable[[], bool]
    """Whether this worker owns the controls, and so keeps the clock."""
    end_offsets: Callable[[tuple[Topic, ...]], Offsets]
    reached: Callable[[], Offsets]
    """How far all workers' tasks have come (the group offsets: never ahead of the truth)."""
    append: Callable[[bytes, bytes], None]
    """Append a control (kind, value) and wait until the broker has it."""
    now: Callable[[], datetime]
    """The wall clock. Here alone it becomes an event."""


async def keep_time(  # noqa: PLR0913 - what to wait for, how often, and how to sleep and stop
    around: Surroundings, *, first: tuple[Topic, ...], then: tuple[Topic, ...], tick_seconds: float,
    sleep: Callable[[float], Awaitable[None]], should_stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Tick for as long as this worker lives and owns the controls. `first` are the sources, `then` what they feed."""
    metrics.TICK_INTERVAL.set(tick_seconds)
    while not should_stop():
        await sleep(tick_seconds)
        if not around.is_ours():
            continue
        try:
            as_of = around.now()
            if await _drained(around, first, sleep, should_stop) and await _drained(around, then, sleep, should_stop):
                tick = logged.encode(logged.Tick(as_of=as_of))
                await asyncio.to_thread(around.append, b"Tick", tick)
        except Exception as error:  # noqa: BLE001 - a clock that died would stop all silence; the next tick tries again
            log.warning("tick_failed", error=f"{type(error).__name__}: {error}")


async def _drained(
    around: Surroundings,
    topics: tuple[Topic, ...],
    sleep: Callable[[float], Awaitable[None]],
    should_stop: Callable[[], bool],
) -> bool:
    """Wait until the tasks have passed where these topics end now; False when the clock is no longer ours to keep."""
    ends = await asyncio.to_thread(around.end_offsets, topics)
    waited = 0.0
    while not should_stop() and around.is_ours():
        reached = await asyncio.to_thread(around.reached)
        behind = [place for place, end in ends.items() if end > 0 and reached.get(place, 0) < end]
        if not behind:
            return True
        await sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS
        if waited >= _SAY_STUCK_AFTER_SECONDS:
            log.warning("tick_waits", behind=[f"{topic}[{partition}]" for topic, partition in behind[:5]])
            waited = 0.0
    return False
