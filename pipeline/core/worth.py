"""What one order is worth "once": what it leaves, and what getting it cost, after everything given back of it.

Rates (margin, commission, handling of a return) are those of the policy in force when the order or the refund arrived;
a later policy revalues neither. Margin rates are of the price before discount. So a discount costs its whole self, and
stands among the costs; the goods cost what they cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import lcm
from typing import NamedTuple

import msgspec

from pipeline.core import lines
from pipeline.core.money import portion, rounded
from pipeline.core.policy import ValueRules
from pipeline.core.profile import Order, Refund

WHOLE = -1
"""A refund of whatever is left of its order."""


class Worth(msgspec.Struct, frozen=True, gc=False):
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

    def __add__(self, other: Worth) -> Worth:
        """The sum, figure by figure."""
        return Worth(
            self.revenue_minor + other.revenue_minor, self.refunded_minor + other.refunded_minor,
            self.discount_minor + other.discount_minor, self.margin_minor + other.margin_minor,
            self.commission_minor + other.commission_minor, self.returns_minor + other.returns_minor,
        )  # fmt: skip

    @property
    def brought_minor(self) -> int:
        """What they leave after discount and commission."""
        return self.margin_minor - self.discount_minor - self.commission_minor


NOTHING = Worth()


def margin_minor(weight_by_category: Mapping[str, int], amount_minor: int, rules: ValueRules) -> int:
    """The margin on an amount, by what its lines weigh; without lines, or where none weighs, at the default rate."""
    weight = sum(weight_by_category.values()) if weight_by_category else 0
    if not weight:
        return portion(amount_minor, rules.margin_permille, 1000)
    rates, usual = rules.margin_permille_by_category, rules.margin_permille
    rated = sum([each * rates.get(category, usual) for category, each in weight_by_category.items()])
    return rounded(amount_minor * rated, weight * 1000)


def given_back(order: Order, refunds: Sequence[Refund]) -> list[tuple[Refund, int]]:
    """Each refund of an order with what of it counts, the earliest first: together never more than the order was.

    One in the currency the order was paid in is that part of the order, whatever the rate has become; all parts
    together are the order, to the minor unit. One in another currency counts as the rate of its day has it.
    """
    left, paid_minor, back = order.revenue_minor, 0, []
    for refund in _of_order(order, refunds):
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


def _of_order(order: Order, refunds: Sequence[Refund]) -> list[Refund]:
    """An order's refunds, the earliest first; of one instant what gives back all that is left is the last."""
    mine = [refund for refund in refunds if refund.order == order.order]
    return sorted(mine, key=lambda each: (each.refunded_at, each.amount_minor == WHOLE, each.refund))


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
    """The same of an order; 0 if they say no more. After one of all that is left, all that others say is more."""
    mine = _of_order(order, refunds)
    place = next((place for place, each in enumerate(mine) if each.amount_minor == WHOLE), len(mine))
    before, later = mine[:place], [each for each in mine[place:] if each.amount_minor != WHOLE]
    in_paid = all(_is_part(each, order) for each in (*before, *later)) and order.paid_minor > 0
    whole, currency = (order.paid_minor, order.paid_currency) if in_paid else (order.revenue_minor, "")
    said = _said_minor(before, order, in_paid=in_paid)
    if place < len(mine):
        said = max(said, whole) + _said_minor(later, order, in_paid=in_paid)
    return Excess(max(0, said - whole), whole, currency)


def _said_minor(refunds: Sequence[Refund], order: Order, *, in_paid: bool) -> int:
    """What these say, in the currency their order was paid in or in the shop's."""
    paid_minor = sum(each.paid_minor for each in refunds if _is_part(each, order))
    if in_paid:
        return paid_minor
    other_minor = sum(each.amount_minor for each in refunds if not _is_part(each, order))
    return other_minor + (_part_minor(order, paid_minor) if paid_minor else 0)


