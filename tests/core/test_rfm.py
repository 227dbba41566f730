"""RFM as the field has it: every cell named once, and CDNOW scored by its own fifths."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from pipeline.core.population import GRID, Population
from pipeline.core.rfm import SCORES, SEGMENT_OF, SEGMENTS, Habits, habits, rfm, score
from tests.core.builders import cancelled, day, order, refund
from tests.driver import Driver

COUNTS = {
    "champions": 1, "cannot_lose_them": 8, "at_risk": 8, "need_attention": 15, "potential_loyalists": 26, "loyal": 10,
    "promising": 8, "new": 15, "about_to_sleep": 10, "lost": 14, "frequent_small_baskets": 10,
}  # fmt: skip
LEFT = ("215", "241", "251", "252", "341", "351", "441", "451", "541", "551")
"""Cells that no example segment of the R package `rfm` takes: frequent and cheap."""


def test_each_of_the_125_cells_has_exactly_one_name() -> None:
    assert len(SEGMENT_OF) == 125
    assert Counter(SEGMENT_OF.values()) == COUNTS
    assert [bounds.segment for bounds in SEGMENTS] == list(COUNTS)


def test_what_no_example_takes_is_who_buys_often_and_little() -> None:
    left = sorted("".join(map(str, cell)) for cell, name in SEGMENT_OF.items() if name == "frequent_small_baskets")
    assert tuple(left) == LEFT


@pytest.mark.parametrize("cell", [(r, f, m) for r in SCORES for f in SCORES for m in SCORES], ids=str)
def test_a_cell_is_named_by_the_first_segment_whose_bounds_take_it(cell: tuple[int, int, int]) -> None:
    takes = [
        segment
        for segment, *bounds in SEGMENTS
        if all(low <= each <= high for each, (low, high) in zip(cell, bounds, strict=True))
    ]
    assert SEGMENT_OF[cell] == takes[0]


def test_equal_figures_score_alike_and_where_most_bought_once_nobody_scores_below_three() -> None:
    assert [score((1, 1, 2, 3), orders) for orders in (0, 1, 2, 3, 9)] == [1, 3, 4, 5, 5]


def test_recency_counts_downwards() -> None:
    population = Population(
        measured_on=0, customers=100, value=(0,) * len(GRID), gap=(0,) * len(GRID), serve=(0,) * len(GRID),
        upkeep_minor=0, recency=(-200, -100, -50, -10), frequency=(1, 1, 2, 3), monetary=(500, 900, 2_000, 5_000),
    )  # fmt: skip
    assert rfm(population, Habits(5, 4, 9_000)) == (5, 5, 5, "champions")
    assert rfm(population, Habits(10, 4, 9_000)).recency == 5
    assert rfm(population, Habits(11, 4, 9_000)).recency == 4
    assert rfm(population, Habits(201, 1, 100)) == (1, 3, 1, "lost")


def test_habits_are_of_a_year_after_refunds_with_one_days_orders_as_one() -> None:
    driver = Driver()
    for event in (
        order(0, "A", 9_000), order(400, "B", 2_000), order(400.1, "C", 500), order(500, "D", 3_000),
        order(500.2, "E", 700), refund(501, "D", "R", 1_000), cancelled(502, "E"),
    ):  # fmt: skip
        driver.feed(event)
    driver.tick(day(510))
    today = (date(2026, 1, 1) + timedelta(days=510) - date(1970, 1, 1)).days
    assert habits(driver.profiles["c"], "UTC", today) == (10, 2, 2_000 + 500 + 3_000 - 1_000)


def test_who_never_bought_has_no_scores() -> None:
    driver = Driver()
    driver.feed(order(0))
    driver.feed(cancelled(1))
    assert habits(driver.profiles["c"], "UTC", 20_500) is None
