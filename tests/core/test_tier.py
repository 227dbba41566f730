"""Where the lines between tiers run, from numbers alone."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from pipeline.core.policy import DEFAULT
from pipeline.core.population import GRID, Population
from pipeline.core.profile import Tier
from pipeline.core.tier import Drags, Figures, Why, settled, told
from pipeline.core.tier_lines import lines_of
from pipeline.schemas import views
from pipeline.telling_tier import TIER_REASONS, TIERS
from tests.core.builders import policy

RULES = DEFAULT.tiers
HUNDREDS = tuple(permille * 10 for permille in GRID)
SHOP = Population(
    measured_on=20_500, customers=1_000, value=HUNDREDS, gap=HUNDREDS, serve=tuple(each // 100 for each in HUNDREDS),
    upkeep_minor=0, recency=(), frequency=(), monetary=(),
)  # fmt: skip
"""Of a hundred, 85 are worth less than 8,500, 70 fall short of the best by less than 7,000, 75 cost less than 75."""
NONE = Drags(0, 0, 0, 0, 0)


def figures(**changes: Any) -> Figures:
    """Somebody worth 3,000 in all, likely to come back, with nothing to grow into."""
    usual: dict[str, Any] = {
        "actual_minor": 1_000, "ahead_minor": 2_000, "potential_minor": 2_000, "p_return": 0.7, "serve_minor": 40,
        "p_below_zero": None, "p_below_zero_usual": None, "drags": NONE,
    }  # fmt: skip
    return Figures(**(usual | changes))


def tier_of(held: Tier = Tier.UNKNOWN, rules: Any = RULES, **changes: Any) -> tuple[Tier, Why]:
    return told(figures(**changes), lines_of(SHOP, rules)[held])


def test_who_is_neither_among_the_best_nor_far_from_them_is_one_of_the_rest() -> None:
    assert tier_of() == (Tier.REST, Why.USUAL)


@pytest.mark.parametrize(
    ("actual", "p_return", "expected"),
    [
        (6_500, 0.51, (Tier.MVC, Why.MOST_VALUABLE)),
        (6_499, 0.51, (Tier.REST, Why.USUAL)),
        (6_500, 0.50, (Tier.REST, Why.VALUABLE_BUT_LEAVING)),
    ],
)
def test_the_best_fifteen_in_a_hundred_who_are_likely_to_come_back_are_most_valuable(
    actual: int, p_return: float, expected: tuple[Tier, Why]
) -> None:
    assert tier_of(actual_minor=actual, p_return=p_return) == expected


def test_the_widest_gaps_of_those_who_may_well_come_back_are_the_most_growable() -> None:
    """A gap of 10,000 counts 7,000 at a chance of .7: just as wide as the upper three in ten of the shop."""
    assert tier_of(potential_minor=12_000) == (Tier.MGC, Why.ROOM_TO_GROW)
    assert tier_of(potential_minor=11_999)[0] is Tier.REST
    assert tier_of(potential_minor=12_000, p_return=0.69)[0] is Tier.REST


def test_who_is_worth_nothing_is_not_growable_however_wide_the_gap() -> None:
    assert tier_of(actual_minor=-2_000, potential_minor=90_000)[0] is Tier.REST


def test_most_valuable_comes_before_most_growable() -> None:
    assert tier_of(actual_minor=6_500, potential_minor=90_000)[0] is Tier.MVC


SERVICE = Drags(service=500, acquisition=100, discounts=0, refunds=0, keeping=0)


@pytest.mark.parametrize(
    ("p_below_zero", "serve", "expected"),
    [
        (0.81, 76, (Tier.BZ, Why.COSTS_MORE_TO_SERVE)),
        (0.80, 76, (Tier.REST, Why.USUAL)),
        (0.81, 75, (Tier.REST, Why.BELOW_ZERO_SERVICE)),
        (None, 900, (Tier.REST, Why.USUAL)),
    ],
)
def test_below_zero_asks_for_certainty_and_for_a_cost_to_serve_above_the_usual(
    p_below_zero: float | None, serve: int, expected: tuple[Tier, Why]
) -> None:
    assert tier_of(p_below_zero=p_below_zero, serve_minor=serve, drags=SERVICE) == expected


@pytest.mark.parametrize(
    ("drags", "why"),
    [
        (Drags(1, 900, 0, 0, 0), Why.BELOW_ZERO_ACQUISITION),
        (Drags(1, 100, 900, 0, 0), Why.BELOW_ZERO_DISCOUNTS),
        (Drags(1, 100, 0, 900, 0), Why.BELOW_ZERO_REFUNDS),
        (Drags(1, 100, 0, 0, 900), Why.BELOW_ZERO_KEEPING),
        (NONE, Why.BELOW_ZERO_MARGIN),
    ],
)
def test_below_zero_for_another_reason_is_said_with_it_and_is_no_tier(drags: Drags, why: Why) -> None:
    serve = 76 if any(drags) else 0
    assert tier_of(p_below_zero=0.9, p_below_zero_usual=0.9, serve_minor=serve, drags=drags) == (Tier.REST, why)


def test_who_would_not_be_below_zero_at_the_usual_cost_is_so_for_what_serving_them_costs() -> None:
    drags = Drags(400, 900, 0, 0, 0)
    assert tier_of(p_below_zero=0.9, p_below_zero_usual=0.3, serve_minor=76, drags=drags)[0] is Tier.BZ


# -- nobody flickers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "changes"),
    [
        (Tier.MVC, {"actual_minor": 8_500 * 9 // 10 - 2_000, "p_return": 0.41}),
        (Tier.MGC, {"potential_minor": 11_000}),
        (Tier.BZ, {"p_below_zero": 0.71, "serve_minor": 68, "drags": SERVICE}),
    ],
)
def test_a_tier_is_kept_while_its_lines_are_missed_by_a_tenth_at_most(held: Tier, changes: dict[str, Any]) -> None:
    assert tier_of(held, **changes)[0] is held
    assert tier_of(Tier.REST, **changes)[0] is Tier.REST
    strict = policy(tiers__slack_permille=0).tiers
    assert tier_of(held, strict, **changes)[0] is Tier.REST


def test_a_rise_counts_at_once_and_a_fall_only_a_month_after_the_last_move() -> None:
    fall, rise = (Tier.REST, Why.USUAL), (Tier.MVC, Why.MOST_VALUABLE)
    assert settled(Tier.MVC, 29, fall, RULES) is Tier.MVC
    assert settled(Tier.MVC, 30, fall, RULES) is Tier.REST
    assert settled(Tier.REST, 0, rise, RULES) is Tier.MVC
    assert settled(Tier.UNKNOWN, 0, (Tier.BZ, Why.COSTS_MORE_TO_SERVE), RULES) is Tier.BZ


def test_tiers_and_reasons_are_the_contracts_and_each_has_words() -> None:
    assert {tier.label for tier in Tier} == set(get_args(views.TierName)) == set(TIERS)
    assert {why.label for why in Why} == set(get_args(views.TierReason)) == set(TIER_REASONS)
