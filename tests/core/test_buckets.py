"""Rolling figures equal a count over the days they are of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.buckets import Buckets, Measure, add, aged, ages, days_with, figures, from_pairs
from tests.core.lives import STEADY

FIRST = 20_000
ADDED = st.tuples(
    st.sampled_from((0, 0, 1, 1, 2, 30, 90, 200)),  # days since the one before
    st.sampled_from((0, 0, 0, 1, 6, 89, 90, 91, 100, 364, 371, 380)),  # days late
    st.sampled_from(Measure),
    st.integers(1, 1_000),
    st.booleans(),  # aged first
)


def filled(adds: list[tuple[int, int, Measure, int, bool]]) -> tuple[Buckets, list[tuple[int, int, int]], int]:
    """Buckets after some days; (day, measure, value) of what was added; and the day it is."""
    buckets: Buckets = ()
    naive, today = [], FIRST
    for later, late, measure, value, is_aged in adds:
        today += later
        if is_aged:
            buckets = aged(buckets, today)
        buckets = add(buckets, today - late, measure, value, today)
        naive.append((today - late, measure, value))
    return buckets, naive, today


@STEADY
@given(st.lists(ADDED, max_size=30), st.integers(0, 400))
def test_windows_equal_a_naive_count_and_365_days_are_exact_to_a_week(
    adds: list[tuple[int, int, Measure, int, bool]], later: int
) -> None:
    buckets, naive, today = filled(adds)
    today += later
    for kept in (buckets, aged(buckets, today)):
        shown = figures(kept, today)
        for measure in Measure:

            def count(days: int, measure: int = measure) -> int:
                return sum(value for day, each, value in naive if each == measure and 0 <= today - day < days)

            assert [shown[days][measure] for days in (7, 30, 90)] == [count(days) for days in (7, 30, 90)]
            assert count(365 - 6) <= shown[365][measure] <= count(365 + 6)


@STEADY
@given(st.lists(ADDED, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_adding_is_of_no_matter(adds: list[tuple[int, int, Measure, int, bool]], chance: object) -> None:
    _, naive, today = filled(adds)
    one: Buckets = ()
    for day, measure, value in naive:
        one = add(one, day, measure, value, today)
    chance.shuffle(naive)
    other: Buckets = ()
    for day, measure, value in naive:
        other = add(other, day, measure, value, today)
    assert figures(one, today) == figures(other, today)
    assert aged(one, today)[: len(other)] == aged(other, today)[: len(one)]


@STEADY
@given(st.lists(ADDED, max_size=30))
def test_ageing_once_a_week_is_ageing_every_day(adds: list[tuple[int, int, Measure, int, bool]]) -> None:
    """So what a customer's state is does not hang on which days they were heard of."""
    daily: Buckets = ()
    weekly: Buckets = ()
    today = kept_on = FIRST
    for later, late, measure, value, _ in adds:
        for _ in range(later):
            today += 1
            daily = aged(daily, today)
        daily = add(daily, today - late, measure, value, today)
        weekly = add(weekly, today - late, measure, value, today)
        if ages(kept_on, today):
            weekly = aged(weekly, today)
        kept_on = today
    assert weekly == daily


@STEADY
@given(st.dictionaries(st.integers(19_910, 20_000), st.integers(-5, 5).filter(bool), max_size=20))
def test_a_series_kept_with_a_value_behind_every_day_is_read(days: dict[int, int]) -> None:
    newest_first = sorted(days, reverse=True)
    gaps = [after - before for before, after in zip(newest_first[1:], newest_first, strict=False)]
    pairs = [number for step, day in zip(newest_first[:1] + gaps, newest_first, strict=True)
             for number in (step, days[day])]  # fmt: skip
    expected: Buckets = ()
    for day, value in days.items():
        expected = add(expected, day, Measure.ORDERS, value, 20_000)
    assert (from_pairs(tuple(pairs)),) == (expected or ((),))
    assert days_with((from_pairs(tuple(pairs)),), Measure.ORDERS) == newest_first


@STEADY
@given(st.lists(ADDED, max_size=20))
def test_what_is_taken_back_leaves_nothing(adds: list[tuple[int, int, Measure, int, bool]]) -> None:
    buckets, naive, today = filled([(*each[:4], False) for each in adds])
    buckets = aged(buckets, today)
    for day, measure, value in naive:
        buckets = add(buckets, day, measure, -value, today)
    kept = [sum(sums) for sums in figures(buckets, today).values()]
    assert kept[:3] == [0, 0, 0]


def test_days_are_kept_for_ninety_then_weeks_for_forty_then_nothing() -> None:
    buckets: Buckets = ()
    for day in range(FIRST, FIRST + 800):
        buckets = aged(add(buckets, day, Measure.ORDERS, 1, day), day)
    days = days_with(buckets, Measure.ORDERS)
    today = FIRST + 799
    monday = next(day for day in range(today - 90, 0, -1) if (day - 4) % 7 == 0)  # 5 January 1970 was one, and day 4
    assert days[: today - monday + 1] == list(range(today, monday - 1, -1)), "90 days, and the rest of their first week"
    weeks = days[today - monday + 1 :]
    assert len(weeks) == 40
    assert weeks[0] == monday - 7
    assert all(newer - older == 7 for newer, older in pairwise(weeks))


def test_amounts_beyond_any_reason_do_no_harm_to_others() -> None:
    buckets: Buckets = ()
    for _ in range(10_000):
        buckets = add(buckets, FIRST, Measure.REVENUE_MINOR, 10**12, FIRST)
    buckets = add(buckets, FIRST, Measure.ORDERS, 1, FIRST)
    assert figures(buckets, FIRST)[7][:3] == [1, 10**16, 0]


def test_a_day_to_come_is_in_no_window() -> None:
    assert figures(add((), FIRST + 1, Measure.ORDERS, 1, FIRST), FIRST)[365][Measure.ORDERS] == 0


def test_empty_buckets_have_nothing() -> None:
    assert aged((), FIRST) == ()
    assert days_with((), Measure.ORDERS) == []
    assert all(sum(sums) == 0 for sums in figures((), FIRST).values())


@pytest.mark.parametrize("days", [7, 30, 90])
def test_a_window_is_of_so_many_days_today_included(days: int) -> None:
    first_in = add((), FIRST - days + 1, Measure.ORDERS, 1, FIRST)
    assert figures(first_in, FIRST)[days][Measure.ORDERS] == 1
    assert figures(first_in, FIRST + 1)[days][Measure.ORDERS] == 0
