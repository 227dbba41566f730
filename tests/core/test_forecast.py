"""What is forecast of a customer as their log is told: the purchases it rests on, and how long they may be silent."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil, log
from re import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.codec import pack, unpack
from pipeline.core.forecast import forecast, history_of
from pipeline.core.history import History
from pipeline.core.models import BadModel, model_of
from pipeline.core.predict import Model, overdue_after, predict, to_parameters
from pipeline.core.profile import Lifecycle
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import adopted, cancelled, day, order, policy, refund, said, seconds
from tests.core.lives import HASTY, STEADY, histories, live, naive_value
from tests.core.test_invariants import lived_daily, ordinary_year
from tests.core.test_population import measured
from tests.driver import Driver

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
MODEL = Model(
    TIMING, Spend(6.25, 3.74, 1_544.0), Rhythm(TIMING, (0.6, 0.3, 0.1)), level=0.1, fitted_on=20_000,
    second_order_weeks=8.0,
)  # fmt: skip
DAY_0 = (datetime(2026, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


def fitted(on: float, model: Model = MODEL, scope: str = "shop") -> logged.ModelFitted:
    """The control that puts a model in force."""
    return logged.ModelFitted(fitted_at=day(on), scope=scope, parameters=to_parameters(model))


def under_model(policy_in_force: Any = HASTY, model: Model = MODEL) -> Driver:
    driver = Driver(policy_in_force)
    driver.control(fitted(0, model))
    return driver


def days_and_margins(history: list[Any]) -> dict[int, int]:
    """Purchase days since day 0 and what each left, by the words of the contract, where all revenue is margin."""
    latest: dict[str, list[Any]] = defaultdict(list)
    for event in history:
        if isinstance(event, logged.OrderCompleted):
            latest[event.order_id].append(event)
    margins: dict[int, int] = {}
    for order_id, versions in latest.items():
        told = [event for event in history if getattr(event, "order_id", "") == order_id]
        worth = naive_value(told)
        if worth["orders"]:
            on = DAY_0 + (min(each.occurred_at for each in versions) - day(0)).days
            margins[on] = margins.get(on, 0) + worth["revenue"] - worth["refunded"]
    return margins


def seen_at_once(margins: dict[int, int]) -> tuple[int, int, int, float, int, int, int, int]:
    """First and last day, frequency, sum of log gaps, spend days and their margin, the others and what they left."""
    days = sorted(margins)
    repeats = [margins[each] for each in days[1:] if margins[each] > 0]
    poor = [margins[each] for each in days[1:] if margins[each] <= 0]
    logs = sum(log((later - earlier) / 7) for earlier, later in pairwise(days))
    in_logs = pytest.approx(logs, abs=1e-9)
    return days[0], days[-1], len(days) - 1, in_logs, len(repeats), sum(repeats), len(poor), sum(poor)


def seen(history: History) -> tuple[int, int, int, float, int, int, int, int]:
    return (
        history.first_day, history.last_day, history.frequency, history.sum_log_gap, history.spend_days,
        history.spend_minor, history.poor_days, history.poor_minor,
    )  # fmt: skip


# -- the purchases it rests on ----------------------------------------------------------------------------------------


@STEADY
@given(histories, st.randoms(use_true_random=False), st.sampled_from(("kept", "folded")))
def test_what_the_models_see_is_what_all_purchases_at_once_say(
    history: list[Any], chance: random.Random, orders: str
) -> None:
    """In any order of arrival, orders told anew, refunded and cancelled, before they are folded and after."""
    history = [replace(each, discount_minor=0) if isinstance(each, logged.OrderCompleted) else each for each in history]
    chance.shuffle(history)
    driver = live(history, Driver(policy(value__margin_permille=1000)))
    driver.tick(day(400))
    if orders == "folded":
        for on in (410, 600, 800):
            driver.tick(day(on))
        assert driver.profiles["c"].ledger.orders == ()
    margins, found = days_and_margins(history), history_of(driver.profiles["c"].ledger, "UTC")
    if not margins:
        assert found is None
    else:
        assert found is not None
        assert seen(found) == seen_at_once(margins)


def test_more_days_than_are_kept_one_by_one_count_all_the_same() -> None:
    """An order every five days for two years; every fourth leaves nothing."""
    driver, margins = Driver(policy(value__margin_permille=1000)), {}
    for number in range(146):
        margins[DAY_0 + 5 * number] = amount = 0 if number % 4 == 1 else 1_000 + number
        driver.tick(day(5 * number))
        driver.feed(order(5 * number, f"order {number}", amount))
    found = history_of(driver.profiles["c"].ledger, "UTC")
    assert found is not None
    assert seen(found)[:3] + seen(found)[4:] == seen_at_once(margins)[:3] + seen_at_once(margins)[4:]
    assert found.sum_log_gap == pytest.approx(145 * log(5 / 7), abs=1e-4)  # each of those let go to a millionth


# -- how long they may be silent --------------------------------------------------------------------------------------


def said_nothing(on: float) -> Any:
    """An event that changes nothing of what they bought."""
    return said(logged.TouchRecorded, on, channel="email")


def lifecycle(driver: Driver) -> Lifecycle:
    return Lifecycle(driver.profiles["c"].lifecycle)


def silent_days(driver: Driver) -> int:
    """How many days of silence put them at risk, by the library's own word."""
    history = history_of(driver.profiles["c"].ledger, "UTC")
    assert history is not None
    return ceil(overdue_after(MODEL, history, 365 / 7) * 7)


