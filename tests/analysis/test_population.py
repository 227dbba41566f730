"""Cuts from sketches, near the exact ones whatever the partitions and the order of merging; what tiers foretell."""

from __future__ import annotations

import random
from math import floor

import numpy as np
import pytest
from ddsketch import DDSketch
from msgspec.structs import replace

from bench.histories import day as date_of
from pipeline.analysis.fit import Fitted, fit_model
from pipeline.analysis.population import (
    ACCURACY,
    ALIKE_MIN,
    CUSTOMERS_MIN,
    Customers,
    Sketches,
    ahead_of,
    gaps_of,
    measured,
)
from pipeline.analysis.purchases import Purchases, bought_between, states_on
from pipeline.analysis.score import score
from pipeline.core.outlook import Outlook, ahead_minor, gap_minor, potential_minor, upkeep_minor
from pipeline.core.policy import DEFAULT
from pipeline.core.population import (
    EVERY,
    FIFTHS,
    GRID,
    Population,
    alike,
    from_parameters,
    tenure_class,
    to_parameters,
)
from pipeline.core.profile import Tier
from pipeline.core.rfm import Habits, rfm
from pipeline.core.tier import Drags, Figures, told
from pipeline.core.tier_lines import lines_of

NO_DRAGS = Drags(0, 0, 0, 0, 0)


def somebody(chance: random.Random, segment: str = "email") -> tuple[Outlook, Habits]:
    expected = chance.lognormvariate(8, 1.2)
    return (
        Outlook(
            actual_minor=round(chance.gauss(2_000, 3_000)), expected_minor=expected, orders_ahead=expected / 1_500,
            p_return=chance.random(), orders=chance.randrange(1, 20), upkeep_minor=chance.randrange(3_000),
            serve_minor=chance.randrange(400), segment=segment, tenure=chance.randrange(5),
            categories=chance.randrange(1, 9),
        ),
        Habits(chance.randrange(400), chance.randrange(1, 12), chance.randrange(50_000)),
    )  # fmt: skip


def divided(people: list[tuple[Outlook, Habits]], partitions: int) -> list[Customers]:
    parts = [Customers() for _ in range(partitions)]
    for number, (outlook, habits) in enumerate(people):
        parts[number % partitions].add(outlook, habits)
    return parts


def exact(figures: list[float], permille: int) -> float:
    """The figure that so many thousandths are at or below: the lower quantile, as the sketch defines it."""
    return sorted(figures)[floor(permille / 1000 * (len(figures) - 1))]


def is_near(found: int, true: float) -> bool:
    """Within the stated error, and rounded to a whole number."""
    return abs(found - true) <= ACCURACY * abs(true) + 0.5


def is_line(found: int, true: float) -> bool:
    """Within the bin, at one of its ends, and a whole number."""
    return abs(found - true) <= 2 * ACCURACY * abs(true) + 1


@pytest.mark.parametrize("shape", ["lognormal", "with losses", "few values"])
def test_a_cut_is_within_its_stated_error_of_the_exact_one(shape: str) -> None:
    chance = random.Random(shape)
    draw = {
        "lognormal": lambda: chance.lognormvariate(8, 2),
        "with losses": lambda: chance.gauss(500, 4_000),
        "few values": lambda: float(chance.randrange(12)),
    }[shape]
    figures = [draw() for _ in range(20_000)]
    sketches = Sketches()
    sketches.add("figure", np.array(figures))
    for permille in GRID:
        true = exact(figures, permille)
        assert is_near(sketches.cut("figure", permille), true)


@pytest.mark.parametrize("shape", ["wide", "whole numbers", "edges of bins", "around zero"])
def test_figures_by_the_array_fill_the_bins_that_the_library_fills_one_by_one(shape: str) -> None:
    """Scaled up, so that each of 999 cuts shows its bin in spite of being rounded; `edges`: to a last digit or two."""
    chance = np.random.default_rng(11)
    edge = (1.005 / 0.995) ** chance.integers(400, 2_000, 3_000)
    figures = {
        "wide": chance.normal(0.0, 1.0, 3_000) * 10.0 ** chance.uniform(2, 12, 3_000),
        "whole numbers": chance.integers(-2_000, 3_000, 3_000).astype(float),
        "edges of bins": np.concatenate([edge, np.nextafter(edge, 0.0), np.nextafter(edge, np.inf), -edge]),
        "around zero": np.array([0.0, -0.0, 1e-320, -1e-320, 1e-300, 1e-200, 1.0, -1.0, 1e6, -1e6] * 9),
    }[shape]
    library, sketches = DDSketch(ACCURACY), Sketches()
    for figure in figures.tolist():
        library.add(figure)
    sketches.add("figure", figures[::2])
    sketches.add("figure", figures[1::2])
    for permille in range(1, 1_000):
        assert sketches.cut("figure", permille) == round(library.get_quantile_value(permille / 1_000))


