"""Why a customer's recency, frequency and monetary scores are so: purchases, refunds, and the shop's cuts."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.days import DAY_SECONDS, date_of, day_of
from pipeline.core.explain_orders import OrdersTold
from pipeline.core.lived import Life
from pipeline.core.population import Population
from pipeline.core.reckoned import reckoned
from pipeline.core.rfm import YEAR_DAYS, habits_of
from pipeline.core.view_tier import scores


def rfm_document(life: Life, told: OrdersTold) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    if life.profile is None:
        return None
    as_of, controls = life.as_of, life.controls
    known = reckoned(replace(life.profile, as_of=as_of), controls)
    bought = habits_of(known.purchase_days, known.windows[YEAR_DAYS], known.today) if known.purchase_days else None
    absent = None if controls.population is not None else "no_population"
    zone = controls.policy.shop.time_zone
    days = [day for day in known.purchase_days if known.today - day < YEAR_DAYS]
    year = [
        entry
        for entry in told.money(as_of, as_of - (YEAR_DAYS + 1) * DAY_SECONDS)
        if known.today - day_of(int(entry["at"].timestamp()), zone) < YEAR_DAYS
    ]
    return {
        "absent": "no_purchase" if bought is None else absent,
        "currency": life.profile.currency or None,
        "scores": scores(controls, known),
        "habits": bought._asdict() if bought is not None else None,
        "cuts": None if controls.population is None else _cuts(controls.population),
        "purchase_days": [date_of(day) for day in days],
        "entries": year,
    }


def _cuts(population: Population) -> dict[str, Any]:
    """The shop's fifths: with so many days or fewer since the last purchase, so many days with one, so much spent."""
    return {
        "measured_on": date_of(population.measured_on),
        "customers": population.customers,
        "days_since_purchase": [-each for each in population.recency],
        "purchase_days": list(population.frequency),
        "spent_minor": list(population.monetary),
    }
