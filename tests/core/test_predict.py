"""What is expected of one customer, put together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from pipeline.core import timing as buying
from pipeline.core.calibration import FEATURES, Calibration
from pipeline.core.history import History, of_days
from pipeline.core.predict import Model, from_parameters, overdue_after, predict, to_parameters
from pipeline.core.rhythm import Rhythm
from pipeline.core.season import MONTHS, Season, factor
from pipeline.core.spend import Spend, expected_margin
from pipeline.core.timing import Timing
from pipeline.schemas import logged

TIMING = Timing(0.525, 6.183, 0.891, 1.614)
SPEND = Spend(6.2496, 3.7442, 15.4435)
"""Fader & Hardie's Gamma-Gamma note, CDNOW, dollars."""
MODEL = Model(
    TIMING, SPEND, Rhythm(TIMING, (1.0, 0.0, 0.0)), level=0.05, fitted_on=9_900, second_order_weeks=28.6,
)  # fmt: skip
JANUARY = 10_227  # 1998-01-01


def customer(*days: int, margin: int = 3_000) -> History:
    return of_days(dict.fromkeys(days, margin))


@pytest.mark.parametrize(
    ("days", "mean", "expected"),
    [
        (2, 22.35, 24.6586), (1, 11.77, 18.9115), (0, 0.0, 35.171), (7, 73.74, 71.4629), (2, 25.55, 27.2824),
    ],
)  # fmt: skip
def test_spend_is_drawn_to_the_shops_as_published(days: int, mean: float, expected: float) -> None:
    """Customers of CDNOW, from `lifetimes`' published check (means to a cent)."""
    assert expected_margin(SPEND, days, mean) == pytest.approx(expected, abs=0.01)


def test_a_purchase_day_to_come_is_one_that_pays_or_one_that_does_not() -> None:
    """Two days of 22.35, as published; three more that left nothing, nothing and -6.00. The shop pays on nine in ten.

    Of six days, one of them the shop's mean, 2.9 pay; the others leave -6.00 and the shop's -1.00 on four days.
    """
    spend = replace(SPEND, paying_fraction=0.9, poor_minor=-1.0)
    expected = 2.9 / 6 * 24.6586 + (1 - 2.9 / 6) * -7.0 / 4
    assert expected_margin(spend, 2, 22.35, 3, -6) == pytest.approx(expected, abs=0.01)
    assert expected_margin(spend, 0, 0.0) == pytest.approx(0.9 * 35.171 - 0.1 * 1.0, abs=0.01)
    assert spend.mean_minor == pytest.approx(expected_margin(spend, 0, 0.0))


def test_a_model_from_before_days_without_margin_counted_has_only_days_that_pay() -> None:
    numbers = to_parameters(MODEL)
    del numbers["spend.paying_fraction"], numbers["spend.poor_minor"]
    assert from_parameters(numbers) == MODEL


def test_who_bought_once_gets_the_shops_average_and_is_told_so() -> None:
    once, twice = customer(9_900), customer(9_900, 9_950)
    assert predict(MODEL, once, 9_960).basis == "the shop's average"
    assert predict(MODEL, twice, 9_960).basis == "own purchases"
    margins = [predict(MODEL, customer(9_900, margin=margin), 9_960).margin_minor for margin in (100, 90_000)]
    assert margins[0] == margins[1]


def test_a_prediction_is_what_the_models_say_of_the_customer() -> None:
    """To four thousandths: of a day between whole weeks the part between, so that what is alike is remembered."""
    history = customer(9_900, 9_921, 9_963)
    found = predict(MODEL, history, 9_993)
    state = (2, 9.0, 93 / 7)
    assert found.p_alive == pytest.approx(buying.p_alive(TIMING, *state))
    for orders, days in zip(found.orders, (30, 90, 365), strict=True):
        assert orders == pytest.approx(buying.expected_orders(TIMING, *state, days / 7), rel=0.004)
    margin = expected_margin(SPEND, 2, 3_000)
    assert found.margin_minor == pytest.approx([orders * margin for orders in found.orders])
    assert found.p_return == pytest.approx(buying.p_return(TIMING, *state, 90 / 7))


@pytest.mark.parametrize(
    "timing", [TIMING, Timing(0.7, 0.2, 0.9, 3.0), Timing(1.2, 1.2, 0.1, 1.0)], ids=["CDNOW", "coffee shop", "grocer"]
)
@pytest.mark.parametrize("silence", [0, 3, 4, 10, 52, 55, 56, 59, 200])
@pytest.mark.parametrize("days", [(0,), (0, 1), (0, 2), (0, 1, 2, 3), tuple(range(0, 70, 7))])
def test_orders_are_those_of_the_day_that_is_asked_about(timing: Timing, days: tuple[int, ...], silence: int) -> None:
    """A customer of three days is no newcomer, and none of a week: by the formula, to four thousandths."""
    history = customer(*(9_900 + day for day in days))
    today, x = history.last_day + silence, history.frequency
    found = predict(replace(MODEL, timing=timing), history, today)
    for orders, ahead in zip(found.orders, (30, 90, 365), strict=True):
        exact = buying.expected_orders(timing, x, history.recency, (silence + days[-1]) / 7, ahead / 7)
        assert orders == pytest.approx(exact, rel=0.004)


