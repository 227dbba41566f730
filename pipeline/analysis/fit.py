"""A shop's whole model from its purchase days, checked against the one in force before it takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from pipeline.analysis import calibration as learned
from pipeline.analysis import spend as spending
from pipeline.analysis import timing as buying
from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import Counts, counted
from pipeline.analysis.judge import judge
from pipeline.analysis.overdue import level_for, spells_of, weeks_to_second
from pipeline.analysis.purchases import Purchases, States, snapshot, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.analysis.season import fit_season, lately_of, weeks_of
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.calibration import Calibration
from pipeline.core.plausible import implausible
from pipeline.core.predict import HORIZON_DAYS, YEARLY_DISCOUNT, Model, to_parameters
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import PRIOR_DAYS, Spend

HELD_OUT_WEEKS: Final = 4
"""Weeks kept from the candidate and used to compare it with the model in force."""
LEVEL_WEEKS: Final = 6
"""Weeks on which the level of "overdue" is set: more lag behind a shop that grows older, fewer are noise."""
SNAPSHOTS: Final = 4
"""Earlier days whose predictions, matured since, teach the calibration; a month between them."""
SHARE_OF_SECONDS: Final = 0.8
SECOND_ORDER_WEEKS: Final = 26.0
"""Patience with who bought once, while the shop has too few second orders to say."""
ALARMS_MIN: Final = 5.0
"""Alarms that the budget must allow in those weeks before the level is set by them."""
DEFAULT_LEVEL: Final = 0.02
_PRIOR_SPEND: Final = (4.0, 3.5)

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

    How customers buy is learned anew only where that has proved no worse than the model in force; season, calibration
    and the level of "overdue" follow the latest weeks in any case.
    """
    now = states_on(purchases, day)
    table = counted(now.counts)
    found = fit_timing(table)
    rhythm = fit_rhythm(now.counts, now.sum_log_gap)
    if not isinstance(found, TimingFit):
        return found
    if not isinstance(rhythm, RhythmFit):
        return rhythm
    seen = {"customers": found.customers, "log_likelihood": found.log_likelihood}
    seen["repeat_customers"] = float((now.counts.frequency > 0).sum())
    remarks: list[str] = []
    buys = Model(
        timing=found.timing,
        spend=_with_poor_days(
            _spend(spending.fit_spend(now.spend_days, now.mean_margin_minor), purchases, seen, remarks), now
        ),
        rhythm=rhythm.rhythm,
        level=DEFAULT_LEVEL,
        fitted_on=day,
        second_order_weeks=_second(purchases, day, remarks),
        value_weeks=terms.value_weeks,
        discount=terms.discount,
        return_weeks=terms.return_days / 7.0,
        revenue_rate=terms.revenue_rate,
    )
    against = None if in_force is None else _against(in_force, purchases, (day, table), seen)
    if in_force is not None and against is not None:
        remarks.append(f"buying: as the model in force has it ({against})")
        buys = replace(buys, timing=in_force.timing, rhythm=in_force.rhythm, fitted_on=in_force.fitted_on)
    season = fit_season(weeks_of(buys.timing, purchases, day), lately_of(buys.timing, purchases, day), day)
    seen["season_level"] = season.level
    follows = replace(buys, season=season, level=_level(purchases, day, alarms_a_week, buys.rhythm, remarks))
    follows = replace(follows, calibration=_calibration(follows, purchases, day, seen, remarks))
    if implausible(to_parameters(follows)) is not None:
        return "what was found is no shop's"  # nobody would take it up, and nobody would have a forecast
    return Fitted(follows, seen, tuple(remarks))


def _against(in_force: Model, purchases: Purchases, now: tuple[int, Counts], seen: dict[str, float]) -> str | None:
    """What speaks against learning anew how customers buy, beside the model in force.

    A model is judged by weeks it has not seen, and so is the one in force: until they have passed it stays. `now`: the
    day, and the customers as they stand on it.
    """
    day, after = now
    held_out = day - HELD_OUT_WEEKS * 7
    if in_force.fitted_on > held_out:
        return "it has not been in force for the weeks it would be judged by"
    before = counted(states_on(purchases, held_out).counts)
    candidate = fit_timing(before)
    if not isinstance(candidate, TimingFit):
        return candidate
    judgement = judge(candidate.timing, in_force.timing, before, after)
    seen["held_out_gain"] = judgement.gain
    return None if judgement.accepted else "the new one is worse on the held-out weeks"


def _spend(
    found: spending.SpendFit | spending.Refusal, purchases: Purchases, seen: dict[str, float], remarks: list[str]
) -> Spend:
    if isinstance(found, spending.SpendFit):
        seen["spend_dependence"] = found.dependence
        if abs(found.dependence) > spending.DEPENDENCE_MAX:
            remarks.append("margin hangs on frequency: forecasts of margin are in doubt")
        return found.spend
    remarks.append(f"margin: {found}; every customer is taken for the average one")
    p, q = _PRIOR_SPEND
    earned = purchases.margin_minor[purchases.margin_minor > 0]
    mean = float(earned.mean()) if len(earned) else 1.0
    return Spend(p, q, mean * (q - 1.0) / p)


def _with_poor_days(spend: Spend, now: States) -> Spend:
    """The same with the shop's repeat days that left nothing or less counted: how many, and what."""
    poor, rich = float(now.poor_days.sum()), float(now.spend_days.sum())
    lost = float(now.poor_minor.sum()) / poor if poor else 0.0
    return replace(spend, paying_fraction=(rich + PRIOR_DAYS) / (rich + poor + PRIOR_DAYS), poor_minor=lost)


def _level(purchases: Purchases, day: int, budget: float, rhythm: Rhythm, remarks: list[str]) -> float:
    spells = spells_of(purchases)
    if not len(spells.day):
        remarks.append("overdue: no rhythm seen yet")
        return DEFAULT_LEVEL
    if budget * LEVEL_WEEKS < ALARMS_MIN:
        remarks.append(f"overdue: a budget of fewer than {ALARMS_MIN:g} alarms in {LEVEL_WEEKS} weeks sets no level")
        return DEFAULT_LEVEL
    return level_for(rhythm, spells, (day - LEVEL_WEEKS * 7 + 1, day), budget)


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

    If it passes it is learned again from both, since the latest say most.
    """
    timing, rhythm, weeks = model.timing, model.rhythm, model.return_weeks
    horizon = round(weeks * 7.0)
    check, recent = snapshot(purchases, day - horizon, horizon), snapshot(purchases, day - horizon - 30, horizon)
    learn = [snapshot(purchases, day - 2 * horizon - 30 * step, horizon) for step in range(SNAPSHOTS)]
    found = learned.fit_calibration(timing, rhythm, weeks, learn, check)
    if not isinstance(found, Calibration):
        remarks.append(f"calibration: {found}")
        return None
    looks = learned.features(timing, rhythm, weeks, check.counts, check.sum_log_gap)
    alone = p_return(timing, check.counts, weeks)
    seen["log_loss_raw"] = learned.log_loss(alone, check.returned)
    seen["log_loss_calibrated"] = learned.log_loss(learned.calibrated(found, looks, alone), check.returned)
    again = learned.fit_calibration(timing, rhythm, weeks, [check, recent, *learn])
    return again if isinstance(again, Calibration) else found
