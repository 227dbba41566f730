"""What is reckoned once for a view is what each of its parts would reckon by itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from msgspec.structs import asdict

from pipeline.core import ledger as ledgers
from pipeline.core.days import day_of
from pipeline.core.forecast import forecast
from pipeline.core.reckoned import reckoned
from pipeline.core.responses import mails, mails_of, responses
from pipeline.core.rfm import YEAR_DAYS, habits, habits_of
from pipeline.core.stage import bought_in_cycles
from pipeline.core.value import Value, value, value_of
from pipeline.core.view import view
from tests.core.lives import HASTY, STEADY, histories, live, lives
from tests.core.test_acquisition import revised
from tests.core.test_forecast import fitted
from tests.driver import Driver

ZONE = HASTY.shop.time_zone


@STEADY
@given(lives)
def test_a_part_that_is_given_what_is_reckoned_says_the_same_as_one_that_reckons(life: list[Any]) -> None:
    driver = Driver(HASTY)
    for control in (fitted(0), revised("search", 5_000, 3), revised("email", 900, 2)):
        driver.control(control)
    live(life, driver)
    for profile in driver.profiles.values():
        controls, policy, as_of = driver.controls, driver.controls.policy, profile.as_of
        known = reckoned(profile, controls)
        year, days = known.windows[YEAR_DAYS], known.purchase_days
        assert value_of(known.live.worth, profile, controls, known.channel_costs) == value(profile, controls)
        assert bought_in_cycles(profile, as_of, policy, days) == bought_in_cycles(profile, as_of, policy)
        assert (habits_of(days, year, known.today) if days else None) == habits(profile, ZONE, known.today)
        assert mails_of(year) == mails(profile, known.today)
        assert responses(profile, policy, 0.2, year) == responses(profile, policy, 0.2)


@STEADY
@given(lives)
def test_a_view_says_what_its_parts_say_by_themselves(life: list[Any]) -> None:
    driver = Driver(HASTY)
    driver.control(fitted(0))
    live(life, driver)
    for profile in driver.profiles.values():
        seen = view("c", profile, driver.controls, partition=0, offset=0)
        told = tuple(seen["value"][name] for name in ("orders", "revenue_minor", "refunded_minor", "discount_minor"))
        assert told == ledgers.totals(profile.ledger)
        assert {name: seen["value"][name] for name in Value.__struct_fields__} == asdict(
            value(profile, driver.controls)
        )
        found = forecast(profile, driver.controls, day_of(profile.as_of, ZONE))
        assert (found is None) == (seen["prediction"] is None)
        if found is not None:
            assert seen["prediction"]["p_return"] == round(found.p_return, 9)
            assert [each["revenue_minor"] for each in seen["prediction"]["ahead"]] == [*map(round, found.revenue_minor)]


@STEADY
@given(histories)
def test_the_purchases_that_stand_are_those_of_which_something_is_left(history: list[Any]) -> None:
    driver = Driver(HASTY)
    for event in history:
        driver.feed(event)
    ledger = driver.profiles["c"].ledger
    assert ledgers.standing(ledger) == [
        order for order in ledger.orders if order.known and not ledgers.is_void(ledger, order)
    ]
