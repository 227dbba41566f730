"""What somebody is expected to be worth after their upkeep, and what they might be worth: arithmetic on few numbers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.core.outlook import BREADTH_MAX, Outlook, ahead_minor, gap_minor, potential_minor, upkeep_minor
from pipeline.core.population import EVERY, alike
from tests.core.test_population import SHOP

KNOWN = Outlook(
    actual_minor=5_000, expected_minor=4_000.0, orders_ahead=2.5, p_return=0.4, orders=3, upkeep_minor=900,
    serve_minor=300, segment="email", tenure=2, categories=0,
)  # fmt: skip


def test_upkeep_is_as_so_far_drawn_to_the_usual_by_two_orders() -> None:
    assert upkeep_minor(KNOWN, 100) == (900 + 2 * 100) / (3 + 2)
    assert upkeep_minor(replace(KNOWN, orders=300, upkeep_minor=90_000), 100) == pytest.approx(300, abs=2)


def test_what_is_expected_has_its_upkeep_taken_off() -> None:
    assert ahead_minor(KNOWN, upkeep_minor(KNOWN, 100)) == 4_000 - round(2.5 * 220)


def test_potential_is_that_of_the_best_tenth_of_those_alike_and_never_less_than_expected() -> None:
    """5,000 through e-mail and as long here; 6,000 as long here; 7,000 of all."""
    assert potential_minor(KNOWN, 3_450, SHOP) == 5_000
    assert potential_minor(replace(KNOWN, segment="search"), 3_450, SHOP) == 6_000
    assert potential_minor(replace(KNOWN, tenure=4), 3_450, SHOP) == 7_000
    assert potential_minor(KNOWN, 8_000, SHOP) == 8_000


@pytest.mark.parametrize(
    ("categories", "ahead", "potential"),
    [
        (0, 4_500, 5_000),
        (3, 4_500, 6_000),
        (1, 4_500, 4_500 * BREADTH_MAX),
        (4, 4_500, 5_000),
        (9, 4_500, 5_000),
        (1, -4_500, 5_000),
    ],
)
def test_who_buys_in_few_categories_might_buy_in_as_many_as_the_broadest(
    categories: int, ahead: int, potential: int
) -> None:
    """The broadest tenth buy in four. At what is spent in each of three, a fourth makes 4,500 to 6,000."""
    assert potential_minor(replace(KNOWN, categories=categories), ahead, SHOP) == potential


def test_a_gap_counts_as_far_as_they_are_likely_to_come_back() -> None:
    assert gap_minor(0.4, 3_450, 5_000) == 620
    assert gap_minor(0.0, 3_450, 5_000) == 0


def test_where_no_group_is_measured_nobody_has_a_potential_beyond_what_is_expected() -> None:
    bare = replace(SHOP, best_ahead_minor={}, best_categories={})
    assert potential_minor(KNOWN, 3_450, bare) == 3_450
    assert alike(EVERY, EVERY) not in bare.best_ahead_minor
