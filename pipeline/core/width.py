"""How far what comes of one customer may lie from what is expected of them: bands that hold it four times in five.

An expectation is a mean over many who are alike. One of them mostly buys not at all, or more. The model's own doubt,
that of a small shop, is not in it: the fit tells it for the shop as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.core.ahead import Band, Known, margin_band, orders_band
from pipeline.core.history import WEEK_DAYS, History
from pipeline.core.predict import HORIZON_DAYS, Model, prospect
from pipeline.core.season import factor
from pipeline.core.timing import orders_if_alive


class Width(NamedTuple):
    """The bands of a prediction; money in minor units."""

    orders: tuple[tuple[int, int], ...]
    """Purchase days within 30, 90 and 365 days."""
    margin_minor: tuple[Band, ...]
    """What they leave."""
    value_minor: Band
    """What the days of the value's horizon leave, discounted."""


def width(model: Model, history: History, day: int) -> Width:
    """The bands of what is expected of a customer from the end of a day on.

    A busy season is more time for orders to come in. The value's discount is that of what is expected: as if all orders
    came as those do on average.
    """
    expected = prospect(model, history, day)
    tenure = max(history.tenure(day), history.recency)
    known = Known(
        frequency=history.frequency,
        tenure=tenure,
        p_alive=expected.p_alive,
        spend_days=history.spend_days,
        mean_margin_minor=history.mean_margin_minor,
        poor_days=history.poor_days,
        poor_minor=history.poor_minor,
    )
    times = [days / WEEK_DAYS * factor(model.season, day, days / WEEK_DAYS) for days in HORIZON_DAYS]
    value = margin_band(model.timing, model.spend, known, model.value_weeks)
    undiscounted = orders_if_alive(model.timing, history.frequency, tenure, model.value_weeks)
    worth = expected.orders_if_alive[-1] / undiscounted
    return Width(
        tuple([orders_band(model.timing, known, weeks) for weeks in times]),
        tuple([margin_band(model.timing, model.spend, known, weeks) for weeks in times]),
        Band(value.low * worth, value.high * worth),
    )
