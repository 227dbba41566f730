"""What the orders that may still change come to, in one pass over them: what they are worth, and what each day left.

The same as `worth` of each of the ledger's purchases, put together; in this form since a tier is looked at whenever
money moves, and a busy customer has 64 of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.core.days import day_of
from pipeline.core.ledger import folded_worth
from pipeline.core.profile import Ledger, Order
from pipeline.core.worth import Worth, worth


class Live(NamedTuple):
    """Orders that may still change and count as purchases."""

    orders: int
    worth: Worth
    """Of all orders, folded ones included."""
    brought_by_day: Mapping[int, int]
    """What each day's leave after discount and commission."""


def live_of(ledger: Ledger, zone: str) -> Live:
    """What a ledger's orders come to. An order of which nothing was given back is worth what it says."""
    revenue, refunded, discount, margin, commission, returns = folded_worth(ledger)
    refunds = ledger.refunds
    given_back = {refund.order for refund in refunds}
    count, by_day = 0, dict[int, int]()
    so_far = by_day.get
    for order in ledger.orders:
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
