"""Time, policy, models and channel costs reach every partition here, in one order, each once.

A control newer than the last of its kind and scope is copied to every partition of the customers' log in one
transaction with the position; an older or repeated one is dropped. So every partition sees the same controls in the
same order, and a clock that says a Tick twice does no harm. A worker whose wall clock is ahead of the broker's would
tell everybody that they were silent for long: its Ticks are refused, as events dated ahead of their arrival are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from pipeline import metrics
from pipeline.core import controls as core_controls
from pipeline.core.door import AHEAD_MAX
from pipeline.engine.processor import Batch, Outbox, Record, State
from pipeline.engine.shell import AgentFunction
from pipeline.engine.transport import FetchedRun
from pipeline.schemas import logged

log = structlog.get_logger("wafa.controls")

_PREFIX: Final = logged.CONTROL_KEY + b"/"


def controls(take: Callable[[FetchedRun], None]) -> AgentFunction:
    """The agent: what applies to everybody."""

    async def agent(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            take(run)

    return agent


class Copy:
    """The one partition of controls."""

    wants_flush = False
    held = None

    def __init__(self, state: State, *, customer_events: str, partitions: int, is_clock_ours: bool) -> None:
        self._customer_events = customer_events
        self._is_clock_ours = is_clock_ours
        self._partitions = partitions
        entries = {key[len(_PREFIX) :].decode(): value for key, value in state.items() if key.startswith(_PREFIX)}
        self._controls = core_controls.from_entries(entries)

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every control is taken: copied, or dropped as nothing new."""
        for record in batch.records:
            try:
                control = logged.decode(record.value or b"")
            except msgspec.MsgspecError as error:
                log.error("control_refused", offset=record.offset, problem=str(error))  # noqa: TRY400 - the message says all
                continue
            if not isinstance(control, logged.Control):
                log.error("control_refused", offset=record.offset, problem=f"{type(control).__name__} is no control")
                continue
            if self._is_clock_ours and isinstance(control, logged.Tick) and _is_ahead(control, record):
                metrics.TICKS_REFUSED.inc()
                log.error(
                    "tick_ahead", as_of=control.as_of.isoformat(), received_at=_received_at(record).isoformat(),
                    problem="the wall clock of the worker that keeps the time is ahead of the broker's",
                )  # fmt: skip
                continue
            adopted = core_controls.adopt(self._controls, control)
            changed = core_controls.changed_entries(self._controls, adopted)
            if not changed:
                continue
            self._controls = adopted
            for name, value in changed.items():
                state.put(_PREFIX + name.encode(), value)
            for partition in range(self._partitions):
                outbox.emit(self._customer_events, logged.CONTROL_KEY, record.value, partition=partition)
        return len(batch.records)


def _received_at(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def _is_ahead(tick: logged.Tick, record: Record) -> bool:
    return tick.as_of > _received_at(record) + AHEAD_MAX


def factory(
    customer_events: str, partitions: int, *, is_clock_ours: bool
) -> Callable[[int, State, Sequence[bytes]], Copy]:
    """Makes the processor of the partition. `is_clock_ours`: Ticks come from workers' wall clocks alone."""
    return lambda partition, state, unflushed: Copy(
        state, customer_events=customer_events, partitions=partitions, is_clock_ours=is_clock_ours
    )
