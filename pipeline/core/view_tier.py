"""A customer's tier, treatment and RFM scores, as others may see them. JSON-ready; money in whole minor units."""

from __future__ import annotations

from typing import Any, Final

from pipeline.core.controls import Controls
from pipeline.core.days import date_of, day_of, month_of
from pipeline.core.outlook import gap_minor
from pipeline.core.profile import Profile, Stage, Standing, Tier
from pipeline.core.rfm import habits, rfm
from pipeline.core.tier import Why
from pipeline.core.treatment import treatment

_MILLI: Final = 1000
_NO_FIGURES: Final[dict[str, Any]] = {
    **dict.fromkeys(
        (
            "since_on", "checked_on", "actual_minor", "expected_minor", "potential_minor", "gap_minor", "p_return",
            "p_below_zero", "cost_to_serve_per_order_minor",
        )
    ),
    "month_ends": [],
}  # fmt: skip


def tier(profile: Profile, controls: Controls) -> dict[str, Any]:
    """The tier as last looked at, with the figures it rests on; unknown, and why, where there is nothing to go by."""
    standing = profile.standing
    held = Tier(standing.tier) if standing else Tier.UNKNOWN
    why = Why(standing.why) if standing else _why_unknown(profile, controls)
    level = treatment(Stage(profile.stage), held, has_bought=bool(profile.ledger.last_at))
    return {
        "tier": held.label,
        "tier_reason": why.label,
        "treatment": level.label,
        **(_figures(standing) if standing else _NO_FIGURES),
    }


def _why_unknown(profile: Profile, controls: Controls) -> Why:
    if not profile.ledger.last_at:
        return Why.NO_PURCHASE_YET
    if controls.model is None:
        return Why.NO_FORECAST_YET
    return Why.NO_POPULATION_YET if controls.population is None else Why.NOT_LOOKED_AT_YET


def _figures(standing: Standing) -> dict[str, Any]:
    p_return = standing.p_return_milli / _MILLI
    below = standing.p_below_zero_milli
    months = standing.month_ends
    first = month_of(standing.checked_day) - len(months)
    return {
        "since_on": date_of(standing.since_day),
        "checked_on": date_of(standing.checked_day),
        "actual_minor": standing.actual_minor,
        "expected_minor": standing.ahead_minor,
        "potential_minor": standing.potential_minor,
        "gap_minor": gap_minor(p_return, standing.ahead_minor, standing.potential_minor),
        "p_return": p_return,
        "p_below_zero": None if below < 0 else below / _MILLI,
        "cost_to_serve_per_order_minor": standing.serve_minor,
        "month_ends": [
            {"month": f"{month // 12:04}-{month % 12 + 1:02}", "tier": each.label}
            for month, each in enumerate(months, first)
        ],
    }


def scores(profile: Profile, controls: Controls) -> dict[str, Any] | None:
    """Recency, frequency and monetary scores; None before a purchase, or a population to be measured by."""
    zone = controls.policy.shop.time_zone
    bought = habits(profile, zone, day_of(profile.as_of, zone)) if controls.population else None
    if controls.population is None or bought is None:
        return None
    found = rfm(controls.population, bought)
    return {**found._asdict(), **bought._asdict()}