def test_gaps_by_the_array_are_those_of_the_core_customer_by_customer() -> None:
    """Some in no category, some of a segment that is not told apart, some of whom less than nothing is expected."""
    chance = random.Random(12)
    people = [somebody(chance, ("email", "search", "rare")[number % 3]) for number in range(3_000)]
    people = [
        (replace(each, categories=chance.randrange(4), upkeep_minor=chance.randrange(30_000)), bought)
        for each, bought in people
    ]
    population = measured(divided(people, 1), 20_500)
    assert isinstance(population, Population)
    apart = ("email", "search", EVERY)
    known = divided(people, 1)[0].told_apart(apart)
    ahead = ahead_of(known, 300)
    gaps = gaps_of(known, ahead, apart, population)
    assert (ahead < 0).any()
    assert (gaps > 0).any()
    for (each, _), mine, gap in zip(people, ahead.tolist(), gaps.tolist(), strict=True):
        core = replace(each, segment=each.segment if each.segment in apart else EVERY)
        assert mine == ahead_minor(core, upkeep_minor(core, 300))
        assert gap == gap_minor(core.p_return, mine, potential_minor(core, mine, population))


def test_neither_partitions_nor_the_order_of_merging_change_a_cut() -> None:
    chance = random.Random(5)
    people = [somebody(chance, ("email", "search", "none")[number % 3]) for number in range(3_000)]
    whole = measured(divided(people, 1), 20_500)
    assert isinstance(whole, Population)
    for partitions in (2, 8):
        chance.shuffle(people)
        parts = divided(people, partitions)
        assert measured(parts, 20_500) == whole
        assert measured(parts[::-1], 20_500) == whole


def test_a_measured_population_is_what_all_customers_at_once_say() -> None:
    chance = random.Random(6)
    people = [somebody(chance) for _ in range(4_000)]
    found = measured(divided(people, 4), 20_500)
    assert isinstance(found, Population)
    assert from_parameters(to_parameters(found)) == found
    ahead = [ahead_minor(each, upkeep_minor(each, found.upkeep_minor)) for each, _ in people]
    assert found.customers == 4_000
    worth = [each.actual_minor + mine for (each, _), mine in zip(people, ahead, strict=True)]
    serve = [each.serve_minor for each, _ in people]
    for place, permille in enumerate(GRID):
        assert is_line(found.value[place], exact(worth, permille))
        assert is_line(found.serve[place], exact(serve, permille))
    for place, permille in enumerate(FIFTHS):
        assert found.frequency[place] == exact([each.purchase_days for _, each in people], permille)
        assert is_line(found.recency[place], exact([-each.days_since_purchase for _, each in people], permille))
    assert is_line(found.best_ahead_minor[alike(EVERY, EVERY)], exact(ahead, 900))
    for tenure in range(5):
        mine = [own for (each, _), own in zip(people, ahead, strict=True) if each.tenure == tenure]
        assert is_line(found.best_ahead_minor[alike("email", tenure)], exact(mine, 900))
        assert found.alike_customers[alike("email", tenure)] == len(mine)
    assert found.alike_customers[alike(EVERY, EVERY)] == 4_000


def test_groups_too_small_to_say_something_are_not_named_and_few_customers_have_no_cuts() -> None:
    chance = random.Random(7)
    people = [somebody(chance, "rare") for _ in range(CUSTOMERS_MIN)]
    found = measured(divided(people, 2), 20_500)
    assert isinstance(found, Population)
    assert set(found.best_ahead_minor) == {alike(EVERY, EVERY)}
    refused = measured(divided(people[1:], 2), 20_500)
    assert (
        refused
        == f"expected at least {CUSTOMERS_MIN} customers who bought and have a forecast, got {CUSTOMERS_MIN - 1}"
    )
    assert ALIKE_MIN > CUSTOMERS_MIN


