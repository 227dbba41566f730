"""What one order is worth "once": what it leaves, and what getting it cost, after everything given back of it.

Rates (margin, commission, handling of a return) are those of the policy in force when the order or the refund arrived;
a later policy revalues nothing. Margin rates are of the price before discount. So a discount costs its whole self, and
stands among the costs; the goods cost what they cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.money import portion, rounded
from pipeline.core.policy import ValueRules
from pipeline.core.profile import Order, Refund
from pipeline.schemas.logged import Item

WHOLE = -1
"""A refund of whatever is left of its order."""


class Worth(NamedTuple):
    """Of one order, or summed over some: in minor units, after refunds. What is void is worth nothing."""

    revenue_minor: int = 0
    """Before refunds."""
    refunded_minor: int = 0
    discount_minor: int = 0
    """On what was kept."""
    margin_minor: int = 0
    """On what was kept, at the price before discount."""
    commission_minor: int = 0
    """Of affiliates, on what was kept."""
    returns_minor: int = 0
    """Handling of what was given back."""

    def __add__(self, other: tuple[int, ...]) -> Worth:  # type: ignore[override]  # a sum, not a longer tuple
        """The sum, figure by figure."""
        return Worth(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def brought_minor(self) -> int:
        """What they leave after discount and commission."""
        return self.margin_minor - self.discount_minor - self.commission_minor


NOTHING = Worth()


def margin_minor(items: Sequence[Item], amount_minor: int, rules: ValueRules) -> int:
    """The margin on an amount, by the categories of its lines and their weights; without lines, at the default rate.

    A line weighs its amount; where no line has one, its quantity.
    """
    by_category = rules.margin_permille_by_category
    weight = rated = 0
    if by_category:
        priced = any(item.amount_minor for item in items)
        for item in items:
            weighs = item.amount_minor if priced else item.quantity
            weight += weighs
            rated += weighs * by_category.get(item.category or "", rules.margin_permille)
    if not weight:
        return portion(amount_minor, rules.margin_permille, 1000)
    return rounded(amount_minor * rated, weight * 1000)


def given_back(order: Order, refunds: Sequence[Refund]) -> list[tuple[Refund, int]]:
    """Each refund of an order with what of it counts, the earliest first: together never more than the order was.

    One in the currency the order was paid in is that part of the order, whatever the rate has become; all parts
    together are the order, to the minor unit. One in another currency counts as the rate of its day has it.
    """
    mine = [refund for refund in refunds if refund.order == order.order]
    left, paid_minor, back = order.revenue_minor, 0, []
    for refund in sorted(mine, key=lambda each: (each.refunded_at, each.refund)):
        if refund.amount_minor == WHOLE:
            amount = left
        elif _is_part(refund, order):
            through = paid_minor + refund.paid_minor
            amount = min(left, _part_minor(order, through) - _part_minor(order, paid_minor))
            paid_minor = through
        else:
            amount = min(left, refund.amount_minor)
        left -= amount
        back.append((refund, amount))
    return back


def _is_part(refund: Refund, order: Order) -> bool:
    return order.paid_minor > 0 and refund.paid_currency == order.paid_currency


def _part_minor(order: Order, paid_minor: int) -> int:
    return portion(order.revenue_minor, paid_minor, order.paid_minor)


class Excess(NamedTuple):
    """How much more an order's refunds say than it was."""

    minor: int
    order_minor: int
    currency: str
    """Of both: what the order was paid in, if all its refunds are in it; empty for the shop's own."""


def excess(order: Order, refunds: Sequence[Refund]) -> Excess:
    """The same of an order; 0 if they say no more."""
    told = [each for each in refunds if each.order == order.order and each.amount_minor != WHOLE]
    paid_minor = sum(each.paid_minor for each in told if _is_part(each, order))
    other_minor = sum(each.amount_minor for each in told if not _is_part(each, order))
    if paid_minor and not other_minor:
        return Excess(max(0, paid_minor - order.paid_minor), order.paid_minor, order.paid_currency)
    if paid_minor:
        other_minor += _part_minor(order, paid_minor)
    return Excess(max(0, other_minor - order.revenue_minor), order.revenue_minor, "")


def worth(order: Order, refunds: Sequence[Refund]) -> Worth:
    """What an order is worth."""
    if not order.known or order.cancelled:
        return NOTHING
    back = given_back(order, refunds) if refunds else ()
    if not back:
        return whole(order)
    revenue, discount, commission = order.revenue_minor, order.discount_minor, order.commission_minor
    refunded = sum(amount for _, amount in back)
    if revenue:
        discount -= portion(discount, refunded, revenue)
        commission -= portion(commission, refunded, revenue)
    returns = sum(refund.handling_minor for refund, _ in back)
    return Worth(revenue, refunded, discount, _margin_kept(order, back, refunded), commission, returns)


def whole(order: Order) -> Worth:
    """What an order is worth of which nothing was given back."""
    return Worth(order.revenue_minor, 0, order.discount_minor, order.margin_minor, order.commission_minor, 0)


def _margin_kept(order: Order, back: Sequence[tuple[Refund, int]], refunded: int) -> int:
    """A refund takes the margin of the lines it names; without lines, its share of the order's."""
    if refunded == order.revenue_minor:
        return 0 if refunded else order.margin_minor
    named = unnamed = 0
    for refund, amount in back:
        if refund.margin_minor is None or refund.amount_minor <= 0:
            unnamed += amount
        else:
            named += portion(refund.margin_minor, amount, refund.amount_minor)
    return order.margin_minor - named - portion(order.margin_minor, unnamed, order.revenue_minor)
