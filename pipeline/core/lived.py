"""A customer's log lived again: each event stepped as the worker steps it, with the customer before and after.

Whatever explains a figure looks at these moments, so no second bookkeeping can disagree with the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls
from pipeline.core.decisions import Decision
from pipeline.core.profile import Profile
from pipeline.core.step import Outcome, Step, step
from pipeline.schemas import logged

Records = Iterable[tuple[bytes | None, bytes | None]]
"""(key, value) of a partition's log, from its start. Other customers' are passed over."""


class Moment(NamedTuple):
    """One event, control or visiting Tick, and what it made of the customer."""

    event: logged.Logged
    before: Profile | None
    after: Profile | None
    controls: Controls
    outcome: Outcome | None = None
    """What became of an event; None for a control, and for an event whose step failed."""
    decisions: tuple[Decision, ...] = ()


class Life:
    """One customer's life so far. `profile` and `controls` are as the records read until now leave them."""

    def __init__(self, customer_id: str) -> None:
        self.customer_id = customer_id
        self.profile: Profile | None = None
        self.controls: Controls = core_controls.INITIAL

    @property
    def as_of(self) -> int:
        """The latest instant that is proven: the last Tick's, or of what happened."""
        return core_controls.known_until(self.controls, self.profile.as_of if self.profile else 0)

    def moments(self, records: Records) -> Iterator[Moment]:
        """Every moment that may have changed something, in the order of the log."""
        key = self.customer_id.encode()
        tick: logged.Tick | None = None  # the last one; it matters only once they are due or something happens
        for record_key, record in records:
            if record_key not in (key, logged.CONTROL_KEY) or record is None:
                continue
            event = logged.decode(record)
            if isinstance(event, logged.Tick):
                if self.controls.first_tick_at and not self._is_due(event):
                    tick = event
                    continue
                yield self._ticked(event)
                continue
            if tick is not None:
                self.controls, tick = core_controls.adopt(self.controls, tick), None
            yield self._adopted(event) if isinstance(event, logged.Control) else self._lived(event)
        if tick is not None:
            self.controls = core_controls.adopt(self.controls, tick)

    def _is_due(self, tick: logged.Tick) -> bool:
        return self.profile is not None and self.profile.next_review_at <= tick.as_of.timestamp()

    def _ticked(self, tick: logged.Tick) -> Moment:
        """As a Tick leaves them: it visits who is due, if it is newer than the last."""
        before, is_due = self.profile, self._is_due(tick)
        self.controls = core_controls.adopt(self.controls, tick)
        if before is None or not is_due or not core_controls.is_latest(self.controls, tick):
            return Moment(tick, before, before, self.controls)
        return self._after(tick, step(self.customer_id, before, tick, self.controls))

    def _adopted(self, control: logged.Control) -> Moment:
        self.controls = core_controls.adopt(self.controls, control)
        return Moment(control, self.profile, self.profile, self.controls)

    def _lived(self, event: logged.CustomerEvent) -> Moment:
        """As an event leaves them; one that the worker refuses leaves them as they were."""
        before = self.profile
        try:
            stepped = step(self.customer_id, before, event, self.controls)
        except Exception:  # noqa: BLE001 - the worker keeps such a record as a dead letter and goes on
            return Moment(event, before, before, self.controls)
        if stepped.outcome is Outcome.TOO_OLD:
            return Moment(event, before, before, self.controls, stepped.outcome)
        return self._after(event, stepped)

    def _after(self, event: logged.CustomerEvent | logged.Tick, stepped: Step) -> Moment:
        before, self.profile = self.profile, stepped.profile
        return Moment(event, before, self.profile, self.controls, stepped.outcome, stepped.decisions)
