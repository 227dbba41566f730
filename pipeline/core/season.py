"""How busy the time ahead is, against what the timing model expects: the month of the year, and how it has gone.

The timing model knows no seasons. Months count once the shop has shown two whole years; the level follows the last
weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import Final

from pipeline.core.days import month_of_year

MONTHS: Final = 12
STEPS_MAX: Final = 1_200
"""Weeks ahead looked at, at most."""


@dataclass(frozen=True, slots=True)
class Season:
    """Factors on expected orders; all 1 where nothing was learned."""

    months: tuple[float, ...] = (1.0,) * MONTHS
    level: float = 1.0

    def __post_init__(self) -> None:
        if len(self.months) != MONTHS or min(*self.months, self.level) <= 0.0:
            raise ValueError(f"expected {MONTHS} months and a level, all above 0, got {self}")


NO_SEASON: Final = Season()


def factor(season: Season, day: int, weeks: float) -> float:
    """What to multiply orders expected in the weeks after a day (since 1970) by: the mean over those weeks."""
    if season is NO_SEASON:
        return 1.0
    steps = min(max(1, round(weeks)), STEPS_MAX)
    span = weeks * 7.0 / steps
    days = (day + int(span * (step + 0.5)) for step in range(steps))
    return season.level * fsum(season.months[month_of_year(each)] for each in days) / steps
