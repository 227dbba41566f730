"""What a customer is worth to date: every part by arithmetic, in any order of arrival, exact to the minor unit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations
from math import floor
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import WHOLE
from pipeline.core.door import Admitted, Shop, admit
from pipeline.core.explain import explained
from pipeline.core.marks import mark
from pipeline.core.money import portion, rounded
from pipeline.core.profile import KINDS_MAX
from pipeline.core.rates import read_rates
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import NOTHING as NO_VALUE
from pipeline.core.value import Value, value
from pipeline.core.worth import NOTHING, Worth, worth
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason
from tests.core.builders import adopted, cancelled, day, order, policy, refund, resolved, said, seconds, ticket
from tests.core.inbound import inbound
from tests.core.lives import (
    HASTY,
    PAID,
    STEADY,
    latest_refunds,
    live,
    lives,
    naive_back,
    order_told,
    paid_in,
)  # fmt: skip
from tests.driver import Driver

OFTEN = settings(STEADY, max_examples=100)
RATES = policy(
    value__margin_permille=300,
    value__margin_permille_by_category={"shoes": 550, "gift card": 30, "sample": -1000},
    value__affiliate_commission_permille=70,
    value__email_cost_per_thousand_minor=150,
    value__service_hour_cost_minor=2_400,
    value__return_cost_minor=350,
)


def line(category: str | None, amount_minor: int, quantity: int = 1) -> logged.Item:
    """A line of an order."""
    return logged.Item(product_id="p", category=category, amount_minor=amount_minor, quantity=quantity)


def returned(on: float, order_id: str, refund_id: str, amount_minor: int | None, *items: logged.Item) -> Any:
    """A refund with the lines given back."""
    return said(
        logged.OrderRefunded, on, order_id=order_id, refund_id=refund_id, amount_minor=amount_minor, items=items
    )


def after(*events: Any, rules: Any = RATES) -> Value:
    """The value of who lived through these events."""
    driver = live(events, Driver(rules))
    return value(driver.profiles["c"], driver.controls)


# -- margin -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "revenue", "margin"),
    [
        ((), 10_000, 3_000),  # no lines: the default rate
        ((line("shoes", 10_000),), 10_000, 5_500),
        ((line("hats", 10_000),), 10_000, 3_000),  # a category without a rate of its own
        ((line(None, 4_000), line("shoes", 6_000)), 10_000, 1_200 + 3_300),
        ((line("shoes", 2), line("gift card", 1)), 9_000, 6_000 * 55 // 100 + 3_000 * 3 // 100),  # lines are weights
        ((line("shoes", 2), line("gift card", 0)), 10_000, 5_500),  # a line without an amount weighs nothing
        ((line("shoes", 0),), 10_000, 5_500),  # where none has one, quantities weigh: one each
        ((line("shoes", 0), line(None, 0)), 10_000, 2_750 + 1_500),
        ((line("shoes", 0, 3), line("gift card", 0)), 8_000, 6_000 * 55 // 100 + 2_000 * 3 // 100),
        ((line(None, 0, 7),), 10_000, 3_000),
        ((line("sample", 500),), 500, -500),  # a loss leader
    ],
)
def test_the_margin_is_by_category_and_by_default(items: Any, revenue: int, margin: int) -> None:
    assert after(order(0, "A", revenue, items=items)).margin_minor == margin


def test_a_discount_costs_its_whole_self_and_once() -> None:
    """A pair at 100.00 that cost us 45.00, sold for 80.00, leaves 35.00: 55.00 margin less the discount."""
    worth = after(order(0, "A", 8_000, discount_minor=2_000, items=(line("shoes", 8_000),)))
    assert (worth.margin_minor, worth.discount_cost_minor) == (5_500, 2_000)
    assert worth.value_to_date_minor == 8_000 - 4_500


def test_a_refund_takes_its_share_of_margin_discount_and_commission_and_costs_its_handling() -> None:
    bought = order(0, "A", 8_000, discount_minor=2_000, affiliate_id="aff")
    worth = after(bought, refund(1, "A", "R", 2_000))
    assert worth.margin_minor == 3_000 * 3 // 4
    assert worth.discount_cost_minor == 2_000 * 3 // 4
    assert worth.commission_cost_minor == 560 * 3 // 4
    assert worth.return_cost_minor == 350
    whole = after(bought, refund(1, "A", "R", 2_000), refund(2, "A", "S"))
    assert whole == replace(NO_VALUE, return_cost_minor=700)


def test_of_an_order_that_cost_nothing_all_goes_back_with_a_refund_of_all_that_is_left() -> None:
    """Shoes at 50.00 for a coupon over all of it: 27.50 margin less 50.00 discount. A refund of 0.00 gives nothing."""
    free = order(0, "A", 0, discount_minor=5_000, commission_minor=100, items=(line("shoes", 0),))
    for told in ([free, refund(1, "A", "R", 0)], [refund(1, "A", "R", 0), free]):
        kept = after(*told)
        assert (kept.margin_minor, kept.discount_cost_minor, kept.commission_cost_minor) == (2_750, 5_000, 100)
    for told in ([free, refund(1, "A")], [refund(1, "A"), free]):
        gone = after(*told)
        assert (gone.margin_minor, gone.discount_cost_minor, gone.commission_cost_minor) == (0, 0, 0)
        assert (gone.return_cost_minor, gone.value_to_date_minor) == (350, -350)
        ledger = live(told, Driver(RATES)).profiles["c"].ledger
        assert ledgers.is_void(ledger, ledger.orders[0])


def test_a_refund_that_names_its_lines_takes_their_margin() -> None:
    """100.00 of shoes (55.00) and a gift card of 100.00 (3.00): without the shoes 3.00 stay, not half of 58.00."""
    bought = order(0, "A", 20_000, items=(line("shoes", 10_000), line("gift card", 10_000)))
    assert after(bought, returned(1, "A", "R", 10_000, line("shoes", 10_000))).margin_minor == 300
    assert after(bought, refund(1, "A", "R", 10_000)).margin_minor == 2_900
    assert after(bought, returned(1, "A", "R", 10_000, line("shoes", 0))).margin_minor == 300, "its amount goes unsaid"
    assert after(bought, returned(1, "A", "R", 10_000, line(None, 0))).margin_minor == 2_900, "of what, goes unsaid"
    assert after(bought, returned(1, "A", "R", 10_000, line(None, 10_000))).margin_minor == 2_900
    rest = returned(2, "A", "S", None, line("gift card", 10_000))
    assert after(bought, returned(1, "A", "R", 10_000, line("shoes", 10_000)), rest).margin_minor == 0


SHOES_AND_CARD = order(0, "A", 20_000, items=(line("shoes", 10_000), line("gift card", 10_000)))
"""Of 55.00 and 3.00 margin."""
CHEAPER = order(0, "A", 16_000, discount_minor=4_000, items=(line("shoes", 8_000), line("gift card", 8_000)))
"""The same for 160.00 after 40.00 off: the margin is of the price before discount."""


@pytest.mark.parametrize(
    ("bought", "refunds", "margin"),
    [
        (order(0, "A", 8_000, discount_minor=2_000, items=(line("shoes", 8_000),)), [(4_000, "shoes")], 2_750),
        (order(0, "A", 8_000, discount_minor=2_000, items=(line("shoes", 8_000),)), [(7_999, "shoes")], 1),
        (CHEAPER, [(8_000, "shoes")], 300),
        (CHEAPER, [(8_000, "gift card")], 5_500),
        (CHEAPER, [(4_000, "shoes")], 2_750 + 300),
        (CHEAPER, [(8_000, "shoes"), (7_999, "gift card")], 0),
        (CHEAPER, [(8_000, "gift card"), (7_999, "shoes")], 1),
        (SHOES_AND_CARD, [(10_000, "shoes"), (5_000, "")], 150),  # what names no line takes its share of what is left
        (SHOES_AND_CARD, [(5_000, ""), (10_000, "shoes")], 150),  # whichever was given back first
        (SHOES_AND_CARD, [(10_000, "shoes"), (9_999, "")], 0),
        (SHOES_AND_CARD, [(10_000, "gift card"), (9_999, "")], 1),
        (SHOES_AND_CARD, [(10_000, "shoes"), (10_000, "")], 0),
        (SHOES_AND_CARD, [(5_000, "shoes"), (5_000, "")], 3_050 * 2 // 3),
    ],
)
def test_what_named_lines_take_is_of_the_orders_own_margin(bought: Any, refunds: Any, margin: int) -> None:
    back = [
        returned(on, "A", f"R{on}", amount, *([line(name, amount)] if name else []))
        for on, (amount, name) in enumerate(refunds, 1)
    ]
    for told in permutations([bought, *back]):
        assert after(*told).margin_minor == margin


def test_lines_of_many_kinds_are_given_back_each_at_its_rate() -> None:
    """Of 100.00: 40.00 of shoes (22.00), 30.00 of hats at the default rate (9.00), 30.00 of no category (9.00)."""
    bought = order(0, "A", 10_000, items=(line("shoes", 4_000), line("hats", 3_000), line(None, 3_000)))
    assert after(bought, returned(1, "A", "R", 3_500, line("shoes", 2_000), line("hats", 1_500))).margin_minor == (
        1_100 + 450 + 900
    )
    assert after(bought, returned(1, "A", "R", 3_000, line(None, 3_000))).margin_minor == 2_200 + 900
    assert after(bought, returned(1, "A", "R", 3_000, line("socks", 3_000))).margin_minor == 2_200 + 900, (
        "no other line of it can be socks"
    )


def test_rates_are_those_of_the_order_whatever_they_are_when_it_is_given_back() -> None:
    """Shoes go from 55 % to 10 %, and to one rate for everything, between purchase and refund."""
    for now_in_force in (policy(value__margin_permille_by_category={"shoes": 100}), policy()):
        for back, left in (
            (returned(2, "A", "R", 10_000, line("shoes", 10_000)), 300),
            (refund(2, "A", "R", 1), 5_800),
        ):
            driver = live([SHOES_AND_CARD], Driver(RATES))
            driver.control(adopted(now_in_force, 1))
            driver.feed(back)
            assert value(driver.profiles["c"], driver.controls).margin_minor == left


def test_a_later_version_of_an_order_has_its_own_lines_whenever_they_are_given_back() -> None:
    """Shoes and a card of 100.00 each; told again it is a card of 100.00 alone, of which the shoes cannot be."""
    corrected = order(1, "A", 10_000, items=(line("gift card", 10_000),))
    for told in permutations([SHOES_AND_CARD, corrected, returned(2, "A", "R", 5_000, line("gift card", 5_000))]):
        assert after(*told).margin_minor == 150


def test_of_an_order_of_more_categories_than_are_kept_a_refund_takes_its_share() -> None:
    """Nine lines of 10.00, one of shoes: 5.50 and eight of 3.00."""
    others = tuple(line(f"kind {number}", 1_000) for number in range(KINDS_MAX))
    bought = order(0, "A", 9_000, items=(line("shoes", 1_000), *others))
    assert after(bought).margin_minor == 2_950
    assert after(bought, returned(1, "A", "R", 4_500, line("shoes", 1))).margin_minor == 1_475
    fewer = order(0, "A", 8_000, items=(line("shoes", 1_000), *others[1:]))
    assert after(fewer, returned(1, "A", "R", 1_000, line("shoes", 1))).margin_minor == 2_100


DATED = Shop("USD", read_rates("date,currency,rate\n2026-01-01,EUR,1.25\n2026-01-10,EUR,1.10\n2026-01-20,EUR,1.40\n"))
"""A euro is 1.25 dollars on day 0, 1.10 from day 9 and 1.40 from day 19."""


def abroad(on: float, amount_minor: int | None, refund_id: str = "", currency: str = "EUR") -> Any:
    """An order paid in another currency, or a refund of it, as the door lets it in on its day."""
    told = {"currency": currency, "occurred_at": day(on).isoformat()}
    if refund_id:
        event = inbound("OrderRefunded", refund_id=refund_id, amount_minor=amount_minor, **told)
    else:
        event = inbound("OrderCompleted", revenue_minor=amount_minor, **told)
    admitted = admit(event, received_at=day(on), shop=DATED)
    assert isinstance(admitted, Admitted)
    return admitted.logged


@pytest.mark.parametrize("on", [5, 12, 25])
def test_an_order_all_given_back_in_the_currency_it_was_paid_in_leaves_nothing_whatever_the_rate_did(on: float) -> None:
    for told in permutations([abroad(0, 10_000), abroad(on, 3_333, "R"), abroad(on, 6_667, "S")]):
        driver = live(told, Driver(RATES))
        ledger = driver.profiles["c"].ledger
        assert ledgers.worth_of(ledger) == Worth(12_500, 12_500, 0, 0, 0, 2 * 350)
        assert ledgers.standing(ledger) == []
        assert driver.notes == []


def test_a_part_given_back_in_the_currency_paid_is_that_part_of_the_order() -> None:
    """40 of 100 euro, in three parts of 13.34, 13.33 and 13.33: two fifths of 125 dollars, and no cent beside."""
    parts = [abroad(12, 1_334, "R"), abroad(25, 1_333, "S"), abroad(26, 1_333, "T")]
    ledger = live([abroad(0, 10_000), *parts], Driver(RATES)).profiles["c"].ledger
    assert ledgers.totals(ledger) == (1, 12_500, 5_000, 0)
    assert ledgers.worth_of(ledger).margin_minor == 3_000 * 12_500 // 10_000 * 3 // 5


def test_what_is_given_back_in_another_currency_counts_at_the_rate_of_its_day() -> None:
    ledger = live([abroad(0, 10_000), abroad(12, 2_000, "R", "USD")], Driver(RATES)).profiles["c"].ledger
    assert ledgers.totals(ledger) == (1, 12_500, 2_000, 0)
    ledger = live([abroad(0, 10_000, currency="USD"), abroad(12, 2_000, "R")], Driver(RATES)).profiles["c"].ledger
    assert ledgers.totals(ledger) == (1, 10_000, 2_200, 0)


def test_a_cancelled_order_costs_no_commission_and_no_handling() -> None:
    worth = after(order(0, "A", 5_000, affiliate_id="aff"), refund(1, "A", "R", 100), cancelled(2, "A"))
    assert worth == NO_VALUE


def test_commission_is_what_the_order_says_else_the_policys_rate_and_none_without_an_affiliate() -> None:
    assert after(order(0, "A", 10_000, affiliate_id="aff")).commission_cost_minor == 700
    assert after(order(0, "A", 10_000, affiliate_id="aff", commission_minor=55)).commission_cost_minor == 55
    assert after(order(0, "A", 10_000, affiliate_id="aff", commission_minor=0)).commission_cost_minor == 0
    assert after(order(0, "A", 10_000)).commission_cost_minor == 0


def test_a_later_policy_revalues_no_order_and_an_order_told_again_stays_as_it_was() -> None:
    driver = live([order(0, "A", 10_000), said(logged.EmailDelivered, 0, email_id="m")], Driver(RATES))
    driver.control(adopted(policy(value__margin_permille=900, value__email_cost_per_thousand_minor=999_000), 1))
    driver.feed(order(0, "A", 10_000))
    driver.feed(order(2, "B", 1_000))
    assert value(driver.profiles["c"], driver.controls).margin_minor == 3_000 + 900
    assert driver.profiles["c"].sends_milli == 150


def test_a_later_policy_shares_and_weighs_the_past_anew_and_spend_follows_with_the_next_revision() -> None:
    """Two channels won two customers; one spent 100.00, one 5.00. The parts counted are still the old policy's."""
    touched = [said(logged.TouchRecorded, 0, channel="ad"), said(logged.TouchRecorded, 1, channel="seo")]
    brought = said(logged.ReferralCredited, 3, path=(7,), amount_minor=1_000)
    driver = live(
        [*touched, order(2), brought], Driver(policy(value__attribution="last", value__referral_share_permille=100))
    )

    def revise(channel: str, spend_minor: int, parts: int, on: float) -> None:
        driver.control(
            logged.ChannelCostRevised(
                revised_at=day(on),
                channel=channel,
                cohort_month="2026-01",
                version=int(on),
                spend_minor=spend_minor,
                acquisitions=2,
                shares=parts,
            )
        )

    def figures() -> tuple[int, int]:
        profile = driver.profiles["c"]
        found = value(profile, driver.controls)
        return found.channel_cost_minor, referral_value_minor(profile, driver.controls.policy.value)

    revise("ad", 10_000, WHOLE, 4)  # the other customer was won by `ad` alone, this one by `seo`
    revise("seo", 500, WHOLE, 4)
    assert figures() == (500, 1_000 // 10)
    driver.control(adopted(policy(value__attribution="first", value__referral_share_permille=500), 5))
    assert figures() == (10_000, 1_000 // 2), "of 105.00 spent this one and the other are charged 200.00 in all"
    revise("ad", 10_000, 2 * WHOLE, 6)
    revise("seo", 500, 0, 6)
    assert figures() == (10_000 // 2, 1_000 // 2)


def test_a_correction_within_the_same_second_counts_whichever_word_comes_first() -> None:
    """10.00, and 900 thousandths of a second later 4.00; of which 3.00 go back, no, 1.00."""
    part = 0.9 / 86_400
    told = [order(0, "A", 1_000), order(part, "A", 400), refund(1, "A", "R", 300), refund(1 + part, "A", "R", 100)]
    for arrived in permutations(told):
        assert after(*arrived, *arrived).margin_minor == 300 * 4 // 10 * 3 // 4
    assert after(*(order(part, "A", amount) for amount in (400, 1_000))).margin_minor == 300, "of one instant the more"


# -- costs ------------------------------------------------------------------------------------------------------------


def test_service_time_and_e_mails_add_up_before_they_are_rounded() -> None:
    """Seven e-mails at 1.50 a thousand are 1.05 cents; 2.5 + 12.4 + 0.1 minutes at 24.00 an hour are 6.00."""
    mails = [said(logged.EmailDelivered, number, email_id="m") for number in range(7)]
    worth = after(
        *mails, said(logged.ContactMade, 1, department="service", service_minutes=2.5),
        ticket(2, service_minutes=12.4, service_cost_minor=40), resolved(3),
        said(logged.TicketUpdated, 4, ticket_id="T", service_minutes=0.1),
    )  # fmt: skip
    assert worth.send_cost_minor == 1
    assert (worth.service_time_cost_minor, worth.service_recorded_cost_minor) == (600, 40)
    assert worth.service_cost_minor == 640


def test_what_a_ticket_cost_counts_in_any_order_of_its_events() -> None:
    told = [
        ticket(1, service_cost_minor=10),
        said(logged.TicketUpdated, 2, ticket_id="T", service_cost_minor=200),
        said(logged.TicketResolved, 3, ticket_id="T", kind="complaint", service_cost_minor=3_000),
    ]
    for events in (told, told[::-1], [told[2], told[0], told[1]]):
        assert after(*events, *events).service_recorded_cost_minor == 3_210


def spent(on: float, department: str, amount_minor: int, **fields: Any) -> Any:
    """A cost."""
    return said(logged.CostRecorded, on, department=department, amount_minor=amount_minor, currency="USD", **fields)


def test_costs_count_by_department_and_show_beside_the_order_they_name() -> None:
    driver = live(
        [spent(0, "sales", 500, order_id="A"), order(1, "A", 10_000), spent(2, "marketing", 90, order_id="A"),
         spent(3, "sales", -200, order_id="A")], Driver(RATES),
    )  # fmt: skip
    profile = driver.profiles["c"]
    assert (value(profile, driver.controls).sales_cost_minor, value(profile, driver.controls).marketing_cost_minor) == (
        300,
        90,
    )
    assert [each.cost_minor for each in profile.ledger.orders] == [390]
    driver.tick(day(0))
    driver.tick(day(300))
    assert not driver.profiles["c"].ledger.orders
    assert value(driver.profiles["c"], driver.controls) == value(profile, driver.controls)


# -- any history ------------------------------------------------------------------------------------------------------

_IDS = st.sampled_from("ABCD")
_DAYS = st.integers(0, 60) | st.sampled_from((3, 3 + 0.4 / 86_400, 3 + 0.9 / 86_400))
_AMOUNTS = st.integers(0, 5_000)
_ITEMS = st.lists(
    st.builds(line, st.sampled_from(["shoes", "gift card", "hats", None]), st.integers(0, 900), st.integers(1, 3)),
    max_size=3,
).map(tuple)
events = st.one_of(
    st.builds(
        lambda on, order_id, amount, discount, items, affiliate, paid: order(
            on, order_id, amount, discount_minor=discount, items=items, affiliate_id=affiliate, **paid_in(paid, amount)
        ),
        _DAYS, _IDS, _AMOUNTS, st.integers(0, 99), _ITEMS, st.sampled_from([None, "aff"]), PAID,
    ),
    st.builds(
        lambda on, order_id, refund_id, amount, items, paid: refund(
            on, order_id, refund_id, amount, items=items, **paid_in(paid, amount)
        ),
        _DAYS, _IDS, st.sampled_from("RST"), st.none() | _AMOUNTS, _ITEMS, PAID,
    ),
    st.builds(cancelled, st.just(3), _IDS),
    st.builds(
        lambda on, department, amount, order_id: spent(on, department, amount, order_id=order_id),
        _DAYS, st.sampled_from(["marketing", "sales", "service"]), st.integers(-500, 900), st.none() | _IDS,
    ),
    st.builds(lambda on: said(logged.EmailDelivered, on, email_id="m"), _DAYS),
    st.builds(lambda on, minutes: ticket(on, f"T{on}", service_minutes=minutes), _DAYS, st.integers(0, 90)),
)  # fmt: skip
histories = st.lists(events, min_size=1, max_size=14, unique_by=lambda event: event.id)


@STEADY
@given(histories, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_a_history_is_one_value(history: list[Any], chance: random.Random) -> None:
    muddle = [*history, *chance.sample(history, chance.randrange(len(history) + 1))]
    chance.shuffle(muddle)
    assert after(*muddle) == after(*history)


@STEADY
@given(histories)
def test_orders_are_worth_the_sum_of_what_each_is_worth_by_itself(history: list[Any]) -> None:
    """What is rounded is rounded order by order."""
    orders = [each for each in history if getattr(each, "order_id", None)]
    driver = live(orders, Driver(RATES)) if orders else None
    whole = ledgers.worth_of(driver.profiles["c"].ledger) if driver else NOTHING
    parts = NOTHING
    for order_id in "ABCD":
        part = [each for each in orders if each.order_id == order_id]
        if part:
            parts += ledgers.worth_of(live(part, Driver(RATES)).profiles["c"].ledger)
    assert whole == parts


_IN_THOUSANDTHS = ("send_cost_minor", "service_time_cost_minor")
"""Parts summed in thousandths of a minor unit and rounded once: two sums may round to one more or less."""


@OFTEN
@given(histories, st.randoms(use_true_random=False))
def test_the_value_of_two_customers_who_are_one_is_the_sum_of_theirs(history: list[Any], chance: random.Random) -> None:
    """Of who came by no channel: those that won two customers would have won one."""
    of_whom = {order_id: chance.random() < 0.5 for order_id in "ABCD"}
    theirs: dict[bool, list[Any]] = {True: [], False: []}
    for each in history:
        order_id = getattr(each, "order_id", None)
        theirs[of_whom[order_id] if order_id else chance.random() < 0.5].append(each)
    one, other = (after(*part) if part else NO_VALUE for part in theirs.values())
    for name, whole, mine, yours in zip(
        Value.__struct_fields__, *map(astuple, (after(*history), one, other)), strict=True
    ):
        assert abs(whole - (mine + yours)) <= (name in _IN_THOUSANDTHS), name


@STEADY
@given(histories)
def test_folding_changes_no_part_of_the_value(history: list[Any]) -> None:
    driver = live(history, Driver(RATES))
    before = value(driver.profiles["c"], driver.controls)
    driver.tick(day(61))
    driver.tick(day(400))
    assert driver.profiles["c"].ledger.orders == ()
    assert value(driver.profiles["c"], driver.controls) == before


def weights(items: Sequence[logged.Item]) -> dict[str, int]:
    """What lines weigh by category: their amounts; where no line has one, their quantities."""
    found: dict[str, int] = {}
    for each in items:
        weighs = each.amount_minor if any(item.amount_minor for item in items) else each.quantity
        found[each.category or ""] = found.get(each.category or "", 0) + weighs
    return {category: weight for category, weight in found.items() if weight}


def exact_margin(told: logged.OrderCompleted, refunds: Sequence[logged.OrderRefunded]) -> Fraction:
    """What is left of an order's margin, in fractions of a minor unit, by the words of the page.

    Its lines are given back as refunds name them, each to its end; what names none of them takes its share of the rest.
    """
    revenue, price = told.revenue_minor, told.revenue_minor + told.discount_minor
    weighs = weights(told.items) or {"": 1}
    left = {category: Fraction(revenue * weight, sum(weighs.values())) for category, weight in weighs.items()}
    rates = {category: RATES.value.margin_permille_by_category.get(category, 300) for category in weighs}
    if not revenue:
        return Fraction(price * sum(rates[each] * weighs[each] for each in weighs), 1_000 * sum(weighs.values()))
    kept = revenue - naive_back(told, refunds)
    if not kept:
        return Fraction(0)
    for each in refunds:
        assert each.amount_minor is not None
        amount, named = Fraction(each.amount_minor), weights(each.items)
        if told.paid_minor and each.paid_currency == told.paid_currency:
            amount = Fraction(revenue * (each.paid_minor or 0), told.paid_minor)
        for category, weight in named.items():
            line_of = category if category in left else ""
            if line_of in left:
                left[line_of] -= amount * weight / sum(named.values())
    left = {category: max(amount, Fraction(0)) for category, amount in left.items()}
    rate = sum(rates[each] * left[each] for each in left) / sum(left.values()) / 1_000
    return rate * kept * price / revenue


def orders_told(history: Sequence[Any]) -> dict[str, tuple[logged.OrderCompleted, list[logged.OrderRefunded]]]:
    """By order its latest version and those of its refunds; of two alike but for lines none says which."""
    versions: dict[str, logged.OrderCompleted] = {}
    seen = set()
    for each in history:
        if isinstance(each, logged.OrderCompleted):
            seen.add((each.order_id, *order_told(each)))
            versions[each.order_id] = max(versions.get(each.order_id, each), each, key=order_told)
        elif isinstance(each, logged.OrderRefunded):
            seen.add((each.order_id, each.refund_id, each.occurred_at, each.amount_minor, each.paid_currency))
    assume(len(seen) == sum(isinstance(each, logged.OrderCompleted | logged.OrderRefunded) for each in history))
    refunds = latest_refunds(history)
    void = {each.order_id for each in history if isinstance(each, logged.OrderCancelled)}
    return {key: (told, refunds.get(key, [])) for key, told in versions.items() if key not in void}


@OFTEN
@given(histories)
def test_an_order_is_worth_what_fractions_say(history: list[Any]) -> None:
    """Each figure of each order, its lines and those given back included, is within its rounding of the exact one."""
    ledger = live(history, Driver(RATES)).profiles["c"].ledger
    for order_id, (told, back) in orders_told(history).items():
        entry = ledgers.find(ledger, mark(order_id))
        assert entry is not None
        found = worth(entry, ledger.refunds)
        if not told.revenue_minor and any(each.amount_minor is None for each in back):  # no part of it says how much
            assert (found.margin_minor, found.discount_minor, found.commission_minor) == (0, 0, 0)
            continue
        is_mixed = len(weights(told.items)) > 1
        abroad_too = 2 * len(back) if told.paid_currency else 0  # a part of what was paid is a whole minor unit
        within = (Fraction(1, 2) if is_mixed else 1) + abroad_too
        assert abs(found.margin_minor - exact_margin(told, back)) <= within
        kept = 1 - Fraction(naive_back(told, back), told.revenue_minor) if told.revenue_minor else Fraction(1)
        assert abs(found.discount_minor - kept * told.discount_minor) <= Fraction(1, 2)


_BACK = st.tuples(st.integers(0, 2_500), _ITEMS)


@OFTEN
@given(
    st.integers(1, 5_000), st.integers(0, 900), _ITEMS, st.lists(_BACK, max_size=5),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_more_is_given_back_the_less_margin_is_left_down_to_nothing_and_never_below(
    revenue: int, discount: int, items: Any, backs: list[tuple[int, Any]], chance: random.Random
) -> None:
    bought = order(0, "A", revenue, discount_minor=discount, items=items)
    back = [returned(on, "A", f"R{on}", amount, *named) for on, (amount, named) in enumerate(backs, 1)]
    driver = live([bought], Driver(RATES))
    margin = value(driver.profiles["c"], driver.controls).margin_minor
    for each in back:
        before, driver = margin, live([each], driver)
        margin = value(driver.profiles["c"], driver.controls).margin_minor
        assert 0 <= margin <= before
    muddle = [bought, *back, *back]
    chance.shuffle(muddle)
    assert after(*muddle).margin_minor == margin
    rest = revenue - sum(amount for amount, _ in backs)
    if rest > 1:
        live([refund(9, "A", "S", rest - 1)], driver)
        margin = value(driver.profiles["c"], driver.controls).margin_minor
        assert margin <= Fraction(55 * (revenue + discount), 100 * revenue) + 1, "a minor unit of it is left"
    live([refund(10, "A", "S", None if rest <= 1 else rest)], driver)
    assert value(driver.profiles["c"], driver.controls).margin_minor == 0


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_money_is_rounded_half_up(numerator: int, denominator: int) -> None:
    assert rounded(numerator, denominator) == floor(Fraction(numerator, denominator) + Fraction(1, 2))
    assert portion(numerator, denominator, denominator) == numerator


def test_sums_of_worth_are_figure_by_figure() -> None:
    assert Worth(1, 2, 3, 4, 5, 6) + Worth(10, 20, 30, 40, 50, 60) == Worth(11, 22, 33, 44, 55, 66)


# -- why --------------------------------------------------------------------------------------------------------------


@STEADY
@given(lives)
def test_the_entries_behind_a_value_add_up_to_it(life: list[Any]) -> None:
    driver = Driver(HASTY)
    live(life, driver)
    control = adopted(HASTY, -700)
    records = [(logged.CONTROL_KEY, logged.encode(control))]
    for event in life:
        key = logged.CONTROL_KEY if isinstance(event, logged.Tick) else b"c"
        records.append((key, logged.encode(event)))
    made_of = explained("c", records)
    expected = value(driver.profiles["c"], driver.controls) if "c" in driver.profiles else NO_VALUE
    assert made_of.value == expected
    for part, amount in zip(Value.__struct_fields__, astuple(expected), strict=True):
        assert sum(entry.amount_minor for entry in made_of.entries if entry.part == part) == amount


def test_each_entry_names_its_event_and_its_order() -> None:
    told = [order(0, "A", 10_000), refund(1, "A", "R", 2_500), refund(1, "A", "R", 2_500), order(2, "B", 1_000)]
    made_of = explained("c", [(b"c", logged.encode(event)) for event in told])
    parts = [(entry.part, entry.amount_minor, entry.type, entry.order_id) for entry in made_of.entries]
    assert [each for each in parts if each[0] != "net_revenue_minor"] == [
        ("margin_minor", 4_000, "OrderCompleted", "A"),
        ("margin_minor", -1_000, "OrderRefunded", "A"),
        ("margin_minor", 400, "OrderCompleted", "B"),
    ]


# -- what is odd is named ---------------------------------------------------------------------------------------------


def notes_of(*events: Any) -> list[tuple[Reason, str]]:
    """What is noted about the last of these events."""
    driver = Driver(RATES)
    driver.tick(day(0))
    for event in events[:-1]:
        driver.feed(event)
    return [(note.reason, note.problem) for note in driver.feed(events[-1]).notes]


def test_a_refund_above_its_order_counts_up_to_it_and_says_so_in_either_order() -> None:
    problem = "amount_minor: expected refunds of at most 3000 in all, got 500 more; not counted"
    assert notes_of(order(0), refund(1, amount_minor=3_500)) == [(Reason.REFUND_ABOVE_ORDER, problem)]
    assert notes_of(refund(1, amount_minor=3_500), order(0)) == [(Reason.REFUND_ABOVE_ORDER, problem)]
    assert notes_of(order(0), refund(1, amount_minor=3_000)) == []


def test_what_goes_back_after_all_has_gone_back_is_above_the_order_in_either_order() -> None:
    """All of it on day 1, 5.00 on day 2. On day 1 itself, or before, the 5.00 are a part of all of it."""
    problem = "amount_minor: expected refunds of at most 3000 in all, got 500 more; not counted"
    more = refund(2, "A", "S", 500)
    for told in permutations([order(0), refund(1), more]):
        assert notes_of(*told) == [(Reason.REFUND_ABOVE_ORDER, problem)]
    assert notes_of(order(0), refund(1), refund(2, "A", "S", 4_000))[0][1].endswith("got 4000 more; not counted")
    for on in (1, 0.5):
        for told in permutations([order(0), refund(1, "A", "S"), refund(on, "A", "R", 500)]):
            assert notes_of(*told) == []
            ledger = live(told).profiles["c"].ledger
            assert ledgers.given_back(ledger, ledger.orders[0]) == [(seconds(on), 500), (seconds(1), 2_500)]
    assert notes_of(order(0), refund(1), refund(2, "A", "S")) == [], "nothing more is nothing more"


def test_what_goes_back_after_all_has_gone_back_is_told_in_the_currency_paid() -> None:
    problem = "amount_minor: expected refunds of at most 10000 EUR in all, got 700 more; not counted"
    for told in permutations([abroad(0, 10_000), abroad(12, 2_000, "R"), abroad(13, None, "S"), abroad(25, 700, "T")]):
        assert notes_of(*told) == [(Reason.REFUND_ABOVE_ORDER, problem)]


def test_lines_that_the_order_never_had_are_named_and_count_as_if_they_were_not_told() -> None:
    """Of a card of 100.00 (3.00) half goes back as shoes; of 10.00 of shoes and 90.00 of cards 50.00 do."""
    card = order(0, "A", 10_000, items=(line("gift card", 10_000),))
    both = order(0, "A", 10_000, items=(line("shoes", 1_000), line("gift card", 9_000)))
    back = returned(1, "A", "R", 5_000, line("shoes", 5_000))
    for bought, beyond, left in ((card, 5_000, 150), (both, 4_000, 150)):
        problem = f"items: expected lines of the order, and no more than it had, got {beyond} more; counted as unnamed"
        for told in permutations([bought, back]):
            assert notes_of(*told) == [(Reason.REFUND_OF_OTHER_LINES, problem)]
            assert after(*told).margin_minor == left
    assert notes_of(both, back, refund(2, "A", "S", 100)) == [], "said once, of the refund that says it"
    assert notes_of(both, returned(1, "A", "R", 1_000, line("shoes", 1_000))) == []
    assert notes_of(both, returned(1, "A", "R", 5_000, line(None, 5_000))) == [], "of no category, so of no other"
    assert notes_of(order(0, "A", 10_000), back) == [], "an order without lines has none to be others"


def test_what_rounding_makes_of_named_lines_is_not_odd() -> None:
    """Three lines of equal weight are 33.33 each and a third of a cent; 33.34 goes back of one."""
    bought = order(0, "A", 10_000, items=(line("shoes", 1), line("hats", 1), line("gift card", 1)))
    assert notes_of(bought, returned(1, "A", "R", 3_334, line("shoes", 1))) == []


def test_a_refund_above_its_order_is_told_in_the_currency_paid() -> None:
    problem = "amount_minor: expected refunds of at most 10000 EUR in all, got 1 more; not counted"
    for on in (12, 25):  # a euro is worth less or more than when it was paid: neither is odd by itself
        above = (abroad(0, 10_000), abroad(on, 10_001, "R"))
        assert notes_of(*above) == notes_of(*above[::-1]) == [(Reason.REFUND_ABOVE_ORDER, problem)]
        assert notes_of(abroad(0, 10_000), abroad(on, 10_000, "R")) == []
    two = [abroad(0, 10_000), abroad(12, 8_000, "R"), abroad(12, 3_000, "S", "USD")]
    assert notes_of(*two)[-1] == (
        Reason.REFUND_ABOVE_ORDER,
        "amount_minor: expected refunds of at most 12500 in all, got 500 more; not counted",
    )


def test_a_refund_without_its_order_waits_and_is_named_when_it_is_let_go() -> None:
    driver = Driver(RATES)
    driver.tick(day(0))
    assert driver.feed(refund(1, "Z", "R", 700)).notes == ()
    driver.tick(day(80))
    assert driver.profiles["c"].ledger.refunds
    driver.tick(day(120))
    assert driver.profiles["c"].ledger.orphans == 1
    assert [note.reason for note in driver.notes] == [Reason.REFUND_WITHOUT_ORDER]
    assert "2026-01-02, got none; 700 not counted" in driver.notes[0].problem


def test_a_cancellation_without_its_order_waits_and_is_named_when_it_is_let_go() -> None:
    driver = Driver(RATES)
    driver.tick(day(0))
    for early in (cancelled(1, "Z"), refund(2, "Z", "R", 700), cancelled(1, "Y"), order(0, "Y")):
        assert driver.feed(early).notes == ()
    driver.tick(day(80))
    assert driver.notes == []
    driver.tick(day(120))
    driver.tick(day(130))
    assert sorted(note.reason for note in driver.notes) == [
        Reason.CANCELLATION_WITHOUT_ORDER, Reason.REFUND_WITHOUT_ORDER,
    ]  # fmt: skip
    (problem,) = (note.problem for note in driver.notes if note.reason is Reason.CANCELLATION_WITHOUT_ORDER)
    assert problem.endswith("of 2026-01-02, got none; it not counted")


def test_an_order_in_two_currencies_is_named() -> None:
    yen = {"paid_currency": "JPY", "paid_minor": 4_000}
    assert [reason for reason, _ in notes_of(order(0), order(1, **yen))] == [Reason.ORDER_IN_TWO_CURRENCIES]
    assert [reason for reason, _ in notes_of(order(0, **yen), refund(1, amount_minor=100))] == [
        Reason.ORDER_IN_TWO_CURRENCIES
    ]
    assert notes_of(order(0, **yen), order(1, **yen)) == []
    in_yen = refund(1, amount_minor=100, **yen)
    assert [reason for reason, _ in notes_of(in_yen, order(0))] == [Reason.ORDER_IN_TWO_CURRENCIES]
    assert [reason for reason, _ in notes_of(refund(1, amount_minor=100), order(0, **yen))] == [
        Reason.ORDER_IN_TWO_CURRENCIES
    ]
    assert notes_of(refund(1, amount_minor=100), in_yen, order(0))[0][0] is Reason.ORDER_IN_TWO_CURRENCIES
    assert notes_of(refund(1), order(0, **yen)) == [], "all of it is all of it in any currency"
    assert notes_of(order(0), in_yen, order(2)) == [], "said once, of the refund"


def test_more_cost_taken_back_than_was_ever_spent_is_named() -> None:
    assert notes_of(spent(0, "sales", 100), spent(1, "sales", -100)) == []
    assert notes_of(spent(1, "sales", -101), spent(0, "sales", 40)) == [], "what comes later takes nothing back"
    (note,) = notes_of(spent(0, "sales", 100), spent(1, "sales", -101))
    assert note == (
        Reason.COST_BELOW_ZERO, "amount_minor: expected no more taken back than sales has spent, got 1 more; counted",
    )  # fmt: skip


def test_more_cost_taken_back_than_was_spent_on_the_order_it_names_is_named() -> None:
    """1.00 of sales' on nothing in particular; then -0.60 on an order that nothing was spent on."""
    problem = "amount_minor: expected no more taken back than was spent on the order, got 60 more; counted"
    told = [spent(0, "sales", 100), order(0)]
    assert notes_of(*told, spent(1, "sales", -60, order_id="A")) == [(Reason.COST_BELOW_ZERO, problem)]
    assert notes_of(*told, spent(1, "sales", -60)) == [], "it names no order"
    assert notes_of(*told, spent(0, "marketing", 60, order_id="A"), spent(1, "sales", -60, order_id="A")) == []
    assert notes_of(*told, spent(1, "sales", -60, order_id="A"), spent(2, "sales", 10, order_id="A")) == []
    assert notes_of(*told, spent(1, "sales", -101, order_id="A")) == [
        (Reason.COST_BELOW_ZERO, "amount_minor: expected no more taken back than sales has spent, got 1 more; counted"),
    ]  # fmt: skip


def test_a_reward_told_by_mistake_can_be_taken_back_up_to_what_it_was() -> None:
    reward = said(logged.ReferralMade, 0, referral_id="f", reward_minor=500, currency="USD")
    assert notes_of(reward, spent(1, "marketing", -500)) == []
    assert [reason for reason, _ in notes_of(reward, spent(1, "marketing", -501))] == [Reason.COST_BELOW_ZERO]
