"""The ledger: what an order is worth after everything that happens to orders, and what is too old to tell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random

import pytest

from pipeline.core.days import DAY_SECONDS
from pipeline.core.folded import is_folded
from pipeline.core.ledger import (
    TooOld,
    find,
    first_and_last,
    folded,
    given_back,
    history,
    is_void,
    purchase_days,
    refunded_minor,
    totals,
    with_cancellation,
    with_cost,
    with_delivery,
    with_order,
    with_refund,
)  # fmt: skip
from pipeline.core.profile import DAYS_MAX, ENTRIES_MAX, FOLDED_MARKS_MAX, Ledger, Order, Refund
from pipeline.core.worth import WHOLE
from tests.core.builders import seconds

EMPTY = Ledger()


def bought(
    ledger: Ledger, order: int, on: float, amount_minor: int = 100, *, discount_minor: int = 0, arrived: float = 0
) -> Ledger:
    """With an order."""
    at = seconds(on)
    return with_order(ledger, Order(order, at, at, amount_minor, discount_minor, seconds(arrived), known=1))


def returned(ledger: Ledger, refund: int, order: int, on: float, amount_minor: int | None) -> Ledger:
    """With a refund."""
    amount = WHOLE if amount_minor is None else amount_minor
    return with_refund(ledger, Refund(refund, order, seconds(on), amount, seconds(on)))


def settled(
    ledger: Ledger, on: float, *, first_tick: float | None = 0, window_days: int = 90, zone: str = "UTC"
) -> Ledger:
    """As it is on a day, after folding."""
    return folded(
        ledger, as_of=seconds(on), window_days=window_days, zone=zone,
        first_tick_at=0 if first_tick is None else seconds(first_tick),
    )  # fmt: skip


def test_the_latest_version_counts_dated_from_the_earliest() -> None:
    ledger = bought(bought(bought(EMPTY, 1, 5, 100), 1, 9, 70, discount_minor=5), 1, 2, 999)
    assert totals(ledger) == (1, 70, 0, 5)
    assert first_and_last(ledger) == (seconds(2), seconds(2))


def test_the_same_version_again_changes_nothing() -> None:
    ledger = bought(EMPTY, 1, 5)
    assert bought(ledger, 1, 5) is ledger
    cancelled = with_cancellation(ledger, 1, at=seconds(6), arrived_at=0)
    assert with_cancellation(cancelled, 1, at=seconds(7), arrived_at=0) is cancelled


def test_refunds_together_never_exceed_the_order_and_keep_their_days() -> None:
    ledger = returned(returned(returned(bought(EMPTY, 1, 0), 3, 1, 7, 50), 2, 1, 5, 60), 4, 1, 9, 10)
    order = find(ledger, 1)
    assert order is not None
    assert given_back(ledger, order) == [(seconds(5), 60), (seconds(7), 40), (seconds(9), 0)]
    assert is_void(ledger, order)


def test_of_two_versions_of_a_refund_the_later_counts_whichever_came_first() -> None:
    """Of one instant the greater, and all of the order above any amount."""
    versions = {(5, 40): 40, (7, 20): 20, (7, 30): 30, (7, None): 100, (8, 10): 10}
    for one, other in permutations(versions, 2):
        ledger = EMPTY
        for on, amount in (one, other):
            ledger = returned(ledger, 2, 1, on, amount)
        order = find(ledger := bought(ledger, 1, 0), 1)
        assert order is not None
        later = max(one, other, key=lambda each: (each[0], 1_000 if each[1] is None else each[1]))
        assert given_back(ledger, order) == [(seconds(later[0]), versions[later])]


def test_a_refund_is_known_by_its_order_and_its_own_id() -> None:
    ledger = returned(returned(bought(bought(EMPTY, 1, 0), 2, 0), 9, 1, 5, 30), 9, 2, 6, 20)
    assert totals(ledger) == (2, 200, 50, 0)
    assert returned(ledger, 9, 1, 5, 30) is ledger


def test_a_refund_without_an_amount_gives_back_what_is_left() -> None:
    ledger = returned(returned(bought(EMPTY, 1, 0), 2, 1, 5, 30), 3, 1, 6, None)
    order = find(ledger, 1)
    assert order is not None
    assert given_back(ledger, order) == [(seconds(5), 30), (seconds(6), 70)]
    assert refunded_minor(ledger, order) == 100


def test_an_order_of_nothing_is_not_void_because_nothing_is_left() -> None:
    ledger = bought(EMPTY, 1, 0, 0)
    order = find(ledger, 1)
    assert order is not None
    assert not is_void(ledger, order)
    assert totals(ledger)[0] == 1


def test_a_refund_and_a_cancellation_wait_for_their_order() -> None:
    ledger = returned(with_cancellation(EMPTY, 2, at=seconds(1), arrived_at=0), 3, 1, 2, 30)
    assert totals(ledger) == (0, 0, 0, 0)
    assert first_and_last(ledger) == (0, 0)
    assert totals(bought(bought(ledger, 1, 0), 2, 0)) == (1, 100, 30, 0)


def test_a_delivery_waits_for_its_order_and_is_dated_from_the_earliest() -> None:
    for days in ((3, 5), (5, 3)):
        ledger = EMPTY
        for on in days:
            ledger = with_delivery(ledger, 1, at=seconds(on), arrived_at=0)
        order = find(bought(ledger, 1, 1), 1)
        assert order is not None
        assert (order.known, order.purchased_at, order.delivered_at) == (1, seconds(1), seconds(3))
    assert totals(ledger) == (0, 0, 0, 0)


def test_an_entry_folds_when_its_window_has_passed_and_thirty_days_since_it_arrived() -> None:
    ledger = bought(EMPTY, 1, 0, arrived=80)
    assert settled(ledger, 109.9) == ledger
    after = settled(ledger, 110)
    assert (after.orders, after.folded_orders, after.folded_through_at) == ((), 1, seconds(0))
    assert settled(bought(EMPTY, 1, 0), 89.9).orders
    assert not settled(bought(EMPTY, 1, 0), 90).orders


def test_nothing_folds_before_the_first_tick_and_what_came_before_it_counts_as_come_with_it() -> None:
    ledger = bought(EMPTY, 1, 0, arrived=-500)
    assert settled(ledger, 1_000, first_tick=None) == ledger
    assert settled(ledger, 1_000, first_tick=971) == ledger
    assert settled(ledger, 1_000, first_tick=970).orders == ()


def test_what_is_folded_is_never_counted_twice() -> None:
    ledger = settled(returned(bought(EMPTY, 1, 0), 2, 1, 5, 30), 95)
    assert totals(ledger) == (1, 100, 30, 0)
    with pytest.raises(TooOld):
        bought(ledger, 1, 0)
    with pytest.raises(TooOld):
        bought(ledger, 9, -1)
    with pytest.raises(TooOld):
        with_cancellation(ledger, 1, at=seconds(0), arrived_at=seconds(95))
    with pytest.raises(TooOld):
        returned(ledger, 3, 1, 0, 10)
    assert with_delivery(ledger, 1, at=seconds(0), arrived_at=seconds(95)) is ledger


def test_news_of_an_order_that_has_folded_is_too_old_whatever_its_date() -> None:
    ledger = settled(returned(bought(bought(EMPTY, 1, 0), 7, 1), 2, 1, 5, 30), 95)
    assert (ledger.orders, ledger.folded_orders) == ((), 2)
    for news in (
        lambda: bought(ledger, 1, 96, 70),
        lambda: with_cancellation(ledger, 1, at=seconds(96), arrived_at=0),
        lambda: returned(ledger, 2, 1, 5, 30),
        lambda: returned(ledger, 3, 7, 96, None),
    ):
        with pytest.raises(TooOld):
            news()
    assert with_delivery(ledger, 1, at=seconds(96), arrived_at=0) is ledger
    assert with_cost(ledger, 7, at=seconds(96), amount_minor=5, arrived_at=0) is ledger
    assert totals(bought(ledger, 3, 96)) == (3, 300, 30, 0)


def test_an_order_cancelled_before_it_folded_is_known_too_and_one_that_never_came_is_not() -> None:
    ledger = with_cancellation(bought(EMPTY, 1, 0), 1, at=seconds(1), arrived_at=0)
    ledger = settled(with_cancellation(ledger, 2, at=seconds(1), arrived_at=0), 95)
    assert ledger.orders == ()
    with pytest.raises(TooOld):
        bought(ledger, 1, 96)
    assert totals(bought(ledger, 2, 96)) == (1, 100, 0, 0)


def test_the_latest_sixty_four_folded_orders_are_known_and_no_other() -> None:
    ledger, chance = EMPTY, Random(5)
    orders = [chance.getrandbits(63) for _ in range(FOLDED_MARKS_MAX + 10)]
    for order in orders:
        ledger = bought(ledger, order, 0)
    ledger = settled(ledger, 95)
    last = sorted(orders)[-FOLDED_MARKS_MAX:]  # those of one instant fold by their marks
    assert {order for order in orders if is_folded(ledger, order)} == {*last}
    assert not any(is_folded(ledger, chance.getrandbits(63)) for _ in range(1_000))
    pieces = [ledger.folded_marks[place : place + 4] for place in range(1, len(ledger.folded_marks) - 4, 4)]
    assert not any(is_folded(ledger, int.from_bytes(piece, "big")) for piece in pieces), "across two marks is none"


def test_of_more_than_are_kept_an_order_folded_early_is_known_all_the_same() -> None:
    """Seventy orders in five weeks: six have folded when the first of them is cancelled, told anew and given back."""
    ledger = EMPTY
    for number in range(70):
        ledger = settled(bought(ledger, number + 1, number / 2, arrived=number / 2), number / 2)
    assert ledger.folded_early == 70 - ENTRIES_MAX
    for news in (
        lambda: with_cancellation(ledger, 1, at=seconds(36), arrived_at=0),
        lambda: bought(ledger, 1, 36),
        lambda: returned(ledger, 1, 1, 36, 10),
    ):
        with pytest.raises(TooOld):
            news()


def test_a_refund_outlives_what_else_was_said_of_an_order_that_never_came() -> None:
    ledger = with_delivery(EMPTY, 1, at=seconds(0), arrived_at=0)
    ledger = settled(returned(ledger, 9, 1, 50, 30), 95)
    assert (ledger.orders, len(ledger.refunds), ledger.orphans) == ((), 1, 0)
    assert settled(ledger, 140).orphans == 1


def test_a_version_told_again_after_its_orders_window_is_known_or_too_old_and_never_counted_twice() -> None:
    """Day 0: 100. Day 60: the same order, now 80. What was said on day 60 comes again, whenever."""
    ledger = bought(bought(EMPTY, 1, 0, 100), 1, 60, 80, arrived=60)
    for on in (95, 149):
        ledger = settled(ledger, on)
        assert totals(bought(ledger, 1, 60, 80, arrived=on)) == (1, 80, 0, 0)
    ledger = settled(ledger, 151)
    assert ledger.folded_orders == 1
    with pytest.raises(TooOld):
        bought(ledger, 1, 60, 80, arrived=151)
    early = bought(bought(EMPTY, 1, 0, 100), 1, 60, 80, arrived=60)
    for order in range(2, ENTRIES_MAX + 2):
        early = settled(bought(early, order, 1 + order / 2), 61)
    assert find(early, 1) is not None, "others, last told of before it, fold first"
    assert totals(bought(early, 1, 60, 80, arrived=61)) == totals(early)


def test_a_cancellation_waits_its_whole_time_whatever_else_was_said_of_its_order_before_or_after() -> None:
    """Delivered and paid for on day 0, cancelled on day 80: the order of day 92 is void all the same."""
    words = (
        lambda ledger: with_delivery(ledger, 1, at=seconds(0), arrived_at=0),
        lambda ledger: with_cost(ledger, 1, at=seconds(0), amount_minor=5, arrived_at=0),
        lambda ledger: with_cancellation(ledger, 1, at=seconds(80), arrived_at=0),
    )
    for told in permutations(words):
        ledger = EMPTY
        for word in told:
            ledger = word(ledger)
        assert totals(bought(settled(ledger, 91), 1, 92)) == (0, 0, 0, 0)
        assert settled(ledger, 169).orders
        assert settled(ledger, 170).orders == ()


def test_a_cancellation_told_again_later_waits_from_then_on() -> None:
    for days in ((0, 80), (80, 0)):
        ledger = EMPTY
        for on in days:
            ledger = with_cancellation(ledger, 1, at=seconds(on), arrived_at=0)
        assert settled(ledger, 169).orders
        assert with_cancellation(ledger, 1, at=seconds(80), arrived_at=seconds(90)) is ledger


def test_thirty_days_of_a_wait_begin_when_its_last_word_arrived() -> None:
    """A cancellation of day 0 comes on day 85; what else is said of that day, and came by then, changes nothing."""
    ledger = with_delivery(EMPTY, 1, at=seconds(0), arrived_at=0)
    ledger = with_cancellation(ledger, 1, at=seconds(0), arrived_at=seconds(85))
    assert settled(ledger, 114).orders
    assert settled(ledger, 115).orders == ()
    assert settled(with_delivery(ledger, 1, at=seconds(0), arrived_at=seconds(20)), 114).orders


@pytest.mark.parametrize(
    "word",
    [
        lambda ledger: with_delivery(ledger, 1, at=seconds(5), arrived_at=0),
        lambda ledger: with_cost(ledger, 1, at=seconds(5), amount_minor=5, arrived_at=0),
        lambda ledger: with_cancellation(ledger, 1, at=seconds(5), arrived_at=0),
    ],
)
def test_thirty_days_of_an_order_begin_when_it_came_itself_whatever_was_said_of_it_before(
    word: Callable[[Ledger], Ledger],
) -> None:
    """Delivered on day 5; the order of day 0 comes on day 85, and again, and may change until day 115."""
    for told in permutations((lambda ledger: bought(ledger, 1, 0, arrived=85), word)):
        ledger = EMPTY
        for each in told:
            ledger = each(ledger)
        ledger = bought(bought(ledger, 1, 0, arrived=90), 1, 1, arrived=91)
        assert settled(ledger, 85 + 29.9).orders
        assert settled(ledger, 85 + 30).orders == ()


def test_an_order_is_not_let_in_again_by_the_place_a_late_delivery_held() -> None:
    ledger = with_delivery(settled(bought(EMPTY, 1, 0), 90), 1, at=seconds(91), arrived_at=seconds(91))
    with pytest.raises(TooOld):
        bought(ledger, 1, 0)


def test_a_refund_of_an_order_that_may_still_change_counts_whatever_has_folded_since() -> None:
    """B of day 50 has folded; A of day 0 came on day 120, so until day 150 a refund of day 40 can be told of it."""
    ledger = bought(settled(bought(EMPTY, 2, 50), 140), 1, 51, arrived=120)
    ledger = with_order(ledger, Order(1, seconds(0), seconds(0), 100, known=1))
    assert (ledger.folded_through_at, find(ledger, 1) is not None) == (seconds(50), True)
    for _ in range(2):  # told again, it is the same refund
        ledger = returned(ledger, 7, 1, 40, 30)
        assert totals(ledger) == (2, 200, 30, 0)
    with pytest.raises(TooOld):
        returned(ledger, 8, 2, 40, 30)
    with pytest.raises(TooOld):
        returned(ledger, 8, 3, 40, 30)
    waiting = with_delivery(ledger, 4, at=seconds(51), arrived_at=0)
    with pytest.raises(TooOld):
        returned(waiting, 8, 4, 40, 30)
    gone = settled(ledger, 200)
    assert (gone.orders, gone.refunds, totals(gone)) == ((), (), (2, 200, 30, 0))
    with pytest.raises(TooOld):
        returned(gone, 7, 1, 40, 30)


def test_an_order_later_than_what_is_folded_is_taken_however_late_it_comes() -> None:
    ledger = bought(settled(bought(EMPTY, 1, 0), 90), 2, 1, arrived=90)
    assert totals(ledger) == (2, 200, 0, 0)


def test_a_cancelled_or_unknown_order_folds_into_nothing() -> None:
    ledger = with_cancellation(bought(EMPTY, 1, 0), 1, at=seconds(1), arrived_at=0)
    ledger = with_delivery(ledger, 2, at=seconds(1), arrived_at=0)
    after = settled(ledger, 200)
    assert after.orders == ()
    assert totals(after) == (0, 0, 0, 0)
    assert first_and_last(after) == (0, 0)


def test_a_refund_whose_order_never_came_is_let_go_and_counted() -> None:
    ledger = returned(EMPTY, 1, 9, 0, 50)
    assert settled(ledger, 89).refunds
    after = settled(ledger, 90)
    assert (after.refunds, after.orphans) == ((), 1)


def test_beyond_sixty_four_entries_the_oldest_fold_and_say_so() -> None:
    ledger = EMPTY
    for number in range(100):
        ledger = settled(bought(ledger, number, number / 10, arrived=number / 10), number / 10)
    assert len(ledger.orders) == ENTRIES_MAX
    assert ledger.folded_early == 100 - ENTRIES_MAX
    assert totals(ledger) == (100, 10_000, 0, 0)
    assert min(order.purchased_at for order in ledger.orders) > ledger.folded_through_at


def test_orphans_alone_are_bounded_too() -> None:
    ledger = EMPTY
    for number in range(100):
        ledger = settled(returned(ledger, number, 1_000 + number, number / 10, 1), number / 10)
    assert len(ledger.refunds) == ENTRIES_MAX
    assert ledger.orphans == 100 - ENTRIES_MAX


def test_what_folds_early_is_counted_also_where_only_orphans_are_left_and_still_too_many() -> None:
    """No step brings so many at once: 66 refunds of orders that nobody told, beside 2 orders."""
    ledger = bought(bought(EMPTY, 1, 0), 2, 1)
    for number in range(66):
        ledger = returned(ledger, number, 1_000 + number, 2, 1)
    after = settled(ledger, 3)
    assert (after.folded_orders, after.folded_early) == (2, 2)
    assert (len(after.refunds), after.orphans) == (64, 66 - 64)


def test_purchase_days_are_the_latest_distinct_ones_folded_or_not() -> None:
    ledger = EMPTY
    for number in range(50):
        for part in (0, 0.1):
            ledger = settled(bought(ledger, number * 2 + (part > 0), number * 3 + part, arrived=number * 3), number * 3)
    start = seconds(0) // DAY_SECONDS
    assert purchase_days(ledger, "UTC") == [start + 3 * number for number in range(50 - DAYS_MAX, 50)]


def test_a_purchase_day_is_the_shops() -> None:
    ledger = bought(EMPTY, 1, 0.479)  # 2026-01-01 23:29:45 in UTC, 02:59 the next day in Teheran
    assert purchase_days(ledger, "Asia/Tehran")[0] == purchase_days(ledger, "UTC")[0] + 1


def test_history_is_told_in_order_and_its_last_instant_survives_folding() -> None:
    ledger = bought(settled(bought(bought(EMPTY, 2, 3.25), 1, 0), 100), 3, 60, arrived=100)
    days = [day for _, day in history(ledger, "UTC")]
    start = seconds(0) // DAY_SECONDS
    assert days == [start, start, start + 3, start + 60]
    assert [at for at, _ in history(ledger, "UTC")] == [
        start * DAY_SECONDS, (start + 1) * DAY_SECONDS - 1, seconds(3.25), seconds(60),
    ]  # fmt: skip


def test_history_is_told_day_by_day_also_where_a_day_begins_late() -> None:
    """In Los Angeles the evening of day 0 is within the UTC day by which the folded day 1 is told."""
    told = bought(bought(bought(EMPTY, 1, 1.4), 2, 5), 3, 0.7, arrived=25)
    ledger = settled(told, 50, window_days=30, zone="America/Los_Angeles")
    assert [each.order for each in ledger.orders] == [3]
    days = [day for _, day in history(ledger, "America/Los_Angeles")]
    assert days == sorted(days)
    assert len(set(days)) == 3
