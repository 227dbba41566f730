"""What was expected of a shop's customers together, week after week, and what came: without a season and with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.analysis.chances import p_alive
from pipeline.analysis.counts import Floats, counted
from pipeline.analysis.purchases import Purchases, bought_between, states_on
from pipeline.analysis.score import outlooks
from pipeline.analysis.season import fit_season, lately_of, weeks_of
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.season import factor

HORIZON_DAYS = (7, 30, 90)


class Foretold(NamedTuple):
    """Repeat orders within each horizon of each of some evenings a week apart: (horizons, evenings).

    Of customers known by then. Not a number where the horizon is not over by the last day.
    """

    plain: Floats
    led: Floats
    """With the season as it was known by then."""
    came: Floats

    def errors(self, horizon: int) -> tuple[Errors, Errors]:
        """Without the season, and with it."""
        known = ~np.isnan(self.came[horizon])
        came = self.came[horizon, known]
        without, within = (Errors.of(said[horizon, known], came) for said in (self.plain, self.led))
        return without, within


class Errors(NamedTuple):
    """Of forecasts, as shares of what came."""

    in_all: float
    mean: float
    """Of the evenings' own."""
    bias: float

    @classmethod
    def of(cls, said: Floats, came: Floats) -> Errors:
        """Those of what was said, against what came."""
        wrong = np.abs(said - came)
        return cls(*map(float, (wrong.sum() / came.sum(), np.mean(wrong / came), said.sum() / came.sum() - 1.0)))


def foretold(purchases: Purchases, fitted_on: int, last: int) -> Foretold:
    """Every week from the day of the fit to the last, by the model of that day: nothing is known that came later."""
    found = fit_timing(counted(states_on(purchases, fitted_on).counts))
    assert isinstance(found, TimingFit)
    timing, shape = found.timing, (len(HORIZON_DAYS), (last - fitted_on) // 7)
    plain, led, came = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    for week in range(shape[1]):
        eve = last - (shape[1] - week) * 7
        season = fit_season(weeks_of(timing, purchases, eve), lately_of(timing, purchases, eve), eve)
        known = states_on(purchases, eve)
        alive = p_alive(timing, known.counts)
        ahead = outlooks(timing, known.counts, [(days / 7.0, 0.0) for days in HORIZON_DAYS])
        for place, days in enumerate(HORIZON_DAYS):
            if eve + days <= last:
                plain[place, week] = np.sum(alive * ahead[place])
                led[place, week] = plain[place, week] * factor(season, eve, days / 7.0)
                came[place, week] = bought_between(purchases, known.customer, eve, days).sum()
    return Foretold(plain, led, came)
