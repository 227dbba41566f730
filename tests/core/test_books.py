"""Customers, channels and the books are the same money, whatever happened; and a figure that is wrong shows."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.acquisition import WHOLE, parts_of, shares
from pipeline.core.audit import NO_CHANNEL, PARTS, Audit, Customers, Sums, audited, booked
from pipeline.core.books import Log
from pipeline.core.policy import policy_hash, to_dict
from pipeline.core.profile import Profile, Touched
from pipeline.schemas import logged
from tests.core.builders import adopted, cancelled, day, order, policy, refund, said, ticket
from tests.core.lives import HASTY, STEADY, lives
from tests.core.test_acquisition import revised, touch
from tests.core.test_referrals import refers
from tests.core.test_value import RATES, histories, line, spent
from tests.driver import Driver

FIRST = logged.PolicyAdopted(adopted_at=day(-700), policy_hash=policy_hash(RATES), policy=to_dict(RATES))
Told = tuple[str, Any]


def customers_of(driver: Driver, told: Iterable[Told]) -> None:
    """Let everybody live through these events; controls among them are of nobody."""
    for who, event in told:
        if isinstance(event, logged.Control):
            driver.control(event)
            continue
        driver.feed(event, who)
        while driver.told:
            driver.deliver()


def audit_of(driver: Driver, told: Iterable[Told]) -> Audit:
    """The customers as they are, beside the books of these events."""
    customers, log = Customers(), Log()
    for profile in driver.profiles.values():
        customers.add(profile, driver.controls)
    for who, event in told:
        log.tell(who.encode(), event)
    return audited(customers, booked(Sums(), log), log.controls)


def lived(*told: Told, controls: tuple[logged.Control, ...] = ()) -> Audit:
    """The same of who lived through just these."""
    driver, everything = Driver(), [("", FIRST), *told, *(("", each) for each in controls)]
    customers_of(driver, everything)
    return audit_of(driver, everything)


def differing(books: Audit) -> dict[str, int]:
    """The lines that do not add up."""
    return {line.name: line.difference_minor for line in books.lines if line.difference_minor}


_TOUCHES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["search", "ad", "affiliate"])), max_size=4)


@STEADY
@given(st.lists(st.tuples(histories, _TOUCHES), min_size=1, max_size=4), st.data())
def test_customers_channels_and_books_add_up_whatever_happened(many: list[Any], data: st.DataObject) -> None:
    driver, told = Driver(), [("", FIRST)]
    for number, (history, touched) in enumerate(many):
        told += [(f"c{number}", touch(*each)) for each in touched] + [(f"c{number}", each) for each in history]
    told += told[::3]
    customers_of(driver, told)
    for channel in ("search", "ad", "affiliate", "unknown"):
        for month in ("2026-01", "2026-02"):
            parts = sum(shares(each, RATES.value).get(channel, 0) for each in driver.profiles.values())
            told.append(("", revised(channel, data.draw(st.integers(0, 10**5)), parts=parts, month=month)))
            driver.control(told[-1][1])
    books = audit_of(driver, told)
    assert differing(books) == {}
    assert sum(books.customers.parts_by_channel.values()) == WHOLE * len(many)
    assert sum(books.customers.value_by_channel.values()) == books.customers.value.value_to_date_minor
    for each in books.spend:
        assert each.spend_minor == each.spread_minor - each.since_minor - each.rounding_minor + each.unacquired_minor


@STEADY
@given(lives)
def test_whole_lives_add_up_after_all_that_could_fold_has_folded(life: list[Any]) -> None:
    """As long as nothing is told of an order that has folded: that is refused, and then shows."""
    driver = Driver(HASTY)
    told = [("", adopted(HASTY, -700)), *(("c", event) for event in life if not isinstance(event, logged.Tick))]
    customers_of(driver, told)
    for on in (1_500, 2_000):
        driver.tick(day(on))
    assert all(profile.ledger.orders == () for profile in driver.profiles.values())
    assert differing(audit_of(driver, told)) == {}


def test_rates_are_those_in_force_at_each_place_in_the_log() -> None:
    """30 % of 100.00, then 90 % of 10.00; mails at 1,000.00 a thousand, then at 3,000.00."""
    cheap = policy(value__margin_permille=300, value__email_cost_per_thousand_minor=100_000)
    dear = policy(value__margin_permille=900, value__email_cost_per_thousand_minor=300_000)
    mails = [("a", said(logged.EmailDelivered, on, email_id=f"m{on}")) for on in (0, 2)]
    books = lived(
        ("", adopted(cheap, 0)), ("a", order(0, "A", 10_000)), mails[0], ("", adopted(dear, 1)), mails[1],
        ("a", order(0, "A", 10_000)), ("a", order(2, "B", 1_000)), mails[0],
    )  # fmt: skip
    assert (books.customers.value.margin_minor, books.customers.value.send_cost_minor) == (3_000 + 900, 100 + 300)
    assert differing(books) == {}


def test_spend_is_found_again_to_the_minor_unit() -> None:
    """Three customers of one channel, 10.00 spent: 3.33 each, and a cent of rounding."""
    told = [(who, event) for who in "abc" for event in (touch(0, "search"), order(1, f"o{who}"))]
    books = lived(*told, controls=(revised("search", 1_000, 3), revised("billboard", 500, 0)))
    billboard, search = books.spend
    assert (search.spread_minor, search.since_minor, search.rounding_minor, search.unacquired_minor) == (999, 0, -1, 0)
    assert (billboard.spread_minor, billboard.unacquired_minor) == (0, 500), "a channel that nobody came by"
    assert books.adds_up
    counted_before = lived(*told, controls=(revised("search", 1_000, 2),)).spend[0]
    assert (counted_before.spread_minor, counted_before.since_minor, counted_before.rounding_minor) == (1_500, 500, 0)


def test_referral_value_is_in_no_sum() -> None:
    plain = [("a", order(0, "A", 10_000)), ("b", order(1, "B", 10_000))]
    referred = lived(("a", refers(0, "b")), *plain)
    assert referred.customers.value == lived(*plain).customers.value
    assert referred.adds_up


def test_value_by_channel_is_whole_and_who_came_by_none_has_a_line() -> None:
    books = lived(
        ("a", touch(0, "search")), ("a", touch(0.5, "ad")), ("a", touch(0.7, "search")), ("a", order(1, "A", 10_001)),
        ("b", order(1, "B", 10_000)), ("p", touch(0, "ad")),
    )  # fmt: skip
    assert books.customers.value_by_channel == {"search": 2_000, "ad": 1_000, NO_CHANNEL: 3_000}
    assert books.customers.parts_by_channel[NO_CHANNEL] == 2 * WHOLE, "a prospect is nobody's yet"


def test_the_later_word_of_a_refund_counts_in_the_books_as_for_the_customer() -> None:
    told = [order(0, "A", 10_000), refund(1, "A", "R", 1_000), refund(2, "A", "R", 2_000), refund(2, "A", "R", 1_500)]
    for arrived in permutations(told):
        net = lived(*(("a", each) for each in arrived)).lines[0]
        assert (net.customers_minor, net.books_minor) == (8_000, 8_000)


def test_of_two_words_of_one_instant_the_books_go_by_the_one_the_customer_does() -> None:
    """10.00 paid as 800 yen or as 900, or as 9 euro; of which 80 yen go back, or 90."""
    paid = [{"paid_currency": "JPY", "paid_minor": 800}, {"paid_currency": "JPY", "paid_minor": 900}]
    orders = [order(0, "A", 1_000, **each) for each in (*paid, {"paid_currency": "EUR", "paid_minor": 900})]
    refunds = [refund(1, "A", "R", 100, paid_currency="JPY", paid_minor=minor) for minor in (80, 90)]
    for some in ([*orders[:2], *refunds], orders + refunds, [*orders[1:], refunds[1]]):
        for arrived in permutations(some):
            assert differing(lived(*(("a", each) for each in arrived))) == {}
    net = lived(*(("a", each) for each in (*orders[:2], *refunds))).lines[0]
    assert (net.customers_minor, net.books_minor) == (900, 900), "90 yen of 900"


def test_money_given_back_abroad_is_the_same_part_of_its_order_in_the_books() -> None:
    """A hundred euro for 125 dollars; 40 of them go back when they are 44 dollars, and 5 dollars."""
    told = [
        order(0, "A", 12_500, paid_currency="EUR", paid_minor=10_000),
        refund(12, "A", "R", 4_400, paid_currency="EUR", paid_minor=4_000),
        refund(12, "A", "S", 500),
    ]
    net = lived(*(("a", each) for each in told)).lines[0]
    assert net.customers_minor == net.books_minor == 12_500 * 6 // 10 - 500


# -- what is wrong shows, and shows where it is -----------------------------------------------------------------------

_FULL = (
    ("a", touch(0, "search")),
    ("a", order(1, "A", 10_000, discount_minor=500, affiliate_id="aff", items=(line("shoes", 10_000),))),
    ("a", refund(2, "A", "R", 1_000)),
    *(("a", said(logged.EmailDelivered, on, email_id=f"m{on}")) for on in range(10)),
    ("a", ticket(3, service_minutes=15, service_cost_minor=80)),
    ("a", spent(4, "sales", 70)),
    ("a", spent(4, "marketing", 60)),
    ("a", spent(4, "service", 50)),
    ("a", refers(5, None, reward_minor=30)),
    ("a", refers(6, "b", reward_minor=40)),
    ("", revised("search", 900, 1)),
)
"""A customer with something in every figure."""


def _more(profile: Profile, name: str, amount: int) -> Profile:
    return replace(profile, **{name: getattr(profile, name) + amount})


def _more_folded(profile: Profile, name: str, amount: int) -> Profile:
    ledger = profile.ledger
    return replace(profile, ledger=replace(ledger, **{name: getattr(ledger, name) + amount}))


FAULTS = {
    "net revenue": lambda profile: _more_folded(profile, "folded_revenue_minor", 7),
    "margin": lambda profile: _more_folded(profile, "folded_margin_minor", 7),
    "commission": lambda profile: _more_folded(profile, "folded_commission_minor", 7),
    "sales": lambda profile: _more(profile, "acquisition_cost_minor", 7),
    "discounts": lambda profile: _more_folded(profile, "folded_discount_kept_minor", 7),
    "e-mails": lambda profile: _more(profile, "sends_milli", 7_000),
    "marketing": lambda profile: _more(profile, "retention_cost_minor", 7),
    "service time": lambda profile: _more(profile, "service_time_milli", 7_000),
    "returns": lambda profile: _more_folded(profile, "folded_returns_minor", 7),
    "service": lambda profile: _more(profile, "service_cost_minor", 7),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_one_figure_shows_in_its_line_and_in_the_value(name: str) -> None:
    driver, told = Driver(), [("", FIRST), *_FULL]
    customers_of(driver, told)
    assert differing(audit_of(driver, told)) == {}
    driver.profiles["a"] = FAULTS[name](driver.profiles["a"])
    off = 7 if name == "margin" else -7
    of_value = {} if name == "net revenue" else {"value to date": off, "value, by search": off}
    assert differing(audit_of(driver, told)) == {name: 7, **of_value}


def test_every_figure_has_its_line_and_something_in_it() -> None:
    """Margin is 55 % of 105.00 less a tenth; mails 1.50 a thousand; an hour 24.00."""
    told = [*_FULL]
    by_name = {each.name: each.books_minor for each in lived(*told).lines}
    assert by_name == {
        "net revenue": 9_000, "margin": 5_775 - 578, "channels": 900, "commission": 630, "sales": 70, "discounts": 450,
        "e-mails": 2, "marketing": 60 + 40, "service time": 600, "returns": 350, "service": 130,
        "value to date": 5_197 - 900 - 630 - 70 - 450 - 2 - 100 - 600 - 350 - 130,
        "value, by no channel": 0, "value, by search": 1_965, "spent on search": 900,
    }  # fmt: skip
    assert {*FAULTS, "channels"} == {"net revenue", *PARTS.values()}


def test_a_touch_that_the_profile_lost_shows_in_what_its_channel_won_and_was_charged() -> None:
    driver, told = Driver(), [("", FIRST), *_FULL]
    customers_of(driver, told)
    driver.profiles["a"] = replace(driver.profiles["a"], touched=(Touched("ad", (int(day(0).timestamp()),)),))
    assert differing(audit_of(driver, told)) == {
        "channels": -900, "value to date": 900, "value, by ad": 2_865, "value, by search": -1_965,
        "spent on search": -900,
    }  # fmt: skip


def test_spend_that_the_customers_were_not_charged_with_shows_in_its_channel() -> None:
    """The state missed a revision that the log has."""
    driver, told = Driver(), [("", FIRST), *_FULL]
    customers_of(driver, told)
    told += [("", revised("search", 1_000, 1, version=2, on=90))]
    assert differing(audit_of(driver, told)) == {
        "channels": -100, "value to date": 100, "value, by search": 100, "spent on search": -100,
    }  # fmt: skip


def test_what_was_refused_is_in_the_books_and_in_no_customer() -> None:
    driver, told = Driver(), [("", FIRST), ("a", order(100, "A", 10_000))]
    customers_of(driver, told)
    driver.tick(day(100))
    driver.tick(day(400))
    late = ("a", order(1, "B", 5_000))
    driver.feed(late[1], "a")
    assert differing(audit_of(driver, [*told, late])) == {
        "net revenue": -5_000, "margin": -1_500, "value to date": -1_500, "value, by no channel": -1_500,
    }  # fmt: skip


def test_an_event_told_again_after_many_others_counts_once_in_the_books_and_twice_in_the_customer() -> None:
    """The profile knows the last 32 events."""
    told = [("", FIRST), ("a", spent(0, "sales", 70))]
    told += [("a", said(logged.EmailOpened, on, email_id="m")) for on in range(1, 33)]
    again = [*told, told[1]]
    driver = Driver()
    customers_of(driver, again)
    assert differing(audit_of(driver, again)) == {
        "sales": 70, "value to date": -70, "value, by no channel": -70,
    }  # fmt: skip


def test_the_reward_for_sending_oneself_is_in_no_line() -> None:
    books = lived(("a", refers(0, "a", reward_minor=500)), ("a", refers(0, "b", "g", reward_minor=30)))
    assert differing(books) == {}
    assert books.customers.value.marketing_cost_minor == 30


def test_a_cancelled_order_is_in_no_line() -> None:
    books = lived(("a", order(0, "A", 10_000, affiliate_id="aff")), ("a", cancelled(1, "A")))
    assert books.adds_up
    assert all(line.books_minor == 0 for line in books.lines)


def test_what_a_revision_counts_is_shares_or_else_whole_customers() -> None:
    assert parts_of(revised("search", 1, 3)) == 3 * WHOLE
    assert parts_of(revised("search", 1, 3, parts=5)) == 5
