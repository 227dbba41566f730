"""What a ledger's orders come to in one pass is what they come to one by one."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core.days import day_of
from pipeline.core.ledger import all_days, purchases, worth_of
from pipeline.core.live import (
    CUSTOMERS_REMEMBERED,
    REMEMBERED_FROM_ORDERS,
    Live,
    _remembered,
    days_bought,
    live_of,
)
from pipeline.core.profile import Ledger, Order, Refund
from pipeline.core.worth import NOTHING, worth
from tests.core.builders import day
from tests.core.lives import HASTY, STEADY, histories, live
from tests.driver import Driver

ZONE = "America/New_York"
"""Five hours behind, so that what is told around midnight falls on another day."""


@STEADY
@given(histories, st.randoms(use_true_random=False), st.sampled_from(["live", "folded"]))
def test_orders_come_to_the_same_in_one_pass_and_one_by_one(history: list[Any], chance: Random, orders: str) -> None:
    """Told anew, refunded before they came, cancelled; some of them folded."""
    chance.shuffle(history)
    driver = live(history, Driver(HASTY))
    if orders == "folded":
        driver.tick(day(130))
    ledger = driver.profiles["c"].ledger if driver.profiles else Ledger()
    by_day: dict[int, int] = {}
    for order in purchases(ledger):
        on = day_of(order.purchased_at, ZONE)
        by_day[on] = by_day.get(on, 0) + worth(order, ledger.refunds).brought_minor
    found = live_of(ledger, ZONE)
    assert found.worth == worth_of(ledger)
    assert found.brought_by_day == by_day
    assert found.orders == len(purchases(ledger))


AMOUNTS = st.integers(0, 3) | st.integers(0, 9_000)
ENTRIES = st.builds(
    lambda mark, hours, *money, known, cancelled: Order(
        mark, 1_767_225_600 + hours * 3_600, 0, money[0], money[1], 0, known, cancelled,
        margin_minor=money[2], commission_minor=money[3],
    ),
    st.integers(1, 2**62), st.integers(0, 72), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS,
    known=st.sampled_from((1, 1, 1, 0)), cancelled=st.sampled_from((0, 0, 0, 1)),
)  # fmt: skip
MOVES = (
    *["next"] * 3, "come", "latest changes", "oldest goes", "latest goes", "any goes", "any changes", "refund",
    "refund of another", "refund taken back", "folds with its refund", "zone", "pack",
)  # fmt: skip
"""What becomes of entries between two looks; `next` is the usual: one comes, the one before may change, some fold."""


def moved(ledger: Ledger, move: str, waiting: list[Order], gone: list[Order], chance: Random) -> Ledger:
    """A ledger after a move; orders that come are taken of those that wait."""
    entries = [*ledger.orders]
    if move == "next" and waiting:
        if chance.random() < 0.5:
            entries[-1] = replace(entries[-1], noted=1, margin_minor=chance.randrange(9_000))
        entries = [*entries[chance.choice((0, 1, 1, 4, 5)) :], waiting.pop()]
    elif move == "come" and waiting:
        entries += [waiting.pop() for _ in range(chance.randint(1, min(3, len(waiting))))]
    elif move.endswith("goes"):
        del entries[{"oldest goes": 0, "latest goes": -1}.get(move, chance.randrange(len(entries)))]
    elif move.endswith("changes"):
        place = -1 if move == "latest changes" else chance.randrange(len(entries))
        entries[place] = replace(entries[place], noted=1, margin_minor=chance.randrange(9_000))
    elif move == "folds with its refund":
        del entries[0]
    elif move == "pack":
        return replace(ledger, orders=tuple([replace(entry) for entry in entries]))
    orders = ledger.orders if tuple(entries) == ledger.orders else tuple(entries)
    return replace(ledger, orders=orders, refunds=refunded(ledger, move, [*waiting, *gone], chance))


def refunded(ledger: Ledger, move: str, others: list[Order], chance: Random) -> tuple[Refund, ...]:
    """A ledger's refunds after a move; `others` have gone, or are yet to come."""
    entries, refunds = ledger.orders, ledger.refunds
    if move == "refund":
        of = chance.choice((entries[0], entries[0], entries[-1], chance.choice(entries)))
        new = Refund(chance.getrandbits(62), of.order, of.purchased_at + 9, of.revenue_minor // 2, 0)
        return (*refunds, new)
    if move == "refund of another":  # or of none; some told twice
        of_another = chance.choice((*[each.order for each in others], 7))
        more = (*refunds, Refund(chance.getrandbits(62), of_another, 1_767_225_600, 90, 0))
        return more[chance.choice((0, 0, 1)) :] + chance.choice(((), more[-1:]))
    if move == "refund taken back" and refunds:
        place = chance.randrange(len(refunds))
        return (*refunds[:place], *refunds[place + 1 :])
    if move == "folds with its refund":
        return tuple([each for each in refunds if each.order != entries[0].order])
    return refunds


@settings(STEADY, max_examples=150)
@given(
    st.lists(ENTRIES, min_size=40, max_size=56, unique_by=lambda each: each.order),
    st.integers(0, 2**32),
)
def test_what_is_remembered_of_a_busy_customer_is_what_is_reckoned_anew(orders: list[Order], seed: int) -> None:
    chance = Random(seed)
    zone, waiting, gone = "UTC", orders[:10], list[Order]()
    ledger = Ledger(tuple(orders[10:]), folded_orders=3, folded_revenue_minor=70_000, folded_margin_minor=9)
    for move in ["", *chance.choices(MOVES, k=12)]:
        zone = chance.choice(("UTC", ZONE)) if move == "zone" else zone
        before, ledger = ledger, moved(ledger, move, waiting, gone, chance)
        gone += [each for each in before.orders if each not in ledger.orders]
        assert live_of(ledger, zone, "busy") == live_of(ledger, zone)
        assert live_of(ledger, zone, "busy") == live_of(ledger, zone), "the second time as the first"
        assert days_bought(ledger, zone, "busy") == all_days(ledger, zone)


def test_a_day_is_forgotten_with_its_last_order_and_stays_with_one_that_leaves_nothing() -> None:
    at = 1_767_225_600
    many = [Order(number, at + 86_400, known=1, margin_minor=5) for number in range(REMEMBERED_FROM_ORDERS)]
    rich, free = (Order(number, at, known=1, margin_minor=number - 101) for number in (102, 101))
    shown: list[tuple[Live, Live]] = []
    for orders, days in (
        ([rich, free, *many], 2), ([free, *many, *many[:1]], 2), ([*many, *many[:2]], 1),
        ([rich, *many], 2), ([*many, *many[:2]], 1),
    ):  # fmt: skip
        ledger = Ledger(tuple(orders))
        found, anew = live_of(ledger, "UTC", "day by day"), live_of(ledger, "UTC")
        assert len(found.brought_by_day) == days
        shown.append((found, anew))
    for found, anew in shown:
        assert found == anew, "what was told once stays as it was told"


def test_no_more_customers_are_remembered_than_is_said() -> None:
    ledger = Ledger(tuple(Order(number, 1_767_225_600, known=1) for number in range(REMEMBERED_FROM_ORDERS)))
    for number in range(2 * CUSTOMERS_REMEMBERED):
        live_of(ledger, ZONE, f"customer {number}")
        assert len(_remembered) <= CUSTOMERS_REMEMBERED
    few = replace(ledger, orders=ledger.orders[1:])
    live_of(few, ZONE, "few orders")
    assert "few orders" not in _remembered


def test_nothing_bought_is_worth_nothing() -> None:
    assert live_of(Ledger(), ZONE) == Live(0, NOTHING, {})