def test_a_silence_is_news_at_the_customers_own_deadline_to_the_second() -> None:
    """They bought every week: long before the policy's 60 days. Lapsed at three times that."""
    driver = under_model(policy())
    for number in range(6):
        driver.feed(order(7 * number, f"order {number}"))
    driver.tick(day(35))
    deadline = 35 + silent_days(driver)
    assert deadline < 35 + 60
    assert driver.profiles["c"].next_review_at <= seconds(deadline)
    for before in (deadline - 14, deadline - 7, deadline - 0.001):
        driver.tick(day(max(before, 35.5)))
        assert lifecycle(driver) is Lifecycle.ACTIVE
    assert driver.profiles["c"].next_review_at == seconds(deadline)
    driver.tick(day(deadline))
    assert lifecycle(driver) is Lifecycle.AT_RISK
    lapsed = 35 + 3 * silent_days(driver)
    driver.tick(day(lapsed - 0.001))
    assert lifecycle(driver) is Lifecycle.AT_RISK
    driver.tick(day(lapsed))
    assert lifecycle(driver) is Lifecycle.LAPSED


def test_who_bought_once_is_overdue_by_the_shops_curve_of_second_orders() -> None:
    driver = under_model(policy())
    driver.feed(order(0))
    driver.tick(day(8 * 7 - 0.001))
    assert lifecycle(driver) is Lifecycle.NEW
    driver.tick(day(8 * 7))
    assert lifecycle(driver) is Lifecycle.AT_RISK


def test_without_a_model_the_policys_days_count() -> None:
    driver = Driver()
    driver.feed(order(0))
    driver.tick(day(59.9))
    assert lifecycle(driver) is Lifecycle.NEW
    driver.tick(day(60))
    assert lifecycle(driver) is Lifecycle.AT_RISK
    assert driver.profiles["c"].pace is None


def test_a_new_model_moves_the_deadline_and_takes_back_no_risk() -> None:
    """Only a purchase does that: a customer near the deadline does not flicker with every fit."""
    driver = under_model(policy())
    driver.feed(order(0))
    driver.tick(day(50))
    driver.control(fitted(50, replace(MODEL, second_order_weeks=7.0)))
    driver.tick(day(50.1))
    driver.feed(said_nothing(50.2))  # touched, if the tick was too early to visit
    assert lifecycle(driver) is Lifecycle.AT_RISK
    driver.control(fitted(51, replace(MODEL, second_order_weeks=20.0)))
    driver.feed(said_nothing(52))
    assert lifecycle(driver) is Lifecycle.AT_RISK
    driver.feed(order(53, "B"))
    assert lifecycle(driver) is Lifecycle.ACTIVE


