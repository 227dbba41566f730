"""Seasons: a made-up one is found; on CDNOW the weeks ahead, by the measures under which the level helps and harms."""

from __future__ import annotations

import numpy as np
import pytest

from bench.histories import day
from pipeline.analysis.counts import Floats, counted
from pipeline.analysis.purchases import Purchases, states_on
from pipeline.analysis.season import Week, fit_season, weeks_of
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.season import MONTHS, NO_SEASON


def weeks(count: int, factor: dict[int, float], orders: float = 400.0, seed: int = 1) -> list[Week]:
    chance = np.random.default_rng(seed)
    months = [int(week * 7 % 364 / 30.4) % MONTHS for week in range(count)]
    return [Week(month, orders, float(chance.poisson(orders * factor.get(month, 1.0)))) for month in months]


def test_a_busy_december_is_found_in_two_years() -> None:
    season = fit_season(weeks(104, {11: 1.5}))
    mean = (11 + 1.5) / 12
    assert season.months[11] == pytest.approx(1.5 / mean, rel=0.06)
    assert season.months[4] == pytest.approx(1.0 / mean, rel=0.06)
    assert np.mean(season.months) == pytest.approx(1.0)


def test_before_two_whole_years_no_month_is_judged() -> None:
    assert fit_season(weeks(103, {3: 2.0})).months == NO_SEASON.months


def test_a_change_of_level_is_followed_within_weeks() -> None:
    calm = weeks(30, {})
    busier = [Week(week.month, week.expected, week.came * 1.4) for week in weeks(12, {}, seed=2)]
    assert fit_season([*calm, *busier]).level == pytest.approx(1.4, rel=0.2)


def test_a_small_shops_noise_is_no_season() -> None:
    """Half an order a week expected; twice that came in the last month: two orders more are no news."""
    few = [Week(0, 0.5, 0.5)] * 20 + [Week(0, 0.5, 1.0)] * 4
    assert fit_season(few).level == pytest.approx(1.0, abs=0.1)


def test_nothing_seen_is_no_season() -> None:
    assert fit_season([]) == NO_SEASON


def foretold(purchases: Purchases) -> tuple[Floats, Floats, Floats]:
    """(came, expected, expected with the level) of CDNOW's 39 weeks after the fit, each from the weeks before it."""
    found = fit_timing(counted(states_on(purchases, day(1997, 9, 30)).counts))
    assert isinstance(found, TimingFit)
    seen = weeks_of(found.timing, purchases, day(1998, 6, 30))
    first = len(seen) - 39
    came = np.array([week.came for week in seen[first:]])
    plain = np.array([week.expected for week in seen[first:]])
    return came, plain, plain * [fit_season(seen[: first + week]).level for week in range(39)]


@pytest.mark.parametrize(("which", "gain"), [("sample", 0.015), ("master", 0.04)])
def test_with_the_level_the_errors_of_all_weeks_together_are_smaller_and_half_the_bias_goes(
    request: pytest.FixtureRequest, which: str, gain: float
) -> None:
    """Of all that came, 22 and 21 % without. In all 17 and 20 % too few were expected. Counting alone makes 11 %."""
    came, plain, led = foretold(request.getfixturevalue(which))
    assert np.abs(led - came).sum() / came.sum() < np.abs(plain - came).sum() / came.sum() - gain
    assert abs(led.sum() / came.sum() - 1.0) < abs(plain.sum() / came.sum() - 1.0) / 2.0


@pytest.mark.parametrize(("which", "rises"), [("sample", 0.006), ("master", -0.042)])
def test_the_mean_of_the_weeks_own_errors_falls_for_all_customers_and_rises_a_little_in_the_sample(
    request: pytest.FixtureRequest, which: str, rises: float
) -> None:
    """By this measure 19 % without, as found elsewhere; docs/prediction.md says that the level does harm by it."""
    came, plain, led = foretold(request.getfixturevalue(which))
    without, with_level = (np.mean(np.abs(said - came) / came) for said in (plain, led))
    assert without == pytest.approx(0.19, abs=0.01)
    assert with_level - without == pytest.approx(rises, abs=0.004)


def test_what_was_expected_of_past_weeks_is_what_came_on_the_whole(sample: Purchases) -> None:
    """In the weeks it was fitted to, the model expects what came, within a few per cent."""
    end = day(1997, 9, 30)
    found = fit_timing(counted(states_on(sample, end).counts))
    assert isinstance(found, TimingFit)
    seen = weeks_of(found.timing, sample, end)
    assert len(seen) == 39
    assert sum(week.came for week in seen) == (states_on(sample, end).counts.frequency.sum())
    assert sum(week.expected for week in seen) == pytest.approx(sum(week.came for week in seen), rel=0.06)
