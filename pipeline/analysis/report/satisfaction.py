"""How satisfied customers are, as of the log's last moment: how many, by what evidence, how sure and how old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Table, share, table
from pipeline.analysis.report.tally import ALL_EVIDENCE, MICRO, Moments
from pipeline.core.satisfaction import KINDS, LEVELS


def satisfaction_tables(shop: Shop) -> tuple[Table, Table]:
    """Customers by level, and the evidence behind it by kind."""
    counts = shop.tally.felt.levels
    levels = [[level, counts[level], share(counts[level], counts.total())] for level in LEVELS if counts[level]]
    return (
        table(
            "satisfaction",
            "Customers by satisfaction, as of the log's last moment",
            "level customers customers_share",
            levels,
        ),
        table(
            "satisfaction_evidence",
            "What satisfaction rests on, as of the log's last moment",
            "evidence customers_heard pieces score score_low score_high age_days",
            [_row(shop, kind) for kind in (ALL_EVIDENCE, *KINDS) if kind in shop.tally.felt.scores],
        ),
    )


def _row(shop: Shop, kind: str) -> list[Cell]:
    ages: Counter[int] = Counter()
    for (of, age), pieces in shop.tally.felt.ages.items():
        if kind in (ALL_EVIDENCE, of):
            ages[age] += pieces
    moments = shop.tally.felt.scores[kind]
    return [kind, moments.count, ages.total(), *_scores(moments), _median(ages)]


def _scores(moments: Moments) -> list[Cell]:
    """The mean and its interval, which cannot leave 0 to 1."""
    return [None if each is None else round(min(max(each / MICRO, 0.0), 1.0), 6) for each in moments.ratio()]


def _median(ages: Mapping[int, int]) -> int | None:
    """The lower middle one of so many at each age."""
    left = (sum(ages.values()) + 1) // 2
    for age in sorted(ages):
        left -= ages[age]
        if left <= 0:
            return age
    return None
