"""Learning `core.season` from the weeks past: what the model expected of each, and what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.chances import p_alive
from pipeline.analysis.counts import Floats
from pipeline.analysis.purchases import Purchases, some_of, states_on
from pipeline.analysis.score import outlooks
from pipeline.core.days import month_of_year
from pipeline.core.season import MONTHS, Season
from pipeline.core.timing import Timing, expected_orders

YEAR_WEEKS: Final = 52
YEARS_MIN: Final = 2
"""Whole years before months are judged. On CDNOW months of one year, in which customers came too, did harm."""
LEVEL_WEEKS: Final = 26
"""Weeks that the level is learned from; what is older weighs a hundredth together."""
HALF_LIFE_WEEKS: Final = 4.0
"""After so many weeks a week counts half towards the level."""
PRIOR_ORDERS: Final = 20.0
"""Orders' worth of belief in a month's being like the others: a small shop's noise is not taken for a season."""
LEVEL_PRIOR_ORDERS: Final = 100.0
"""The same in a level of 1, which rests on fewer weeks."""


@dataclass(frozen=True, slots=True)
class Week:
    """A past week: its month (0 is January), the repeat orders expected in it, and those that came."""

    month: int
    expected: float
    came: float


def fit_season(weeks: Sequence[Week], lately: Sequence[Week], until: int) -> Season:
    """The factors that weeks up to a day show, oldest first.

    Months from all `weeks`, expected of customers' first days alone, so that no month hides in what is known of a
    customer by its end. The level from the latest, expected as forecasts are made: of each customer as they stood.
    """
    months = _months(weeks)
    counts = np.array([(week.expected * months[week.month], week.came) for week in lately]).reshape(-1, 2)
    fading = 0.5 ** (np.arange(len(lately))[::-1] / HALF_LIFE_WEEKS)
    expected, came = fading @ counts
    return Season(months, float((LEVEL_PRIOR_ORDERS + came) / (LEVEL_PRIOR_ORDERS + expected)), until)


def weeks_of(timing: Timing, purchases: Purchases, until: int) -> list[Week]:
    """Every whole week up to a day: what was expected of all who had bought by then, from their first days alone."""
    firsts, newcomers = np.unique(purchases.first_days(until), return_counts=True)
    if not len(firsts):
        return []
    count = (until + 1 - int(firsts[0])) // 7
    start = until + 1 - count * 7
    ages = np.arange(until + 2 - int(firsts[0]))
    # Between whole weeks the expectation is all but straight.
    known = np.arange(0, len(ages) + 7, 7)
    at_age = np.interp(ages, known, [expected_orders(timing, 0, 0.0, 0.0, age / 7.0) if age else 0.0 for age in known])
    repeats = purchases.repeat_days(until)
    weeks = []
    for week in range(count):
        begins = start + week * 7
        old = np.maximum(begins + 7 - firsts, 0), np.maximum(begins - firsts, 0)
        expected = float(newcomers @ (at_age[np.minimum(old[0], len(ages) - 1)] - at_age[old[1]]))
        came = int(np.searchsorted(repeats, begins + 7) - np.searchsorted(repeats, begins))
        weeks.append(Week(month_of_year(begins + 3), expected, float(came)))
    return weeks


def lately_of(timing: Timing, purchases: Purchases, until: int) -> list[Week]:
    """The latest whole weeks up to a day: what was expected of each customer as they stood when the week began.

    Of at most 20,000 customers. Who bought first within a week is in neither of its figures.
    """
    some = some_of(purchases)
    if not len(some.day):
        return []
    weeks = []
    for ago in range(min(LEVEL_WEEKS, (until - int(some.day.min())) // 7), 0, -1):
        eve = until - ago * 7
        known = states_on(some, eve)
        expected = np.sum(p_alive(timing, known.counts) * outlooks(timing, known.counts, [(1.0, 0.0)])[0])
        within = some.customer[(some.day > eve) & (some.day <= eve + 7)]
        came = np.isin(within, known.customer).sum()
        weeks.append(Week(month_of_year(eve + 4), float(expected), float(came)))
    return weeks


def _months(weeks: Sequence[Week]) -> tuple[float, ...]:
    """Each whole year is set against itself, so that growth is no season."""
    years = len(weeks) // YEAR_WEEKS
    if years < YEARS_MIN:
        return (1.0,) * MONTHS
    expected, came = np.zeros(MONTHS), np.zeros(MONTHS)
    for year in range(years):
        begins = len(weeks) - (years - year) * YEAR_WEEKS
        whole = weeks[begins : begins + YEAR_WEEKS]
        overall = sum(week.came for week in whole) / max(sum(week.expected for week in whole), 1e-9)
        for week in whole:
            expected[week.month] += week.expected * overall
            came[week.month] += week.came
    factors: Floats = (PRIOR_ORDERS + came) / (PRIOR_ORDERS + expected)
    return tuple(float(each) for each in factors / factors.mean())
