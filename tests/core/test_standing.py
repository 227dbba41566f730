"""A customer's tier as their log is told: what moves it, what it rests on, and what it was at the ends of months."""

from __future__ import annotations

import random
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core import standing as standings
from pipeline.core.codec import pack, unpack
from pipeline.core.days import day_of
from pipeline.core.outlook import facts
from pipeline.core.population import EVERY, alike
from pipeline.core.profile import MONTH_ENDS_MAX, Profile, Standing, Tier
from pipeline.core.tier import Why
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import adopted, cancelled, day, opened, order, policy, refund, resolved, said, ticket
from tests.core.lives import HASTY, MOVES, STEADY, histories, live, lived
from tests.core.test_forecast import fitted
from tests.core.test_population import SHOP, measured
from tests.driver import Driver

COSTLY = policy(value__service_hour_cost_minor=6_000)


def driver_of(policy_in_force: Any = COSTLY, **population: Any) -> Driver:
    """A shop with a model and with cuts: by default the upper ones are far off, and serving an order costs 300."""
    driver = Driver(policy_in_force)
    driver.control(fitted(0))
    shop = {
        "value": (90_000,) * 19, "gap": (90_000,) * 19, "serve": (300,) * 19, "best_ahead_minor": {},
        "best_categories": {}, **population,
    }  # fmt: skip
    driver.control(measured(0, replace(SHOP, **shop)))
    return driver


def standing_of(driver: Driver) -> Standing:
    found = driver.profiles["c"].standing
    assert found is not None
    return found


def tier_of(driver: Driver) -> tuple[Tier, Why]:
    return Tier(standing_of(driver).tier), Why(standing_of(driver).why)


def shown(driver: Driver) -> dict[str, Any]:
    return view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)["tier"]


def told(driver: Driver, *events: Any) -> Driver:
    for event in events:
        driver.feed(event)
    return driver


# -- nothing to go by -------------------------------------------------------------------------------------------------


def test_before_there_is_anything_to_go_by_the_tier_is_unknown_and_says_why() -> None:
    driver = Driver(COSTLY)
    told(driver, said(logged.TouchRecorded, 0, channel="email"))
    assert (shown(driver)["tier"], shown(driver)["tier_reason"]) == ("unknown", "no_purchase_yet")
    told(driver, order(1))
    assert shown(driver)["tier_reason"] == "no_forecast_yet"
    driver.control(fitted(2))
    assert shown(driver)["tier_reason"] == "no_population_yet"
    driver.control(measured(2, replace(SHOP, value=(90_000,) * 19, gap=(90_000,) * 19)))
    assert shown(driver)["tier_reason"] == "not_looked_at_yet"
    told(driver, order(3, "B"))
    assert shown(driver)["tier"] == "rest"
    assert shown(driver)["checked_on"] == "2026-01-04"


def test_a_review_takes_a_new_population_up_and_an_email_does_not() -> None:
    driver = Driver(COSTLY)
    driver.control(fitted(0))
    driver.tick(day(0))
    told(driver, order(1))
    driver.control(measured(2))
    told(driver, opened(3))
    assert driver.profiles["c"].standing is None
    driver.tick(day(11))
    assert standing_of(driver).checked_day == day_of(int(day(11).timestamp()), "UTC")


def test_who_never_bought_after_all_is_in_no_tier() -> None:
    driver = told(driver_of(value=(0,) * 19), *(order(number, f"{number}") for number in range(9)))
    assert tier_of(driver)[0] is Tier.MVC
    told(driver, *(cancelled(10, f"{number}") for number in range(9)))
    assert tier_of(driver) == (Tier.UNKNOWN, Why.NO_PURCHASE_YET)
    assert shown(driver)["expected_minor"] == 0


# -- most valuable, most growable -------------------------------------------------------------------------------------


def test_a_weekly_customer_is_most_valuable_until_they_have_long_been_silent() -> None:
    driver = driver_of(value=(20_000,) * 19)
    driver.tick(day(0))
    told(driver, *(order(7 * week, f"{week}", 9_000) for week in range(12)))
    assert tier_of(driver) == (Tier.MVC, Why.MOST_VALUABLE)
    since = shown(driver)["since_on"]
    for week in range(12, 60):
        driver.tick(day(7 * week + 1))
    assert tier_of(driver) == (Tier.REST, Why.VALUABLE_BUT_LEAVING)
    assert shown(driver)["since_on"] > since
    assert shown(driver)["p_return"] <= 0.4


