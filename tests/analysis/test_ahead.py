"""What simulated customers do in time to come, against the chances and bands that the core says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bench.histories import day
from pipeline.analysis.counts import Floats
from pipeline.analysis.fit import Fitted, fit_model
from pipeline.analysis.purchases import Purchases, states_on
from pipeline.core.ahead import Known, margin_band, orders_band
from pipeline.core.below_zero import p_below_zero
from pipeline.core.predict import YEARLY_DISCOUNT
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing, p_alive

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
FUTURES = 200_000


@dataclass(frozen=True)
class Case:
    """A customer as known, when they bought last, what they are worth so far, and the shop's share of days that pay."""

    known: Known
    recency: float
    actual_minor: int
    paying: float
    p: float = 6.25
    """How alike the margins of a customer are."""

    @property
    def spend(self) -> Spend:
        return Spend(self.p, 3.74, 1_544.0 * 6.25 / self.p, self.paying, -50.0)

    @property
    def now(self) -> Known:
        return self.known._replace(p_alive=p_alive(TIMING, self.known.frequency, self.recency, self.known.tenure))


CASES = [
    Case(Known(0, 10.0, 0.0, 0, 0.0, 200), 0.0, -500, 1.0),
    Case(Known(2, 30.0, 0.0, 2, 900.0, 1_500), 20.0, -100, 1.0),
    Case(Known(10, 32.0, 0.0, 10, 1_200.0, 1_300), 30.0, -2_000, 1.0),
    Case(Known(30, 52.0, 0.0, 30, 800.0, 790), 50.0, -4_000, 1.0),
    Case(Known(0, 10.0, 0.0, 0, 0.0, 200), 0.0, -500, 0.6),
    Case(Known(4, 30.0, 0.0, 1, 900.0, 200, 3, -300), 20.0, -400, 0.9),
    Case(Known(20, 52.0, 0.0, 8, 1_200.0, 300, 12, -2_400), 50.0, -2_000, 0.9),
    Case(Known(30, 52.0, 0.0, 25, 900.0, 500, 5, -2_000), 50.0, -4_000, 1.0),
    Case(Known(12, 40.0, 0.0, 0, 0.0, 0, 12, 0), 39.0, -500, 0.9),
]

OFTEN = [
    Case(Known(2_000, 310.0, 0.0, 2_000, 1_000.0), 309.9, 0, 1.0, 500.0),
    Case(Known(2_000, 310.0, 0.0, 1_000, 1_000.0, 0, 1_000, -300_000), 309.9, 0, 0.9),
    Case(Known(300, 52.0, 0.0, 120, 100.0, 0, 180, -180_000), 51.9, 0, 0.9),
]
BANDS = [*((case, weeks) for case in CASES for weeks in (13.0, 52.0, 156.0)), *((case, 30 / 7) for case in OFTEN)]


def futures(case: Case, weeks: float, discount: float) -> tuple[Floats, Floats]:
    """How many orders come and what they leave less upkeep: rates, leaving, times, what pays and margins drawn."""
    known, spend = case.now, case.spend
    chance = np.random.default_rng(9)
    rate = chance.gamma(TIMING.r + known.frequency, size=FUTURES) / (TIMING.alpha + known.tenure)
    leaving = chance.beta(TIMING.a, TIMING.b + known.frequency + 1, size=FUTURES)
    scale = chance.gamma(spend.q + spend.p * known.spend_days, size=FUTURES)
    scale /= spend.gamma + known.spend_days * known.mean_margin_minor
    rich, poor = known.spend_days + case.paying, known.poor_days + 1.0 - case.paying
    pays = chance.beta(rich, poor, size=FUTURES) if poor else np.ones(FUTURES)
    loss = (known.poor_minor - 50.0) / (known.poor_days + 1.0)
    orders, worth, at = np.zeros(FUTURES), np.zeros(FUTURES), np.zeros(FUTURES)
    there = chance.random(FUTURES) < known.p_alive
    while there.any():
        at += chance.exponential(size=FUTURES) / rate
        there &= at < weeks
        left = chance.gamma(spend.p, size=FUTURES) / scale
        left = np.where(chance.random(FUTURES) < pays, left, loss) - known.upkeep_minor
        worth += np.where(there, left * np.exp(-discount * at), 0.0)
        orders += there
        there &= chance.random(FUTURES) >= leaving
    return orders, worth


@pytest.mark.parametrize("case", CASES)
def test_the_chance_of_being_worth_less_than_nothing_is_what_simulated_customers_do(case: Case) -> None:
    """200,000 futures of three years; to two hundredths."""
    _, worth = futures(case, 156.0, YEARLY_DISCOUNT)
    found = p_below_zero(TIMING, case.spend, case.now, case.actual_minor, (156.0, YEARLY_DISCOUNT))
    assert found == pytest.approx((case.actual_minor + worth < 0).mean(), abs=0.02)


@pytest.mark.parametrize(("case", "weeks"), BANDS)
def test_a_tenth_of_simulated_customers_ends_up_above_a_band_and_a_tenth_below(case: Case, weeks: float) -> None:
    """To an eightieth of the customers; fewer only where many end up with the same, as with no order at all."""
    orders, worth = futures(case, weeks, 0.0)
    low, high = orders_band(TIMING, case.now, weeks)
    for outcomes, (least, most) in ((orders, (low, high)), (worth, margin_band(TIMING, case.spend, case.now, weeks))):
        assert (outcomes < least - 0.5).mean() <= 0.1125
        assert (outcomes > most + 0.5).mean() <= 0.1125
        assert (outcomes <= least + 0.5).mean() >= 0.0875
        assert (outcomes >= most - 0.5).mean() >= 0.0875


def test_about_a_tenth_of_cdnows_customers_end_up_above_their_band(sample: Purchases) -> None:
    """The 39 weeks after the fit, which bring more than the model expects in all.

    Counted: 7 % more orders than the band, and 12 % more margin; of who had come back 10 and 15 %.
    """
    on, days = day(1997, 9, 30), 273
    fitted, states = fit_model(sample, on, alarms_a_week=20.0), states_on(sample, on)
    assert isinstance(fitted, Fitted)
    later = (sample.day > on) & (sample.day <= on + days)
    orders = np.bincount(sample.customer[later], minlength=len(states.customer))
    margins = np.bincount(sample.customer[later], sample.margin_minor[later], minlength=len(states.customer))
    more, above, model = [], [], fitted.model
    for row, of in enumerate(zip(states.counts.frequency, states.counts.recency, states.counts.tenure, strict=True)):
        x, recency, tenure = int(of[0]), float(of[1]), float(of[2])
        alive = p_alive(model.timing, x, recency, tenure)
        known = Known(x, tenure, alive, int(states.spend_days[row]), float(states.mean_margin_minor[row]))
        more.append(orders[row] > orders_band(model.timing, known, days / 7)[1])
        above.append(margins[row] > margin_band(model.timing, model.spend, known, days / 7).high + 0.5)
    again = states.counts.frequency > 0
    assert (np.mean(more), np.mean(above)) == pytest.approx((0.07, 0.12), abs=0.006)
    assert (np.mean(np.array(more)[again]), np.mean(np.array(above)[again])) == pytest.approx((0.10, 0.15), abs=0.006)