@pytest.mark.parametrize("told", [(0, 100), (100, 0)])
def test_a_silence_is_judged_by_what_was_known_when_it_began_also_when_told_backwards(told: tuple[int, int]) -> None:
    """Who bought once is overdue after eight weeks, so they came back; after two orders 100 days apart, not so soon.

    Who came back is active; else they would be new until their third order.
    """
    driver = under_model(policy(lifecycle__active_from_purchases=3))
    for on in told:
        driver.feed(order(on, f"order {on}"))
    pace = driver.profiles["c"].pace
    assert pace is not None
    assert pace.at_risk_days > 100
    assert lifecycle(driver) is Lifecycle.ACTIVE


def test_the_policys_bounds_hold_for_every_rhythm() -> None:
    driver = under_model(policy(forecast__at_risk_max_days=30))
    driver.feed(order(0))
    driver.tick(day(30))
    assert lifecycle(driver) is Lifecycle.AT_RISK


def test_a_deadline_is_drawn_to_the_longest_silence_of_the_policy_in_force() -> None:
    """And reckoned anew once another is adopted: after two repeat purchases a longest four times as long doubles it."""
    driver = under_model(policy())
    for number in range(3):
        driver.feed(order(7 * number, f"order {number}"))
    history = history_of(driver.profiles["c"].ledger, "UTC")
    assert history is not None
    year = overdue_after(MODEL, history, 365 / 7) * 7
    for on, (longest, days) in enumerate([(365, ceil(year)), (1_460, ceil(2 * year))], start=15):
        driver.control(adopted(policy(forecast__at_risk_max_days=longest), on))
        driver.feed(said_nothing(on + 0.5))
        pace = driver.profiles["c"].pace
        assert pace is not None
        assert pace.at_risk_days == days


def test_a_cancelled_order_sets_the_deadline_of_the_history_without_it() -> None:
    driver, without = under_model(policy()), under_model(policy())
    for each in (driver, without):
        each.feed(order(0, "A"))
        each.feed(order(20, "B"))
    driver.feed(order(26, "C"))
    assert driver.profiles["c"].pace != without.profiles["c"].pace
    driver.feed(cancelled(27, "C"))
    assert driver.profiles["c"].pace == without.profiles["c"].pace
    driver.feed(cancelled(27, "B"))
    driver.feed(cancelled(27, "A"))
    assert driver.profiles["c"].pace is None
    assert lifecycle(driver) is Lifecycle.PROSPECT


@STEADY
@given(histories, st.randoms(use_true_random=False), st.sampled_from((None, 400)))
def test_any_order_of_arrival_is_one_pace_one_lifecycle_and_one_forecast(
    history: list[Any], chance: random.Random, first_tick: float | None
) -> None:
    told = []
    for _ in range(2):
        driver = under_model()
        if first_tick is not None:
            driver.tick(day(first_tick))
        live(history, driver)
        told.append(driver)
        history = [*history, *chance.sample(history, chance.randrange(len(history) + 1))]
        chance.shuffle(history)
    for on in (400, 410, 420, 430, 600):
        for driver in told:
            driver.tick(day(on))
        one, other = (driver.profiles["c"] for driver in told)
        assert (one.pace, one.lifecycle, one.lifecycle_reason) == (other.pace, other.lifecycle, other.lifecycle_reason)
        assert forecast(one, told[0].controls, DAY_0 + on) == forecast(other, told[1].controls, DAY_0 + on)


# -- the forecast -----------------------------------------------------------------------------------------------------


