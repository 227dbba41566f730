"""What the predictions need to know of one customer's purchases, kept in constant time and space.

Everything follows from these few numbers; one day's purchases count as one. `recency` in the papers' sense (first to
last purchase) lives here and in the models, nowhere else.
"""

from __future__ import annotations

from itertools import pairwise
from math import fsum, log
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
    known = _known(history, day)
    return _with_new_day(history, Day(day, margin_minor)) if known is None else _grown(history, known, margin_minor)


def revised(history: History, day: int, change_minor: int) -> History:
    """The history after the margin of a purchase day has changed: a refund, an order told anew.

    Of a repeat day that is not kept any more only the sum is corrected.
    """
    known = _known(history, day)
    if known is not None:
        return _grown(history, known, change_minor)
    return replace(history, spend_minor=max(0, history.spend_minor + change_minor)) if history.spend_days else history


def withdrawn(history: History, day: int) -> History | None:
    """The history after every order of a day was cancelled; None if they never bought.

    A day that is not kept any more stays, and so does the first once the second is not kept.
    """
    known = _known(history, day)
    if known is None or (known == history.first and history.frequency >= DAYS_KEPT):
        return history
    if history.frequency == 0:
        return None
    recent = tuple(each for each in history.recent if each != known)
    first, counted = (recent[0], recent[0]) if known == history.first else (history.first, known)
    days = sorted({each.day for each in (history.first, *history.recent)})
    left = replace(
        history,
        first=first,
        recent=recent or (first,),
        frequency=history.frequency - 1,
        sum_log_gap=history.sum_log_gap - _logs_added(days, day),
    )
    return _spent(left, counted.margin_minor, 0)


def moved(before: History | None, after: History) -> tuple[tuple[Cell, int], ...]:
    """What to add to which cells of the shop's table; nothing while the customer stays in theirs."""
    if before is None:
        return ((after.cell, 1),)
    return () if before.cell == after.cell else ((before.cell, -1), (after.cell, 1))


def _known(history: History, day: int) -> Day | None:
    return next((each for each in (history.first, *history.recent) if each.day == day), None)


def _grown(history: History, known: Day, margin_minor: int) -> History:
    grown = Day(known.day, known.margin_minor + margin_minor)
    recent = tuple(grown if each == known else each for each in history.recent)
    if known == history.first:
        return replace(history, first=grown, recent=recent)
    return _spent(replace(history, recent=recent), known.margin_minor, grown.margin_minor)


def _with_new_day(history: History, new: Day) -> History:
    earliest = new.day < history.first.day
    days = sorted({new.day, *(each.day for each in (history.first, *history.recent))})
    grown = replace(
        history,
        first=new if earliest else history.first,
        recent=tuple(sorted((*history.recent, new))[-DAYS_KEPT:]),
        frequency=history.frequency + 1,
        sum_log_gap=history.sum_log_gap + _logs_added(days, new.day),
    )
    return _spent(grown, 0, history.first.margin_minor if earliest else new.margin_minor)


def _logs_added(days: list[int], day: int) -> float:
    """What a day among others (in order, itself included) adds to the sum of the gaps' logarithms."""
    place = days.index(day)
    near = days[max(0, place - 1) : place + 2]
    without = [each for each in near if each != day]
    return _logs(near) - _logs(without)


def _logs(days: list[int]) -> float:
    return fsum(log((later - earlier) / WEEK_DAYS) for earlier, later in pairwise(days))


def _spent(history: History, before_minor: int, after_minor: int) -> History:
    """With a repeat day's margin changed; days without margin (0: also no day at all) are left out of the mean."""
    days = (after_minor > 0) - (before_minor > 0)
    minor = max(after_minor, 0) - max(before_minor, 0)
    return replace(history, spend_days=history.spend_days + days, spend_minor=history.spend_minor + minor)
