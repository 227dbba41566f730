"""What winning a customer cost: shared by touches, spread as spend is told, shrunk for small channels."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.acquisition import (
    WHOLE,
    Cpa,
    _gamma_quantile,
    channel_costs,
    cohort_month,
    cpa,
    cpa_from,
    shares,
    won_by,
)
from pipeline.core.controls import adopt
from pipeline.core.explain import explained
from pipeline.core.policy import Policy
from pipeline.core.profile import TOUCHES_MAX
from pipeline.core.value import value
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import cancelled, day, order, policy, said
from tests.core.lives import STEADY, live
from tests.driver import Driver


def touch(on: float, channel: str) -> Any:
    """Marketing reached them."""
    return said(logged.TouchRecorded, on, channel=channel)


def revised(
    channel: str, spend_minor: int, acquisitions: int = 0, *, on: float = 50, version: int = 1, parts: int = 0,
    month: str = "2026-01",
) -> logged.ChannelCostRevised:  # fmt: skip
    """What a channel spent in a month."""
    return logged.ChannelCostRevised(
        revised_at=day(on), channel=channel, cohort_month=month, version=version, spend_minor=spend_minor,
        acquisitions=acquisitions, shares=parts,
    )  # fmt: skip


def shares_of(*events: Any, rules: Policy | None = None) -> dict[str, int]:
    """Each channel's share of who lived through these events."""
    driver = live(events, Driver(rules) if rules else Driver())
    return shares(driver.profiles["c"], driver.controls.policy.value)


