"""Whether a customer buys only with offers: the share of their orders bought with one, shrunk to the shop's.

What they bought lately weighs more, as with categories: who has paid the full price for a year has changed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.core import ledger as ledgers
from pipeline.core.categories import buys, is_with_offer
from pipeline.core.days import day_of
from pipeline.core.digits import shown
from pipeline.core.policy import NeedsRules
from pipeline.core.profile import Profile
from pipeline.core.quarters import quarter_of, rolled
from pipeline.core.worth import Worth

Sensitivity = Literal["unknown", "full_price", "mixed", "offers_only"]


class Price(msgspec.Struct, frozen=True, gc=False):
    """How a customer buys with regard to price."""

    sensitivity: Sensitivity
    orders: int
    """Orders it is told from; those from before discounts were counted are not among them."""
    discounted: int
    """Those of them with an offer: a discount, or a coupon."""
    fraction: float
    """Of their orders, with an offer: lately bought ones weigh more, and it is shrunk to the shop's share."""
    discount_fraction: float
    """Discount in all, of the price before it: of what they kept."""


def with_discount(profile: Profile) -> tuple[int, int]:
    """(orders, those with an offer), void ones left out."""
    needs, live = profile.needs, ledgers.standing(profile.ledger)
    orders = sum(needs.settled) + needs.settled_older + len(live)
    return orders, sum(needs.with_offer) + needs.settled_discounted + len(
        [each for each in live if is_with_offer(each)]
    )


def price(profile: Profile, of_orders: Worth, rules: NeedsRules, usual_fraction: float | None, *, zone: str) -> Price:
    """Whether they buy with offers; `unknown` below the orders that the policy asks for.

    `of_orders`: what all of theirs are worth. `usual_fraction`: the shop's share of orders with an offer; None: one
    half, as long as it is not measured.
    """
    orders, discounted = with_discount(profile)
    usual = 0.5 if usual_fraction is None else usual_fraction
    weight, of_offers = _weights(profile, zone)
    prior = rules.price_prior_orders
    fraction = (of_offers + prior * usual) / (weight + prior)
    discount = of_orders.discount_minor
    before = of_orders.revenue_minor - of_orders.refunded_minor + discount
    return Price(
        _sensitivity(orders, fraction, rules), orders, discounted, shown(fraction),
        shown(discount / before) if before else 0.0,
    )  # fmt: skip


def _weights(profile: Profile, zone: str) -> tuple[float, float]:
    """What their orders weigh by age, and those of them with an offer."""
    today = day_of(profile.as_of, zone)
    quarter = quarter_of(today)
    needs = rolled(profile.needs, quarter)
    live = [(day_of(each.purchased_at, zone), is_with_offer(each)) for each in ledgers.standing(profile.ledger)]
    in_all = buys(needs.settled, needs.settled_older, [day for day, _ in live], quarter, today)
    older = needs.settled_discounted
    offers = buys(needs.with_offer, older, [day for day, has_offer in live if has_offer], quarter, today)
    return in_all.weight, offers.weight


def _sensitivity(orders: int, fraction: float, rules: NeedsRules) -> Sensitivity:
    if orders < rules.price_orders_min:
        return "unknown"
    if fraction * 1000 >= rules.offers_only_permille:
        return "offers_only"
    return "full_price" if fraction * 1000 <= rules.full_price_permille else "mixed"
