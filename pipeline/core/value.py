"""What a customer is worth to date, part by part: margin on net revenue less what it cost to win, keep and serve them.

Every part is reckoned from what is kept of the customer, so that no part can disagree with its sum; each is a whole
number of minor units, rounded once, and the sum is the sum of what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import msgspec
from msgspec.structs import astuple

from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import ChannelCost, channel_costs
from pipeline.core.controls import Controls
from pipeline.core.costs import MILLI
from pipeline.core.money import rounded
from pipeline.core.profile import Profile
from pipeline.core.worth import Worth


class Value(msgspec.Struct, frozen=True, gc=False):
    """A customer's value to date, in minor units."""

    margin_minor: int
    """On net revenue, at the price before discount."""
    channel_cost_minor: int
    """Their share of what channels spent; with the next two, what it cost to win the customer and their orders."""
    commission_cost_minor: int
    """Of affiliates, for orders."""
    sales_cost_minor: int
    """Recorded by sales."""
    discount_cost_minor: int
    """Off the price of what they kept; with the next two, what it cost to keep them."""
    send_cost_minor: int
    """E-mails."""
    marketing_cost_minor: int
    """Recorded by marketing: gifts, campaigns that name them; and rewards for referrals."""
    service_time_cost_minor: int
    """A person's time; with the next two, what it cost to serve them."""
    return_cost_minor: int
    """Handling what they gave back."""
    service_recorded_cost_minor: int
    """Recorded by service, and what tickets cost."""

    def __add__(self, other: Value) -> Value:
        """The sum, part by part."""
        return Value(*map(add, astuple(self), astuple(other)))

    @property
    def acquisition_cost_minor(self) -> int:
        """What it cost to win them and their orders."""
        return self.channel_cost_minor + self.commission_cost_minor + self.sales_cost_minor

    @property
    def retention_cost_minor(self) -> int:
        """What it cost to keep them."""
        return self.discount_cost_minor + self.send_cost_minor + self.marketing_cost_minor

    @property
    def service_cost_minor(self) -> int:
        """What it cost to serve them."""
        return self.service_time_cost_minor + self.return_cost_minor + self.service_recorded_cost_minor

    @property
    def value_to_date_minor(self) -> int:
        """Margin less the three costs."""
        return (
            self.margin_minor
            - self.channel_cost_minor - self.commission_cost_minor - self.sales_cost_minor
            - self.discount_cost_minor - self.send_cost_minor - self.marketing_cost_minor
            - self.service_time_cost_minor - self.return_cost_minor - self.service_recorded_cost_minor
        )  # fmt: skip


def value(profile: Profile, controls: Controls) -> Value:
    """What a customer is worth to date, with channels' spend as last told."""
    return value_of(ledgers.worth_of(profile.ledger), profile, controls)


def value_of(worth: Worth, profile: Profile, controls: Controls, costs: Sequence[ChannelCost] | None = None) -> Value:
    """The same, where what their orders are worth is known already, or also what winning them cost."""
    if costs is None:
        costs = channel_costs(profile, controls)
    return Value(
        margin_minor=worth.margin_minor,
        channel_cost_minor=sum([each.cost_minor for each in costs]) if costs else 0,
        commission_cost_minor=worth.commission_minor,
        sales_cost_minor=profile.acquisition_cost_minor,
        discount_cost_minor=worth.discount_minor,
        send_cost_minor=rounded(profile.sends_milli, MILLI),
        marketing_cost_minor=profile.retention_cost_minor,
        service_time_cost_minor=rounded(profile.service_time_milli, MILLI),
        return_cost_minor=worth.returns_minor,
        service_recorded_cost_minor=profile.service_cost_minor,
    )


NOTHING = Value(*(0,) * len(Value.__struct_fields__))