JOURNEY = (touch(0, "search"), touch(1, "affiliate"), touch(2, "search"), touch(3, "influencer"), order(4))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("linear", {"search": WHOLE // 2, "affiliate": WHOLE // 4, "influencer": WHOLE // 4}),
        ("first", {"search": WHOLE}),
        ("last", {"influencer": WHOLE}),
        ("position", {"search": WHOLE // 2, "affiliate": WHOLE // 10, "influencer": WHOLE * 2 // 5}),
    ],
)
def test_touches_share_a_customer_by_the_stated_model(model: str, expected: dict[str, int]) -> None:
    assert shares_of(*JOURNEY, rules=policy(value__attribution=model)) == expected


@pytest.mark.parametrize("model", ["linear", "first", "last", "position"])
@pytest.mark.parametrize("touches", range(1, TOUCHES_MAX + 1))
def test_shares_are_a_whole_customer_whatever_the_number_of_touches(model: str, touches: int) -> None:
    told = [touch(number, f"channel-{number}") for number in range(touches)]
    found = shares_of(*told, order(touches), rules=policy(value__attribution=model))
    assert sum(found.values()) == WHOLE
    if model == "linear":
        assert len(set(found.values())) == 1


def test_only_touches_in_the_window_before_the_first_purchase_have_a_part() -> None:
    assert shares_of(touch(9, "old"), touch(10, "first"), touch(100, "last"), touch(101, "late"), order(100)) == {
        "first": WHOLE // 2, "last": WHOLE // 2,
    }  # fmt: skip
    assert shares_of(touch(0, "search")) == {}, "nobody is won before they buy"
    assert shares_of(order(0), touch(1, "search")) == {}


def test_a_first_purchase_that_moves_moves_the_shares() -> None:
    told = (touch(0, "search"), order(5, "B"), touch(10, "affiliate"))
    assert shares_of(*told, order(15, "A"), cancelled(16, "B")) == {"search": WHOLE // 2, "affiliate": WHOLE // 2}
    assert shares_of(*told, order(15, "A")) == {"search": WHOLE}


@STEADY
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["search", "email", "ad"])), max_size=12, unique=True),
    st.lists(st.integers(0, 40), max_size=3, unique=True), st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_order_and_repetition_of_touches_and_purchases_is_one_attribution(
    touched: list[tuple[int, str]], bought: list[int], chance: random.Random
) -> None:
    history = [touch(*each) for each in touched] + [order(on, f"o{on}") for on in bought]
    if not history:
        return
    muddle = [*history, *chance.sample(history, len(history) // 2)]
    chance.shuffle(muddle)
    assert shares_of(*muddle) == shares_of(*history)
    before = [channel for on, channel in touched if bought and on <= min(bought)]
    expected = {channel: before.count(channel) * WHOLE // len(before) for channel in before}
    assert shares_of(*history) == expected


def test_touches_are_bounded_and_those_after_the_purchase_go_first() -> None:
    told = [touch(number, f"c{number}") for number in range(TOUCHES_MAX - 1)]
    after = [touch(40 + number, "newsletter") for number in range(50)]
    driver = live([*told, order(30), *after], Driver())
    assert sum(len(each.at) for each in driver.profiles["c"].touched) == TOUCHES_MAX
    assert len(shares_of(*told, order(30), *after)) == TOUCHES_MAX - 1


def test_once_the_first_purchase_is_settled_later_touches_are_not_kept() -> None:
    driver = Driver()
    driver.tick(day(0))
    live([touch(0, "search"), order(1)], driver)
    driver.tick(day(200))
    live([touch(201, "email"), touch(0.5, "ad")], driver)
    assert [each.channel for each in driver.profiles["c"].touched] == ["search", "ad"]


def test_a_late_touch_is_kept_while_the_first_purchase_can_still_be_cancelled() -> None:
    """A of day 5, told anew on day 98, is still open when B of day 10 has folded; without A, B is the first."""
    told = [order(5, "A"), order(10, "B"), order(98, "A")]
    for touched_before in (True, False):
        driver = Driver()
        driver.tick(day(0))
        live([*told[:2], *([touch(8, "ad")] if touched_before else []), told[2]], driver)
        driver.tick(day(105))
        assert driver.profiles["c"].ledger.folded_orders == 1
        live([*([] if touched_before else [touch(8, "ad")]), touch(11, "newsletter")], driver)
        assert shares(driver.profiles["c"], driver.controls.policy.value) == {}
        live([cancelled(112, "A")], driver)
        assert shares(driver.profiles["c"], driver.controls.policy.value) == {"ad": WHOLE}


def test_the_channel_that_won_them_had_the_largest_part_and_of_equal_parts_is_the_first_by_name() -> None:
    for events, channel in (
        ([touch(0, "search"), touch(1, "ad"), touch(2, "search"), order(3)], "search"),
        ([touch(0, "search"), touch(1, "ad"), order(3)], "ad"),
        ([touch(0, "search"), order(3, "A"), touch(4, "ad")], "search"),
        ([order(3), touch(4, "ad")], None),
        ([touch(0, "search")], None),
    ):
        for told in permutations(events):
            driver = live(told, Driver())
            assert won_by(driver.profiles["c"], driver.controls.policy.value) == channel


# -- spend ------------------------------------------------------------------------------------------------------------


def test_spend_reaches_who_was_won_when_it_is_told_and_again_when_it_arrives_late() -> None:
    driver = live([touch(0, "search"), touch(1, "ad"), order(2)], Driver())
    costs = lambda: {each.channel: each.cost_minor for each in channel_costs(driver.profiles["c"], driver.controls)}  # noqa: E731 - a word for the lines below
    assert costs() == {"search": 0, "ad": 0}
    driver.control(revised("search", 9_000, 3))
    assert costs() == {"search": 1_500, "ad": 0}, "half a customer of three"
    driver.control(revised("search", 12_000, 3, on=80, version=2))
    driver.control(revised("ad", 1_001, parts=WHOLE))
    assert costs() == {"search": 2_000, "ad": 501}
    driver.control(revised("ad", 99_000, 1, month="2026-02"))
    assert value(driver.profiles["c"], driver.controls).acquisition_cost_minor == 2_501
    driver.control(revised("search", 1, 3, on=60, version=1))
    assert costs()["search"] == 2_000, "an older count changes nothing"


def test_one_channel_alone_is_the_plain_cost_per_acquisition() -> None:
    driver = live([touch(0, "search"), order(2)], Driver())
    driver.control(revised("search", 10_000, 8))
    assert value(driver.profiles["c"], driver.controls).channel_cost_minor == 1_250


@STEADY
@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5), min_size=1, max_size=12), st.data())
def test_the_sum_over_customers_is_the_spend_but_for_rounding(journeys: list[list[str]], data: st.DataObject) -> None:
    driver = Driver()
    for number, journey in enumerate(journeys):
        for place, channel in enumerate(journey):
            driver.feed(touch(place, channel), f"c{number}")
        driver.feed(order(9, f"o{number}"), f"c{number}")
    rules, spends = driver.controls.policy.value, {}
    for channel in "abc":
        parts = sum(shares(profile, rules).get(channel, 0) for profile in driver.profiles.values())
        if parts:
            spends[channel] = data.draw(st.integers(0, 10**6))
            driver.control(revised(channel, spends[channel], parts=parts))
    spread = [each for profile in driver.profiles.values() for each in channel_costs(profile, driver.controls)]
    for channel, spend in spends.items():
        mine = [each.cost_minor for each in spread if each.channel == channel]
        assert abs(sum(mine) - spend) <= len(mine) / 2


def test_the_cohort_is_the_month_of_the_first_purchase_in_the_shops_zone() -> None:
    evening = order(30.4)  # 2026-01-31, 21:36 UTC: already February in Tehran
    for zone, month in (("UTC", "2026-01"), ("Asia/Tehran", "2026-02")):
        driver = live([evening], Driver(policy(shop__time_zone=zone)))
        assert cohort_month(driver.profiles["c"], zone) == month


