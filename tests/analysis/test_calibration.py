"""The correction of the chance of return: learned before, checked after, on two shops' histories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.histories import day
from pipeline.analysis.calibration import Snapshot, brier, calibrated, features, fit_calibration, log_loss
from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import counted, counts_of
from pipeline.analysis.purchases import Purchases, snapshot, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core import calibration as core
from pipeline.core.calibration import Calibration
from pipeline.core.rhythm import Gaps, Rhythm
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
    better = calibrated(fitted, features(timing, rhythm, horizon / 7, check.counts, check.sum_log_gap))
    assert log_loss(better, check.returned) < log_loss(raw, check.returned) - 0.01
    assert brier(better, check.returned) < brier(raw, check.returned)


def test_for_many_it_is_what_it_is_for_one(weekly: Purchases) -> None:
    on = day(2017, 8, 29)
    timing, rhythm = models(weekly, on)
    check = snapshot(weekly, on, 28)
    seen = features(timing, rhythm, 4.0, check.counts, check.sum_log_gap)
    weights = Calibration(4.0, 0.1, (0.5, 0.4, -0.3, -0.6, 0.3, 0.2, -0.5))
    for row in range(0, len(seen), 97):
        x, last, age = (
            float(each[row]) for each in (check.counts.frequency, check.counts.recency, check.counts.tenure)
        )
        one = core.features(timing, rhythm, 4.0, Gaps(int(x), last, float(check.sum_log_gap[row])), age - last)
        assert one == pytest.approx(tuple(seen[row]), rel=1e-6, abs=1e-9)
        assert core.calibrated(weights, one) == pytest.approx(float(calibrated(weights, seen[row : row + 1])[0]))


def made_up(returned: np.ndarray) -> Snapshot:
    count = len(returned)
    counts = counts_of(np.arange(count) % 5 + 1, np.linspace(1, 20, count), np.linspace(21, 40, count))
    return Snapshot(counts, np.zeros(count), returned.astype(float))


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
