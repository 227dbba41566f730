"""Who comes back: customers by the month of their first purchase, month after month; and what is at risk now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.analysis.report.calendar import month_name
from pipeline.analysis.report.figures import AGES_SHOWN
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, added, mean, share, table, with_total
from pipeline.analysis.report.tally import Moments
from pipeline.core.days import running_month

LIFECYCLES: Final = ("new", "active", "won_back", "at_risk", "lapsed")
AT_RISK: Final = ("at_risk", "lapsed")


def cohorts(shop: Shop) -> Part:
    """The part."""
    sums: dict[str, Moments] = {
        each: shop.tally.by_lifecycle[each] for each in LIFECYCLES if each in shop.tally.by_lifecycle
    }
    rows: list[list[Cell]] = [
        [each, of.count, of.value, mean(of.value, of.count), of.predicted if shop.tally.has_predictions else None]
        for each, of in sums.items()
    ]
    count, value = sum(of.count for of in sums.values()), sum(of.value for of in sums.values())
    remarks = _at_risk(sums)
    if not shop.tally.has_predictions:
        remarks.append("Predicted value: nothing is predicted yet (`wafa fit`).")
    return Part(
        "cohorts",
        "Who comes back, and what is at risk",
        (
            table(
                "retention",
                "Of each month's new customers, who bought so many months later",
                "cohort_month customers " + " ".join(f"month_{age}" for age in range(AGES_SHOWN)) + " running_month",
                _retention(shop),
                shown_max=6,
            ),
            with_total(
                table(
                    "value_at_risk",
                    "Value by where customers stand",
                    "lifecycle customers value_minor value_per_customer_minor predicted_minor",
                    rows,
                ),
                count,
                value,
                mean(value, count),
                added(rows, 4) if shop.tally.has_predictions else None,
            ),
        ),
        tuple(remarks),
    )


def _at_risk(sums: Mapping[str, Moments]) -> list[str]:
    """What share of the value is at risk: of the value above zero, of which alone there is a share."""
    value, above = (sum(getattr(of, name) for of in sums.values()) for name in ("value", "above_zero"))
    risked = sum(sums[each].above_zero for each in AT_RISK if each in sums)
    if not risked:
        return []
    of_whom = "" if value == above else ", of customers above zero,"
    return [f"{risked / above:.0%} of the value to date{of_whom} is with customers at risk or lapsed."]


def _retention(shop: Shop) -> list[list[Cell]]:
    first, last = running_month(shop.calendar.first_day), running_month(min(shop.calendar.last_day, shop.today))
    rows: list[list[Cell]] = []
    for cohort in range(first, last + 1):
        size = shop.tally.sizes[cohort]
        if not size:
            continue
        ages: list[Cell] = [
            share(shop.tally.bought[cohort, age], size) if cohort + age <= shop.this_month else None
            for age in range(AGES_SHOWN)
        ]
        running = shop.this_month - cohort
        rows.append([month_name(cohort), size, *ages, running if running < AGES_SHOWN else None])
    return rows
