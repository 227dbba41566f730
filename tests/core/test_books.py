"""Customers, channels and the books are the same money, whatever happened; and a figure that is wrong shows."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.acquisition import WHOLE, parts_of, shares
from pipeline.core.books import NO_CHANNEL, Books, Customers, Log, reconciled
from pipeline.schemas import logged
from tests.core.builders import order, refund
from tests.core.lives import STEADY
from tests.core.test_acquisition import revised, touch
from tests.core.test_referrals import refers
from tests.core.test_value import RATES, histories, spent
from tests.driver import Driver


def books_of(driver: Driver, told: list[tuple[str, Any]]) -> Books:
    """The books of everybody who lived through these events."""
    customers, log = Customers(), Log()
    for profile in driver.profiles.values():
        customers.add(profile, driver.controls)
    for who, event in told:
        log.tell(who.encode(), event)
    return reconciled(customers, log, driver.controls)


def lived(*told: tuple[str, Any], controls: tuple[logged.ChannelCostRevised, ...] = ()) -> Books:
    """The same, and what their logs told each other."""
    driver = Driver(RATES)
    for who, event in told:
        driver.feed(event, who)
        while driver.told:
            driver.deliver()
    for control in controls:
        driver.control(control)
    return books_of(driver, list(told))


_TOUCHES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["search", "ad", "affiliate"])), max_size=4)


@STEADY
@given(st.lists(st.tuples(histories, _TOUCHES), min_size=1, max_size=4), st.data())
def test_customers_channels_and_books_add_up_whatever_happened(lives: list[Any], data: st.DataObject) -> None:
    driver, told = Driver(RATES), []
    for number, (history, touched) in enumerate(lives):
        told += [(f"c{number}", touch(*each)) for each in touched] + [(f"c{number}", each) for each in history]
    for who, event in told + told[::3]:
        driver.feed(event, who)
    for channel in ("search", "ad", "affiliate", "unknown"):
        for month in ("2026-01", "2026-02"):
            parts = sum(shares(each, RATES.value).get(channel, 0) for each in driver.profiles.values())
            driver.control(revised(channel, data.draw(st.integers(0, 10**5)), parts=parts, month=month))
    books = books_of(driver, told)
    assert books.adds_up, [line for line in books.lines if line.difference_minor]
    assert sum(books.customers.parts_by_channel.values()) == WHOLE * len(lives)
    assert books.lines[-1].customers_minor == books.customers.value.value_to_date_minor
    for each in books.spend:
        assert each.spend_minor == each.spread_minor - each.since_minor - each.rounding_minor + each.unacquired_minor


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


def test_money_that_is_missing_shows_in_its_line() -> None:
    told = [("a", order(0, "A", 10_000)), ("a", refund(1, "A", "R", 500)), ("a", spent(1, "sales", 70))]
    driver = Driver(RATES)
    for who, event in told[:-1]:
        driver.feed(event, who)
    books = books_of(driver, told)
    assert not books.adds_up
    assert {line.name: line.difference_minor for line in books.lines if line.difference_minor} == {
        "recorded by sales": -70
    }


def test_the_later_word_of_a_refund_counts_in_the_books_as_for_the_customer() -> None:
    told = [order(0, "A", 10_000), refund(1, "A", "R", 1_000), refund(2, "A", "R", 2_000), refund(2, "A", "R", 1_500)]
    for arrived in permutations(told):
        net = lived(*(("a", each) for each in arrived)).lines[0]
        assert (net.customers_minor, net.books_minor) == (8_000, 8_000)


def test_money_given_back_abroad_is_the_same_part_of_its_order_in_the_books() -> None:
    """A hundred euro for 125 dollars; 40 of them go back when they are 44 dollars, and 5 dollars."""
    told = [
        order(0, "A", 12_500, paid_currency="EUR", paid_minor=10_000),
        refund(12, "A", "R", 4_400, paid_currency="EUR", paid_minor=4_000),
        refund(12, "A", "S", 500),
    ]
    net = lived(*(("a", each) for each in told)).lines[0]
    assert net.customers_minor == net.books_minor == 12_500 * 6 // 10 - 500


def test_what_a_revision_counts_is_shares_or_else_whole_customers() -> None:
    assert parts_of(revised("search", 1, 3)) == 3 * WHOLE
    assert parts_of(revised("search", 1, 3, parts=5)) == 5
