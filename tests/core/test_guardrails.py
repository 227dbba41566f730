"""How often a customer wants to hear from us is obeyed, however often they buy and whatever the policy allows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import accumulate, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.guardrails import has_consent
from pipeline.core.owed import was_allowed
from pipeline.core.profile import MESSAGES_MAX, Consent, Profile
from pipeline.core.words import short
from pipeline.schemas import logged
from pipeline.telling import why
from tests.core.builders import consent, day, order, policy, resolved, said, seconds, ticket
from tests.core.lives import HASTY, STEADY
from tests.driver import Driver

EAGER = policy(
    guard_rails__messages_max=MESSAGES_MAX,
    guard_rails__messages_window_days=1,
    rules__feedback_request__wait_days=0,
    rules__feedback_request__cool_down_days=0,
)
"""A shop that asks after every order at once."""
MONTH = timedelta(days=31)


def wish(on: float, most: int) -> logged.PreferenceStated:
    return said(logged.PreferenceStated, on, contacts_per_month_max=most)


def shop(*events: Any) -> Driver:
    """An eager shop in which somebody agreed to be asked, after these events."""
    driver = Driver(EAGER)
    driver.tick(day(0))
    for event in (consent(0, "feedback"), *events):
        driver.feed(event)
    return driver


_GAPS = st.lists(st.sampled_from((0, 0.1, 0.5, 1, 3, 10, 31)), min_size=1, max_size=40)


@STEADY
@given(_GAPS, st.integers(0, 20))
def test_no_31_days_and_no_month_of_the_calendar_have_more_messages_than_they_want(
    gaps: list[float], most: int
) -> None:
    driver = shop(wish(0, most))
    for number, on in enumerate(accumulate(gaps)):
        driver.tick(day(on))
        driver.feed(order(on, f"order {number}"))
    driver.tick(day(sum(gaps) + 29))
    sent = [each.decided_at for each in driver.sent("feedback_request")]
    assert all(sum(at <= other < at + MONTH for other in sent) <= most for at in sent)
    assert max(Counter((at.year, at.month) for at in sent).values(), default=0) <= most
    assert bool(sent) == bool(most), "but the first is sent to whoever wants any"


def test_who_wants_many_has_as_many_as_are_remembered_in_a_month() -> None:
    """A profile remembers so many messages: a wish for more cannot be counted up to, and counts as one for so many."""
    orders = [order(number, f"order {number}") for number in range(1, MESSAGES_MAX + 3)]
    assert len(shop(*orders).sent("feedback_request")) == len(orders), "the policy allows all of them"
    driver = shop(wish(0, 1_000), *orders)
    assert len(driver.sent("feedback_request")) == MESSAGES_MAX
    assert driver.decisions[-1].reasons == ("wish",)


def test_a_decision_says_what_they_want_and_what_they_had() -> None:
    driver = shop(wish(0, 1), order(1, "A"), order(2, "B"))
    sent, held = driver.decisions
    assert (sent.numbers["messages_in_month"], sent.numbers["contacts_per_month_max"]) == (0, 1)
    assert (held.numbers["messages_in_month"], held.numbers["contacts_per_month_max"]) == (1, 1)
    told = why({"reasons": held.reasons, "numbers": held.numbers})
    assert told == "they want at most 1 a month, and in 31 days had 1"
    assert "contacts_per_month_max" not in shop(order(1, "A")).decisions[0].numbers, "who wishes nothing"


@pytest.mark.parametrize("seed", range(20))
def test_no_tick_leaves_a_message_held_past_its_day_after_their_yes_has_ended(seed: int) -> None:
    """A complaint, the cap or a cool-down holds it meanwhile; a later yes holds in place of the earlier one."""
    chance, driver, ends, held = random.Random(seed), Driver(HASTY), 0.0, 0
    for hour in range(6, 24 * 120, 6):
        on = hour / 24
        match chance.randrange(12):
            case 0:
                driver.feed(order(on, f"order {hour}"))
            case 1:
                driver.feed(ticket(on, f"ticket {hour % 5}"))
            case 2:
                driver.feed(resolved(on, f"ticket {hour % 5}"))
            case 3:
                ends = on + chance.choice((0.1, 1, 4, 9))
                driver.feed(
                    said(logged.ConsentChanged, on, purpose="feedback", state="granted", channel="email",
                         valid_until=day(ends))
                )  # fmt: skip
        driver.tick(day(on))
        for each in driver.profiles["c"].considerations if driver.profiles else ():
            if each.rule == "feedback_request" and each.not_before_at <= seconds(on):
                assert on < ends, f"day {on}: held for {each.business_key}, and the yes ended on day {ends}"
                held += 1
    assert held, "something was held"


@pytest.mark.parametrize("in_full", ["marketing", "email"])
def test_a_word_that_was_packed_in_full_before_it_was_well_known_still_counts_in_consents(in_full: str) -> None:
    """Words are added to the list; profiles packed before hold them as they are."""
    purpose, channel = ((word if word == in_full else short(word)) for word in ("marketing", "email"))
    everywhere, not_here = Consent(short("marketing"), short("*"), 1, 5), Consent(purpose, channel, 0, 6)
    profile = Profile(first_seen_at=1, as_of=9, consents=(everywhere, not_here))
    assert not has_consent(profile, "marketing", "email", 9)
    assert has_consent(profile, "marketing", "sms", 9)
    assert not was_allowed(profile.consents, 9, grace_hours=0)


def test_of_two_grants_of_one_instant_the_one_that_ends_first_counts_in_whatever_order_they_are_told() -> None:
    grants = [
        said(logged.ConsentChanged, 0, purpose="feedback", state="granted", channel="email", valid_until=until)
        for until in (day(5), None, day(9))
    ]
    for told in permutations(grants):
        driver = Driver(HASTY)
        for grant in told:
            driver.feed(grant)
        assert not has_consent(driver.profiles["c"], "feedback", "email", seconds(5))
        assert has_consent(driver.profiles["c"], "feedback", "email", seconds(5) - 1)


def test_a_delivery_told_again_puts_no_request_off() -> None:
    """Delivered on day 2, so asked a week later; told again on day 8, with a later date."""
    driver = Driver()
    driver.tick(day(-0.1))
    for event in (
        consent(0, "feedback"),
        order(0.1, "A"),
        *(said(logged.OrderDelivered, on, order_id="A") for on in (2, 8)),
    ):
        driver.feed(event)
    for on in (8.9, 9, 9.1):
        driver.tick(day(on))
    assert [each.decided_at for each in driver.sent("feedback_request")] == [day(9)]
