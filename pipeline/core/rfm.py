"""Recency, frequency and monetary scores, and the field's names for them: a view for people who think in these.

Nothing is decided by it: decisions go by value and by the chance of return, which rank customers better. A score is 1
plus the cuts that a figure reaches, the cuts being the shop's fifths: so equal figures score alike, and where six in
ten bought once nobody scores below 3 for that. Recency counts downwards: fewer days are more.
The bounds are those of the example segments of the R package `rfm`. 58 of its cells match several names and 10 none:
here the first match in a stated order counts, and what is left has a name, so that each of the 125 cells has one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

SCORES: Final = range(1, 6)
YEAR_DAYS: Final = 365


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


def rfm(cuts: tuple[tuple[int, ...], ...], days_since_purchase: int, purchase_days: int, spent_minor: int) -> Rfm:
    """Somebody's scores: days since they bought last, purchase days and net revenue of a year, by the shop's cuts.

    `cuts` are those of recency (counted downwards), frequency and monetary value, in this order.
    """
    recency, frequency, monetary = cuts
    scores = (score(recency, -days_since_purchase), score(frequency, purchase_days), score(monetary, spent_minor))
    return Rfm(*scores, SEGMENT_OF[scores])
