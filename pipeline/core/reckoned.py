"""What several parts of a customer's view ask for, reckoned once: each would go over orders, days and sums again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core import buckets
from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import ChannelCost, channel_costs, cohort_month
from pipeline.core.controls import Controls
from pipeline.core.days import day_of
from pipeline.core.live import Live, live_of
from pipeline.core.profile import Order, Profile


class Reckoned(NamedTuple):
    """A customer's orders, days and sums, as of their last change."""

    today: int
    """The day of that change, in the shop's zone."""
    purchases: Sequence[Order]
    """Those that may still change."""
    live: Live
    """What they come to, and all of their orders."""
    purchase_days: Sequence[int]
    """The distinct days, the latest 32, oldest first."""
    windows: dict[int, list[int]]
    """Rolling figures, by length in days."""
    cohort_month: str | None
    """The month of their first purchase."""
    channel_costs: Sequence[ChannelCost]
    """What winning them cost."""


def reckoned(profile: Profile, controls: Controls, customer_id: str = "") -> Reckoned:
    """What a view needs more than once; with the customer's id quicker."""
    zone, ledger = controls.policy.shop.time_zone, profile.ledger
    today = day_of(profile.as_of, zone)
    return Reckoned(
        today=today,
        purchases=ledgers.purchases(ledger),
        live=live_of(ledger, zone, customer_id),
        purchase_days=ledgers.purchase_days(ledger, zone),
        windows=buckets.figures(profile.buckets, today),
        cohort_month=cohort_month(profile, zone),
        channel_costs=channel_costs(profile, controls),
    )
