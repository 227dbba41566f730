"""What the predictions need to know of one customer's purchases, kept in constant time and space.

Everything follows from these few numbers; one day's purchases count as one. `recency` in the papers' sense (first to
last purchase) lives here and in the models, nowhere else.
"""

from __future__ import annotations

from math import log
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.core.rhythm import Gaps

DAYS_KEPT: Final = 32
"""Purchase days remembered one by one, so that a late order finds its neighbours."""
WEEK_DAYS: Final = 7.0


class Day(NamedTuple):
    """A purchase day: whole days since 1970 in the shop's zone, and its margin."""

    day: int
    margin_minor: int


class Cell(NamedTuple):
    """Which cell of the shop's table a customer counts in: repeat purchase days, weeks of first and last purchase."""

    frequency: int
    first_week: int
    last_week: int


class History(msgspec.Struct, frozen=True, gc=False):
    """One customer's purchases, as the models see them."""

    first: Day
    recent: tuple[Day, ...]
    """The latest purchase days, oldest first, at most `DAYS_KEPT`; the first one too while there are so few."""
    frequency: int = 0
    sum_log_gap: float = 0.0
    """Of the gaps between purchase days, in weeks: with `recency` it says how regular they are."""
    spend_days: int = 0
    """Repeat purchase days with a margin above zero."""
    spend_minor: int = 0
    """Their margin in all."""

    @property
    def recency(self) -> float:
        """Weeks from first to last purchase."""
        return (self.recent[-1].day - self.first.day) / WEEK_DAYS

    @property
    def mean_margin_minor(self) -> float:
        """Mean margin of a repeat purchase day; 0 without any."""
        return self.spend_minor / self.spend_days if self.spend_days else 0.0

    @property
    def mean_gap(self) -> float:
        """Mean weeks between purchase days; 0 before the second."""
        return self.recency / self.frequency if self.frequency else 0.0

    @property
    def gaps(self) -> Gaps:
        """What their gaps showed at the last purchase."""
        return Gaps(self.frequency, self.recency, self.sum_log_gap)

    @property
    def cell(self) -> Cell:
        """Where they count in the shop's table."""
        return Cell(self.frequency, self.first.day // 7, self.recent[-1].day // 7)

    def tenure(self, day: int) -> float:
        """Weeks from the first purchase to a day."""
        return max(0.0, (day - self.first.day) / WEEK_DAYS)

    def silence(self, day: int) -> float:
        """Weeks from the last purchase to a day."""
        return max(0.0, (day - self.recent[-1].day) / WEEK_DAYS)


def bought(history: History | None, day: int, margin_minor: int) -> History:
    """The history after an order, whenever it arrives.

    A second order of a known day joins it; one from before the first day takes its place. An order older than every
    day kept (`DAYS_KEPT`) counts in full, its day as a new one; only its share of `sum_log_gap` is approximate.
    """
    if history is None:
        first = Day(day, margin_minor)
        return History(first, (first,))
    if day == history.first.day:
        return _first_day_grew(history, margin_minor)
    known = next((each for each in history.recent if each.day == day), None)
    if known is not None:
        return _day_grew(history, known, margin_minor)
    return _with_new_day(history, Day(day, margin_minor))


def moved(before: History | None, after: History) -> tuple[tuple[Cell, int], ...]:
    """What to add to which cells of the shop's table; nothing while the customer stays in theirs."""
    if before is None:
        return ((after.cell, 1),)
    return () if before.cell == after.cell else ((before.cell, -1), (after.cell, 1))


def _first_day_grew(history: History, margin_minor: int) -> History:
    grown = Day(history.first.day, history.first.margin_minor + margin_minor)
    return replace(
        history, first=grown, recent=tuple(grown if each.day == grown.day else each for each in history.recent)
    )


def _day_grew(history: History, known: Day, margin_minor: int) -> History:
    grown = Day(known.day, known.margin_minor + margin_minor)
    recent = tuple(grown if each is known else each for each in history.recent)
    return _spent(replace(history, recent=recent), known.margin_minor, grown.margin_minor)


def _with_new_day(history: History, new: Day) -> History:
    earliest = new.day < history.first.day
    later = [each.day for each in history.recent if each.day > new.day]
    before = max((each.day for each in (history.first, *history.recent) if each.day < new.day), default=None)
    gaps = 0.0
    if before is not None:
        gaps += log((new.day - before) / WEEK_DAYS)
    if later or earliest:
        after = history.first.day if earliest else later[0]
        gaps += log((after - new.day) / WEEK_DAYS)
        if before is not None:
            gaps -= log((after - before) / WEEK_DAYS)
    recent = tuple(sorted({*history.recent, new})[-DAYS_KEPT:])
    after_it = replace(
        history,
        first=new if earliest else history.first,
        recent=recent,
        frequency=history.frequency + 1,
        sum_log_gap=history.sum_log_gap + gaps,
    )
    return _spent(after_it, 0, history.first.margin_minor if earliest else new.margin_minor)


def _spent(history: History, before_minor: int, after_minor: int) -> History:
    """With a repeat day's margin changed; days without margin (0: also no day at all) are left out of the mean."""
    days = (after_minor > 0) - (before_minor > 0)
    minor = max(after_minor, 0) - max(before_minor, 0)
    return replace(history, spend_days=history.spend_days + days, spend_minor=history.spend_minor + minor)