def test_somebody_new_among_richer_ones_has_room_to_grow_and_is_treated_one_level_up() -> None:
    driver = driver_of(gap=(5_000,) * 19, best_ahead_minor={alike(EVERY, EVERY): 60_000})
    told(driver, order(0, "A"))
    assert tier_of(driver) == (Tier.MGC, Why.ROOM_TO_GROW)
    seen = shown(driver)
    assert seen["potential_minor"] == 60_000
    assert seen["gap_minor"] == int(seen["p_return"] * (60_000 - seen["expected_minor"]))
    assert seen["treatment"] == "accountable"


@pytest.mark.parametrize("last", ["policy", "population"])
def test_the_lines_follow_the_policy_and_the_population_whichever_was_told_last(last: str) -> None:
    """Cuts of 1,000, 2,000 and so on up to 19,000: who is worth 15,000 is among the best half, not the best tenth."""
    cuts = tuple(range(1_000, 20_000, 1_000))
    shop = measured(0, replace(SHOP, value=cuts, gap=(90_000,) * 19, best_ahead_minor={}, best_categories={}))
    half = adopted(policy(tiers__mvc_top_permille=500, tiers__mvc_return_permille=1), 0)
    driver = Driver(policy(tiers__mvc_top_permille=100, tiers__mvc_return_permille=1))
    driver.control(fitted(0))
    for control in (shop, half) if last == "policy" else (half, shop):
        driver.control(control)
    told(driver, order(1, "A", 20_000))
    assert 10_000 <= standing_of(driver).actual_minor + standing_of(driver).ahead_minor < 18_000
    assert tier_of(driver)[0] is Tier.MVC


def test_what_a_friend_brings_counts_in_the_tier() -> None:
    """A tenth of 90.00, by the default share."""
    driver = driver_of()
    told(driver, *(order(7 * week, f"{week}", 2_500) for week in range(4)))
    assert standing_of(driver).actual_minor == 4 * 1_000
    told(driver, said(logged.ReferralCredited, 30, path=(7,), amount_minor=9_000))
    assert standing_of(driver).actual_minor == 4 * 1_000 + 900


# -- below zero -------------------------------------------------------------------------------------------------------


def five_orders() -> list[Any]:
    """Worth 12.00 each in margin."""
    return [order(14 * number, f"{number}", 3_000) for number in range(5)]


def service(on: float, minutes: float) -> list[Any]:
    """A question that took so long; an hour costs 60.00."""
    return [ticket(on, f"T{on}", "question", service_minutes=minutes), resolved(on + 0.1, f"T{on}", "question")]


def test_five_orders_and_ten_hours_of_service_are_below_zero_because_serving_them_costs_more() -> None:
    driver = told(driver_of(), *five_orders(), *service(60, 600))
    assert tier_of(driver) == (Tier.BZ, Why.COSTS_MORE_TO_SERVE)
    seen = shown(driver)
    assert seen["actual_minor"] == 5 * 1_200 - 60_000
    assert seen["cost_to_serve_per_order_minor"] == 60_000 // 5
    assert seen["p_below_zero"] > 0.8
    assert seen["treatment"] == "reactive"


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (
            [said(logged.CostRecorded, 60, department="sales", amount_minor=90_000, currency="USD")],
            Why.BELOW_ZERO_ACQUISITION,
        ),
        (
            [said(logged.CostRecorded, 60, department="marketing", amount_minor=90_000, currency="USD")],
            Why.BELOW_ZERO_KEEPING,
        ),
        ([order(60, "X", 100, discount_minor=90_000)], Why.BELOW_ZERO_DISCOUNTS),
    ],
)
def test_below_zero_for_another_reason_is_said_with_it(cause: list[Any], why: Why) -> None:
    driver = told(driver_of(), *five_orders(), *cause)
    assert tier_of(driver) == (Tier.REST, why)
    assert shown(driver)["p_below_zero"] > 0.8


def test_a_minute_of_service_does_not_make_a_costly_acquisition_a_matter_of_service() -> None:
    spent = said(logged.CostRecorded, 60, department="sales", amount_minor=90_000, currency="USD")
    driver = told(driver_of(serve=(1,) * 19), *five_orders(), *service(61, 1), spent)
    assert standing_of(driver).serve_minor > 1
    assert tier_of(driver) == (Tier.REST, Why.BELOW_ZERO_ACQUISITION)


CENT = said(logged.CostRecorded, 60.5, department="marketing", amount_minor=1, currency="USD")


@pytest.mark.parametrize("other_costs", [(), (CENT,)])
def test_what_serving_them_cost_is_the_reason_though_it_is_no_dearer_than_is_usual(
    other_costs: tuple[Any, ...],
) -> None:
    """They left 60.00 and serving them cost 600.00: 120.00 an order, where up to 121.00 is usual in this shop."""
    driver = told(driver_of(serve=(12_100,) * 19), *five_orders(), *service(60, 600), *other_costs)
    assert tier_of(driver) == (Tier.REST, Why.BELOW_ZERO_SERVICE)


