""" "Overdue" on two shops' histories: against the best fixed window, at the same number of alarms.

Parameters come from the time before; the level of each rule is set so that both raise equally many alarms after.
"""

from __future__ import annotations

from dataclasses import fields, replace
from math import hypot

import numpy as np
import pytest

from bench.histories import day
from bench.overdue import Shop, both, raised, shop
from pipeline.analysis.fit import Fitted, Terms, fit_model
from pipeline.analysis.overdue import (
    LEVEL_LEAST,
    LEVEL_MOST,
    Budget,
    Limits,
    Spells,
    alarms,
    deadlines,
    level_for,
    levels_of_alarms,
    limited,
    open_between,
    replay,
    spells_of,
    weeks_to_second,
)
from pipeline.analysis.purchases import Purchases, purchases_of
from pipeline.core import rhythm as core
from pipeline.core.rhythm import Gaps, Rhythm
from pipeline.core.timing import Timing


@pytest.fixture(scope="module")
def grocer(weekly: Purchases) -> Shop:
    return shop(weekly, day(2017, 8, 29), day(2017, 12, 3), 28, 2)


@pytest.fixture(scope="module")
def music(master: Purchases) -> Shop:
    return shop(master, day(1997, 9, 30), day(1998, 4, 1), 90, 1)


@pytest.mark.parametrize("volume", [0.05, 0.1, 0.2])
def test_frequent_buyers_overdue_by_their_own_rhythm_beat_the_best_fixed_window(grocer: Shop, volume: float) -> None:
    """More lost purchases for each alarm by either measure, by more than twice the error, and three weeks sooner."""
    own, fixed = both(grocer, volume)
    assert own.alarms == pytest.approx(fixed.alarms, rel=0.05)
    assert own.lost_per_alarm > 2.0 * fixed.lost_per_alarm
    assert own.fell_per_alarm > fixed.fell_per_alarm + 2.0 * hypot(own.fell_error, fixed.fell_error)
    assert own.silent_days < fixed.silent_days - 21


@pytest.mark.parametrize("volume", [0.05, 0.1, 0.2])
def test_occasional_buyers_overdue_by_their_own_rhythm_beat_the_best_fixed_window(music: Shop, volume: float) -> None:
    """More lost purchases for each alarm by either measure, by more than twice the error, and a month sooner."""
    own, fixed = both(music, volume)
    assert own.alarms == pytest.approx(fixed.alarms, rel=0.05)
    assert own.lost_per_alarm > fixed.lost_per_alarm + 2.0 * hypot(own.lost_error, fixed.lost_error)
    assert own.fell_per_alarm > fixed.fell_per_alarm + 2.0 * hypot(own.fell_error, fixed.fell_error)
    assert own.silent_days < fixed.silent_days - 30


