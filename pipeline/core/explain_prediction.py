"""What a prediction rests on: the model in force, the customer's purchases as it sees them, what it makes of them."""

from __future__ import annotations

from typing import Any

from pipeline.core import view_forecast
from pipeline.core.ahead import SHARE
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, day_of
from pipeline.core.digits import DIGITS
from pipeline.core.forecast import history_of, scope_of
from pipeline.core.history import WEEK_DAYS, History
from pipeline.core.lived import Life
from pipeline.core.predict import HORIZON_DAYS, Model, prospect, to_parameters
from pipeline.core.reckoned import reckoned
from pipeline.core.season import factor
from pipeline.core.width import width
from pipeline.schemas import logged


def prediction_document(life: Life) -> dict[str, Any]:
    """The whole explanation; without a prediction, why there is none."""
    profile, controls = life.profile, life.controls
    zone = controls.policy.shop.time_zone
    scope = scope_of(profile, controls.models, controls.policy) if profile is not None else None
    history = history_of(profile.ledger, zone) if profile is not None else None
    if profile is None or history is None or scope is None:
        absent = "no_purchase" if history is None else "no_model"
        return {
            "absent": absent,
            "currency": None,
            "model": None,
            "purchases": None,
            "made_of": None,
            "band": None,
            "prediction": None,
        }
    day = day_of(profile.as_of, zone)
    model = controls.models.of(scope)
    return {
        "absent": None,
        "currency": profile.currency or None,
        "model": _model(model, scope, controls),
        "purchases": _purchases(history, day),
        "made_of": _made_of(model, history, day),
        "band": _band(model, history, day),
        "prediction": view_forecast.prediction(profile, controls, reckoned(profile, controls)),
    }


def _model(model: Model, scope: str, controls: Controls) -> dict[str, Any]:
    fitted = controls.latest.get(f"ModelFitted/{scope}")
    return {
        "scope": scope,
        "fitted_at": controls.models.fitted_at,
        "learned_until_on": date_of(model.fitted_on),
        "parameters": {name: round(number, DIGITS) for name, number in sorted(to_parameters(model).items())},
        "diagnostics": dict(sorted(fitted.diagnostics.items())) if isinstance(fitted, logged.ModelFitted) else {},
    }


def _purchases(history: History, day: int) -> dict[str, Any]:
    """The customer's purchases as the model sees them, as of the end of a day."""
    return {
        "as_of_on": date_of(day),
        "purchase_days": history.frequency + 1,
        "first_on": date_of(history.first_day),
        "last_on": date_of(history.last_day),
        "tenure_days": round(history.tenure(day) * WEEK_DAYS),
        "days_since_purchase": max(0, day - history.last_day),
        "mean_gap_days": _mean_gap_days(history),
        "spend_days": history.spend_days,
        "mean_margin_minor": round(history.mean_margin_minor),
        "poor_days": history.poor_days,
        "poor_margin_minor": history.poor_minor,
    }


def _mean_gap_days(history: History) -> float | None:
    gaps = history.frequency
    return round((history.last_day - history.first_day) / gaps, DIGITS) if gaps else None


def _made_of(model: Model, history: History, day: int) -> dict[str, Any]:
    """The factors: `p_alive` times `orders_if_they_stay` times the season's are orders; times a margin, margin.

    All as of the end of the day.
    """
    expected = prospect(model, history, day)
    return {
        "p_alive": round(expected.p_alive, DIGITS),
        "ahead": [
            {
                "days": days,
                "orders_if_they_stay": round(orders, DIGITS),
                "season_factor": round(factor(model.season, day, days / WEEK_DAYS), DIGITS),
            }
            for days, orders in zip(HORIZON_DAYS, expected.orders_if_alive, strict=False)
        ],
        "margin_an_order_minor": round(expected.margin_minor, DIGITS),
        "margin_an_order_of_the_shop_minor": round(model.spend.mean_minor, DIGITS),
        "is_calibrated": model.calibration is not None and history.frequency > 0,
    }


def _band(model: Model, history: History, day: int) -> dict[str, Any]:
    """Where what comes of customers like this one ends up, `share` of them within."""
    found = width(model, history, day)
    return {
        "share": SHARE,
        "ahead": [
            {
                "days": days,
                "orders_low": orders[0],
                "orders_high": orders[1],
                "margin_low_minor": round(margin.low),
                "margin_high_minor": round(margin.high),
            }
            for days, orders, margin in zip(HORIZON_DAYS, found.orders, found.margin_minor, strict=True)
        ],
        "value_ahead_low_minor": round(found.value_minor.low),
        "value_ahead_high_minor": round(found.value_minor.high),
    }
