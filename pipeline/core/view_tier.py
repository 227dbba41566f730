"""A customer's tier, treatment and RFM scores, as others may see them. JSON-ready; money in whole minor units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pipeline.core.controls import Controls
from pipeline.core.days import date_of, running_month
from pipeline.core.outlook import gap_minor
from pipeline.core.profile import Profile, Stage, Standing, Tier, month_ends
from pipeline.core.reckoned import Reckoned
from pipeline.core.rfm import YEAR_DAYS, habits_of, rfm
from pipeline.core.tier import Why
from pipeline.core.treatment import treatment

MONTH_ENDS_KEPT: Final = 4_096
"""Histories of tiers remembered as they are shown."""
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
        "month_ends": _month_ends(standing.months, running_month(standing.checked_day)),
    }


@lru_cache(maxsize=MONTH_ENDS_KEPT)
def _month_ends(months: int, checked_month: int) -> Sequence[Mapping[str, str]]:
    """The tiers at the ends of months, as a standing keeps them. Most customers have had the same."""
    ends = month_ends(months)
    return [
        {"month": f"{month // 12:04}-{month % 12 + 1:02}", "tier": each.label}
        for month, each in enumerate(ends, checked_month - len(ends))
    ]


def scores(controls: Controls, known: Reckoned) -> dict[str, Any] | None:
    """Recency, frequency and monetary scores; None before a purchase, or a population to be measured by."""
    if controls.population is None or not known.purchase_days:
        return None
    bought = habits_of(known.purchase_days, known.windows[YEAR_DAYS], known.today)
    found = rfm(controls.population, bought)
    return {**found._asdict(), **bought._asdict()}
