"""What the predictions need to know of one customer's purchases: a few numbers, from which everything follows.

One day's purchases count as one. `recency` in the papers' sense (first to last purchase) lives here and in the models,
nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum, log
from typing import Final

import msgspec

from pipeline.core.rhythm import Gaps

WEEK_DAYS: Final = 7.0
_YEAR_DAYS: Final = 366
_LOG_WEEKS: Final = (0.0, *(log(days / WEEK_DAYS) for days in range(1, _YEAR_DAYS)))
"""Of gaps up to a year, by days: most are."""


class History(msgspec.Struct, frozen=True, gc=False):
    """One customer's purchases, as the models see them. Days are whole days since 1970 in the shop's zone."""

    first_day: int
    last_day: int
    frequency: int = 0
    """Repeat purchase days."""
    sum_log_gap: float = 0.0
    """Of the gaps between purchase days, in weeks: with `recency` it says how regular they are."""
    spend_days: int = 0
    """Repeat purchase days with a margin above zero."""
    spend_minor: int = 0
    """Their margin in all."""
    poor_days: int = 0
    """The other repeat purchase days: given back whole, or sold at a loss."""
    poor_minor: int = 0
    """What those left in all: nothing, or less."""

    @property
    def recency(self) -> float:
        """Weeks from first to last purchase."""
        return (self.last_day - self.first_day) / WEEK_DAYS

    @property
    def mean_margin_minor(self) -> float:
        """Mean margin of a repeat purchase day; 0 without any."""
        return self.spend_minor / self.spend_days if self.spend_days else 0.0

    @property
    def gaps(self) -> Gaps:
        """What their gaps showed at the last purchase."""
        return Gaps(self.frequency, self.recency, self.sum_log_gap)

    def tenure(self, day: int) -> float:
        """Weeks from the first purchase to a day."""
        return max(0.0, (day - self.first_day) / WEEK_DAYS)


def of_days(margins: Mapping[int, int]) -> History:
    """The history of purchase days (at least one) and what each left."""
    if len(margins) == 1:
        (day,) = margins
        return History(day, day)  # the first says nothing of the next
    days = sorted(margins)
    return History(
        days[0], days[-1], len(days) - 1, sum_log_gap(days), *spend_and_poor([margins[day] for day in days[1:]])
    )


def spend_and_poor(margins: Sequence[int]) -> tuple[int, int, int, int]:
    """Of what days left: how many left something, and what; how many left nothing or less, and what."""
    spend_days = spend_minor = poor_days = poor_minor = 0
    for margin in margins:
        if margin > 0:
            spend_days += 1
            spend_minor += margin
        else:
            poor_days += 1
            poor_minor += margin
    return spend_days, spend_minor, poor_days, poor_minor


def sum_log_gap(days: Sequence[int]) -> float:
    """Sum of the logarithms of the gaps between days (distinct, oldest first), in weeks."""
    if len(days) == 1:
        return 0.0
    return fsum(
        [
            _LOG_WEEKS[gap] if (gap := later - earlier) < _YEAR_DAYS else log(gap / WEEK_DAYS)
            for earlier, later in pairwise(days)
        ]
    )
