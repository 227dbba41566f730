"""The shop's cuts: from one number to the next, through the log and back, and what is no population is none."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.core.controls import INITIAL, adopt, from_entries, to_entries
from pipeline.core.population import (
    EVERY,
    FIFTHS,
    GRID,
    SCOPE,
    BadPopulation,
    Population,
    alike,
    at,
    best,
    compared_with,
    from_parameters,
    tenure_class,
    to_parameters,
)
from pipeline.schemas import logged
from tests.core.builders import day

TENTHS = tuple(permille * 10 for permille in GRID)
SHOP = Population(
    measured_on=20_500, customers=1_000, value=TENTHS, gap=TENTHS, serve=TENTHS, upkeep_minor=120,
    recency=(-200, -100, -50, -10), frequency=(1, 1, 2, 3), monetary=(500, 900, 2_000, 5_000),
    best_ahead_minor={alike(EVERY, EVERY): 7_000, alike(EVERY, 2): 6_000, alike("email", 2): 5_000},
    best_categories={alike(EVERY, EVERY): 4}, alike_customers={alike(EVERY, 2): 90, alike("email", 2): 60},
)  # fmt: skip


def measured(on: float, population: Population = SHOP) -> logged.ModelFitted:
    """The control that puts a population into force."""
    return logged.ModelFitted(fitted_at=day(on), scope=SCOPE, parameters=to_parameters(population))


def test_a_cut_between_two_of_the_grid_is_the_part_between() -> None:
    assert (at(TENTHS, 850), at(TENTHS, 875), at(TENTHS, 900)) == (8_500, 8_750, 9_000)
    assert (at(TENTHS, 1), at(TENTHS, 999)) == (500, 9_500)


def test_customers_are_compared_with_the_nearest_group_that_is_large_enough() -> None:
    assert [best(SHOP.best_ahead_minor, alike(segment, 2), 2) for segment in ("email", "search")] == [5_000, 6_000]
    assert best(SHOP.best_ahead_minor, alike("email", 3), 3) == 7_000
    assert best({}, alike("email", 3), 3) == 0


@pytest.mark.parametrize(
    ("segment", "tenure", "group"),
    [("email", 2, ("email", 2)), ("search", 2, (EVERY, 2)), ("email", 3, (EVERY, EVERY))],
)
def test_whom_customers_are_compared_with_can_be_named(segment: str, tenure: int, group: tuple[str, int]) -> None:
    assert compared_with(SHOP.best_ahead_minor, segment, tenure) == group
    assert best(SHOP.best_ahead_minor, alike(segment, tenure), tenure) == SHOP.best_ahead_minor[alike(*group)]
    assert compared_with({}, segment, tenure) is None


def test_tenure_is_told_by_quarters_first_and_then_by_years() -> None:
    assert [tenure_class(weeks) for weeks in (0, 12.9, 13, 30, 60, 104, 900)] == [0, 0, 1, 2, 3, 4, 4]


def test_a_population_comes_through_the_log_as_it_was_and_survives_a_restart() -> None:
    control = logged.decode(logged.encode(measured(1)))
    controls = adopt(INITIAL, control)
    assert controls.population == SHOP
    assert from_entries(to_entries(controls)).population == SHOP


def test_an_older_population_changes_nothing_and_a_newer_one_counts() -> None:
    controls = adopt(INITIAL, measured(5))
    assert adopt(controls, measured(4, replace(SHOP, customers=7))) is controls
    later = adopt(controls, measured(6, replace(SHOP, customers=7))).population
    assert later is not None
    assert later.customers == 7


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"value.850": None}, "parameters: expected value.850, got none"),
        ({"value.850": 0.0}, "value: expected cuts from low to high"),
        ({"upkeep_minor": float("nan")}, "parameters: expected finite numbers"),
        ({"gap.050": float("inf")}, "gap.050: expected at most 1e\\+15 either way, got inf"),
        ({"upkeep_minor": -1e300}, "upkeep_minor: expected at most 1e\\+15 either way"),
        ({"best_ahead_minor/*/*": 1e18}, "best_ahead_minor/\\*/\\*: expected at most 1e\\+15 either way"),
    ],
)
def test_what_is_no_population_is_refused_by_name_and_is_none_in_force(
    wrong: dict[str, float | None], problem: str
) -> None:
    numbers = to_parameters(SHOP) | wrong
    bad = {name: each for name, each in numbers.items() if each is not None}
    with pytest.raises(BadPopulation, match=problem):
        from_parameters(bad)
    control = logged.ModelFitted(fitted_at=day(1), scope=SCOPE, parameters=bad)
    assert adopt(INITIAL, control).population is None


def test_every_cut_is_named() -> None:
    assert len(to_parameters(SHOP)) == 3 + 3 * len(GRID) + 3 * len(FIFTHS) + 4 + 2
