"""What the orders that may still change come to: what they are worth, and what each day left.

The same as `worth` of each of the ledger's purchases, put together; in this form since it is asked for whenever money
moves, and a busy customer has 64 of them. Of who has many it is remembered what they came to when last asked for, and
only what has come and gone since is reckoned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pipeline.core.days import day_of
from pipeline.core.folded import folded_days
from pipeline.core.ledger import folded_worth
from pipeline.core.profile import Ledger, Order, Refund
from pipeline.core.worth import NOTHING, Worth, worth

REMEMBERED_FROM_ORDERS: Final = 16
"""Fewer are as quickly put together anew."""
CUSTOMERS_REMEMBERED: Final = 1_024
_FOLDED_MAX: Final = 4
_CHANGED_MAX: Final = 2
_CAME_MAX: Final = 4
"""So many of the first may have folded, of the last have changed, and come since; else all are put together."""


class Live(msgspec.Struct, frozen=True, gc=False):
    """Orders that may still change and count as purchases."""

    orders: int
    worth: Worth
    """Of all orders, folded ones included."""
    brought_by_day: Mapping[int, int]
    """What each day's leave after discount and commission."""


class _Known(NamedTuple):
    """What a customer's entries came to, without what had folded."""

    orders: tuple[Order, ...]
    refunds: tuple[Refund, ...]
    zone: str
    sums: Live


_remembered: dict[str, _Known] = {}


def live_of(ledger: Ledger, zone: str, customer_id: str = "") -> Live:
    """What a ledger's orders come to; with the customer's id from what they came to when that was last asked for."""
    folded = folded_worth(ledger)
    if not customer_id or len(ledger.orders) < REMEMBERED_FROM_ORDERS:
        return _put_together(ledger.orders, ledger.refunds, zone, folded)
    sums = _sums(ledger, zone, customer_id)
    return Live(sums.orders, folded + sums.worth, sums.brought_by_day)


def days_bought(ledger: Ledger, zone: str, customer_id: str) -> list[int]:
    """The distinct purchase days that are kept one by one, oldest first: as `ledger.all_days`, but remembered."""
    return sorted({*folded_days(ledger), *live_of(ledger, zone, customer_id).brought_by_day})


def _sums(ledger: Ledger, zone: str, customer_id: str) -> Live:
    """What the entries come to, without what has folded."""
    orders, refunds = ledger.orders, ledger.refunds
    known = _remembered.get(customer_id)
    if known is not None and known.orders is orders and known.refunds is refunds and known.zone == zone:
        return known.sums
    sums = _moved(known, ledger, zone) if known is not None else None
    if sums is None:
        sums = _put_together(orders, refunds, zone, NOTHING)
    if len(_remembered) >= CUSTOMERS_REMEMBERED and known is None:
        _remembered.clear()
    _remembered[customer_id] = _Known(orders, refunds, zone, sums)
    return sums


def _moved(known: _Known, ledger: Ledger, zone: str) -> Live | None:
    """What entries come to by what they came to: the first may have folded, the last changed, and some have come.

    None where more than that has happened.
    """
    before, orders, refunds = known.orders, ledger.orders, ledger.refunds
    first = next((place for place in range(_FOLDED_MAX + 1) if before[place] is orders[0]), None)
    if first is None or known.refunds != refunds or known.zone != zone:
        return None
    last = len(before) - _CHANGED_MAX
    stays = last - first
    if len(orders) - stays > _CHANGED_MAX + _CAME_MAX or before[first:last] != orders[:stays]:
        return None
    more = _put_together(orders[stays:], refunds, zone, known.sums.worth)
    less = _put_together(before[:first] + before[last:], refunds, zone, NOTHING)
    by_day = {**known.sums.brought_by_day}
    for day, brought in more.brought_by_day.items():
        by_day[day] = by_day.get(day, 0) + brought
    for day, brought in less.brought_by_day.items():
        by_day[day] -= brought
        if not by_day[day] and not _has_day(orders, day, zone):
            del by_day[day]
    return Live(known.sums.orders + more.orders - less.orders, more.worth - less.worth, by_day)


def _has_day(orders: Sequence[Order], day: int, zone: str) -> bool:
    return any(order.known and not order.cancelled and day_of(order.purchased_at, zone) == day for order in orders)


def _put_together(orders: Sequence[Order], refunds: Sequence[Refund], zone: str, start: Worth) -> Live:
    """What these come to beside `start`. An order of which nothing was given back is worth what it says."""
    revenue, refunded, discount = start.revenue_minor, start.refunded_minor, start.discount_minor
    margin, commission, returns = start.margin_minor, start.commission_minor, start.returns_minor
    given_back = {refund.order for refund in refunds}
    count, by_day = 0, dict[int, int]()
    so_far = by_day.get
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
        by_day[day] = so_far(day, 0) + left - off - affiliates
    return Live(count, Worth(revenue, refunded, discount, margin, commission, returns), by_day)
