"""What is kept of a customer's purchases says the same in whatever order they arrive."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.history import DAYS_KEPT, Cell, History, bought, moved, revised, withdrawn

ORDERS = st.lists(st.tuples(st.integers(9_000, 9_400), st.integers(-500, 5_000)), min_size=1, max_size=DAYS_KEPT)


def told(orders: list[tuple[int, int]]) -> History:
    history = None
    for day, margin in orders:
        history = bought(history, day, margin)
    assert history is not None
    return history


def reckoned(orders: list[tuple[int, int]]) -> tuple[int, float, float, int, int]:
    """The same from all orders at once."""
    by_day: Counter[int] = Counter()
    for day, margin in orders:
        by_day[day] += margin
    days = sorted(by_day)
    spent = [by_day[day] for day in days[1:] if by_day[day] > 0]
    gaps = sum(log((b - a) / 7) for a, b in pairwise(days))
    return len(days) - 1, (days[-1] - days[0]) / 7, gaps, len(spent), sum(spent)


@given(ORDERS)
def test_any_order_of_arrival_gives_what_all_at_once_gives(orders: list[tuple[int, int]]) -> None:
    history = told(orders)
    found = (history.frequency, history.recency, history.sum_log_gap, history.spend_days, history.spend_minor)
    assert found == pytest.approx(reckoned(orders), abs=1e-9)
    assert 0.0 <= history.recency <= history.tenure(9_400)


@given(ORDERS)
def test_the_shops_table_counts_every_customer_once(orders: list[tuple[int, int]]) -> None:
    table: Counter[Cell] = Counter()
    history = None
    for day, margin in orders:
        after = bought(history, day, margin)
        for cell, change in moved(history, after):
            table[cell] += change
        history = after
    assert history is not None
    assert {cell: count for cell, count in table.items() if count} == {history.cell: 1}


def test_what_is_kept_is_bounded() -> None:
    history = told([(9_000 + day, 100) for day in range(500)])
    assert len(history.recent) == DAYS_KEPT
    assert (history.frequency, history.spend_days, history.mean_margin_minor) == (499, 499, 100.0)


def test_an_order_older_than_every_day_kept_still_counts() -> None:
    history = told([(9_000 + 2 * day, 100) for day in range(100)])
    late = bought(history, 9_003, 700)
    assert (late.frequency, late.recency, late.spend_minor) == (100, history.recency, history.spend_minor + 700)


def test_two_orders_of_a_day_are_one_purchase_day() -> None:
    history = reduce(lambda before, margin: bought(before, 9_007, margin), (300, 200), bought(None, 9_000, 100))
    assert (history.frequency, history.spend_days, history.mean_margin_minor) == (1, 1, 500.0)


@given(ORDERS, st.data())
def test_a_withdrawn_day_is_as_if_it_had_never_been(orders: list[tuple[int, int]], data: st.DataObject) -> None:
    day = data.draw(st.sampled_from(orders))[0]
    left = withdrawn(told(orders), day)
    others = [order for order in orders if order[0] != day]
    if not others:
        assert left is None
        return
    assert left is not None
    again = told(others)
    assert (left.first, left.recent, left.frequency) == (again.first, again.recent, again.frequency)
    assert (left.spend_days, left.spend_minor) == (again.spend_days, again.spend_minor)
    assert left.sum_log_gap == pytest.approx(again.sum_log_gap, abs=1e-9)


@given(ORDERS, st.data(), st.integers(-3_000, 3_000))
def test_a_refund_is_as_if_the_order_had_been_smaller(
    orders: list[tuple[int, int]], data: st.DataObject, change: int
) -> None:
    day = data.draw(st.sampled_from(orders))[0]
    assert revised(told(orders), day, change) == told([*orders, (day, change)])


def test_what_is_too_old_to_be_known_is_corrected_in_sum_or_left() -> None:
    history = told([(9_000 + day, 100) for day in range(100)])
    assert revised(history, 9_010, -40).spend_minor == history.spend_minor - 40
    assert withdrawn(history, 9_010) == history
    assert withdrawn(history, 9_000) == history
