"""Regular customers: the closed forms against the incomplete beta function, and what they do to "overdue"."""

from __future__ import annotations

from math import log

import pytest
from scipy.special import betainc

from pipeline.core import rhythm, timing
from pipeline.core.rhythm import Gaps, Rhythm
from pipeline.core.timing import Timing

SHOP = Timing(1.42, 1.35, 0.036, 12.2)
HALF = Rhythm(SHOP, (0.4, 0.5, 0.1))
EVERY_WEEK = Gaps(20, 20.0, 0.0)
"""Twenty gaps of one week each: the sum of their logarithms is 0."""
ONCE_AND_AGAIN = Gaps(20, 20.0, 10 * log(0.02) + 10 * log(1.98))
"""Twenty gaps in as many weeks, half of them an hour or so."""


@pytest.mark.parametrize("k", rhythm.REGULARITIES)
@pytest.mark.parametrize("silence", [0.0, 0.3, 2.0, 30.0])
def test_the_tail_is_the_incomplete_beta_function(k: int, silence: float) -> None:
    """Gaps ~ Gamma(k, rate), rate ~ Gamma(n, start): their ratio is a beta prime."""
    n, start = SHOP.r + k * 5, SHOP.alpha / k + 8.0
    expected = 1.0 - betainc(k, n, silence / (start + silence))
    assert rhythm.tail(SHOP, k, 5, 8.0, silence) == pytest.approx(expected, rel=1e-9)


def test_all_irregular_is_the_plain_model() -> None:
    plain = Rhythm(SHOP, (1.0, 0.0, 0.0))
    returns, longer = rhythm.chances(plain, EVERY_WEEK, 3.0, 4.0)
    assert returns == pytest.approx(timing.p_return(SHOP, 20, 20.0, 23.0, 4.0))
    n, start = SHOP.r + 20, SHOP.alpha + 20.0
    assert longer == pytest.approx((start / (start + 3.0)) ** n)
    assert rhythm.rare_silence(plain, EVERY_WEEK, 0.01) == pytest.approx(start * (0.01 ** (-1 / n) - 1.0))


def test_the_same_number_of_purchases_in_the_same_time_is_overdue_sooner_when_they_were_regular() -> None:
    assert rhythm.regularity(HALF, EVERY_WEEK) == 4
    assert rhythm.regularity(HALF, ONCE_AND_AGAIN) == 1
    regular, irregular = (rhythm.rare_silence(HALF, each, 0.01) for each in (EVERY_WEEK, ONCE_AND_AGAIN))
    assert regular < irregular / 1.5


def test_a_regular_deadline_is_the_silence_that_the_stated_fraction_of_gaps_exceeds() -> None:
    silence = rhythm.rare_silence(HALF, EVERY_WEEK, 0.01)
    n, start = SHOP.r + 4 * 20, SHOP.alpha / 4 + 20.0
    assert 1.0 - betainc(4, n, silence / (start + silence)) == pytest.approx(0.01, rel=1e-6)


def test_a_deadline_is_drawn_to_the_longest_silence_by_two_purchases_of_theirs() -> None:
    """After 2 repeat purchases half of the way, in logarithms: of 4 weeks and 36, 12. After 20, an eleventh."""
    plain = Rhythm(SHOP, (1.0, 0.0, 0.0))
    for gaps, weight in ((Gaps(2, 3.0, 0.0), 2 / 4), (EVERY_WEEK, 20 / 22), (Gaps(1, 3.0, 0.0), 1 / 3)):
        rare = rhythm.rare_silence(plain, gaps, 0.05)
        found = rhythm.deadline(plain, gaps, 0.05, 9.0 * rare)
        assert found == pytest.approx(rare * 9.0 ** (1.0 - weight))


def test_who_bought_often_is_overdue_by_their_own_rhythm_whatever_the_longest_silence_is() -> None:
    plain, often = Rhythm(SHOP, (1.0, 0.0, 0.0)), Gaps(2_000, 2_000.0, 0.0)
    year, decade = (rhythm.deadline(plain, often, 0.01, weeks) for weeks in (52.0, 520.0))
    assert decade == pytest.approx(year, rel=0.003)


def test_one_order_shows_no_rhythm() -> None:
    """The 95 % point of CDNOW's newcomers is 1,857 weeks off: why the shop's own curve decides for them."""
    music = Rhythm(Timing(0.525, 6.183, 0.891, 1.614), (1.0, 0.0, 0.0))
    assert rhythm.rare_silence(music, Gaps(0, 0.0, 0.0), 0.05) == pytest.approx(1_857, rel=0.01)


def test_weights_are_shares_of_one() -> None:
    found = rhythm.weights(rhythm.fits(HALF, EVERY_WEEK), [0.4, 0.2, 0.1], 0.1)
    assert sum(found) == pytest.approx(1.0)
    assert max(found) == found[2]


def test_shares_that_do_not_make_one_are_refused() -> None:
    with pytest.raises(ValueError, match="three shares that make 1"):
        Rhythm(SHOP, (0.5, 0.5, 0.5))
