"""What the orders that may still change come to: what they are worth, and what each day left.

The same as `worth` of each of the ledger's purchases, put together; in this form since it is asked for whenever money
moves, and a busy customer has 64 of them. Of who has many it is remembered what they came to when last asked for, and
only what has come and gone since is reckoned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pipeline.core.days import day_of
from pipeline.core.folded import folded_days
from pipeline.core.ledger import folded_beside, folded_worth
from pipeline.core.profile import Ledger, Order, Refund
from pipeline.core.worth import NOTHING, Worth, worth

REMEMBERED_FROM_ORDERS: Final = 8
"""Fewer are as quickly put together anew."""
CUSTOMERS_REMEMBERED: Final = 1_024
_FOLDED_MAX: Final = 4
_COME_MAX: Final = 4
"""So many of the first may have folded since, and of the last have come or changed; else all are put together."""


class Live(msgspec.Struct, frozen=True, gc=False):
    """Orders that may still change and count as purchases."""

    orders: int
    worth: Worth
    """Of all orders, folded ones included."""
    brought_by_day: Mapping[int, int]
    """What each day's leave after discount and commission."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    """What a customer's entries came to, without what had folded."""

    orders: tuple[Order, ...]
    refunds: tuple[Refund, ...]
    given_back: frozenset[int]
    """Orders that the refunds name."""
    zone: str
    sums: Live


_remembered: dict[str, _Known] = {}


def live_of(ledger: Ledger, zone: str, customer_id: str = "") -> Live:
    """What a ledger's orders come to; with the customer's id from what they came to when that was last asked for."""
    if not customer_id or len(ledger.orders) < REMEMBERED_FROM_ORDERS:
        folded = folded_worth(ledger) if ledger.folded_orders else NOTHING
        return _put_together(ledger.orders, ledger.refunds, zone, folded)
    sums = _sums(ledger, zone, customer_id)
    return Live(sums.orders, folded_beside(ledger, sums.worth), sums.brought_by_day) if ledger.folded_orders else sums


def days_bought(ledger: Ledger, zone: str, customer_id: str) -> list[int]:
    """The distinct purchase days that are kept one by one, oldest first: as `ledger.all_days`, but remembered."""
    return sorted({*folded_days(ledger), *live_of(ledger, zone, customer_id).brought_by_day})


def _sums(ledger: Ledger, zone: str, customer_id: str) -> Live:
    """What the entries come to, without what has folded."""
    orders, refunds = ledger.orders, ledger.refunds
    known = _remembered.get(customer_id)
    if known is None and len(_remembered) >= CUSTOMERS_REMEMBERED:
        _remembered.clear()
    given_back, sums = None, None
    if known is not None and known.zone == zone:
        if known.refunds == refunds:
            given_back = known.given_back
            sums = known.sums if known.orders is orders else _moved_on(known, orders, given_back)
        elif _are_as_before(orders, known.refunds, refunds):
            given_back = _named(refunds)
            sums = _moved_on(known, orders, given_back | known.given_back)
    if given_back is None:
        given_back = _named(refunds)
    if sums is None:
        sums = _put_together(orders, refunds, zone, NOTHING)
    _remembered[customer_id] = _Known(orders, refunds, given_back, zone, sums)
    return sums


def _named(refunds: Sequence[Refund]) -> frozenset[int]:
    """The orders that refunds name."""
    return frozenset([refund.order for refund in refunds])


def _are_as_before(orders: Sequence[Order], before: Sequence[Refund], refunds: Sequence[Refund]) -> bool:
    """Whether the same is given back of these orders, whatever waits for others."""
    mine = {order.order for order in orders}
    return [each for each in before if each.order in mine] == [each for each in refunds if each.order in mine]


def _moved_on(known: _Known, orders: tuple[Order, ...], given_back: frozenset[int]) -> Live | None:
    """What entries come to by what they came to, where nothing has happened but what nearly always has.

    The first few have folded, the last has changed, a few have come after it. None where more has happened, or
    something was given back of one of these.
    """
    before, zone, sums = known.orders, known.zone, known.sums
    try:
        folded = before.index(orders[0], 0, _FOLDED_MAX + 1)
    except ValueError:
        return None
    stay, last = len(before) - folded - 1, before[-1]
    come, gone = orders[stay:], before[:folded]
    if len(come) > _COME_MAX or before[folded:-1] != orders[:stay]:
        return None
    if come and come[0] is last:
        come = come[1:]
    else:
        gone = (last, *gone)
    of = sums.worth
    revenue, discount, margin, commission = of.revenue_minor, of.discount_minor, of.margin_minor, of.commission_minor
    count, by_day = sums.orders, {**sums.brought_by_day}
    for order, sign in (*[(each, 1) for each in come], *[(each, -1) for each in gone]):
        if order.order in given_back:
            return None
        if order.known and not order.cancelled:
            left, off, affiliates = order.margin_minor, order.discount_minor, order.commission_minor
            count += sign
            revenue += sign * order.revenue_minor
            discount += sign * off
            margin += sign * left
            commission += sign * affiliates
            day = day_of(order.purchased_at, zone)
            by_day[day] = by_day.get(day, 0) + sign * (left - off - affiliates)
            if not by_day[day] and sign < 0 and not _has_day(orders, day, zone):
                del by_day[day]
    return Live(count, Worth(revenue, of.refunded_minor, discount, margin, commission, of.returns_minor), by_day)


def _has_day(orders: Sequence[Order], day: int, zone: str) -> bool:
    return any(order.known and not order.cancelled and day_of(order.purchased_at, zone) == day for order in orders)


def _put_together(orders: Sequence[Order], refunds: Sequence[Refund], zone: str, start: Worth) -> Live:
    """What these come to beside `start`. An order of which nothing was given back is worth what it says."""
    revenue, refunded, discount = start.revenue_minor, start.refunded_minor, start.discount_minor
    margin, commission, returns = start.margin_minor, start.commission_minor, start.returns_minor
    given_back = {refund.order for refund in refunds} if refunds else ()
    count = 0
    by_day: dict[int, int] = {}  # not `dict[int, int]()`, which takes as long as the sum of an order
    for order in orders:
        if not order.known or order.cancelled:
            continue
        of: Order | Worth = order
        if given_back and order.order in given_back:
            of = kept = worth(order, refunds)
            refunded += kept.refunded_minor
            returns += kept.returns_minor
        left, off, affiliates = of.margin_minor, of.discount_minor, of.commission_minor
        count += 1
        revenue += of.revenue_minor
        discount += off
        margin += left
        commission += affiliates
        day = day_of(order.purchased_at, zone)
        by_day[day] = by_day.get(day, 0) + left - off - affiliates
    return Live(count, Worth(revenue, refunded, discount, margin, commission, returns), by_day)