def test_of_very_many_segments_the_largest_are_told_apart_however_customers_are_divided() -> None:
    """A hundred channels, the lower numbers larger, each large enough for cuts: 64 have them, the rest are in all's."""
    chance = random.Random(8)
    people = [somebody(chance, f"channel-{number:02}") for number in range(100) for _ in range(160 - number)]
    people = [(replace(outlook, tenure=0), bought) for outlook, bought in people]
    found = measured(divided(people, 1), 20_500)
    assert isinstance(found, Population)
    named = {group.rpartition("/")[0] for group in found.best_categories} - {EVERY}
    assert named == {f"channel-{number:02}" for number in range(64)}
    for partitions in (2, 5):
        chance.shuffle(people)
        assert measured(divided(people, partitions), 20_500) == found


FLAT = (1, 7, 99, 100, 101, 2_990, 2_999, 3_005, 4_990, 4_999, 9_000, 9_900, 9_999, 10_000, 10_050, 10_100, 12_345)
"""Prices of a shop that has one: ends in 99, 00, or whatever."""


def told_of(figures: list[tuple[int, int]]) -> tuple[Population, list[tuple[Tier, int]]]:
    """The tier and the monetary score of customers worth and spending so much, who are served at so much an order."""
    people = [
        (Outlook(worth, 0.0, 0.0, 0.6, 3, 3 * served, served, "none", 2, 0), Habits(10, 3, worth))
        for worth, served in figures
    ]
    population = measured(divided(people, 2), 20_500)
    assert isinstance(population, Population)
    found = []
    for outlook, habits in people:
        seen = Figures(outlook.actual_minor, 0, 0, 0.6, outlook.serve_minor, 0.95, None, Drags(1_000, 0, 0, 0, 0))
        seen = replace(seen, p_below_zero=None if outlook.serve_minor == 0 else 0.95)
        found.append(
            (told(seen, lines_of(population, DEFAULT.tiers)[Tier.UNKNOWN])[0], rfm(population, habits).monetary)
        )
    return population, found


@pytest.mark.parametrize("price", FLAT)
def test_where_everybody_is_worth_the_same_everybody_reaches_every_line(price: int) -> None:
    assert set(told_of([(price, 0)] * 300)[1]) == {(Tier.MVC, 5)}


