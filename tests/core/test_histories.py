"""Any permutation, repetition and interleaving of customers' histories is one state; their sum is the books'."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from pipeline.core.audit import Customers
from pipeline.core.value import Value, value
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import day
from tests.core.lives import STEADY
from tests.core.test_acquisition import revised, touch
from tests.core.test_value import RATES, histories
from tests.driver import Driver

Told = tuple[str, Any]
_TOUCHES = st.lists(st.builds(touch, st.integers(0, 5), st.sampled_from(["search", "ad"])), max_size=3)
_LIVES = st.tuples(histories, _TOUCHES).map(lambda parts: [*parts[0], *parts[1]])
_MONTHS = st.sampled_from(["2026-01", "2026-02"])
_COSTS = st.lists(
    st.builds(
        lambda on, channel, spent, month: revised(channel, spent, 3, on=on, month=month, version=on),
        st.integers(61, 90), st.sampled_from(["search", "ad"]), st.integers(0, 9_999), _MONTHS,
    ),
    max_size=6, unique_by=lambda control: (control.channel, control.cohort_month, control.revised_at),
)  # fmt: skip
SHOWN = ("value", "lifecycle", "purchase_days", "first_purchase_at", "last_purchase_at", "windows", "complaints")


def state_after(told: list[Told]) -> dict[str, dict[str, Any]]:
    """What everybody's view says of what happened, once all is told and time has passed."""
    driver = Driver(RATES)
    for who, each in told:
        if isinstance(each, logged.Control):
            driver.control(each)
        else:
            driver.feed(each, who)
    for on in (95, 105, 115):  # more than a week apart, so that each visits everybody
        driver.tick(day(on))
    views = {who: view(who, driver.profiles[who], driver.controls, partition=0, offset=0) for who in driver.profiles}
    return {who: {name: seen[name] for name in SHOWN} for who, seen in views.items()}


def muddled(told: list[Told], chance: random.Random) -> list[Told]:
    """The same in any order, some of it twice."""
    again = [*told, *chance.sample(told, chance.randrange(len(told) + 1))]
    chance.shuffle(again)
    return again


@STEADY
@given(st.lists(_LIVES, min_size=1, max_size=3), _COSTS, st.randoms(use_true_random=False))
def test_any_permutation_repetition_and_interleaving_of_histories_and_channel_costs_is_one_state(
    lives: list[list[Any]], costs: list[logged.ChannelCostRevised], chance: random.Random
) -> None:
    told = [(f"c{number}", each) for number, life in enumerate(lives) for each in life]
    told += [("", control) for control in costs]
    together = state_after(told)
    assert state_after(muddled(told, chance)) == together
    for number, life in enumerate(lives):  # and each is who they would be alone
        who = f"c{number}"
        alone = [(who, each) for each in life] + [("", control) for control in costs]
        assert state_after(alone)[who] == together[who]


@STEADY
@given(st.lists(_LIVES, min_size=2, max_size=2), _COSTS)
def test_a_sum_over_customers_is_the_sum_of_each_part_by_part_and_channel_by_channel(
    lives: list[list[Any]], costs: list[logged.ChannelCostRevised]
) -> None:
    """They stay two: this is no merge."""
    driver = Driver(RATES)
    for number, life in enumerate(lives):
        for each in life:
            driver.feed(each, f"c{number}")
    for control in costs:
        driver.control(control)
    both, single = Customers(), []
    for profile in driver.profiles.values():
        both.add(profile, driver.controls)
        alone = Customers()
        alone.add(profile, driver.controls)
        single.append(alone)
    values = [value(profile, driver.controls) for profile in driver.profiles.values()]
    assert both.value == Value(*(sum(parts) for parts in zip(*map(astuple, values), strict=True)))
    assert both.net_revenue_minor == sum(each.net_revenue_minor for each in single)
    for channel in both.value_by_channel:
        assert both.value_by_channel[channel] == sum(each.value_by_channel.get(channel, 0) for each in single)
    assert sum(both.value_by_channel.values()) == both.value.value_to_date_minor
