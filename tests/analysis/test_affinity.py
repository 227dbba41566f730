"""The shop's table of what goes with what: its figures by hand, and on a real shop's purchases it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import journey
from bench.affinity import hits
from pipeline.analysis.affinity import Measured, Tally
from pipeline.core.affinity import CATEGORIES_MAX, FOLLOWS_MAX, from_parameters
from pipeline.core.days import day_of
from pipeline.core.policy import DEFAULT
from tests.core.builders import order
from tests.core.lives import live
from tests.core.test_needs import answers_by_phone, lines


def measured(*customers: dict[str, float]) -> Measured:
    tally = Tally()
    for shares in customers:
        tally.add_shares(shares)
    return tally.measured()


def test_shares_are_means_over_customers_and_pairs_are_shrunk_to_what_is_usual() -> None:
    found = measured({"shoes": 0.5, "socks": 0.5}, {"shoes": 1.0}, {"hats": 1.0}, {"hats": 0.2, "socks": 0.4})
    usual = {"shoes": 1.5 / 4, "socks": 0.9 / 4, "hats": 1.2 / 4}
    assert {name: found.parameters[f">{name}"] for name in usual} == pytest.approx(usual)
    assert found.parameters["shoes>socks"] == pytest.approx((0.5 + 5 * usual["socks"]) / (2 + 5))
    assert "shoes>hats" not in found.parameters, "they buy fewer hats than others do"


def test_the_table_is_bounded_and_keeps_what_most_customers_buy() -> None:
    common = [{f"n{number:03}": 0.5, f"n{(number * 7) % 250:03}": 0.5} for number in range(250) for _ in range(2)]
    rare = [{f"rare {number}": 1.0} for number in range(300)]
    found = measured(*common, *rare)
    table = from_parameters(found.parameters)
    assert len(table.usual) == CATEGORIES_MAX
    assert not any(name.startswith("rare") for name in table.usual)
    assert max(len(each) for each in table.follows.values()) <= FOLLOWS_MAX
    assert found.diagnostics["categories_left_out"] == 250 + 300 - CATEGORIES_MAX


def test_the_order_of_customers_does_not_matter() -> None:
    customers = [{f"n{number % 9}": 0.1 * (number % 7 + 1), f"n{number % 5}": 0.3} for number in range(60)]
    one, other = measured(*customers), measured(*customers[::-1])
    assert one.parameters == pytest.approx(other.parameters)


def test_a_shop_without_categories_gets_an_empty_table_with_its_other_figures() -> None:
    told = [*answers_by_phone(0), order(20, "A", discount_minor=5), order(21, "B")]
    profile = live(told).profiles["c"]
    tally = Tally()
    tally.add(profile, DEFAULT, day_of(profile.as_of, "UTC"))
    found = tally.measured().parameters
    assert found == {"discounted_fraction": 0.5, "response_fraction": round(5 / (5 + 12), 9)}
    assert measured().parameters == {}


def test_a_customer_counts_with_the_shares_of_their_orders() -> None:
    told = [order(1, "A", **lines("shoes", "socks")), order(2, "B", **lines("shoes")), order(3, "C"), order(4, "D")]
    profile = live(told).profiles["c"]
    tally = Tally()
    tally.add(profile, DEFAULT, day_of(profile.as_of, "UTC"))
    found = tally.measured().parameters
    assert (found[">shoes"], found[">socks"]) == (0.5, 0.25)


# -- a real shop ------------------------------------------------------------------------------------------------------


def test_next_best_finds_the_next_basket_better_than_what_is_popular_and_new_categories_no_worse(
    journey_wheel: Path,
) -> None:
    """Complete Journey, 303 product categories, 800 households: half of them learned from, the others asked."""
    found = hits(journey.contents(journey_wheel)[:800], 120)
    assert found.asked > 300
    assert found.next_best - found.popular >= 0.05 * found.asked
    assert found.new_popular - found.new_next_best <= 0.02 * found.asked
