"""The correction of the chance of return: learned before, checked after, on two shops' histories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.histories import day
from pipeline.analysis.calibration import (
    Snapshot,
    brier,
    calibrated,
    features,
    fit_calibration,
    holds_for_others,
    log_loss,
)
from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import counted, counts_of
from pipeline.analysis.overdue import USUAL_LIMITS, deadlines, limited, spells_of
from pipeline.analysis.purchases import Purchases, snapshot, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core import calibration as core
from pipeline.core import timing as core_timing
from pipeline.core.calibration import Calibration
from pipeline.core.history import of_days
from pipeline.core.predict import Model, predict
from pipeline.core.rhythm import Gaps, Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

PLAIN = Timing(0.5, 6.0, 0.9, 1.6)


def models(purchases: Purchases, on: int) -> tuple[Timing, Rhythm]:
    states = states_on(purchases, on)
    timing, rhythm = fit_timing(counted(states.counts)), fit_rhythm(states.counts, states.sum_log_gap)
    assert isinstance(timing, TimingFit)
    assert isinstance(rhythm, RhythmFit)
    return timing.timing, rhythm.rhythm


@pytest.mark.parametrize(
    ("which", "on", "horizon", "step", "snapshots"),
    [
        ("sample", day(1997, 12, 31), 90, 30, 4),
        ("master", day(1997, 12, 31), 90, 30, 4),
        ("weekly", day(2017, 8, 29), 28, 28, 4),
    ],
)
def test_it_lowers_the_surprise_at_what_came(
    request: pytest.FixtureRequest, which: str, on: int, horizon: int, step: int, snapshots: int
) -> None:
    """Model and correction know nothing after `on`; both are asked who buys in the days after it."""
    purchases = request.getfixturevalue(which)
    timing, rhythm = models(purchases, on)
    learn = [snapshot(purchases, on - horizon - step * each, horizon) for each in range(snapshots)]
    fitted = fit_calibration(timing, rhythm, horizon / 7, learn)
    assert isinstance(fitted, Calibration)
    check = snapshot(purchases, on, horizon)
    raw = p_return(timing, check.counts, horizon / 7)
    better = calibrated(fitted, features(timing, rhythm, horizon / 7, check.counts, check.sum_log_gap), raw)
    assert log_loss(better, check.returned) < log_loss(raw, check.returned) - 0.01
    assert brier(better, check.returned) < brier(raw, check.returned)


def test_for_many_it_is_what_it_is_for_one(weekly: Purchases) -> None:
    on = day(2017, 8, 29)
    timing, rhythm = models(weekly, on)
    check = snapshot(weekly, on, 28)
    seen = features(timing, rhythm, 4.0, check.counts, check.sum_log_gap)
    alone = p_return(timing, check.counts, 4.0)
    weights = Calibration(4.0, 0.1, (0.5, 0.4, -0.3, -0.6, 0.3, 0.2, -0.5), 0.97, 0.2)
    many = calibrated(weights, seen, alone)
    assert {round(float(each), 9) for each in many} > {0.97}, "some at the bound, others below"
    for row in range(0, len(seen), 97):
        x, last, age = (
            float(each[row]) for each in (check.counts.frequency, check.counts.recency, check.counts.tenure)
        )
        one = core.features(timing, rhythm, 4.0, Gaps(int(x), last, float(check.sum_log_gap[row])), age - last)
        assert one == pytest.approx(tuple(seen[row]), rel=1e-6, abs=1e-9)
        raw = core_timing.p_return(timing, int(x), last, age, 4.0)
        assert core.calibrated(weights, one, raw) == pytest.approx(float(many[row]))


SHOPS = pytest.mark.parametrize(
    ("which", "on", "horizon"),
    [("sample", day(1998, 3, 31), 90), ("master", day(1998, 3, 31), 90), ("weekly", day(2017, 9, 30), 90),
     ("weekly", day(2017, 10, 29), 28)],
)  # fmt: skip


def corrected(purchases: Purchases, on: int, horizon: int) -> Model:
    timing, rhythm = models(purchases, on)
    learn = [snapshot(purchases, on - horizon - 30 * each, horizon) for each in range(4)]
    fitted = fit_calibration(timing, rhythm, horizon / 7, learn)
    assert isinstance(fitted, Calibration)
    return Model(timing, Spend(6.25, 3.74, 1_544.0), rhythm, 0.1, on, 8.0, calibration=fitted)


@SHOPS
def test_no_silence_raises_the_chance_of_return(
    request: pytest.FixtureRequest, which: str, on: int, horizon: int
) -> None:
    """2,000 customers of up to a year, frequent and rare, regular and not, silent for up to eight years.

    To two thousandths: a fit holds the weights together on customers of many kinds, and others are between these.
    """
    model, chance = corrected(request.getfixturevalue(which), on, horizon), np.random.default_rng(1)
    assert model.calibration is not None
    often, often_gap = chance.integers(1, 60, 2_000), np.exp(chance.uniform(0.0, 5.5, 2_000))
    scatter = chance.choice([0.0, 0.05, 0.25, 0.5, 1.0], 2_000)
    gaps = [
        np.maximum(1, np.rint(gap * (chance.gamma(1 / spread, spread, x) if spread else np.ones(x))))
        for x, gap, spread in zip(often, often_gap, scatter, strict=True)
    ]
    last, logs = (np.array([float(np.sum(of(each / 7))) for each in gaps]) for of in (np.array, np.log))
    known = last <= 52.0
    x, last, logs = often[known].astype(float), last[known], logs[known]
    said = []
    for silence in np.append(0.0, np.unique(np.rint(np.geomspace(1, 3_000, 150)))) / 7:
        counts = counts_of(x, last, last + silence)
        alone = p_return(model.timing, counts, horizon / 7)
        looks = features(model.timing, model.rhythm, horizon / 7, counts, logs)
        said.append(calibrated(model.calibration, looks, alone))
    assert (np.array(said) - np.minimum.accumulate(said)).max() < 0.002


@SHOPS
@pytest.mark.parametrize(("times", "gap"), [(99, 1), (19, 7), (4, 14), (1, 1), (1, 7), (1, 200)])
def test_who_has_been_silent_for_years_is_not_likely_to_return(
    request: pytest.FixtureRequest, which: str, on: int, horizon: int, times: int, gap: int
) -> None:
    """Falling all the while, to a quarter of what it was at most; of who bought often, to next to nothing in a year."""
    model = corrected(request.getfixturevalue(which), on, horizon)
    known = of_days(dict.fromkeys(range(9_000, 9_001 + times * gap, gap), 1_000))
    silences = (0, 1, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1_460)
    said = [predict(model, known, known.last_day + silence).p_return for silence in silences]
    assert said == sorted(said, reverse=True)
    assert said[-1] < said[0] / 4
    assert times < 50 or said[silences.index(365)] < 0.01


@pytest.mark.parametrize(
    ("which", "on", "horizon"), [("sample", day(1997, 12, 31), 90), ("weekly", day(2017, 8, 29), 28)]
)
def test_offers_that_change_nothing_change_little_of_what_is_learned(
    request: pytest.FixtureRequest, which: str, on: int, horizon: int
) -> None:
    """Made to nine in ten at their own deadline, so to the silent: those who are left would be those who came."""
    shop = request.getfixturevalue(which)
    timing, rhythm = models(shop, on)
    spells = spells_of(shop)
    at = spells.day + np.rint(7 * limited(deadlines(rhythm, spells, 0.05), USUAL_LIMITS)).astype(int)
    fires = (at < spells.ends) & (at <= on) & (spells.customer % 10 != 0)
    treated_on = np.zeros(int(shop.customer.max()) + 1, np.int64)
    np.maximum.at(treated_on, spells.customer[fires], at[fires])
    check = snapshot(shop, on, horizon)
    looks = features(timing, rhythm, horizon / 7, check.counts, check.sum_log_gap)
    alone, said, surprise = p_return(timing, check.counts, horizon / 7), [], []
    for each in (shop, replace(shop, treated_on=treated_on)):
        learn = [snapshot(each, on - horizon - 30 * step, horizon) for step in range(4)]
        fitted = fit_calibration(timing, rhythm, horizon / 7, learn)
        assert isinstance(fitted, Calibration)
        said.append(calibrated(fitted, looks, alone))
        surprise.append(log_loss(said[-1], check.returned))
    assert sum(each.unseen_weeks.astype(bool).sum() for each in learn) > 50
    assert said[1].mean() == pytest.approx(said[0].mean(), abs=0.01)
    assert surprise[1] == pytest.approx(surprise[0], abs=0.006)
    assert surprise[1] < log_loss(alone, check.returned)


def test_a_correction_that_holds_for_half_of_the_customers_only_is_not_relearned() -> None:
    """Of even ones the frequent return, of odd ones the others: what either teaches is wrong for the other."""
    rhythm, number = Rhythm(PLAIN, (1.0, 0.0, 0.0)), np.arange(2_000)
    is_frequent = made_up(number).counts.frequency >= 4
    alike, opposite = made_up(is_frequent), made_up(is_frequent ^ (number % 2 == 1))
    assert holds_for_others(PLAIN, rhythm, 13.0, [alike], alike)
    assert not holds_for_others(PLAIN, rhythm, 13.0, [opposite], opposite)


def made_up(returned: np.ndarray) -> Snapshot:
    count = len(returned)
    counts = counts_of(np.arange(count) % 5 + 1, np.linspace(1, 20, count), np.linspace(21, 40, count))
    return Snapshot(np.arange(count), counts, np.zeros(count), returned.astype(float), np.zeros(count))


@pytest.mark.parametrize(
    ("returned", "reason"), [(np.arange(400) % 2, "too few outcomes"), (np.ones(600), "all outcomes alike")]
)
def test_what_teaches_nothing_is_refused_by_name(returned: np.ndarray, reason: str) -> None:
    assert fit_calibration(PLAIN, Rhythm(PLAIN, (1.0, 0.0, 0.0)), 13.0, [made_up(returned)]) == reason


def test_gaps_that_are_no_numbers_teach_nothing() -> None:
    """Else a correction that is no number would be in force for everybody."""
    some = made_up(np.arange(600) % 2)
    odd = replace(some, sum_log_gap=np.full(600, np.nan))
    with np.errstate(invalid="ignore"):
        found = fit_calibration(PLAIN, Rhythm(PLAIN, (1.0, 0.0, 0.0)), 13.0, [odd])
    assert found == "the search did not settle"


def test_what_is_worse_than_the_model_alone_is_refused() -> None:
    """Taught the opposite of what then comes."""
    silent = np.linspace(1, 20, 800) < 10
    learn, check = made_up(silent), made_up(~silent)
    rhythm = Rhythm(PLAIN, (1.0, 0.0, 0.0))
    assert fit_calibration(PLAIN, rhythm, 13.0, [learn], check) == "no better than the model alone"


def test_surprise_and_distance_are_what_they_are_called() -> None:
    chance, came = np.array([0.5, 0.9]), np.array([1.0, 0.0])
    assert log_loss(chance, came) == pytest.approx((np.log(2) + np.log(10)) / 2)
    assert brier(chance, came) == pytest.approx((0.25 + 0.81) / 2)