@pytest.mark.parametrize("price", FLAT[2:])
def test_where_six_in_ten_have_paid_the_one_price_they_reach_what_is_the_shops_best_and_the_others_do_not(
    price: int,
) -> None:
    """Two fifths are below: the price is at the upper two cuts of the fifths, and at the line of the best."""
    rich, poor = (price, 0), (price // 2, 0)
    found = told_of([rich] * 180 + [poor] * 120)[1]
    assert set(found[:180]) == {(Tier.MVC, 5)}
    assert {tier for tier, _ in found[180:]} == {Tier.REST}
    assert {score for _, score in found[180:]} <= {2, 3}


@pytest.mark.parametrize("cost", FLAT)
def test_where_serving_everybody_costs_the_same_nobody_is_dearer_than_is_usual(cost: int) -> None:
    assert {tier for tier, _ in told_of([(0, cost)] * 300)[1]} == {Tier.REST}
    assert {tier for tier, _ in told_of([(0, cost)] * 290 + [(0, 2 * cost)] * 10)[1][290:]} == {Tier.BZ}


@pytest.mark.parametrize("shape", ["around zero", "small", "large"])
def test_a_line_is_reached_by_whom_the_exact_one_says_and_by_a_hundredth_below(shape: str) -> None:
    chance = random.Random(shape)
    draw = {
        "around zero": lambda: chance.randrange(-3_000, 3_000), "small": lambda: chance.randrange(12),
        "large": lambda: round(chance.lognormvariate(11, 1)),
    }[shape]  # fmt: skip
    figures = [draw() for _ in range(10_000)]
    sketches = Sketches()
    sketches.add("figure", np.array(figures, float))
    for permille, reached, exceeded in zip(
        GRID, sketches.reached("figure", GRID), sketches.exceeded("figure", GRID), strict=True
    ):
        true = exact(figures, permille)
        assert true - 2 * ACCURACY * abs(true) - 1 <= reached <= true <= exceeded <= true + 2 * ACCURACY * abs(true) + 1


# -- on real shops -----------------------------------------------------------------------------------------------------


def tiers_on(purchases: Purchases, day: int) -> tuple[np.ndarray, np.ndarray]:
    """Everybody's tier on a day, told by what was known then (no costs), and who they are."""
    fitted = fit_model(purchases, day, alarms_a_week=20.0)
    assert isinstance(fitted, Fitted)
    model, states = fitted.model, states_on(purchases, day)
    scores = score(model, states, day)
    known = purchases.day <= day
    spent = np.bincount(purchases.customer[known], purchases.margin_minor[known])[states.customer]
    outlooks = [
        Outlook(
            round(spent[place]), scores.value_minor[place], 1.0, float(scores.p_return[place]),
            int(states.counts.frequency[place]) + 1, 0, 0, "none", tenure_class(states.counts.tenure[place]), 0,
        )
        for place in range(len(states.customer))
    ]  # fmt: skip
    population = measured([_all(outlooks)], day)
    assert isinstance(population, Population)
    tiers = []
    for outlook in outlooks:
        ahead = ahead_minor(outlook, upkeep_minor(outlook, population.upkeep_minor))
        figures = Figures(
            outlook.actual_minor, ahead, potential_minor(outlook, ahead, population), outlook.p_return, 0, None, None,
            NO_DRAGS,
        )  # fmt: skip
        tiers.append(told(figures, lines_of(population, DEFAULT.tiers)[Tier.UNKNOWN])[0])
    return np.array(tiers), states.customer


def _all(outlooks: list[Outlook]) -> Customers:
    customers = Customers()
    for outlook in outlooks:
        customers.add(outlook, Habits(0, 1, 0))
    return customers


def spent_in(purchases: Purchases, customers: np.ndarray, first: int, last: int) -> np.ndarray:
    within = (purchases.day > first) & (purchases.day <= last)
    totals = np.bincount(purchases.customer[within], purchases.margin_minor[within], int(purchases.customer.max()) + 1)
    return totals[customers]


def test_on_complete_journey_the_most_valuable_go_on_spending_most_and_the_most_growable_grow_most(
    weekly: Purchases,
) -> None:
    day = date_of(2017, 6, 30)
    tiers, customers = tiers_on(weekly, day)
    before, after = spent_in(weekly, customers, day - 182, day), spent_in(weekly, customers, day, day + 182)
    mean = {tier: after[tiers == tier].mean() for tier in (Tier.MVC, Tier.MGC, Tier.REST)}
    growth = {tier: after[tiers == tier].sum() / before[tiers == tier].sum() for tier in mean}
    assert mean[Tier.MVC] > 3 * after[tiers != Tier.MVC].mean()
    assert growth[Tier.MGC] > 1.25 * growth[Tier.REST] > growth[Tier.MVC]
    assert 0.12 < (tiers == Tier.MVC).mean() < 0.18


def test_on_cdnow_later_value_and_return_fall_from_tier_to_tier(master: Purchases) -> None:
    day = date_of(1997, 9, 30)
    tiers, customers = tiers_on(master, day)
    later = spent_in(master, customers, day, day + 273)
    returned = bought_between(master, customers, day, 273) > 0
    order = (Tier.MVC, Tier.MGC, Tier.REST)
    means, returns = ([figure[tiers == tier].mean() for tier in order] for figure in (later, returned))
    assert means == sorted(means, reverse=True)
    assert returns == sorted(returns, reverse=True)
    assert returns[0] > 0.8 > 2 * returns[2]
    best = later >= np.quantile(later, 0.85)
    reached = [best[tiers == tier].mean() for tier in order]
    assert reached[1] > 1.5 * reached[2], "from most growable to the best more often than from the rest"


def test_cdnow_scored_by_its_own_fifths_fills_62_of_the_125_cells(master: Purchases) -> None:
    """Up to the end of September 1997. Six in ten bought once, so nobody scores below 3 for how often."""
    day = date_of(1997, 9, 30)
    known = master.day <= day
    who, at, spent = master.customer[known], master.day[known], master.margin_minor[known]
    people = [
        Habits(int(day - at[rows].max()), len(rows), round(spent[rows].sum()))
        for rows in np.split(np.arange(len(who)), np.flatnonzero(np.diff(who)) + 1)
    ]
    customers = Customers()
    for habits in people:
        customers.add(Outlook(0, 0.0, 0.0, 0.0, 1, 0, 0, "none", 0, 0), habits)
    population = measured([customers], day)
    assert isinstance(population, Population)
    assert population.frequency == (1, 1, 2, 3)
    scores = [rfm(population, habits) for habits in people]
    assert {each.frequency for each in scores} == {3, 4, 5}
    assert abs(len({each[:3] for each in scores}) - 62) <= 1, "cuts of recency and spend are within their error"
