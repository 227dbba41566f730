"""By what channel and at what time of day a customer answers: told by their answers, not by what they are sent."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.profile import ANSWERS_MAX
from pipeline.core.responses import CODES, SLOT_SECONDS, mails, responses, slots, with_answer
from pipeline.schemas import logged
from tests.core.builders import day, opened, order, policy, said, seconds
from tests.core.lives import STEADY, live
from tests.core.test_needs import answers_by_phone, contact, known, shown
from tests.driver import Driver


def mail(kind: type, on: float, number: int) -> Any:
    return said(kind, on, email_id=f"m{number}")


# -- channels ---------------------------------------------------------------------------------------------------------


def test_a_channel_is_rated_by_answers_shrunk_to_the_usual_and_not_by_how_much_is_sent() -> None:
    driver = live(answers_by_phone(0))
    phone, email = shown(driver)["channels"]
    usual, prior = 0.1, 10
    assert (phone["channel"], phone["tried"], phone["answered"]) == ("phone", 5, 5)
    assert (email["channel"], email["tried"], email["answered"]) == ("email", 12, 0)
    assert phone["fraction"] == pytest.approx((5 + prior * usual) / (5 + prior))
    assert email["fraction"] == pytest.approx((0 + prior * usual) / (12 + prior))


def test_what_is_usual_in_the_shop_takes_the_place_of_the_policy_once_it_is_measured() -> None:
    driver = live(answers_by_phone(0))
    driver.control(logged.ModelFitted(fitted_at=day(1), scope="affinity", parameters={"response_fraction": 0.4}))
    phone = shown(driver)["channels"][0]
    assert phone["fraction"] == pytest.approx((5 + 10 * 0.4) / (5 + 10))


def test_a_mail_opened_and_followed_is_one_answer_and_so_is_coming_by_its_link() -> None:
    mails_of_a_week = [mail(logged.EmailDelivered, number, number) for number in range(7)]
    answered = [mail(kind, 1.1, 1) for kind in (logged.EmailOpened, logged.EmailClicked)]
    driver = live([*mails_of_a_week, *answered, said(logged.TouchRecorded, 1.1, channel="email", followed=True)])
    (email,) = shown(driver)["channels"]
    assert (email["tried"], email["answered"]) == (7, 1)


def test_what_only_reached_them_is_a_try_of_ours_and_no_answer_of_theirs() -> None:
    """Five letters that nobody answered; then one link followed, which they came by."""
    letters = [said(logged.TouchRecorded, number, channel="post") for number in range(5)]
    (post,) = shown(live(letters))["channels"]
    assert (post["channel"], post["tried"], post["answered"]) == ("post", 5, 0)
    for came in ({"followed": True}, {"referrer_host": "sms.example"}):
        driver = live([*letters, said(logged.TouchRecorded, 6, channel="sms", **came)])
        assert [(each["channel"], each["answered"]) for each in shown(driver)["channels"]] == [("sms", 1), ("post", 0)]
    assert live(letters).profiles["c"].needs.answers == ()


def test_a_scanner_that_opens_mails_answers_nothing() -> None:
    driver = live([mail(logged.EmailDelivered, 0, 1), said(logged.EmailOpened, 1, email_id="m1", is_machine=True)])
    assert shown(driver)["channels"][0]["answered"] == 0
    assert driver.profiles["c"].needs.answers == ()


def test_an_order_soon_after_an_answer_counts_for_the_channel_that_was_answered_last() -> None:
    driver = live([opened(1), contact(2, "phone", inbound=True), order(3, "A"), order(9, "B")])
    bought = {each["channel"]: each["bought"] for each in shown(driver)["channels"]}
    assert bought == {"email": 0, "phone": 1}, "B came more than three days after either"


def test_advertising_is_no_channel_they_could_be_dealt_with_by() -> None:
    driver = live([said(logged.TouchRecorded, number, channel="paid_search") for number in range(9)])
    assert shown(driver)["channels"] == []


def test_what_was_said_and_done_more_than_a_year_ago_is_forgotten() -> None:
    driver = live(answers_by_phone(0))
    driver.tick(day(100))
    assert {each["channel"] for each in shown(driver)["channels"]} == {"phone", "email"}
    for on in (410, 418, 426):
        driver.tick(day(on))
    assert shown(driver)["channels"] == []
    assert driver.profiles["c"].needs.heard == ()


@pytest.mark.parametrize(("calls", "channel"), [(4, 0), (5, CODES["phone"])])
def test_a_channel_is_preferred_from_five_tries_on(calls: int, channel: int) -> None:
    driver = Driver()
    driver.tick(day(0))
    live([contact(1 + number, "phone", inbound=True) for number in range(calls)], driver)
    for on in (20, 28):
        driver.tick(day(on))
    assert driver.profiles["c"].needs.channel == channel


def test_mails_are_counted_over_a_year() -> None:
    driver = live([mail(logged.EmailDelivered, number, number) for number in (0, 1, 20, 21)])
    driver.feed(opened(375))
    today = seconds(375) // 86_400
    assert mails(driver.profiles["c"], today) == (2, 1), "days 20 and 21, and what was opened today"


def test_a_quarter_ends_after_91_days_and_the_fourth_is_the_last_that_is_kept() -> None:
    start = -(seconds(0) // 86_400) % 91 + 0.0  # the first day of a quarter
    driver = live([contact(start, "phone", inbound=True)])
    for quarters, kept in ((1, (1,)), (2, (0, 1)), (3, (0, 0, 1)), (4, (0, 0, 0, 1)), (5, None)):
        driver.tick(day(start + 91 * quarters - 1))
        heard = driver.profiles["c"].needs.heard
        assert (heard[0].answered if heard else None) == kept


def test_the_best_channel_comes_first_and_the_counts_are_the_same_as_a_count_by_hand() -> None:
    chance = random.Random(11)
    told = [
        contact(number, chance.choice(("phone", "sms", "post")), inbound=chance.random() < 0.4) for number in range(90)
    ]
    driver = live(told)
    found = responses(driver.profiles["c"], policy(), None)
    for each in found:
        mine = [event for event in told if event.channel == each.channel]
        answered = sum(event.is_inbound for event in mine)
        assert (each.tried, each.answered) == (max(len(mine) - answered, answered), answered)
    assert [each.fraction for each in found] == sorted((each.fraction for each in found), reverse=True)


# -- signs of life ----------------------------------------------------------------------------------------------------

_SIGNS = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from((0, 1, 4))), max_size=30)


@STEADY
@given(_SIGNS, st.randoms(use_true_random=False))
def test_the_latest_signs_of_life_are_kept_in_any_order_of_arrival(
    signs: list[tuple[int, int]], chance: random.Random
) -> None:
    told = [*signs, *signs[:3]]
    chance.shuffle(told)
    kept: tuple[int, ...] = ()
    for slot, code in told:
        kept = with_answer(kept, slot * SLOT_SECONDS + chance.randrange(SLOT_SECONDS), code)
    assert slots(kept) == sorted(set(signs), reverse=True)[:ANSWERS_MAX]


# -- time of day ------------------------------------------------------------------------------------------------------


def evening(on: int, zone: str, *, month: int = 1) -> float:
    """Half past eight in the evening there, as days after the start."""
    there = datetime(2026, month, 1, 20, 30, tzinfo=ZoneInfo(zone)) + timedelta(days=on)
    return (there - day(0)).total_seconds() / 86_400


def test_the_preferred_time_is_in_their_own_zone_while_it_is_known_and_else_in_the_shops() -> None:
    told = [opened(evening(number, "Asia/Tehran"), f"m{number}") for number in range(1, 9)]
    driver = live([*told, known(9, time_zone="Asia/Tehran")])
    found = shown(driver)["preferred_time"]
    assert (found["from_hour"], found["to_hour"], found["time_zone"]) == (18, 21, "Asia/Tehran")
    assert (found["fraction"], found["answers"]) == (1.0, 8)
    found = shown(live(told))["preferred_time"]
    assert (found["from_hour"], found["to_hour"], found["time_zone"]) == (15, 18, "UTC"), (
        "half past eight there is 17:00"
    )


def test_summer_time_moves_nobodys_evening() -> None:
    told = [
        opened(evening(number, "Europe/Berlin", month=month), f"m{number}") for number in range(4) for month in (3, 4)
    ]
    told.sort(key=lambda event: event.occurred_at)
    driver = live([known(0, time_zone="Europe/Berlin"), *told])
    assert shown(driver)["preferred_time"]["fraction"] == 1.0


def test_orders_count_too_and_below_six_signs_nothing_is_said() -> None:
    told = [order(number + 0.3, f"o{number}") for number in range(5)]  # 12:00 and 0.3 days: 19:12
    assert shown(live(told))["preferred_time"] is None
    driver = live([*told, opened(6.3)])
    assert shown(driver)["preferred_time"]["from_hour"] == 18


def test_six_mails_opened_in_one_evening_are_one_evening() -> None:
    told = [opened(evening(1, "UTC") + number / 96, f"m{number}") for number in range(6)]
    assert shown(live(told))["preferred_time"] is None
    on_six = [opened(evening(number, "UTC"), f"m{number}") for number in range(6)]
    assert shown(live(on_six))["preferred_time"]["answers"] == 6


def test_no_time_is_preferred_where_none_stands_out() -> None:
    told = [opened(number + number % 8 / 8, f"m{number}") for number in range(8)]
    assert shown(live(told))["preferred_time"] is None


def test_hours_of_years_ago_say_nothing_of_today() -> None:
    told = [opened(number + 0.3, f"m{number}") for number in range(8)]
    driver = live(told)
    assert shown(driver)["preferred_time"] is not None
    for on in (380, 388):
        driver.tick(day(on))
    assert shown(driver)["preferred_time"] is None