def test_there_is_no_forecast_before_a_model_or_a_purchase() -> None:
    driver = Driver()
    driver.feed(order(0))
    assert forecast(driver.profiles["c"], driver.controls, DAY_0) is None
    driver = under_model()
    driver.feed(said_nothing(0))
    assert forecast(driver.profiles["c"], driver.controls, DAY_0) is None


def test_a_forecast_is_the_models_of_what_the_ledger_holds() -> None:
    """Half of the second order went back: 40 % of half of 80.00 is its margin."""
    driver = under_model(policy())
    driver.feed(order(0, "A", 3_000))
    driver.feed(order(21, "B", 8_000))
    driver.feed(refund(25, "B", amount_minor=4_000))
    found = forecast(driver.profiles["c"], driver.controls, DAY_0 + 30)
    history = history_of(driver.profiles["c"].ledger, "UTC")
    assert found is not None
    assert history is not None
    assert (history.frequency, history.spend_days, history.spend_minor) == (1, 1, 1_600)
    plain = predict(MODEL, history, DAY_0 + 30)
    assert found.margin_minor == plain.margin_minor
    assert found.revenue_minor == pytest.approx([2.5 * each for each in found.margin_minor])


SHOPS_MINOR = 6.25 * 1_544.0 / 2.74
"""What a purchase day of somebody unknown leaves under `MODEL`."""


def test_who_sends_everything_back_is_expected_to_order_again_and_to_bring_next_to_nothing() -> None:
    """Eleven repeat days left nothing; the shop's belief that all pay weighs as one: a twelfth of its mean."""
    driver = under_model(policy())
    for number in range(12):
        driver.feed(order(7 * number, f"{number}", 10_000))
        driver.feed(refund(7 * number + 3, f"{number}", f"R{number}"))
    found = forecast(driver.profiles["c"], driver.controls, DAY_0 + 80)
    assert found is not None
    assert found.orders[2] > 10.0
    assert found.margin_minor == pytest.approx([orders * SHOPS_MINOR / 12 for orders in found.orders])
    assert found.revenue_minor == pytest.approx([orders * 2.5 * SHOPS_MINOR / 12 for orders in found.orders])


def test_who_buys_at_a_loss_is_expected_to_go_on_so() -> None:
    """Paid 100.00 each, after 90.00 off the price: 40 % of 190.00 is margin, so each day loses 14.00.

    Eleven repeat days say so; of margin and revenue the shop's mean day weighs as one day more.
    """
    driver = under_model(policy())
    for number in range(12):
        driver.feed(order(7 * number, f"{number}", 10_000, discount_minor=9_000))
    found = forecast(driver.profiles["c"], driver.controls, DAY_0 + 80)
    assert found is not None
    a_day = SHOPS_MINOR / 12 - 11 / 12 * 1_400 * 11 / 12
    assert found.margin_minor == pytest.approx([orders * a_day for orders in found.orders])
    revenue = (12 * 10_000 + 2.5 * SHOPS_MINOR) / 12
    assert found.revenue_minor == pytest.approx([orders * revenue for orders in found.orders])


def test_a_channels_own_model_goes_before_the_shops_only_while_it_is_of_the_same_fit() -> None:
    driver = under_model()
    driver.feed(said(logged.TouchRecorded, 0, channel="email"))
    driver.feed(order(0))
    of_shop = forecast(driver.profiles["c"], driver.controls, DAY_0 + 30)
    rare = replace(MODEL, timing=replace(TIMING, alpha=60.0))
    driver.control(fitted(0, rare, "channel/email"))
    own = forecast(driver.profiles["c"], driver.controls, DAY_0 + 30)
    assert own is not None
    assert of_shop is not None
    assert own.orders[2] < of_shop.orders[2] / 2
    driver.control(fitted(1))
    assert forecast(driver.profiles["c"], driver.controls, DAY_0 + 30) == of_shop


