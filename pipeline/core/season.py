"""How busy the time ahead is, against what the timing model expects: the month of the year, and how it has gone.

The timing model knows no seasons. Months count once the shop has shown two whole years. The level is what came in the
last weeks against what was expected in them of each customer as they stood then; it says little of the weeks far ahead,
and fades.
"""

from __future__ import annotations

from math import fsum
from typing import Final

import msgspec

from pipeline.core.days import month_of_year
from pipeline.core.history import WEEK_DAYS

MONTHS: Final = 12
STEPS_MAX: Final = 1_200
"""Weeks ahead looked at, at most."""
LEVEL_LEFT: Final = 0.7
"""So much of a level's distance from 1 is left a week later: chosen on CDNOW and Complete Journey."""


class Season(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Factors on expected orders; all 1 where nothing was learned."""

    months: tuple[float, ...] = (1.0,) * MONTHS
    level: float = 1.0
    """As of `level_on`."""
    level_on: int = 0
    """The day (since 1970) that the weeks of the level end with."""

    def __post_init__(self) -> None:
        if len(self.months) != MONTHS or min(*self.months, self.level) <= 0.0:
            raise ValueError(f"expected {MONTHS} months and a level, all above 0, got {self}")


NO_SEASON: Final = Season()


def factor(season: Season, day: int, weeks: float) -> float:
    """What to multiply orders expected in the weeks after a day (since 1970) by: the mean over those weeks."""
    if season is NO_SEASON:
        return 1.0
    steps = min(max(1, round(weeks)), STEPS_MAX)
    span = weeks * WEEK_DAYS / steps
    days = (day + span * (step + 0.5) for step in range(steps))
    return fsum(season.months[month_of_year(int(each))] * _level(season, each) for each in days) / steps


def _level(season: Season, day: float) -> float:
    """What is left of the level on a day."""
    elapsed = max(0.0, day - season.level_on) / WEEK_DAYS
    return 1.0 + (season.level - 1.0) * float(LEVEL_LEFT**elapsed)
