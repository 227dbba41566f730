"""When a customer buys again: the papers' numbers on CDNOW, and the formulas against integrals done by brute force."""

from __future__ import annotations

from itertools import pairwise
from math import exp, inf, isfinite, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import beta as beta_function
from scipy.special import hyp2f1

from pipeline.core.timing import (
    ALIKE,
    ALIKE_LEAVING,
    Timing,
    discounted_orders_if_alive,
    expected_orders,
    gauss,
    is_summed,
    next_order_quantile,
    orders_if_alive,
    p_alive,
    p_return,
    thinned,
)
from tests.core.lives import STEADY

BG = Timing(0.2426, 4.4136, 0.7929, 2.4259, leaves_at_first=False)
"""Fader, Hardie & Lee (2005), table 2: CDNOW, weeks; one more digit, from their likelihood (-9582.4)."""
MBG = Timing(0.525, 6.183, 0.891, 1.614)
"""BTYDplus, CDNOW, weeks."""
WEEKLY = Timing(600.0, 600.0, 0.9, 1.614)
"""A shop of subscribers: once a week, all of them alike."""
STATES = [(0, 0.0, 0.0), (0, 0.0, 39.0), (1, 4.0, 20.0), (3, 12.0, 12.5), (26, 30.857, 31.0)]


@pytest.mark.parametrize(
    ("weeks", "orders"), [(0.1429, 0.0078), (1, 0.0532), (3, 0.1506), (31.8571, 1.0405), (32, 1.0437), (78, 1.8576)]
)
def test_bg_foretells_a_newcomer_as_published(weeks: float, orders: float) -> None:
    """Fader, Hardie & Lee's spreadsheet, cell by cell, as `lifetimes` quotes it."""
    assert expected_orders(BG, 0, 0.0, 0.0, weeks) == pytest.approx(orders, abs=1e-3)


def test_bg_foretells_a_known_customer_as_published() -> None:
    """The paper's example, customer 1: x = 2, t_x = 30.43, T = 38.86, 39 weeks ahead."""
    assert expected_orders(BG, 2, 30.43, 38.86, 39.0) == pytest.approx(1.226, abs=1e-3)
    assert p_alive(BG, 2, 30.43, 38.86) == pytest.approx(0.7266, abs=1e-3)


def test_bg_never_sees_a_one_time_buyer_leave_and_mbg_does() -> None:
    assert p_alive(BG, 0, 0.0, 39.0) == 1.0
    assert p_alive(MBG, 0, 0.0, 0.0) == pytest.approx(1.614 / (0.891 + 1.614))
    assert p_alive(MBG, 0, 0.0, 39.0) < 0.5


def likelihood(rate: float, leaving: float, timing: Timing, state: tuple[int, float, float]) -> tuple[float, float]:
    """How likely a customer's purchases are at a rate and a chance of leaving: as one who stayed, as one who left."""
    x, last, age = state
    k = x + 1 if timing.leaves_at_first else x
    stayed = (1 - leaving) ** k * rate**x * exp(-rate * age)
    left = leaving * (1 - leaving) ** (k - 1) * rate**x * exp(-rate * last) if k else 0.0
    return stayed, left


def integrated(timing: Timing, state: tuple[int, float, float], weeks: float) -> tuple[float, float, float]:
    """P(alive), P(return) and expected orders, by quadrature over rate and chance of leaving. No code of ours."""
    x, _, age = state
    points, weights = np.polynomial.legendre.leggauss(160)
    # Both ends of each density may be steep: substitute rate = (u / (1 - u))^4 scaled, p = v^4 / (v^4 + (1 - v)^4).
    u, w = (points + 1) / 2, weights / 2
    scale = (timing.r + x) / (timing.alpha + age)
    rate, d_rate = scale * (u / (1 - u)) ** 4, scale * 4 * u**3 / (1 - u) ** 5
    whole = u**4 + (1 - u) ** 4
    leaving, d_leaving = u**4 / whole, 4 * u**3 * (1 - u) ** 3 / whole**2
    of_rate = rate ** (timing.r - 1) * np.exp(-timing.alpha * rate) * d_rate * w
    of_leaving = leaving ** (timing.a - 1) * (1 - leaving) ** (timing.b - 1) * d_leaving * w
    sums = np.zeros(4)
    for lam, density in zip(rate, of_rate, strict=True):
        for p, other in zip(leaving, of_leaving, strict=True):
            stayed, left = likelihood(lam, p, timing, state)
            # Somebody still there buys, and after each purchase leaves with chance p.
            ahead = (1 - exp(-lam * p * weeks)) / p
            sums += density * other * np.array(
                [stayed + left, stayed, stayed * (1 - exp(-lam * weeks)), stayed * ahead]
            )  # fmt: skip
    return float(sums[1] / sums[0]), float(sums[2] / sums[0]), float(sums[3] / sums[0])


