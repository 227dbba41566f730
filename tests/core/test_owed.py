"""What we owe: one record in any order of arrival and any repetition, broken by time alone, and bounded."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.owed import Owed, by_department, next_due, still_open
from pipeline.core.profile import CASES_MAX, DELIVERIES_MAX, UNCONSENTED_MAX, Profile
from pipeline.core.satisfaction import satisfaction
from pipeline.schemas import logged
from tests.core.builders import cancelled, consent, day, order, said, seconds, ticket
from tests.core.lives import STEADY
from tests.driver import Driver


def promise(on: float, by: float, order_id: str = "A") -> Any:
    return said(logged.OrderPromised, on, order_id=order_id, promised_at=day(by))


def delivered(on: float, order_id: str = "A") -> Any:
    return said(logged.OrderDelivered, on, order_id=order_id)


def shipped(on: float, order_id: str = "A") -> Any:
    return said(logged.OrderShipped, on, order_id=order_id)


def answer(on: float, ticket_id: str = "T", kind: str = "complaint") -> Any:
    return said(logged.TicketUpdated, on, ticket_id=ticket_id, kind=kind, status="pending")


def mail(on: float, **fields: Any) -> Any:
    return said(logged.EmailDelivered, on, email_id="m", **{"campaign_id": "spring", **fields})


def after(*events: Any, until: float = 60.0) -> Profile:
    """The customer on a day, after what was told."""
    driver = Driver()
    for event in events:
        driver.feed(event)
    driver.tick(day(until))
    driver.feed_tick("c", logged.Tick(as_of=day(until)))
    return driver.profiles["c"]


def owed(*events: Any, until: float = 60.0) -> dict[str, Owed]:
    profile = after(*events, until=until)
    return by_department(profile, profile.as_of)


def test_a_customer_is_looked_at_right_after_the_day_of_a_promise() -> None:
    driver = Driver()
    driver.tick(day(0))
    driver.feed(order(0))
    driver.feed(promise(0, 2))
    driver.feed(ticket(0, promised_at=day(1)))
    for due in (1, 2):
        assert driver.profiles["c"].next_review_at == seconds(due) + 1
        driver.tick(day(due + 0.01))
    assert by_department(driver.profiles["c"], seconds(2.01))["sales"] == Owed(broken=1)
    assert next_due(driver.profiles["c"].dealings, seconds(3)) == 0


def test_on_the_very_second_promised_it_is_kept() -> None:
    assert owed(promise(0, 3), delivered(3))["sales"] == Owed(kept=1)
    assert owed(promise(0, 3), delivered(3 + 1 / 86_400))["sales"] == Owed(broken=1)
    assert owed(promise(0, 3), until=3)["sales"] == Owed(open=1)


def test_open_promises_are_shown_the_next_due_first_with_their_shipping() -> None:
    profile = after(order(0), promise(0, 9), shipped(1), ticket(0, promised_at=day(4)), until=2)
    found = still_open(profile.dealings, profile.as_of)
    assert [(each.what, each.due_at, each.shipped_at) for each in found] == [
        ("answer", seconds(4), 0), ("delivery", seconds(9), seconds(1)),
    ]  # fmt: skip


def test_a_promise_told_after_the_delivery_knows_of_it() -> None:
    assert owed(order(0), delivered(2), promise(0, 3))["sales"] == Owed(kept=1)
    assert owed(order(0), delivered(2), shipped(1), promise(0, 1))["sales"] == Owed(broken=1)


def test_a_message_of_a_trigger_needed_consent_and_had_it_and_a_receipt_needs_none() -> None:
    found = owed(mail(1, trigger_id="t"), mail(2, campaign_id=None))
    assert found["marketing"] == Owed(kept=1)


def test_a_consent_that_has_ended_is_none_a_day_later() -> None:
    until = said(logged.ConsentChanged, 0, purpose="marketing", state="granted", channel="email", valid_until=day(5))
    assert owed(until, mail(5.9), mail(6.1))["marketing"] == Owed(kept=1, broken=1)


def test_consent_for_feedback_or_by_another_channel_is_no_consent_to_a_campaign() -> None:
    assert owed(consent(0, "feedback"), consent(0, channel="sms"), mail(1))["marketing"] == Owed(broken=1)
    assert owed(consent(0, channel=None), mail(1))["marketing"] == Owed(kept=1)


def test_a_yes_by_sms_clears_no_campaign_by_email() -> None:
    """SMS agreed to on day 1, a campaign by e-mail on day 2, e-mail refused on day 9: there was never a yes to it."""
    told = [consent(1, channel="sms"), mail(2, campaign_id="spring")]
    for events in (told, [*told, consent(9, state="revoked")]):
        assert owed(*events)["marketing"].broken == 1


def test_a_promise_told_of_an_order_on_its_way_counts_among_the_eight() -> None:
    life = []
    for number in range(0, 40, 4):
        life += [shipped(number + each / 10, f"{number} {each}") for each in range(4)]
        life += [promise(number + 1, number + 30, f"{number} {each}") for each in range(4)]
    assert len(after(*life).dealings.deliveries) <= DELIVERIES_MAX


def test_departments_and_customers_add_up() -> None:
    assert Owed(1, 2, 3).plus(Owed(4, 5, 6)) == Owed(5, 7, 9)
    assert Owed(1, 2, 3).made == 6


# -- order, repetition, bounds ----------------------------------------------------------------------------------------

ORDERS = st.sampled_from("ABC")
TICKETS = st.sampled_from("TUV")
DAYS = st.integers(0, 40)
TOLD = st.one_of(
    st.builds(order, DAYS, ORDERS),
    st.builds(promise, DAYS, DAYS, ORDERS),
    st.builds(shipped, DAYS, ORDERS),
    st.builds(delivered, DAYS, ORDERS),
    st.builds(cancelled, DAYS, ORDERS),
    st.builds(
        lambda on, name, kind, by: ticket(on, name, kind, promised_at=None if by is None else day(by)),
        DAYS, TICKETS, st.sampled_from(("complaint", "question", "compliment")), st.none() | DAYS,
    ),
    st.builds(answer, DAYS, TICKETS),
    st.builds(
        lambda on, name, csat: said(
            logged.TicketResolved, on, ticket_id=name, kind="question", status="solved", csat=csat
        ),
        DAYS, TICKETS, st.sampled_from((None, "good", "bad")),
    ),
    st.builds(lambda on, name: said(logged.TicketUpdated, on, ticket_id=name, status="open"), DAYS, TICKETS),
)  # fmt: skip


@STEADY
@given(st.lists(TOLD, min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_any_repetition_is_one_record(told: list[Any], chance: random.Random) -> None:
    muddle = [*told, *chance.sample(told, chance.randrange(len(told) + 1))]
    chance.shuffle(muddle)
    one, other = after(*told), after(*muddle)
    assert by_department(one, one.as_of) == by_department(other, other.as_of)
    assert still_open(one.dealings, one.as_of) == still_open(other.dealings, other.as_of)
    assert sorted(map(str, one.dealings.cases)) == sorted(map(str, other.dealings.cases))
    assert sorted(map(str, one.dealings.deliveries)) == sorted(map(str, other.dealings.deliveries))
    policy = Driver().policy
    assert satisfaction(one, one.as_of, policy) == satisfaction(other, other.as_of, policy)


@STEADY
@given(st.lists(TOLD, min_size=1, max_size=14))
def test_made_is_kept_and_broken_and_open_as_counted_promise_by_promise(told: list[Any]) -> None:
    """Reckoned naively from everything that was told."""
    until = 20
    expected = {"sales": [0, 0, 0], "service": [0, 0, 0]}
    for name in "ABC":
        of_order = [event for event in told if getattr(event, "order_id", None) == name]
        days = [event.promised_at for event in of_order if isinstance(event, logged.OrderPromised)]
        if days:
            void = [each.occurred_at for each in of_order if isinstance(each, logged.OrderCancelled)]
            done = [each.occurred_at for each in of_order if isinstance(each, logged.OrderDelivered)]
            is_void = bool(void) and not (done and min(done) <= min(void))  # cancelled before it came
            if not is_void or min(void) > min(days):
                place = naive(min(days), [] if is_void else done, until, is_over=is_void)
                expected["sales"][place] += 1
    for name in "TUV":
        of_ticket = [event for event in told if getattr(event, "ticket_id", None) == name]
        days = [event.promised_at for event in of_ticket if event.promised_at is not None]
        done = [each.occurred_at for each in of_ticket if each.status in ("pending", "solved")]
        if days:
            expected["service"][naive(min(days), done, until)] += 1
    as_of = seconds(until)
    found = by_department(after(*told), as_of)
    assert {name: list(found[name]) for name in expected} == expected


def naive(due: Any, done: list[Any], until: float, *, is_over: bool = False) -> int:
    """0 kept, 1 broken, 2 open."""
    if done:
        return 0 if min(done) <= due else 1
    return 1 if is_over or day(until) > due else 2


def test_nothing_is_lost_of_the_count_when_the_old_is_kept_no_more() -> None:
    events: list[Any] = []
    for number in range(30):
        on, name = float(number), f"o{number}"
        events += [order(on, name), promise(on, on + 1, name), delivered(on + (0.5 if number % 3 else 1.5), name)]
        events += [
            ticket(on, f"t{number}", "question", promised_at=day(on + 1)),
            said(logged.TicketResolved, on + (0.5 if number % 5 else 2.5), ticket_id=f"t{number}", kind="question"),
        ]
    events.sort(key=lambda event: event.occurred_at)
    profile = after(*events)
    found = by_department(profile, profile.as_of)
    assert (found["sales"], found["service"]) == (Owed(20, 10, 0), Owed(24, 6, 0))
    assert len(profile.dealings.deliveries) <= DELIVERIES_MAX
    assert len(profile.dealings.cases) <= CASES_MAX
    again = after(*events, events[0], events[1], events[3])
    assert by_department(again, again.as_of) == found, "old news is too old to count again"


def test_of_too_many_open_promises_none_is_called_broken_before_its_day() -> None:
    events: list[Any] = [promise(0, 10 + number, f"o{number}") for number in range(12)]
    events += [ticket(0, f"t{number}", "question", promised_at=day(10 + number)) for number in range(12)]
    found = owed(*events, until=1)
    assert (found["sales"], found["service"]) == (Owed(open=DELIVERIES_MAX), Owed(open=CASES_MAX))
    late = owed(*events, promise(30, 40, "o30"), ticket(30, "t30", "question", promised_at=day(40)), until=31)
    assert (late["sales"], late["service"]) == (Owed(broken=8, open=1), Owed(broken=8, open=1))


def test_messages_without_consent_are_all_counted_and_few_are_kept() -> None:
    profile = after(*(mail(number) for number in range(20)))
    assert by_department(profile, profile.as_of)["marketing"] == Owed(broken=20)
    assert len(profile.dealings.unconsented_at) == UNCONSENTED_MAX


@pytest.mark.parametrize("granted", [0, 3])
def test_a_yes_told_late_clears_what_came_after_it_and_not_what_came_before(granted: int) -> None:
    found = owed(mail(2), mail(4), consent(granted))
    assert found["marketing"] == (Owed(kept=2) if granted == 0 else Owed(kept=1, broken=1))


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([consent(1, state="denied")], 0),
        ([said(logged.EmailUnsubscribed, 1, email_id="m")], 0),
        ([consent(1, state="denied"), consent(1.7)], 0),
        ([consent(0), consent(1, state="denied")], 1),
        ([consent(0), said(logged.EmailUnsubscribed, 1, email_id="m")], 1),
        ([consent(0), consent(0.2, state="denied"), consent(0.3), consent(1, state="denied")], 1),
    ],
    ids=["denied", "unsubscribed", "a later yes", "a yes before", "a yes before an end", "more than one yes"],
)
def test_a_no_gives_time_only_to_who_was_allowed_before_it(words: list[Any], kept: int) -> None:
    """An e-mail half a day after the no, which may take a day to reach who sends; in whatever order they are told."""
    for told in permutations([*words, mail(1.5)]):
        assert owed(*told, until=4)["marketing"] == Owed(kept=kept, broken=1 - kept)
