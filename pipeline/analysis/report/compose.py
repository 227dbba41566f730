"""The report, part by part, from the sums."""

from __future__ import annotations

from typing import Final

from pipeline.analysis.report.calendar import date_at
from pipeline.analysis.report.channels import channels
from pipeline.analysis.report.cohorts import cohorts
from pipeline.analysis.report.funnel import funnel
from pipeline.analysis.report.goals import goals
from pipeline.analysis.report.inputs import inputs
from pipeline.analysis.report.needs import needs
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Report
from pipeline.analysis.report.tiers import tiers
from pipeline.core.days import instant

PARTS: Final = (funnel, channels, inputs, cohorts, goals, tiers, needs)
"""In the order they are told in."""


def composed(shop: Shop) -> Report:
    """The report."""
    return Report(
        first_on=date_at(shop.calendar.first_day).isoformat(),
        last_on=date_at(shop.calendar.last_day).isoformat(),
        as_of=instant(shop.as_of).isoformat(),
        currency=shop.currency,
        parts=tuple(part(shop) for part in PARTS),
        period=shop.calendar.kind,
        zone=shop.calendar.zone,
    )