@pytest.mark.parametrize("other_costs", [(), (CENT,)])
def test_a_line_that_wanders_by_less_than_a_tenth_moves_nobody_out_of_below_zero_and_back(
    other_costs: tuple[Any, ...],
) -> None:
    """120.00 an order, and the line now above, now below it; only one more than a tenth above lets them go."""
    driver = told(driver_of(serve=(11_900,) * 19), *five_orders(), *service(60, 600), *other_costs)
    driver.tick(day(61))
    for number, line in enumerate((12_100, 11_900, 12_100, 13_200, 11_900, 13_300)):
        on = 62 + 40 * number
        driver.control(measured(on, replace(SHOP, value=(90_000,) * 19, gap=(90_000,) * 19, serve=(line,) * 19,
                                            best_ahead_minor={}, best_categories={})))  # fmt: skip
        driver.tick(day(on + 8))
        driver.tick(day(on + 16))
        assert tier_of(driver)[0] is Tier.BZ, f"serving an order may cost {line}"
    driver.control(measured(400, replace(SHOP, value=(90_000,) * 19, gap=(90_000,) * 19, serve=(13_400,) * 19)))
    driver.tick(day(410))
    assert tier_of(driver) == (Tier.REST, Why.BELOW_ZERO_SERVICE)


def test_after_a_first_order_the_cost_of_winning_them_is_held_against_nobody() -> None:
    spent = said(logged.CostRecorded, 0, department="sales", amount_minor=90_000, currency="USD")
    driver = told(driver_of(), spent, order(1), *service(2, 600))
    assert tier_of(driver) == (Tier.REST, Why.USUAL)
    assert shown(driver)["p_below_zero"] is None


def test_what_was_given_back_can_be_what_weighs_most() -> None:
    driver = driver_of(policy(value__return_cost_minor=0))
    told(driver, *five_orders(), *(refund(60, f"{number}", f"R{number}") for number in range(5)))
    told(driver, said(logged.CostRecorded, 61, department="sales", amount_minor=500, currency="USD"))
    for week in range(10, 40):
        driver.tick(day(7 * week))
    assert tier_of(driver) == (Tier.REST, Why.BELOW_ZERO_REFUNDS)


def test_who_sends_everything_back_is_not_most_valuable() -> None:
    driver = driver_of(value=(30_000,) * 19)
    for number in range(12):
        told(driver, order(7 * number, f"{number}", 10_000), refund(7 * number + 3, f"{number}", f"R{number}"))
    assert tier_of(driver)[0] is Tier.REST
    assert shown(driver)["expected_minor"] < 10_000


def test_who_buys_at_a_loss_is_below_zero_for_the_discounts() -> None:
    """Each of twelve orders lost 14.00, and so will those to come."""
    driver = driver_of()
    told(driver, *(order(7 * number, f"{number}", 10_000, discount_minor=9_000) for number in range(12)))
    assert tier_of(driver) == (Tier.REST, Why.BELOW_ZERO_DISCOUNTS)
    assert standing_of(driver).actual_minor == -12 * 1_400
    assert standing_of(driver).ahead_minor < -10_000
    assert shown(driver)["p_below_zero"] > 0.95


# -- months -----------------------------------------------------------------------------------------------------------


def test_the_tier_at_the_end_of_each_month_is_kept_for_thirteen_months() -> None:
    driver = driver_of(value=(20_000,) * 19)
    driver.tick(day(0))
    told(driver, *(order(7 * week, f"{week}", 9_000) for week in range(12)))
    for week in range(12, 70):
        driver.tick(day(7 * week))
    months = shown(driver)["month_ends"]
    assert len(months) == MONTH_ENDS_MAX
    assert [each["month"] for each in months][:2] == ["2026-03", "2026-04"]
    assert months[-1]["month"] == "2027-03"
    assert months[0]["tier"] == "mvc"
    assert months[-1]["tier"] == "rest"


def test_months_without_a_look_end_in_the_tier_of_the_last_look() -> None:
    looked_at = day_of(int(day(0).timestamp()), "UTC")  # 2026-01-01
    before = Standing(int(Tier.MVC), 4, looked_at, 0, 0, 0, 0, 0, 0, months=5 + int(Tier.REST))

    def after(days: int) -> list[Tier]:
        return list(replace(before, months=standings.months(before, looked_at + days)).month_ends)

    assert after(30) == [Tier.REST]
    assert after(31) == [Tier.REST, Tier.MVC]
    assert after(31 + 28 + 31) == [Tier.REST, *[Tier.MVC] * 3]
    assert after(900) == [Tier.MVC] * MONTH_ENDS_MAX


