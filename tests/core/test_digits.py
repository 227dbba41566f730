"""A figure is shown as `round` would have it, also where half of the last digit is at stake."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.digits import DIGITS, shown
from tests.core.lives import STEADY

_HALVES = st.integers(0, 10**13).map(lambda whole: (whole + 0.5) / 1e9)


@STEADY
@given(st.one_of(st.floats(0, 1), st.floats(0, 1e18), _HALVES))
def test_a_figure_is_shown_as_round_has_it(figure: float) -> None:
    assert repr(shown(figure)) == repr(round(figure, DIGITS))


@pytest.mark.parametrize("whole", range(2_000))
def test_half_of_the_last_digit_goes_where_round_puts_it(whole: int) -> None:
    figure = (whole * 1_000_003 + 0.5) / 1e9
    assert shown(figure) == round(figure, DIGITS)


def test_what_is_no_number_is_shown_as_it_is() -> None:
    assert shown(inf) == inf
    assert isnan(shown(nan))
