"""A shop's whole model from its purchase days, checked against the one in force before it takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from msgspec.structs import replace

from pipeline.analysis import calibration as learned
from pipeline.analysis import timing as buying
from pipeline.analysis.band import forecast_band
from pipeline.analysis.counts import Counts, counted
from pipeline.analysis.overdue import (
    LEVEL_MOST,
    LEVEL_WEEKS,
    USUAL_LIMITS,
    Budget,
    Limits,
    level_for,
    spells_of,
    weeks_to_second,
)
from pipeline.analysis.purchases import Purchases, States, snapshot, states_on
from pipeline.analysis.renewal import Buying, Notes, first, renewed
from pipeline.analysis.season import fit_season, lately_of, weeks_of
from pipeline.core.calibration import Calibration
from pipeline.core.predict import HORIZON_DAYS, YEARLY_DISCOUNT, Model, not_of_a_shop
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import PRIOR_DAYS, Spend

SNAPSHOTS: Final = 4
"""Earlier days whose predictions, matured since, teach the calibration; a month between them."""
DOUBT_CUSTOMERS_MAX: Final = 2_000
"""Of more, what a fit leaves open is little beside what no model knows."""
DOUBT_DAYS: Final = 90
SHARE_OF_SECONDS: Final = 0.8
SECOND_ORDER_WEEKS: Final = 26.0
"""Patience with who bought once, while the shop has too few second orders to say."""
ALARMS_MIN: Final = 5.0
"""Alarms that the budget must allow in those weeks before the level is set by them."""
OVER_BUDGET: Final = 4.0 / 3.0
"""Beyond so many times the budget, or so many times below it, it is said that no level keeps to it."""
DEFAULT_LEVEL: Final = 0.02
_NEARLY: Final = 0.99

Refusal = buying.Refusal | Literal["what was found is no shop's"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the shop asks of its forecasts, and what it knows without a fit."""

    value_weeks: float = 156.0
    discount: float = YEARLY_DISCOUNT
    """A week, continuously."""
    return_days: int = HORIZON_DAYS[1]
    revenue_rate: float = 2.5
    """Revenue for each unit of margin."""
    limits: Limits = USUAL_LIMITS
    """Of the silences that are news."""


USUAL_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model to put in force, and what was seen on the way: numbers by name, for `ModelFitted`."""

    model: Model
    diagnostics: Mapping[str, float]
    remarks: tuple[str, ...]
    """What could not be learned, and what stands in for it."""


def fit_model(
    purchases: Purchases, day: int, in_force: Model | None = None, *, alarms_a_week: float, terms: Terms = USUAL_TERMS
) -> Fitted | Refusal:
    """The model of a shop as of a day (since 1970), or why nothing can be said.

    How customers buy is learned anew only where that has proved no worse than the model in force (`renewal`); season,
    calibration, the days that leave nothing and the level of "overdue" follow the latest weeks in any case.
    """
    now = states_on(purchases, day)
    table = counted(now.counts)
    refusal = buying.problem_with(table)
    if refusal is not None:
        return refusal
    seen: dict[str, float] = {"customers": table.total, "repeat_customers": float((now.counts.frequency > 0).sum())}
    remarks: list[str] = []
    notes = Notes(seen, remarks)
    found = first(purchases, day, notes) if in_force is None else renewed(in_force, purchases, day, notes)
    if not isinstance(found, Buying):
        return found
    _tell_doubt(table, seen)
    seen["log_likelihood"] = buying.log_likelihood(buying.z_of(found.timing), table)[0]
    buys = Model(
        timing=found.timing,
        spend=_with_poor_days(found.spend, now),
        rhythm=found.rhythm,
        level=DEFAULT_LEVEL,
        fitted_on=found.fitted_on,
        second_order_weeks=_second(purchases, day, remarks),
        value_weeks=terms.value_weeks,
        discount=terms.discount,
        return_weeks=terms.return_days / 7.0,
        revenue_rate=terms.revenue_rate,
    )
    season = fit_season(weeks_of(buys.timing, purchases, day), lately_of(buys.timing, purchases, day), day)
    seen["season_level"] = season.level
    budget = _budget(alarms_a_week, terms.limits, in_force, day)
    follows = replace(buys, season=season, level=_level(purchases, day, budget, buys.rhythm, notes))
    follows = replace(follows, calibration=_calibration(follows, purchases, day, seen, remarks))
    if not_of_a_shop(follows) is not None:
        return "what was found is no shop's"  # nobody would take it up, and nobody would have a forecast
    return Fitted(follows, seen, tuple(remarks))


def _tell_doubt(table: Counts, seen: dict[str, float]) -> None:
    """How many orders a small shop's customers may make, by all that a fit of what is known leaves open."""
    now = buying.fit_timing(table) if table.total <= DOUBT_CUSTOMERS_MAX else None
    if isinstance(now, buying.TimingFit):
        band = forecast_band(now, table, DOUBT_DAYS / 7.0, seed=0)
        seen |= {"orders_90_days_low": band.low, "orders_90_days_high": band.high}