# -- shrinkage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degrees", "low", "high"),
    [(10, 3.940, 18.307), (20, 10.851, 31.410), (60, 43.188, 79.082), (100, 77.929, 124.342)],
)
def test_quantiles_are_those_of_the_printed_chi_square_tables(degrees: int, low: float, high: float) -> None:
    """A gamma variable of shape k is half a chi-square one of 2 k degrees; 5 % and 95 % points."""
    z = 1.6448536269514722
    assert 2 * _gamma_quantile(degrees / 2, -z) == pytest.approx(low, rel=0.003)
    assert 2 * _gamma_quantile(degrees / 2, z) == pytest.approx(high, rel=0.003)


def test_a_small_channel_is_shrunk_toward_all_of_them_and_says_how_sure_it_is() -> None:
    controls = Driver(policy(value__cpa_prior_customers=20)).controls
    for control in (revised("big", 100_000, 1_000), revised("small", 3_000, 1), revised("none", 500, 0)):
        controls = adopt(controls, control)
    pooled = 103_500 / 1_001
    small, big, none = (cpa(controls, name, "2026-01") for name in ("small", "big", "none"))
    assert small is not None
    assert big is not None
    assert none is not None
    assert small.estimate_minor == round((3_000 + 20 * pooled) / 21)
    assert big.estimate_minor == round((100_000 + 20 * pooled) / 1_020)
    assert none.estimate_minor == round((500 + 20 * pooled) / 20), "spend that won nobody has an estimate too"
    assert small.low_minor < small.estimate_minor < small.high_minor
    width = lambda each: (each.high_minor - each.low_minor) / each.estimate_minor  # noqa: E731 - a word for the lines below
    assert width(small) > 5 * width(big)
    assert small.high_minor == pytest.approx((3_000 + 20 * pooled) / (28.144 / 2), rel=0.005)  # chi-square, 42: 28.144


def test_of_what_nobody_told_there_is_no_cost_per_acquisition() -> None:
    assert cpa(Driver().controls, "search", "2026-01") is None
    assert cpa(adopt(Driver().controls, revised("search", 100, 0)), "search", "2026-01") is None
    assert cpa(adopt(Driver().controls, revised("search", 100, 1)), "search", "2026-02") is None
    # 21 acquisitions' worth at 1.00: chi-square of 42 degrees has its 5 % and 95 % points at 28.144 and 58.124.
    expected = Cpa(100, round(2_100 / 58.124 * 2), round(2_100 / 28.144 * 2))
    assert cpa(adopt(Driver().controls, revised("search", 100, 1)), "search", "2026-01") == expected


def test_the_interval_of_spend_below_zero_is_that_of_as_much_spent_turned_round() -> None:
    controls = adopt(Driver().controls, revised("search", -100, 1))
    # The same points of chi-square as above: the dearest acquisition is now the one that brings the least back.
    expected = Cpa(-100, round(-2_100 / 28.144 * 2), round(-2_100 / 58.124 * 2))
    assert cpa(controls, "search", "2026-01") == expected


@STEADY
@given(st.integers(-20_000, 20_000), st.integers(-20_000, 20_000), st.integers(0, 50 * WHOLE), st.integers(5, 1_000))
def test_an_estimate_lies_in_its_interval_whatever_was_spent_or_taken_back(
    mine: int, others: int, parts: int, prior: int
) -> None:
    found = cpa_from((mine, parts), (mine + others, parts + 10 * WHOLE), prior)
    assert found.low_minor <= found.estimate_minor <= found.high_minor


# -- shown ------------------------------------------------------------------------------------------------------------


def test_a_view_shows_who_won_them_and_the_first_order_bears_it() -> None:
    driver = live([touch(0, "search"), order(2, "A", 10_000), order(3, "B", 10_000)], Driver())
    driver.control(revised("search", 1_000, 1))
    shown = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)["value"]
    (part,) = shown["acquisition_channels"]
    assert (part["channel"], part["share_fraction"], part["cost_minor"], part["cpa_minor"]) == (
        "search",
        1,
        1_000,
        1_000,
    )
    assert shown["cohort_month"] == "2026-01"
    assert [each["left_minor"] for each in shown["latest_orders"]] == [4_000, 3_000]
    assert shown["value_to_date_minor"] == 7_000


def test_a_revision_is_an_entry_behind_the_value() -> None:
    told = [(b"c", touch(0, "search")), (b"c", order(2, "A", 10_000)), (logged.CONTROL_KEY, revised("search", 900, 1))]
    made_of = explained("c", [(key, logged.encode(event)) for key, event in told])
    last = made_of.entries[-1]
    assert (last.part, last.amount_minor, last.type, last.id, last.at) == (
        "channel_cost_minor", 900, "ChannelCostRevised", "search 2026-01", day(50),
    )  # fmt: skip