def test_value_is_discounted_and_looks_no_further_than_it_says() -> None:
    history = customer(9_900, 9_921, 9_963)
    year = replace(MODEL, value_weeks=365 / 7, discount=0.0)
    assert predict(year, history, 9_993).value_minor == pytest.approx(predict(year, history, 9_993).margin_minor[2])
    assert (
        predict(MODEL, history, 9_993).value_minor < predict(replace(MODEL, discount=0.0), history, 9_993).value_minor
    )


def test_silence_lowers_every_expectation() -> None:
    history = customer(9_900, 9_921, 9_963)
    soon, late = predict(MODEL, history, 9_970), predict(MODEL, history, 10_100)
    assert late.p_return < soon.p_return
    assert late.value_minor < soon.value_minor
    assert late.next_order_weeks[1] > soon.next_order_weeks[1]


def test_the_band_of_the_next_order_holds_its_median() -> None:
    early, median, late = predict(MODEL, customer(9_900, 9_921), 9_930).next_order_weeks
    assert 0.0 < early < median < late


def test_who_buys_more_often_is_overdue_sooner() -> None:
    weekly = customer(*range(9_900, 9_970, 7))
    monthly = customer(*range(9_900, 10_200, 30))
    assert overdue_after(MODEL, weekly, 52.0) < overdue_after(MODEL, monthly, 52.0)


def test_who_bought_once_is_overdue_by_the_shops_curve() -> None:
    assert overdue_after(MODEL, customer(9_900), 52.0) == 28.6


def test_a_busy_month_raises_the_orders_and_not_the_chance_that_they_stay() -> None:
    december = Season((*(1.0,) * 11, 2.0))
    history = customer(10_100, 10_150)
    plain, busy = (predict(replace(MODEL, season=season), history, 10_195) for season in (Season(), december))
    assert factor(december, 10_195, 30 / 7) == pytest.approx(2.0)  # 30 November and on
    assert factor(december, JANUARY, 30 / 7) == pytest.approx(1.0)
    assert busy.orders[0] == pytest.approx(2.0 * plain.orders[0], rel=0.01)
    assert plain.orders[1] < busy.orders[1] < 2.0 * plain.orders[1]
    assert busy.p_alive == plain.p_alive


def test_a_level_says_much_of_the_next_week_and_little_of_the_next_quarter() -> None:
    """Of what it is above 1, .7 is left each week later: over thirteen weeks their mean."""
    busy = Season(level=1.5, level_on=10_195)

    assert factor(busy, 10_195, 1.0) == pytest.approx(1.0 + 0.5 * 0.7**0.5)
    assert factor(busy, 10_195, 13.0) == pytest.approx(1.0 + 0.5 * sum(0.7 ** (week + 0.5) for week in range(13)) / 13)
    assert factor(busy, 10_195 + 28, 1.0) == pytest.approx(1.0 + 0.5 * 0.7**4.5)  # four weeks without a fit
    assert factor(busy, 10_195 - 28, 1.0) == pytest.approx(1.5)


def test_a_calibration_speaks_of_those_who_have_bought_twice() -> None:
    even = Calibration(12.0, 0.0, (0.0,) * len(FEATURES))
    model = replace(MODEL, calibration=even)
    assert predict(model, customer(9_900, 9_950), 9_960).p_return == 0.5
    once = predict(model, customer(9_900), 9_960)
    assert once.p_return == pytest.approx(buying.p_return(TIMING, 0, 0.0, 60 / 7, 12.0))


@pytest.mark.parametrize("calibration", [None, Calibration(4.0, 0.1, tuple(range(len(FEATURES))))])
def test_a_model_travels_through_the_log_and_back(calibration: Calibration | None) -> None:
    spend = replace(SPEND, paying_fraction=0.93, poor_minor=-120.5)
    model = replace(
        MODEL, spend=spend, calibration=calibration, season=Season(tuple(1.0 + m / 10 for m in range(MONTHS)), 1.2)
    )
    event = logged.ModelFitted(fitted_at=datetime(1998, 1, 1, tzinfo=UTC), parameters=to_parameters(model))
    back = logged.decode(logged.encode(event))
    assert isinstance(back, logged.ModelFitted)
    assert from_parameters(back.parameters) == model


def test_a_model_without_one_of_its_numbers_is_refused() -> None:
    numbers = to_parameters(MODEL)
    del numbers["timing.b"]
    with pytest.raises(KeyError, match=r"timing\.b"):
        from_parameters(numbers)