def _with_poor_days(spend: Spend, now: States) -> Spend:
    """The same with the shop's repeat days that left nothing or less counted: how many, and what."""
    poor, rich = float(now.poor_days.sum()), float(now.spend_days.sum())
    lost = float(now.poor_minor.sum()) / poor if poor else 0.0
    return replace(spend, paying_fraction=(rich + PRIOR_DAYS) / (rich + poor + PRIOR_DAYS), poor_minor=lost)


def _budget(alarms_a_week: float, limits: Limits, in_force: Model | None, day: int) -> Budget:
    """Until the next fit, if it comes as soon as this one came after the last."""
    if in_force is None:
        return Budget(alarms_a_week, limits)
    days = min(max(day - in_force.season.level_on, 1), LEVEL_WEEKS * 7)
    return Budget(alarms_a_week, limits, (in_force.rhythm, in_force.level), days)


def _level(purchases: Purchases, day: int, budget: Budget, rhythm: Rhythm, notes: Notes) -> float:
    """Set on deadlines as they are kept to: within the policy's limits."""
    a_week, remarks, spells = budget.alarms_a_week, notes.remarks, spells_of(purchases)
    if not len(spells.day):
        remarks.append("overdue: no rhythm seen yet")
        return DEFAULT_LEVEL
    if a_week * LEVEL_WEEKS < ALARMS_MIN:
        remarks.append(f"overdue: a budget of fewer than {ALARMS_MIN:g} alarms in {LEVEL_WEEKS} weeks sets no level")
        return DEFAULT_LEVEL
    level, raised = level_for(rhythm, spells, day, budget)
    notes.seen["alarms_a_week"] = raised
    if raised > a_week * OVER_BUDGET:
        remarks.append(
            f"overdue: silences of {budget.limits.longest_days} days, which always count, raise {raised:.0f} alarms "
            f"a week where the budget allows {a_week:.0f}"
        )
    elif level > LEVEL_MOST * _NEARLY and raised < a_week / OVER_BUDGET and a_week - raised >= ALARMS_MIN:
        remarks.append(
            f"overdue: {raised:.0f} alarms a week where the budget allows {a_week:.0f}: with more, who is silent for "
            "as long as half of their own gaps would be called at risk"
        )
    return level


def _second(purchases: Purchases, day: int, remarks: list[str]) -> float:
    weeks = weeks_to_second(purchases, day, SHARE_OF_SECONDS)
    if weeks is None:
        remarks.append(f"overdue after one order: too few second orders, so after {SECOND_ORDER_WEEKS:g} weeks")
        return SECOND_ORDER_WEEKS
    return weeks


def _calibration(
    model: Model, purchases: Purchases, day: int, seen: dict[str, float], remarks: list[str]
) -> Calibration | None:
    """Learned from predictions that had matured when the latest matured one was made; that one checks it.

    If it passes it is learned again from both, since the latest say most; that is kept where one learned so from half
    of the customers holds for the others too.
    """
    timing, rhythm, weeks = model.timing, model.rhythm, model.return_weeks
    horizon = round(weeks * 7.0)
    check, recent = snapshot(purchases, day - horizon, horizon), snapshot(purchases, day - horizon - 30, horizon)
    learn = [snapshot(purchases, day - 2 * horizon - 30 * step, horizon) for step in range(SNAPSHOTS)]
    found = learned.fit_calibration(timing, rhythm, weeks, learn, check)
    if not isinstance(found, Calibration):
        remarks.append(f"calibration: {found}")
        return None
    seen["log_loss_calibrated"], seen["log_loss_raw"] = learned.surprises(found, timing, rhythm, check)
    lately = [check, recent, *learn]
    if not learned.holds_for_others(timing, rhythm, weeks, lately, check):
        return found
    again = learned.fit_calibration(timing, rhythm, weeks, lately)
    return again if isinstance(again, Calibration) else found
