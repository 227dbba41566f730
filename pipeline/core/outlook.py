"""What a customer is worth so far and from now on, and what they might be worth: the numbers that tiers are told from.

`facts` needs no population: the shop's customers are measured by it, and a tier is told from the same numbers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.acquisition import won_by
from pipeline.core.categories import breadth
from pipeline.core.controls import Controls
from pipeline.core.forecast import history_with, scope_of
from pipeline.core.history import History
from pipeline.core.live import live_of
from pipeline.core.money import portion, rounded
from pipeline.core.population import Population, alike, best, tenure_class
from pipeline.core.predict import Model, prospect
from pipeline.core.profile import Profile
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import Value, value_of

PRIOR_ORDERS: Final = 2
"""What keeping and serving somebody costs is drawn to the shop's usual cost as if by so many orders of theirs."""
BREADTH_MAX: Final = 2
"""Buying in every category that the best of their kind do is taken to be worth at most so many times as much."""
NO_SEGMENT: Final = "none"
"""Of whom no channel had a part in winning."""
_WHOLE: Final = 1000


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """A customer's figures that are compared with others'; money in minor units."""

    actual_minor: int
    """Worth so far, with referrals."""
    expected_minor: float
    """Margin expected, less discounts, before what keeping and serving them will cost."""
    orders_ahead: float
    """Expected, each counting less the later it comes."""
    p_return: float
    orders: int
    """So far; those that stand."""
    upkeep_minor: int
    """What keeping and serving them cost so far, but for discounts."""
    serve_minor: int
    """Cost to serve, for each order."""
    segment: str
    tenure: int
    categories: int
    """Product categories they bought in; 0 where nobody told."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is known and expected of a customer on a day, whoever else there is."""

    day: int
    outlook: Outlook
    model: Model
    history: History
    p_alive: float
    worth: Value
    margin_minor: float
    """Expected of an order."""
    refunded_margin_minor: int
    """Of what they gave back."""


def facts(profile: Profile, controls: Controls, day: int, customer_id: str = "") -> Facts | None:
    """What is known and expected of a customer on a day; None before a purchase or a model. Quicker with their id."""
    rules = controls.policy
    scope = scope_of(profile, controls.models, rules)
    ledger, zone = profile.ledger, rules.shop.time_zone
    live = live_of(ledger, zone, customer_id) if scope else None
    history = history_with(ledger, zone, live) if live else None
    if scope is None or live is None or history is None:
        return None
    model, of_orders = controls.models.of(scope), live.worth
    worth, expected = value_of(of_orders, profile, controls), prospect(model, history, day)
    orders = ledger.folded_orders + live.orders
    kept = of_orders.revenue_minor - of_orders.refunded_minor
    rate, of = (worth.margin_minor, kept) if kept > 0 else (rules.value.margin_permille, _WHOLE)
    serve = worth.service_cost_minor
    outlook = Outlook(
        actual_minor=worth.value_to_date_minor + referral_value_minor(profile, rules.value),
        expected_minor=expected.value_minor,
        orders_ahead=expected.p_alive * expected.orders_if_alive[-1],
        p_return=expected.p_return,
        orders=orders,
        upkeep_minor=worth.send_cost_minor + worth.marketing_cost_minor + serve,
        serve_minor=rounded(serve, orders),
        segment=won_by(profile, rules.value) or NO_SEGMENT,
        tenure=tenure_class(history.tenure(day)),
        categories=breadth(profile.needs, ledger),
    )
    lost = portion(of_orders.refunded_minor, rate, of) if of_orders.refunded_minor else 0
    return Facts(day, outlook, model, history, expected.p_alive, worth, expected.margin_minor, lost)


def upkeep_minor(known: Outlook, usual_minor: float, *, less_minor: float = 0.0) -> float:
    """What an order to come will cost to keep and serve them: as so far, drawn to what is usual."""
    return (known.upkeep_minor - less_minor + PRIOR_ORDERS * usual_minor) / (known.orders + PRIOR_ORDERS)


def ahead_minor(known: Outlook, upkeep: float) -> int:
    """What is expected of them, less what keeping and serving them will cost: `upkeep` for each order."""
    return round(known.expected_minor - known.orders_ahead * upkeep)


def potential_minor(known: Outlook, ahead: int, population: Population) -> int:
    """What they might be worth from now on, by those who are alike: of the same channel, here as long.

    The more of two: what is expected of the best tenth of them; and what would be of this one if they bought in as
    many categories as the broadest tenth. Never less than what is expected anyhow.
    """
    tenure, categories = known.tenure, known.categories
    name = alike(known.segment, tenure)
    found = best(population.best_ahead_minor, name, tenure)
    if categories and ahead > 0:
        broadest = best(population.best_categories, name, tenure)
        if broadest > categories:
            found = max(found, min(ahead * broadest // categories, ahead * BREADTH_MAX))
    return max(ahead, found)


def gap_minor(p_return: float, ahead: int, potential: int) -> int:
    """What they might be worth more, counted as far as they are likely to come back at all."""
    return int(p_return * (potential - ahead))