@pytest.mark.parametrize("timing", [MBG, BG], ids=["mbg", "bg"])
@pytest.mark.parametrize("state", [(0, 0.0, 39.0), (1, 4.0, 20.0), (3, 12.0, 12.5)])
def test_chances_and_orders_are_the_integrals_they_stand_for(timing: Timing, state: tuple[int, float, float]) -> None:
    alive, returns, orders = integrated(timing, state, 13.0)
    assert p_alive(timing, *state) == pytest.approx(alive, rel=1e-4)
    assert p_return(timing, *state, 13.0) == pytest.approx(returns, rel=1e-4)
    assert expected_orders(timing, *state, 13.0) == pytest.approx(orders, rel=1e-4)


@pytest.mark.parametrize(
    "timing",
    [
        MBG,
        BG,
        Timing(0.6, 7.0, 1.0, 1.3),
        WEEKLY,
        Timing(400.0, 400.0, 1.0, 0.05),
        Timing(3e4, 9e3, 5.0, 80.0),
        Timing(0.5, 6.0, 64.0, 442.0),
    ],
    ids=["mbg", "bg", "a is 1", "weekly", "weekly and a is 1", "more than three a week", "all leave alike"],
)
@pytest.mark.parametrize(("x", "tenure"), [(0, 0.0), (0, 40.0), (3, 20.0), (120, 60.0), (2_000, 20.0)])
def test_orders_without_discount_are_the_same_by_both_formulas(timing: Timing, x: int, tenure: float) -> None:
    """Closed form and quadrature: two routes to one number, also for heavy buyers and at a = 1."""
    by_nodes = discounted_orders_if_alive(timing, x, tenure, 156.0, 0.0)
    assert orders_if_alive(timing, x, tenure, 156.0) == pytest.approx(
        by_nodes, rel=1e-5 if timing.a < ALIKE_LEAVING else 1e-4
    )


@pytest.mark.parametrize(("a", "b"), [(0.9, 1.614), (0.05, 0.05), (5.0, 0.5), (1.3, 50.0)])
@pytest.mark.parametrize("x", [0, 20])
def test_who_buys_alike_comes_at_the_one_rate_until_they_leave(a: float, b: float, x: int) -> None:
    """At one rate l and a chance p of leaving at each purchase, (1 - exp(-l p w)) / p come; p ~ Beta(a, b + x + 1)."""
    alike, weeks = Timing(1e5, 1e5, a, b), 156.0
    density = beta_function(a, b + x + 1.0)

    def part(v: float) -> float:  # p = v^20: its density is steep at 0
        p = v**20
        return float(-np.expm1(-weeks * p) * p ** (a - 2.0) * (1 - p) ** (b + x) * 20 * v**19 / density)

    exact = quad(part, 0.0, 1.0, limit=400)[0]
    assert orders_if_alive(alike, x, 0.0, weeks) == pytest.approx(exact, rel=1e-3)
    assert discounted_orders_if_alive(alike, x, 0.0, weeks, 0.0) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("n", "stays", "leaves", "done"), [(0.7, 1.6, 0.9, 0.4), (30.0, 2.0, -0.3, 0.8), (5.0, 60.0, 8.0, 0.05)]
)
def test_the_mean_over_numbers_of_orders_is_eulers_form_of_the_series(
    n: float, stays: float, leaves: float, done: float
) -> None:
    euler = (1.0 - done) ** n * hyp2f1(n, stays, stays + leaves, done)
    assert thinned(n, stays, leaves, done) == pytest.approx(euler, rel=1e-11)


@STEADY
@given(
    st.floats(-1, 5), st.floats(-3, 1.8), st.floats(-3, 4), st.floats(-3, 4), st.integers(0, 300), st.floats(0.0, 300.0)
)
def test_nobody_is_expected_more_often_than_at_their_rate_if_they_never_left(
    r: float, rate: float, a: float, b: float, x: int, tenure: float
) -> None:
    """Whatever a fit may find: logarithms to base 10 of r, orders a week, a and b."""
    alpha = 10 ** (r - rate)
    timing, tenure = Timing(10**r, alpha, 10**a, 10**b), max(tenure, 1.0 + x / 7)
    most = (timing.r + x) / (alpha + tenure) * 156.0
    orders = orders_if_alive(timing, x, tenure, 156.0)
    assert 0.0 <= orders <= most * (1 + 1e-4)
    assert discounted_orders_if_alive(timing, x, tenure, 156.0, 0.0) == pytest.approx(orders, rel=0.06, abs=1e-9)


