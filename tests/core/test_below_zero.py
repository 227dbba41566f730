"""How likely somebody is to be worth less than nothing: closed forms against exact sums, and at their ends."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.below_zero import Known, at_least, p_below_zero, spends_less
from pipeline.core.incomplete_beta import incomplete_beta
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing, p_return_if_alive
from tests.core.lives import STEADY

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
SPEND = Spend(6.25, 3.74, 1_544.0)
YEARS = 156.0
OFTEN = Known(
    frequency=10, tenure=32.0, p_alive=0.88, spend_days=10, mean_margin_minor=1_200, actual_minor=-2_000,
    upkeep_minor=500,
)  # fmt: skip


@STEADY
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 999))
def test_the_incomplete_beta_function_is_a_binomial_tail(a: int, b: int, permille: int) -> None:
    """I_x(a, b) is the chance of at least a successes in a + b - 1 trials of chance x (DLMF 8.17.5)."""
    x, trials = Fraction(permille, 1000), a + b - 1
    exact = sum(comb(trials, k) * x**k * (1 - x) ** (trials - k) for k in range(a, trials + 1))
    assert incomplete_beta(a, b, permille / 1000) == pytest.approx(float(exact), abs=1e-9)


@STEADY
@given(st.floats(0.1, 200), st.floats(0.1, 200), st.integers(0, 1024))
def test_it_mirrors_itself(a: float, b: float, parts: int) -> None:
    x = parts / 1024  # so that 1 - x is exact too
    assert incomplete_beta(a, b, x) + incomplete_beta(b, a, 1.0 - x) == pytest.approx(1.0, abs=1e-8)


def test_at_least_one_order_is_the_chance_of_return() -> None:
    expected = p_return_if_alive(TIMING, OFTEN.frequency, OFTEN.tenure, 13.0)
    assert at_least(TIMING, OFTEN, 13.0, 1) == pytest.approx(expected, abs=1e-9)


def test_more_orders_are_ever_less_likely() -> None:
    chances = [at_least(TIMING, OFTEN, YEARS, orders) for orders in range(1, 60)]
    assert chances == sorted(chances, reverse=True)


def test_two_orders_leave_less_than_an_amount_more_seldom_than_one() -> None:
    assert spends_less(SPEND, OFTEN, 2, 1_500) < spends_less(SPEND, OFTEN, 1, 1_500)
    assert spends_less(SPEND, OFTEN, 1, 0) == 0.0


def test_who_owes_nothing_and_costs_nothing_cannot_be_below_zero() -> None:
    assert p_below_zero(TIMING, SPEND, OFTEN._replace(actual_minor=0, upkeep_minor=0), YEARS, 0.0027) == 0.0


def test_who_has_left_is_worth_what_they_were_so_far() -> None:
    gone = OFTEN._replace(p_alive=0.0)
    assert p_below_zero(TIMING, SPEND, gone, YEARS, 0.0027) == 1.0
    assert p_below_zero(TIMING, SPEND, gone._replace(actual_minor=1), YEARS, 0.0027) == 0.0


def test_no_margin_makes_up_for_a_million() -> None:
    assert p_below_zero(TIMING, SPEND, OFTEN._replace(actual_minor=-100_000_000), YEARS, 0.0027) == pytest.approx(1.0)


def test_the_more_is_lacking_and_the_more_an_order_costs_the_likelier_it_is() -> None:
    lacking = [
        p_below_zero(TIMING, SPEND, OFTEN._replace(actual_minor=-each), YEARS, 0.0) for each in range(0, 90_000, 5_000)
    ]
    costing = [
        p_below_zero(TIMING, SPEND, OFTEN._replace(upkeep_minor=each), YEARS, 0.0) for each in range(0, 3_000, 200)
    ]
    assert lacking == sorted(lacking)
    assert costing == sorted(costing)
