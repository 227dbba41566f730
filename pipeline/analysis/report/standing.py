"""Where a customer stands, from their profile: the one place that knows what profiles hold for the report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pipeline.core.acquisition import shares
from pipeline.core.controls import Controls
from pipeline.core.days import day_of, running_month
from pipeline.core.forecast import forecast
from pipeline.core.owed import Owed, by_department
from pipeline.core.profile import Lifecycle, Profile, Tier
from pipeline.core.satisfaction import UNKNOWN, Piece, Satisfaction, pieces, satisfaction
from pipeline.core.value import Value, value


class Standing(NamedTuple):
    """A customer, as of the log's last moment."""

    value: Value
    lifecycle: str
    first_purchase_at: int
    shares: dict[str, int]
    """Of `acquisition.WHOLE`, by the channels that won them."""
    tier: str | None = None
    """None: profiles have none."""
    tier_by_month: tuple[tuple[int, str], ...] = ()
    """(month since year 0, tier), the oldest first."""
    owed: Mapping[str, Owed] = MappingProxyType({})
    """What each department promised them, kept and broke."""
    satisfaction: Satisfaction = UNKNOWN
    """As of the log's last moment; so are the pieces of its evidence."""
    evidence: tuple[Piece, ...] = ()
    predicted_minor: int | None = None
    """What they will still bring; None: no model."""


def standing_of(profile: Profile, controls: Controls, as_of: int) -> Standing:
    """What the report needs of a profile, `as_of` being the log's last moment."""
    expected = forecast(profile, controls, day_of(profile.as_of, controls.policy.shop.time_zone))
    tier, by_month = _tiers(profile)
    return Standing(
        value=value(profile, controls),
        lifecycle=Lifecycle(profile.lifecycle).label,
        first_purchase_at=profile.ledger.first_at,
        shares=shares(profile, controls.policy.value),
        owed=by_department(profile, profile.as_of),
        satisfaction=satisfaction(profile, as_of, controls.policy),
        evidence=tuple(pieces(profile, as_of, controls.policy)),
        tier=tier,
        tier_by_month=by_month,
        predicted_minor=None if expected is None else round(expected.value_minor),
    )


def _tiers(profile: Profile) -> tuple[str | None, tuple[tuple[int, str], ...]]:
    """The tier now, and at the end of each month kept; the one there is now counts as that of its month."""
    kept = profile.standing
    if kept is None or kept.tier == Tier.UNKNOWN:
        return None, ()
    month = running_month(kept.checked_day)
    ends = (*kept.month_ends, Tier(kept.tier))
    return Tier(kept.tier).label, tuple((at, each.label) for at, each in enumerate(ends, month - len(ends) + 1))
