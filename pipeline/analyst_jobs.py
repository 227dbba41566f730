"""What the analyst does, and how often: one row a job."""

from __future__ import annotations

from collections import Counter
from typing import Final

import structlog

from pipeline import metrics
from pipeline.analyst import Figures, Job
from pipeline.core.revisions import Odd
from pipeline.settings import Settings
from pipeline.spending import in_words, revise

log = structlog.get_logger("wafa.analyst")

_REMARKS_TOLD: Final = 5


def count_channel_costs(settings: Settings) -> Figures:
    """What channels spent and whom they won, counted anew; what has changed is put into the log."""
    found = revise(settings, {})
    if found.remarks:
        latest = sorted(found.remarks, key=lambda each: each.cohort_month, reverse=True)
        told = [in_words(remark, settings.shop_currency) for remark in latest[:_REMARKS_TOLD]]
        log.warning("channel_costs_odd", count=len(found.remarks), latest=told)
    odd = Counter(remark.odd for remark in found.remarks)
    return {"revised": len(found.revisions), "months": found.months, **{each: odd[each] for each in Odd}}


def show_channel_costs(figures: Figures) -> None:
    """The channels' months in force, and those that are odd, by how."""
    metrics.CHANNEL_MONTHS.set(figures["months"])
    for each in Odd:
        metrics.CHANNEL_MONTHS_ODD.labels(reason=each).set(figures[each])


def fit(settings: Settings) -> Figures:
    """The shop's model learned anew from what customers did, where they lie by it, and what goes with what."""
    from pipeline.analysis.fit import Fitted
    from pipeline.learning import learn
    from pipeline.measuring import NothingToMeasure

    found = learn(settings)
    report, population = found.report, found.population
    if not isinstance(report.fitted, Fitted):
        log.warning("fit_refused", why=report.fitted, customers=report.customers)
    is_measured = not isinstance(population, NothingToMeasure)
    if not is_measured:
        log.warning("tiers_not_measured", why=str(population))
    return {"customers": report.customers, "models": len(report.told), "populations": int(is_measured)}


def goals(settings: Settings) -> Figures:
    """How far the goals are, and how far they will be by the period's end; nothing before the first customer."""
    from pipeline.reporting import NobodyYet, read_goals

    try:
        return read_goals(settings)
    except NobodyYet:
        return {}


JOBS: Final = (
    Job(
        "channel_costs", lambda settings: settings.analyst_channel_costs_seconds, count_channel_costs,
        show_channel_costs,
    ),
    Job("fit", lambda settings: settings.analyst_fit_seconds, fit, needs="scipy"),
    Job("goals", lambda settings: settings.analyst_goals_seconds, goals, metrics.show_goals),
)  # fmt: skip