def test_the_two_forms_meet_where_one_takes_over() -> None:
    """Just above the border the series still gives the number, to nine digits."""
    above = Timing(MBG.a + MBG.b + ALIKE + 1e-9, 20.0, MBG.a, MBG.b)
    below = Timing(above.r - 2e-9, above.alpha, above.a, above.b)
    assert is_summed(above, 2)
    assert not is_summed(below, 2)
    assert orders_if_alive(above, 2, 9.0, 52.0) == pytest.approx(orders_if_alive(below, 2, 9.0, 52.0), rel=1e-8)
    now, then = (discounted_orders_if_alive(each, 2, 9.0, 52.0, 0.01) for each in (above, below))
    assert now == pytest.approx(then, rel=1e-4), "each by eight nodes of its own"


def test_discounted_orders_are_the_sum_of_small_steps() -> None:
    """What each day brings, times what a unit then is worth: 3 years by days, at 15 % a year."""
    rate = log(1.15) / 52
    days = [expected_orders(MBG, 3, 12.0, 20.0, day / 7) for day in range(1093)]
    worth = sum((b - a) * exp(-rate * (day + 0.5) / 7) for day, (a, b) in enumerate(pairwise(days)))
    of_alive = discounted_orders_if_alive(MBG, 3, 20.0, 156.0, rate)
    assert p_alive(MBG, 3, 12.0, 20.0) * of_alive == pytest.approx(worth, rel=1e-5)


@pytest.mark.parametrize(("x", "recency", "weeks"), [(0, 0, 13.0), (1, 4, 10.4), (3, 12, 10.8), (10, 38, 12.2)])
def test_p_alive_below_half_is_nearly_a_fixed_window(x: int, recency: float, weeks: float) -> None:
    """Why it is no trigger. The weeks were reckoned apart, on the same parameters."""
    silence = brentq(lambda silent: p_alive(MBG, x, recency, recency + silent) - 0.5, 0.0, 500.0)
    assert silence == pytest.approx(weeks, abs=0.06)


def test_half_of_those_who_stay_have_come_by_the_median() -> None:
    """The gap of somebody with rate ~ Gamma(n, al + T) has the tail ((al + T) / (al + T + s))^n."""
    median = next_order_quantile(MBG, 2, 30.0, 0.5)
    n, start = 0.525 + 2, 6.183 + 30.0
    density = quad(lambda s: n * start**n / (start + s) ** (n + 1), 0.0, median)[0]
    assert density == pytest.approx(0.5)


@pytest.mark.parametrize(("x", "recency", "tenure"), [(5_000, 50.0, 400.0), (20_000, 100.0, 100.0), (0, 0.0, 5_000.0)])
def test_heavy_and_ancient_customers_give_numbers(x: int, recency: float, tenure: float) -> None:
    """A plain power overflows here."""
    found = [p_alive(MBG, x, recency, tenure), expected_orders(MBG, x, recency, tenure, 52.0)]
    found += [next_order_quantile(MBG, x, tenure, 0.5), p_return(MBG, x, recency, tenure, 52.0)]
    assert all(isfinite(each) and each >= 0.0 for each in found)


@pytest.mark.parametrize("z", [0.0, 0.3, 0.9, 0.97])
def test_the_series_is_the_hypergeometric_function(z: float) -> None:
    assert gauss(0.891, 1.98, 6.5, z) == pytest.approx(hyp2f1(0.891, 1.98, 6.5, z), rel=1e-12)


@pytest.mark.parametrize("wrong", [0.0, -1.0, inf, float("nan")])
def test_parameters_that_mean_nothing_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="alpha: expected a finite number above 0"):
        Timing(0.5, wrong, 1.0, 1.0)


def test_the_density_of_leaving_is_a_density() -> None:
    """Of the test's own integrals: Beta(a, b) sums to one under their substitution."""
    points, weights = np.polynomial.legendre.leggauss(160)
    u = (points + 1) / 2
    whole = u**4 + (1 - u) ** 4
    p, slope = u**4 / whole, 4 * u**3 * (1 - u) ** 3 / whole**2
    total = float(np.sum(p ** (MBG.a - 1) * (1 - p) ** (MBG.b - 1) * slope * weights / 2))
    assert total == pytest.approx(beta_function(MBG.a, MBG.b), rel=1e-6)
