"""Whether a customer buys only with offers: the share of their orders with a discount, shrunk to the shop's."""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.core import ledger as ledgers
from pipeline.core.digits import shown
from pipeline.core.policy import NeedsRules
from pipeline.core.profile import Profile
from pipeline.core.worth import Worth

Sensitivity = Literal["unknown", "full_price", "mixed", "offers_only"]


class Price(msgspec.Struct, frozen=True, gc=False):
    """How a customer buys with regard to price."""

    sensitivity: Sensitivity
    orders: int
    """Orders it is told from; those from before discounts were counted are not among them."""
    discounted: int
    """Those of them with a discount."""
    fraction: float
    """Of their orders, with a discount: shrunk to the shop's share."""
    discount_fraction: float
    """Discount in all, of the price before it: of what they kept."""


def with_discount(profile: Profile) -> tuple[int, int]:
    """(orders, those with a discount), void ones left out."""
    needs, discounts = profile.needs, [order.discount_minor for order in ledgers.standing(profile.ledger)]
    orders = sum(needs.settled) + needs.settled_older + len(discounts)
    return orders, needs.settled_discounted + len([each for each in discounts if each > 0])


def price(profile: Profile, of_orders: Worth, rules: NeedsRules, usual_fraction: float | None) -> Price:
    """Whether they buy with offers; `unknown` below the orders that the policy asks for.

    `of_orders`: what all of theirs are worth. `usual_fraction`: the shop's share of orders with a discount; None: one
    half, as long as it is not measured.
    """
    orders, discounted = with_discount(profile)
    usual = 0.5 if usual_fraction is None else usual_fraction
    prior = rules.price_prior_orders
    fraction = (discounted + prior * usual) / (orders + prior)
    discount = of_orders.discount_minor
    before = of_orders.revenue_minor - of_orders.refunded_minor + discount
    return Price(
        _sensitivity(orders, fraction, rules), orders, discounted, shown(fraction),
        shown(discount / before) if before else 0.0,
    )  # fmt: skip


def _sensitivity(orders: int, fraction: float, rules: NeedsRules) -> Sensitivity:
    if orders < rules.price_orders_min:
        return "unknown"
    if fraction * 1000 >= rules.offers_only_permille:
        return "offers_only"
    return "full_price" if fraction * 1000 <= rules.full_price_permille else "mixed"
