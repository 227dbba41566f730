"""What the orders to come may be and leave: closed forms against exact sums, and at their ends."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.ahead import COARSE, FINE, Grouping, Known, at_least, groups, margin_band, orders_band, spends_less
from pipeline.core.history import of_days
from pipeline.core.incomplete_beta import incomplete_beta
from pipeline.core.predict import Model, predict
from pipeline.core.rhythm import Rhythm
from pipeline.core.season import Season
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing, orders_if_alive, p_return_if_alive
from pipeline.core.width import width
from tests.core.lives import STEADY

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
SPEND = Spend(6.25, 3.74, 1_544.0)
YEARS = 156.0
OFTEN = Known(frequency=10, tenure=32.0, p_alive=0.88, spend_days=10, mean_margin_minor=1_200)
MODEL = Model(TIMING, SPEND, Rhythm(TIMING, (1.0, 0.0, 0.0)), level=0.05, fitted_on=0, second_order_weeks=28.6)


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


@pytest.mark.parametrize(
    "timing",
    [TIMING, Timing(600.0, 600.0, 0.9, 1.6), Timing(0.5, 6.0, 640.0, 4_420.0)],
    ids=["cdnow", "weekly subscribers", "all leave alike"],
)
@pytest.mark.parametrize("known", [OFTEN, Known(0, 10.0, 0.6, 0, 0.0), Known(3, 60.0, 0.9, 3, 900.0)])
def test_chances_of_so_many_or_more_add_up_to_the_orders_expected(timing: Timing, known: Known) -> None:
    """Which are reckoned by a hypergeometric function elsewhere: another route to the same number."""
    each = [at_least(timing, known, 52.0, orders) for orders in range(1, 400)]
    assert sum(each) == pytest.approx(orders_if_alive(timing, known.frequency, known.tenure, 52.0), rel=1e-3)


@pytest.mark.parametrize(
    ("r", "alpha", "a", "b"), [(0.0022, 0.002, 12.3, 0.5), (0.055, 0.03, 36.6, 2.7), (0.05, 0.01, 2.0, 9.0)]
)
def test_of_a_shop_where_hardly_anybody_comes_again_hardly_an_order_is_expected(
    r: float, alpha: float, a: float, b: float
) -> None:
    timing = Timing(r, alpha, a, b)
    each = [at_least(timing, Known(0, 0.0, 1.0, 0, 0.0), 52.0, orders) for orders in range(1, 4_000)]
    assert orders_if_alive(timing, 0, 0.0, 52.0) == pytest.approx(sum(each), rel=2e-2)


@pytest.mark.parametrize("grouping", [COARSE, FINE])
def test_the_chances_of_all_numbers_of_orders_are_one(grouping: Grouping) -> None:
    found = groups(TIMING, OFTEN, YEARS, grouping)
    assert sum(each.chance for each in found) == pytest.approx(1.0)
    assert [each.orders for each in found] == sorted({each.orders for each in found})


@pytest.mark.parametrize("known", [OFTEN, Known(0, 10.0, 0.6, 0, 0.0), Known(40, 52.0, 0.99, 40, 900.0)])
def test_nine_in_ten_have_no_more_orders_than_the_band_and_nine_in_ten_no_fewer(known: Known) -> None:
    """By counting up from none."""
    more_than = [known.p_alive * at_least(TIMING, known, 52.0, orders + 1) for orders in range(300)]
    tenth, ninth = (next(n for n, chance in enumerate(more_than) if chance <= share) for share in (0.9, 0.1))
    assert orders_band(TIMING, known, 52.0) == (tenth, ninth)


def test_who_has_left_brings_nothing() -> None:
    gone = OFTEN._replace(p_alive=0.0)
    assert orders_band(TIMING, gone, YEARS) == (0, 0)
    assert margin_band(TIMING, SPEND, gone, YEARS) == (0.0, 0.0)


def test_who_may_well_not_come_again_may_bring_nothing() -> None:
    """Chance of no order .4: a tenth end up with nothing, exactly."""
    low, high = margin_band(TIMING, SPEND, OFTEN._replace(p_alive=0.6), YEARS)
    assert low == 0.0 < high


def test_who_sends_everything_back_may_cost() -> None:
    """Ten days, each of which lost 3.00: most of those to come lose too."""
    spend = replace(SPEND, paying_fraction=0.9, poor_minor=-100.0)
    low, _ = margin_band(TIMING, spend, OFTEN._replace(spend_days=0, poor_days=10, poor_minor=-3_000), YEARS)
    assert low < -300.0


def test_the_longer_the_time_the_more_may_come() -> None:
    highs = [margin_band(TIMING, SPEND, OFTEN, weeks).high for weeks in (4.0, 13.0, 52.0, 156.0)]
    assert highs == sorted(highs)
    assert highs[0] < highs[-1] / 4


def test_bands_hold_what_is_expected_and_follow_the_season() -> None:
    """A month twice as busy all year round brings as many as two years do."""
    weekly = of_days(dict.fromkeys(range(9_900, 10_110, 7), 2_000))
    expected, found = predict(MODEL, weekly, 10_105), width(MODEL, weekly, 10_105)
    for orders, (low, high) in zip(expected.orders, found.orders, strict=True):
        assert low <= orders <= high
    for margin, band in zip(expected.margin_minor, found.margin_minor, strict=True):
        assert band.low <= margin <= band.high
    assert found.value_minor.low <= expected.value_minor <= found.value_minor.high
    busy = replace(MODEL, season=Season((2.0,) * 12, 1.0, 0))
    known = Known(weekly.frequency, weekly.tenure(10_105), expected.p_alive, weekly.spend_days, 2_000.0)
    assert width(busy, weekly, 10_105).orders[2] == orders_band(TIMING, known, 2 * 365 / 7)


def test_the_band_of_the_value_is_discounted_as_the_value_is() -> None:
    weekly = of_days(dict.fromkeys(range(9_900, 10_110, 7), 2_000))
    plain, dear = (replace(MODEL, discount=discount) for discount in (0.0, 0.05))
    worth = predict(dear, weekly, 10_105).value_minor / predict(plain, weekly, 10_105).value_minor
    bands = [width(model, weekly, 10_105).value_minor for model in (plain, dear)]
    assert worth < 0.5
    assert bands[1] == pytest.approx([worth * end for end in bands[0]], rel=0.005)