@STEADY
@given(st.lists(st.sampled_from(Tier), max_size=40))
def test_months_are_kept_whatever_the_tiers_were_and_pack_into_four_bytes(months: list[Tier]) -> None:
    standing = Standing(0, 0, 20_454, 0, 0, 0, 0, 0, 0)
    for tier in months:
        standing = replace(standing, tier=int(tier))
        later = standing.checked_day + 31  # at most two months on
        if standings.running_month(later) - standings.running_month(standing.checked_day) != 1:
            later -= 3
        standing = replace(standing, months=standings.months(standing, later), checked_day=later)
    assert list(standing.month_ends) == months[-MONTH_ENDS_MAX:]
    assert standing.months < 2**32


# -- whatever happens -------------------------------------------------------------------------------------------------


@STEADY
@given(st.randoms(use_true_random=False))
def test_nobody_flickers_falls_are_a_month_apart_from_any_move(chance: random.Random) -> None:
    rules = policy(value__service_hour_cost_minor=6_000)
    driver = driver_of(
        rules, value=tuple(range(0, 19_000, 1_000)), gap=tuple(range(0, 9_500, 500)), serve=tuple(range(0, 950, 50)),
        best_ahead_minor={alike(EVERY, EVERY): 8_000},
    )  # fmt: skip
    driver.tick(day(0))
    seen: list[tuple[int, int]] = []
    for number in range(150):
        on = number * 3 + chance.random()
        move = chance.randrange(6)
        if move == 0:
            driver.feed(order(on, f"{number}", chance.randrange(500, 9_000)))
        elif move == 1:
            told(driver, *service(on, chance.randrange(1, 90)))
        elif move == 2:
            driver.feed(refund(on, f"{number - 3}", f"R{number}"))
        driver.tick(day(number * 3 + 2))
        found = driver.profiles.get("c", Profile(0, 0)).standing
        if found is not None and (not seen or seen[-1][1] != found.tier):
            seen.append((found.checked_day, found.tier))
    for before, after in pairwise(seen):
        assert after[1] > before[1] or after[0] - before[0] >= rules.tiers.hold_days or after[1] == Tier.UNKNOWN


@STEADY
@given(histories, st.randoms(use_true_random=False))
def test_the_figures_of_a_tier_do_not_hang_on_the_order_in_which_news_came(
    history: list[Any], chance: random.Random
) -> None:
    muddle = list(history)
    chance.shuffle(muddle)
    found = []
    for events in (history, muddle):
        driver = driver_of(HASTY)
        live(events, driver)
        for on in (410, 420, 430):
            driver.tick(day(on))
        one = driver.profiles["c"].standing
        found.append(
            None if one is None or one.tier == Tier.UNKNOWN else (one.actual_minor, one.ahead_minor, one.p_return_milli)
        )
    assert found[0] == found[1]


@STEADY
@given(st.integers(0, 10_000))
def test_a_standing_packs_into_forty_bytes_and_comes_back(seed: int) -> None:
    chance = random.Random(seed)
    life = lived([(chance.choice(MOVES), chance.choice((0, 0.25, 1, 3)), chance.randrange(4), 0) for _ in range(60)])
    driver = live(list(life), driver_of(HASTY))
    profile = driver.profiles.get("c")
    if profile is not None and profile.standing is not None:
        assert unpack(pack(profile)) == profile
        full = replace(profile, standing=replace(profile.standing, months=2 * 5**MONTH_ENDS_MAX - 1))
        assert len(pack(full)) - len(pack(replace(profile, standing=None))) <= 40


def test_the_facts_are_the_values_of_the_value_page() -> None:
    driver = told(driver_of(), *five_orders(), *service(60, 30))
    known = facts(driver.profiles["c"], driver.controls, day_of(int(day(60).timestamp()), "UTC"))
    assert known is not None
    assert (known.outlook.actual_minor, known.outlook.upkeep_minor, known.outlook.orders) == (6_000 - 3_000, 3_000, 5)
    assert known.outlook.serve_minor == 600


def test_who_are_alike_were_won_through_the_same_channel_in_whatever_order_its_touches_arrive() -> None:
    """Two touches by search and one by an advertisement; the best of those won by search will bring 7,777.77."""
    events = [
        said(logged.TouchRecorded, on, channel=channel) for on, channel in ((0, "search"), (1, "ad"), (2, "search"))
    ]
    for arrived in permutations([*events, order(3)]):
        driver = told(driver_of(best_ahead_minor={alike("ad", 0): 111_111, alike("search", 0): 777_777}), *arrived)
        driver.tick(day(20))
        known = facts(driver.profiles["c"], driver.controls, day_of(driver.profiles["c"].as_of, "UTC"))
        assert known is not None
        assert (known.outlook.segment, standing_of(driver).potential_minor) == ("search", 777_777)