ANYWHERE = st.one_of(
    st.sampled_from((0.0, -1.0, 1.0, -300.0, 1e-300, 1e300, -1e300)), st.floats(-1e6, 1e6), st.floats(1e-12, 1e12)
)


@STEADY
@given(st.dictionaries(st.sampled_from(sorted(to_parameters(MODEL))), ANYWHERE, min_size=1, max_size=4))
def test_whatever_the_numbers_of_a_model_no_event_fails_and_no_figure_is_beyond_all_measure(
    numbers: dict[str, float],
) -> None:
    """A fit gone wrong, or a control from elsewhere: no model, or one that says what a customer may be like."""
    driver = Driver(policy())
    control = logged.ModelFitted(fitted_at=day(0), parameters={**to_parameters(MODEL), **numbers})
    driver.control(logged.decode(logged.encode(control)))
    driver.control(measured(0))
    for number in range(4):
        driver.feed(order(14 * number, f"{number}", 10_000))
    driver.feed(said(logged.CostRecorded, 45, department="sales", amount_minor=900_000, currency="USD"))
    driver.tick(day(60))
    profile = driver.profiles["c"]
    assert unpack(pack(profile)) == profile
    seen = view("c", profile, driver.controls, partition=0, offset=0)
    if seen["prediction"] is not None:
        assert 0.0 <= seen["prediction"]["p_return"] <= 1.0
        assert all(0.0 <= ahead["orders"] < 1e8 for ahead in seen["prediction"]["ahead"])


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("level", 0.0), ("level", 1.0), ("return_weeks", -5.0), ("value_weeks", 0.0), ("discount", -50.0),
        ("revenue_rate", -3.0), ("timing.b", 1e300), ("timing.r", 2e6), ("spend.paying_fraction", 0.0),
        ("season.level", 0.0), ("fitted_on", -1.0), ("second_order_weeks", -5.0),
    ],
)  # fmt: skip
def test_a_number_that_no_shop_can_have_is_refused_by_name(name: str, number: float) -> None:
    wrong = logged.ModelFitted(fitted_at=day(0), parameters={**to_parameters(MODEL), name: number})
    with pytest.raises(
        BadModel, match=f"ModelFitted shop: parameters: {name}: expected .* got {escape(f'{number:g}')}"
    ):
        model_of(wrong)
    driver = Driver()
    driver.control(wrong)
    assert driver.controls.models.shop is None


def test_what_no_fit_finds_by_orders_of_magnitude_is_refused_though_each_number_might_be() -> None:
    for wrong, problem in (
        ({"timing.alpha": 1e-3}, "timing: expected at most 70 orders a week"),
        ({"spend.gamma": 1e17}, "spend: expected a mean margin of at most 1e"),
        (
            {"timing.r": 0.0014, "timing.alpha": 0.0012, "timing.a": 0.04, "timing.b": 2_700.0},
            "orders of somebody who came again 0 times: expected no more than as many as if nobody left",
        ),
    ):
        with pytest.raises(BadModel, match=problem):
            model_of(logged.ModelFitted(fitted_at=day(0), parameters={**to_parameters(MODEL), **wrong}))


def test_parameters_that_are_no_model_are_not_guessed_at() -> None:
    driver = Driver()
    driver.control(logged.ModelFitted(fitted_at=day(0), parameters={"r": 0.243}))
    driver.feed(order(0))
    assert driver.controls.models.shop is None
    assert forecast(driver.profiles["c"], driver.controls, DAY_0) is None


@pytest.mark.parametrize("has_lines", [False, True])
def test_an_ordinary_year_packs_to_a_kibibyte_under_a_model_and_tiers_too(*, has_lines: bool) -> None:
    profile, largest = lived_daily(ordinary_year(has_lines=has_lines), 366, fitted(-1), measured(-1))
    assert profile.pace is not None
    assert profile.standing is not None
    assert largest <= 1024, f"{largest} bytes"
