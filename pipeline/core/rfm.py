"""Recency, frequency and monetary scores, and the field's names for them: a view for people who think in these.

Nothing is decided by it: decisions go by value and by the chance of return, which rank customers better. A score is 1
plus the cuts that a figure reaches, the cuts being the shop's fifths: so equal figures score alike, and where six in
ten bought once nobody scores below 3 for that. Recency counts downwards: fewer days are more.
The bounds are those of the example segments of the R package `rfm`. 58 of its cells match several names and 10 none:
here the first match in a stated order counts, and what is left has a name, so that each of the 125 cells has one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.core import buckets
from pipeline.core import ledger as ledgers
from pipeline.core.buckets import Measure
from pipeline.core.population import Population
from pipeline.core.profile import Profile

SCORES: Final = range(1, 6)
YEAR_DAYS: Final = 365


class Habits(NamedTuple):
    """What the scores are of."""

    days_since_purchase: int
    purchase_days: int
    """Of a year; the latest 32 at most."""
    spent_minor: int
    """Net revenue of a year, exact to a week."""


class Rfm(NamedTuple):
    """Scores from 1 to 5, and the segment they name."""

    recency: int
    frequency: int
    monetary: int
    segment: str


class Bounds(NamedTuple):
    """A segment's name, and the lowest and highest scores it takes."""

    segment: str
    recency: tuple[int, int]
    frequency: tuple[int, int]
    monetary: tuple[int, int]


SEGMENTS: Final = (
    Bounds("champions", (5, 5), (5, 5), (5, 5)),
    Bounds("cannot_lose_them", (1, 2), (3, 4), (4, 5)),
    Bounds("at_risk", (1, 2), (2, 5), (4, 5)),
    Bounds("need_attention", (1, 3), (3, 5), (3, 5)),
    Bounds("potential_loyalists", (3, 5), (3, 5), (2, 5)),
    Bounds("loyal", (2, 4), (2, 4), (2, 4)),
    Bounds("promising", (3, 4), (1, 3), (3, 5)),
    Bounds("new", (4, 5), (1, 3), (1, 5)),
    Bounds("about_to_sleep", (2, 3), (1, 3), (1, 4)),
    Bounds("lost", (1, 1), (1, 5), (1, 5)),
    Bounds("frequent_small_baskets", (1, 5), (1, 5), (1, 5)),
)
"""The first that takes a cell names it; the last takes what is left."""


def _first_match(recency: int, frequency: int, monetary: int) -> str:
    scores = (recency, frequency, monetary)
    for segment, *bounds in SEGMENTS:
        if all(low <= score <= high for score, (low, high) in zip(scores, bounds, strict=True)):
            return segment
    raise AssertionError("the last segment takes every cell")


SEGMENT_OF: Final = {(r, f, m): _first_match(r, f, m) for r in SCORES for f in SCORES for m in SCORES}
"""The name of each of the 125 cells."""


def score(cuts: tuple[int, ...], figure: int) -> int:
    """From 1 to 5: 1 plus how many of the four cuts the figure reaches."""
    return 1 + bisect_right(cuts, figure)


def habits(profile: Profile, zone: str, day: int) -> Habits | None:
    """When, how often and for how much somebody bought, as of a day; None for who did not."""
    days = ledgers.purchase_days(profile.ledger, zone)
    return habits_of(days, buckets.figures(profile.buckets, day)[YEAR_DAYS], day) if days else None


def habits_of(days: Sequence[int], year: Sequence[int], day: int) -> Habits:
    """The same of purchase days (at least one, oldest first) and the rolling figures of the year."""
    spent = year[Measure.REVENUE_MINOR] - year[Measure.REFUNDED_MINOR]
    return Habits(max(day - days[-1], 0), sum(day - each < YEAR_DAYS for each in days), spent)


def rfm(population: Population, bought: Habits) -> Rfm:
    """Somebody's scores, by the shop's cuts."""
    scores = (
        score(population.recency, -bought.days_since_purchase),
        score(population.frequency, bought.purchase_days),
        score(population.monetary, bought.spent_minor),
    )
    return Rfm(*scores, SEGMENT_OF[scores])
