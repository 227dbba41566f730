"""Where a customer stands, from their profile: the one place that knows what profiles hold for the report."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.core.acquisition import ChannelCost, channel_costs, shares
from pipeline.core.controls import Controls
from pipeline.core.profile import Lifecycle, Profile
from pipeline.core.value import Value, value


class Standing(NamedTuple):
    """A customer, as of the log's last moment."""

    value: Value
    lifecycle: str
    first_purchase_at: int
    shares: dict[str, int]
    """Of `acquisition.WHOLE`, by the channels that won them."""
    channel_costs: tuple[ChannelCost, ...]
    tier: str | None = None
    """None: profiles have none."""
    tier_by_month: tuple[tuple[int, str], ...] = ()
    """(month since year 0, tier), the oldest first."""
    predicted_minor: int | None = None
    """What they will still bring; None: no model."""


def standing_of(profile: Profile, controls: Controls) -> Standing:
    """What the report needs of a profile."""
    return Standing(
        value=value(profile, controls),
        lifecycle=Lifecycle(profile.lifecycle).label,
        first_purchase_at=profile.ledger.first_at,
        shares=shares(profile, controls.policy.value),
        channel_costs=channel_costs(profile, controls),
    )
