"""What is expected of a customer, as others may see it. JSON-ready; money in whole minor units."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any, Final

from pipeline.core.controls import Controls
from pipeline.core.days import instant
from pipeline.core.digits import shown
from pipeline.core.forecast import forecast_with, history_with, overdue_at, scope_of
from pipeline.core.history import WEEK_DAYS
from pipeline.core.predict import HORIZON_DAYS, Prediction
from pipeline.core.profile import Profile
from pipeline.core.reckoned import Reckoned

NEXT_ORDER_DAYS_MAX: Final = 3_650
"""An order expected later than this is not said to be expected."""


def prediction(profile: Profile, controls: Controls, known: Reckoned) -> dict[str, Any] | None:
    """The forecast of the day of the profile's last change; None before a model or a purchase."""
    models, policy = controls.models, controls.policy
    scope = scope_of(profile, models, policy)
    history = history_with(profile.ledger, policy.shop.time_zone, known.live) if scope else None
    if scope is None or history is None:
        return None
    model = models.of(scope)
    found, deadline = forecast_with(model, history, known.live.worth, known.today), overdue_at(profile)
    early, median, late = (_days(weeks) for weeks in found.next_order_weeks)
    return {
        "basis": found.basis,
        "p_return": shown(found.p_return),
        "return_days": round(found.return_weeks * WEEK_DAYS),
        "p_alive": shown(found.p_alive),
        "ahead": _ahead(found),
        "value_ahead_minor": round(found.value_minor),
        "value_ahead_days": round(model.value_weeks * WEEK_DAYS),
        "next_order_days": {"early": early, "median": median, "late": late},
        "overdue_at": instant(deadline) if deadline is not None else None,
        "model_scope": scope,
        "model_fitted_at": models.fitted_at,
    }


def _ahead(found: Prediction) -> list[dict[str, Any]]:
    within = zip(HORIZON_DAYS, found.orders, found.margin_minor, found.revenue_minor, strict=True)
    return [
        {
            "days": days, "orders": shown(orders), "margin_minor": round(margin),
            "revenue_minor": round(revenue),
        }
        for days, orders, margin, revenue in within
    ]  # fmt: skip


def _days(weeks: float) -> int | None:
    days = weeks * WEEK_DAYS
    return ceil(days) if isfinite(days) and days <= NEXT_ORDER_DAYS_MAX else None
