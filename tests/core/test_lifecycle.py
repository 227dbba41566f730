"""Since when a customer is where they are: told from what happened, not from when somebody noticed."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.policy import DEFAULT
from pipeline.core.profile import Lifecycle
from pipeline.core.view import view
from tests.core.builders import cancelled, day, opened, order, policy, seconds
from tests.core.lives import STEADY
from tests.core.test_forecast import MODEL, fitted
from tests.driver import Driver

END = 500


def stands(driver: Driver) -> tuple[Lifecycle, str, int]:
    """Where they are, why, and since when."""
    profile = driver.profiles["c"]
    return Lifecycle(profile.lifecycle), profile.lifecycle_reason, profile.lifecycle_since_at


def imported(orders: list[Any], rules: Any = DEFAULT, *, models: bool = False, on: float = END) -> Driver:
    """A past told to a shop that is open already."""
    driver = Driver(rules)
    if models:
        driver.control(fitted(0))
    driver.tick(day(on))
    for each in orders:
        driver.feed(each)
    return driver


@pytest.mark.parametrize(
    ("bought", "state", "since"),
    [
        ((0,), Lifecycle.LAPSED, 0 + 180),
        ((0, 400), Lifecycle.AT_RISK, 400 + 60),
        ((0, 20, 450), Lifecycle.WON_BACK, 450),
        ((0, 20, 450, 470), Lifecycle.ACTIVE, 470),
        ((270, 290, 470, 480), Lifecycle.ACTIVE, 480),
        ((350, 440, 470), Lifecycle.ACTIVE, 440),
        ((440, 450, 470), Lifecycle.ACTIVE, 450),
        ((470,), Lifecycle.NEW, 470),
    ],
    ids=["lapsed", "at risk", "won back", "again", "to the day", "after a risk", "since the second", "new"],
)
def test_an_imported_customer_is_where_they_are_since_it_happened(
    bought: tuple[int, ...], state: Lifecycle, since: float
) -> None:
    """At risk after 60 days, lapsed after 180, by policy; imported on day 500."""
    rules = DEFAULT.lifecycle
    assert (rules.at_risk_after_days, rules.lapsed_after_days, rules.active_from_purchases) == (60, 180, 2)
    driver = imported([order(on, f"order of day {on}") for on in bought])
    assert stands(driver)[::2] == (state, seconds(since))


def test_a_late_visit_tells_when_the_silence_grew_too_long() -> None:
    driver = Driver()
    driver.feed(order(0))
    driver.tick(day(75))
    assert stands(driver) == (Lifecycle.AT_RISK, "silent_since_purchase", seconds(60))


def test_who_cancelled_everything_is_a_prospect_since_they_were_first_seen() -> None:
    driver = imported([order(440), cancelled(450)])
    assert stands(driver) == (Lifecycle.PROSPECT, "purchases_cancelled", 0)
    seen = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)
    assert seen["lifecycle_since_at"] == seen["first_seen_at"]


@pytest.mark.parametrize("late_minutes", [-1, 1], ids=["after the last Tick", "before it"])
@pytest.mark.parametrize("models", [False, True], ids=["by policy", "by a model"])
def test_who_never_was_away_is_active_since_their_second_purchase_though_it_is_long_folded(
    late_minutes: int,
    models: bool,  # noqa: FBT001 - a case
) -> None:
    """Every week for three years: more days than are kept one by one. The last order comes in time or a little late."""
    driver = Driver()
    if models:
        driver.control(fitted(0))
    for week in range(160):
        driver.tick(day(7 * week + (late_minutes / 1_440 if week == 159 else -0.5)))
        driver.feed(order(7 * week, f"order {week}"))
    assert driver.profiles["c"].ledger.folded_orders > 100
    assert stands(driver) == (Lifecycle.ACTIVE, "bought_again", seconds(7))


@pytest.mark.parametrize(
    "word", [order(21.5, "A", 2_900), cancelled(21.5, "never told")], ids=["told again", "another"]
)
def test_a_word_that_is_no_purchase_ends_no_risk_under_a_more_patient_model(word: Any) -> None:
    """Two weeks of silence were too long, ten would be by the later model; bought on day 1."""
    driver = Driver()
    driver.control(fitted(0, replace(MODEL, second_order_weeks=2.0)))
    driver.feed(order(1, "A", 3_000))
    driver.tick(day(20))
    driver.control(fitted(21, replace(MODEL, second_order_weeks=10.0)))
    driver.feed(word)
    assert stands(driver) == (Lifecycle.AT_RISK, "silent_since_purchase", seconds(1 + 14))


def test_who_is_at_risk_has_not_lapsed_before_under_a_less_patient_model() -> None:
    """At risk after 60 days, by policy; by the model that comes then they had lapsed after three times two weeks."""
    driver = Driver()
    driver.feed(order(0))
    driver.tick(day(61))
    driver.control(fitted(62, replace(MODEL, second_order_weeks=2.0)))
    for on in (62, 63):
        driver.feed(opened(on, f"m{on}"))
    assert stands(driver) == (Lifecycle.LAPSED, "silent_for_long", seconds(60))


_GAPS = st.lists(st.sampled_from((1, 2, 9, 10, 11, 29, 30, 31, 56, 90)), max_size=9)
"""Days between purchases: about the limits, and to both sides of what a rhythm allows."""


@settings(STEADY, max_examples=200)
@given(
    _GAPS,
    st.sampled_from((0, 0, 0, 9, 10, 29, 30, 90)),
    st.booleans(),
    st.integers(2, 4),
    st.sampled_from((4, 100)),
    st.randoms(),
)
def test_a_past_imported_in_any_order_tells_the_same_as_a_life_that_was_watched(
    gaps: list[int],
    silence: int,
    models: bool,  # noqa: FBT001 - drawn
    active_from: int,
    looked_each_days: int,
    chance: random.Random,
) -> None:
    bought = list(accumulate(gaps, initial=0))
    rules = policy(
        lifecycle__at_risk_after_days=10, lifecycle__lapsed_after_days=30, lifecycle__active_from_purchases=active_from
    )
    watched = Driver(rules)
    if models:
        watched.control(fitted(0))
    for on in range(bought[-1] + 1):
        if on % looked_each_days == 0:
            watched.tick(day(on))
        if on in bought:
            watched.feed(order(on, f"order of day {on}"))
    end = bought[-1] + silence
    for visit in range(3):  # who has fallen silent is looked at again for having lapsed
        watched.tick(day(end + visit / 24))
    orders = [order(on, f"order of day {on}") for on in bought]
    for told in (orders, orders[::-1], chance.sample(orders, len(orders))):
        assert stands(imported(told, rules, models=models, on=end + 2 / 24)) == stands(watched)
