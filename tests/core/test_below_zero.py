"""How likely somebody is to be worth less than nothing, at its ends; tests/analysis holds it against simulation."""

from __future__ import annotations

import pytest

from pipeline.core.ahead import Known
from pipeline.core.below_zero import p_below_zero
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
SPEND = Spend(6.25, 3.74, 1_544.0)
YEARS = 156.0
OFTEN = Known(frequency=10, tenure=32.0, p_alive=0.88, spend_days=10, mean_margin_minor=1_200, upkeep_minor=500)
OWES_MINOR = -2_000
DISCOUNT = 0.0027


def test_who_owes_nothing_and_costs_nothing_cannot_be_below_zero() -> None:
    assert p_below_zero(TIMING, SPEND, OFTEN._replace(upkeep_minor=0), 0, (YEARS, DISCOUNT)) == 0.0


def test_who_has_left_is_worth_what_they_were_so_far() -> None:
    gone = OFTEN._replace(p_alive=0.0)
    assert p_below_zero(TIMING, SPEND, gone, OWES_MINOR, (YEARS, DISCOUNT)) == 1.0
    assert p_below_zero(TIMING, SPEND, gone, 1, (YEARS, DISCOUNT)) == 0.0


def test_no_margin_makes_up_for_a_million() -> None:
    assert p_below_zero(TIMING, SPEND, OFTEN, -100_000_000, (YEARS, DISCOUNT)) == pytest.approx(1.0)


def test_the_more_is_lacking_and_the_more_an_order_costs_the_likelier_it_is() -> None:
    lacking = [p_below_zero(TIMING, SPEND, OFTEN, -each, (YEARS, 0.0)) for each in range(0, 90_000, 5_000)]
    costing = [
        p_below_zero(TIMING, SPEND, OFTEN._replace(upkeep_minor=each), OWES_MINOR, (YEARS, 0.0))
        for each in range(0, 3_000, 200)
    ]
    assert lacking == sorted(lacking)
    assert costing == sorted(costing)