def worth(order: Order, refunds: Sequence[Refund]) -> Worth:
    """What an order is worth."""
    if not order.known or order.cancelled:
        return NOTHING
    back = given_back(order, refunds) if refunds else ()
    if not back:
        return whole(order)
    revenue, discount, commission = order.revenue_minor, order.discount_minor, order.commission_minor
    refunded = sum(amount for _, amount in back)
    returns = sum(refund.handling_minor for refund, _ in back)
    if is_all_back(order, back):
        return Worth(revenue, refunded, returns_minor=returns)
    if revenue:
        discount -= portion(discount, refunded, revenue)
        commission -= portion(commission, refunded, revenue)
    return Worth(revenue, refunded, discount, _margin_kept(order, back, refunded), commission, returns)


def is_all_back(order: Order, back: Sequence[tuple[Refund, int]]) -> bool:
    """Whether all of an order has gone back, as `given_back` has it.

    Of one that cost nothing every amount would be all: it is given back by a refund of all that is left.
    """
    if not order.revenue_minor:
        return any(refund.amount_minor == WHOLE for refund, _ in back)
    return sum(amount for _, amount in back) == order.revenue_minor


def whole(order: Order) -> Worth:
    """What an order is worth of which nothing was given back."""
    return Worth(order.revenue_minor, 0, order.discount_minor, order.margin_minor, order.commission_minor, 0)


def _margin_kept(order: Order, back: Sequence[tuple[Refund, int]], refunded: int) -> int:
    """Of an order's margin: refunds take what the lines left that they name; what names none its share of the rest."""
    revenue, price = order.revenue_minor, order.revenue_minor + order.discount_minor
    if not revenue:
        return order.margin_minor
    if not lines.are_mixed(order.kinds):  # whatever is named, it has the one rate
        return order.margin_minor - portion(order.margin_minor, refunded, revenue)
    left = _lines_left(order, back).parts_by_kind
    rated = sum([permille * parts for permille, parts in left])
    return rounded(rated * price * (revenue - refunded), sum([parts for _, parts in left]) * revenue * 1000)


class _LinesLeft(NamedTuple):
    """An order's lines after what refunds name of them, exact: in parts of a minor unit so small that all are whole."""

    parts_of_one: int
    """How many parts a minor unit has."""
    parts_by_kind: list[tuple[int, int]]
    """(margin rate in thousandths, what is left after discount) of each category."""
    beyond_parts: int
    """What refunds name of categories beyond what it had of them."""


def _lines_left(order: Order, back: Sequence[tuple[Refund, int]]) -> _LinesLeft:
    """What is named of a category that it has not must be of its lines without one, if there are any."""
    kinds = lines.kinds(order.kinds)
    told = [(amount, parts, sum([weight for _, weight in parts])) for amount, parts in _named(back)]
    whole = sum([weight for _, weight, _ in kinds])
    one, beyond = lcm(whole, *[of for _, _, of in told]), 0
    named = dict.fromkeys([category for category, _, _ in kinds], 0)
    for amount, parts, of in told:
        for category, weight in parts:
            taken_of = category if category in named else lines.UNSAID
            if taken_of in named:
                named[taken_of] += amount * weight * (one // of)
            elif category:
                beyond += amount * weight * (one // of)
    left = []
    for category, weight, permille in kinds:
        rest = order.revenue_minor * weight * (one // whole) - named[category]
        left.append((permille, max(rest, 0)))
        beyond += max(-rest, 0) if category else 0
    return _LinesLeft(one, left, beyond)


def _named(back: Sequence[tuple[Refund, int]]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """How much of each refund that names lines counts, and what they weigh."""
    for refund, amount in back:
        if refund.named:
            yield amount, lines.named(refund.named)


def other_lines_minor(order: Order, refunds: Sequence[Refund]) -> int:
    """How much refunds name of lines that their order never had, or not for so much; 0 if it is but their rounding."""
    if not order.kinds:
        return 0
    back = given_back(order, refunds)
    found = _lines_left(order, back)
    return found.beyond_parts // found.parts_of_one if found.beyond_parts > len(back) * found.parts_of_one else 0