@pytest.mark.parametrize("volume", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("repeats", [2, 3, 5, 8])
def test_of_those_who_came_back_more_often_too_none_lose_to_a_fixed_window(
    master: Purchases, repeats: int, volume: float
) -> None:
    """As many lost purchases for each alarm within twice the error, weeks sooner; at CDNOW, by repeat purchases."""
    own, fixed = both(shop(master, day(1997, 9, 30), day(1998, 4, 1), 90, repeats), volume)
    assert own.lost_per_alarm > fixed.lost_per_alarm - 2.0 * hypot(own.lost_error, fixed.lost_error)
    assert own.fell_per_alarm > fixed.fell_per_alarm - 2.0 * hypot(own.fell_error, fixed.fell_error)
    assert own.silent_days < fixed.silent_days - 14


@pytest.mark.parametrize("days", [1, 7, 28])
@pytest.mark.parametrize(
    ("which", "a_week"), [("grocer", 20.0), ("grocer", 80.0), ("music", 20.0), ("music", 40.0), ("music", 80.0)]
)
def test_the_level_keeps_to_the_budget_until_it_is_set_anew(
    request: pytest.FixtureRequest, which: str, a_week: float, days: int
) -> None:
    """Every night, week or four weeks for twelve weeks: within a fifth, at CDNOW too, where all came in one quarter.

    A night of twenty a week is three alarms: there a third fewer come. Deadlines are those that customers have, within
    the policy's limits, and nobody is overdue twice in a silence.
    """
    found = raised(request.getfixturevalue(which), Budget(a_week), 84 // days, days)
    assert sum(found) / 12.0 == pytest.approx(a_week, rel=0.4 if (a_week, days) == (20.0, 1) else 0.2)
    thirds = [sum(found[place : place + len(found) // 3]) for place in range(0, len(found), len(found) // 3)]
    assert thirds == pytest.approx([4 * a_week] * 3, rel=0.5)


@pytest.mark.parametrize(("which", "a_week"), [("grocer", 80.0), ("music", 40.0), ("music", 80.0)])
def test_a_budget_that_is_raised_holds_for_those_beyond_the_new_deadline_too(
    request: pytest.FixtureRequest, which: str, a_week: float
) -> None:
    """From a quarter: who was not overdue by the level in force, and is by the new one, is so at once."""
    shop: Shop = request.getfixturevalue(which)
    before, _ = level_for(shop.rhythm, shop.spells, shop.window[0] - 1, Budget(a_week / 4))
    (found,) = raised(shop, Budget(a_week, in_force=(shop.rhythm, before)), 1, 42)
    assert found / 6.0 == pytest.approx(a_week, rel=0.1)


def test_in_a_shop_younger_than_six_weeks_silences_count_as_if_all_lasted() -> None:
    """Forty bought six times in its first days: no silence has shown yet how many last until their deadline."""
    spells = spells_of(purchases_of([[(number // 4 + 2 * each, 1.0) for each in range(6)] for number in range(40)]))
    level, a_week = level_for(Rhythm(Timing(0.8, 4.0, 0.9, 3.0), (1.0, 0.0, 0.0)), spells, 20, Budget(5.0))
    assert LEVEL_LEAST < level < LEVEL_MOST
    assert 3.0 <= a_week <= 5.0


def test_a_fit_sets_its_level_beside_that_of_the_model_in_force(master: Purchases) -> None:
    before = fit_model(master, day(1997, 9, 30), alarms_a_week=80.0)
    assert isinstance(before, Fitted)
    now = fit_model(master, day(1997, 10, 28), before.model, alarms_a_week=80.0)
    assert isinstance(now, Fitted)
    budget = Budget(80.0, in_force=(before.model.rhythm, before.model.level), days=28)
    level, a_week = level_for(now.model.rhythm, spells_of(master), day(1997, 10, 28), budget)
    assert (now.model.level, now.diagnostics["alarms_a_week"]) == (level, a_week)


def test_a_level_knows_nothing_of_what_comes_after_its_day(music: Shop) -> None:
    """The same silences as they stood on the day: who bought again later had not."""
    on = day(1997, 11, 30)
    known = music.spells.day <= on
    then = Spells(*(getattr(music.spells, field.name)[known] for field in fields(music.spells)))
    ends = np.where(then.ends > on, day(2100, 1, 1), then.ends)
    for budget in (Budget(40.0), Budget(40.0, in_force=(music.rhythm, 0.02))):
        assert level_for(music.rhythm, replace(then, ends=ends), on, budget) == level_for(
            music.rhythm, music.spells, on, budget
        )


def test_deadlines_for_many_are_those_for_one(grocer: Shop) -> None:
    some = grocer.spells
    many = deadlines(grocer.rhythm, some, 0.01)
    for row in range(0, len(some.day), 9_973):
        gaps = Gaps(int(some.frequency[row]), float(some.recency[row]), float(some.sum_log_gap[row]))
        assert many[row] == pytest.approx(core.deadline(grocer.rhythm, gaps, 0.01, 365 / 7), rel=1e-6)


def test_second_orders_come_as_cdnows_do(sample: Purchases) -> None:
    """48 % order again; of these half by week 8.0, 80 % by 28.6: counted elsewhere, without who still waits."""
    weeks = [weeks_to_second(sample, day(1998, 6, 30), share) for share in (0.5, 0.8)]
    assert weeks == pytest.approx([8.0, 28.6], rel=0.05)


def test_who_still_waits_counts_as_long_as_they_have_waited() -> None:
    """Kaplan-Meier by hand: 20 come after 1 week, 20 more after 3; 40 newcomers have waited 2.

    After week 1: 20 of 80. At week 3, 20 of the 20 left: all come. So half of all have come by week 3, a quarter by 1.
    """
    customers = [[(0, 1.0), (7, 1.0)]] * 20 + [[(0, 1.0), (21, 1.0)]] * 20 + [[(7, 1.0)]] * 40
    shop = purchases_of(customers)
    assert weeks_to_second(shop, 21, 0.25) == 1.0
    assert weeks_to_second(shop, 21, 0.5) == 3.0


def test_too_few_second_orders_give_no_curve() -> None:
    assert weeks_to_second(purchases_of([[(0, 1.0), (7, 1.0)]] * 19), 30, 0.8) is None


@pytest.mark.parametrize("limits", [Limits(1, 100_000), Limits(3, 365), Limits(10, 40)])
@pytest.mark.parametrize("level", [1e-6, 0.003, 0.04, 0.3])
def test_the_levels_at_which_silences_raise_alarms_are_those_at_which_their_deadlines_do(
    grocer: Shop, level: float, limits: Limits
) -> None:
    """Each by itself, over six weeks, of regular and irregular customers, whatever silences the policy counts."""
    days = (grocer.window[0], grocer.window[0] + 41)
    some = open_between(grocer.spells, *days)
    begin, end = levels_of_alarms(grocer.rhythm, some, days, limits)
    fired = alarms(some, limited(deadlines(grocer.rhythm, some, level, limits), limits), *days)[0]
    assert 0 < fired.sum() < len(fired)
    assert list((begin <= level) & (level < end)) == list(fired)


def test_deadlines_within_the_policys_limits_are_those_a_profile_has() -> None:
    """Whole days, up; at least 3 and at most 365: `core.forecast.pace_after`."""
    weeks = np.array([0.1, 1.0, 1.01, 60.0, 1e9])
    assert list(limited(weeks, Limits(3, 365)) * 7.0) == pytest.approx([3, 7, 8, 365, 365])


def test_what_the_longest_silence_raises_by_itself_is_told_where_the_budget_is_less(master: Purchases) -> None:
    """At CDNOW in spring 1998 hundreds of customers a week have been silent for 300 days, and nobody is new."""
    terms = Terms(limits=Limits(3, 300))
    found = fit_model(master, day(1998, 3, 31), alarms_a_week=20.0, terms=terms)
    assert isinstance(found, Fitted)
    assert found.diagnostics["alarms_a_week"] > 100.0
    assert any(each.startswith("overdue: silences of 300 days, which always count, raise") for each in found.remarks)
    kept = fit_model(master, day(1998, 3, 31), alarms_a_week=20.0, terms=Terms(limits=Limits(3, 3_650)))
    assert isinstance(kept, Fitted)
    assert kept.diagnostics["alarms_a_week"] == pytest.approx(20.0, rel=0.05)
    assert not any(each.startswith("overdue") for each in kept.remarks)


def test_a_budget_that_cannot_be_used_is_told(sample: Purchases) -> None:
    """Of CDNOW's sample 946 had bought twice or more: no level finds 500 of them a week to call at risk."""
    found = fit_model(sample, day(1997, 9, 30), alarms_a_week=500.0)
    assert isinstance(found, Fitted)
    assert found.model.level == pytest.approx(LEVEL_MOST)
    assert any(" where the budget allows 500: with more, who is silent" in each for each in found.remarks)
    usual = fit_model(sample, day(1997, 9, 30), alarms_a_week=10.0)
    assert isinstance(usual, Fitted)
    assert not any(each.startswith("overdue") for each in usual.remarks)


def test_each_silence_raises_one_alarm_at_most_and_only_before_it_ends() -> None:
    spells = spells_of(purchases_of([[(0, 1.0), (7, 1.0), (28, 1.0)]]))
    fired, on = alarms(spells, np.array([2.0, 2.0]), 0, 100)
    assert (list(fired), list(on)) == ([True, True], [21.0, 42.0])
    assert list(alarms(spells, np.array([3.0, 2.0]), 0, 100)[0]) == [False, True]


def test_a_replay_counts_what_came_after() -> None:
    """Weekly for five weeks, then silence of five, then once: alarm at two weeks, one purchase in the four after."""
    days = [(each * 7, 1.0) for each in (*range(6), 10)]
    purchases = purchases_of([days])
    spells = spells_of(purchases, 5)
    timing = Timing(1.0, 1.0, 1.0, 1.0)
    found = replay(purchases, timing, spells, np.array([2.0, 99.0]), (0, 60, 28))
    assert (found.alarms, found.fell_per_alarm, found.silent_days) == (1, 3.0, 14.0)
    assert found.lost_per_alarm == pytest.approx((1 + 5) / (1 + 5) * 4 - 1)
