"""Whether how customers buy is learned anew: only what has foretold weeks that it had not seen takes a model's place.

Learned up to four weeks ago, and asked about the four weeks since, beside the model in force, which has not seen them
either; about all four, and about the last by itself, so that what was so and is over takes nobody in. What is put in
force is what was asked, not a later fit that nobody has asked; so a model is some weeks old when it begins. It has seen
four weeks more at least than the one before: else it would hardly differ, and many small steps, each no worse than the
last, would follow a busy month all the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from pipeline.analysis.counts import counted
from pipeline.analysis.judge import WORSE_BY, gain_of_margins, gain_of_rhythm, judge
from pipeline.analysis.purchases import Purchases, States, some_of, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.analysis.spend import DEPENDENCE_MAX, SpendFit, fit_spend
from pipeline.analysis.timing import Refusal, TimingFit, fit_timing
from pipeline.core.predict import Model, not_of_a_shop
from pipeline.core.rhythm import Rhythm
from pipeline.core.season import NO_SEASON
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

HELD_OUT_WEEKS: Final = 4
"""Weeks kept from the candidate, and used to compare it with the model in force."""
LAST_WEEKS: Final = 1
"""Of these, so many are looked at by themselves too."""
NEW_WEEKS: Final = 4
"""Weeks that a candidate has seen and the model in force has not, at the least."""
_WORSE: Final = "the new one is worse on the held-out weeks"
_WORSE_LATELY: Final = "the new one is worse on the last of the held-out weeks"
_PRIOR_SPEND: Final = (4.0, 3.5)
COUNTED_DAYS: Final = 182
COUNTED_MIN: Final = 50
"""Where no scatter is learned, the mean margin is that of the latest so many days, if so many purchases were then."""


@dataclass(frozen=True, slots=True)
class Buying:
    """How customers buy and what it leaves, and the day up to which that was learned."""

    timing: Timing
    rhythm: Rhythm
    spend: Spend
    fitted_on: int


@dataclass(slots=True)
class Notes:
    """What is seen on the way, by name, and what is said of it."""

    seen: dict[str, float]
    remarks: list[str]


def first(purchases: Purchases, day: int, notes: Notes) -> Buying | Refusal:
    """How customers buy, by all that is known: there is nothing yet that it could be compared with."""
    now = states_on(purchases, day)
    timing, rhythm = fit_timing(counted(now.counts)), fit_rhythm(now.counts, now.sum_log_gap)
    if not isinstance(timing, TimingFit):
        return timing
    if not isinstance(rhythm, RhythmFit):
        return rhythm
    return Buying(timing.timing, rhythm.rhythm, _first_spend(now, purchases, day, notes), day)


def renewed(in_force: Model, purchases: Purchases, day: int, notes: Notes) -> Buying:
    """How customers buy, learned anew where that has proved itself; else as the model in force has it."""
    before = Buying(in_force.timing, in_force.rhythm, in_force.spend, in_force.fitted_on)
    held_out = day - HELD_OUT_WEEKS * 7
    if held_out - in_force.fitted_on < NEW_WEEKS * 7:
        return _kept(before, f"not yet {NEW_WEEKS} weeks that it has not seen, and {HELD_OUT_WEEKS} to judge by", notes)
    days = (held_out, day - LAST_WEEKS * 7, day)
    then, lately, now = (states_on(purchases, each) for each in days)
    timing, rhythm = fit_timing(counted(then.counts)), fit_rhythm(then.counts, then.sum_log_gap)
    if not isinstance(timing, TimingFit):
        return _kept(before, timing, notes)
    if not isinstance(rhythm, RhythmFit):
        return _kept(before, rhythm, notes)
    tables, some = [counted(each.counts) for each in (then, lately, now)], some_of(purchases)
    samples = [states_on(some, each) for each in days]
    gains = [judge(timing.timing, in_force.timing, since, tables[-1]).gain for since in tables[:-1]]
    of_rhythm = [gain_of_rhythm(rhythm.rhythm, in_force.rhythm, since, samples[-1]) for since in samples[:-1]]
    notes.seen |= {"held_out_gain": gains[0], "held_out_gain_rhythm": of_rhythm[0]}
    found = replace(in_force, timing=timing.timing, rhythm=rhythm.rhythm, season=NO_SEASON, calibration=None)
    why = _worse(gains, of_rhythm) or not_of_a_shop(found)
    if why is not None:
        return _kept(before, why, notes)
    spend = _counted(purchases, day) if is_counted(in_force.spend) else in_force.spend
    spend = _renewed_spend(spend, (then, lately, now), notes)
    return Buying(timing.timing, rhythm.rhythm, spend, held_out)


def _worse(gains: Sequence[float], of_rhythm: Sequence[float]) -> str | None:
    """Why a candidate is not taken, by what it foretold of all held-out weeks and of the last; None if it may be."""
    if min(gains[0], of_rhythm[0]) < -WORSE_BY:
        return _WORSE
    return _WORSE_LATELY if min(gains[1], of_rhythm[1]) < -WORSE_BY else None


def is_counted(spend: Spend) -> bool:
    """Whether nothing was learned of margin but its mean."""
    return (spend.p, spend.q) == _PRIOR_SPEND


def _kept(before: Buying, why: str, notes: Notes) -> Buying:
    notes.remarks.append(f"buying: as the model in force has it ({why})")
    return before


def _first_spend(now: States, purchases: Purchases, day: int, notes: Notes) -> Spend:
    found = fit_spend(now.spend_days, now.mean_margin_minor)
    if isinstance(found, SpendFit):
        return _noted(found, notes)
    notes.remarks.append(f"margin: {found}; how far it scatters is taken to be as in other shops")
    return _counted(purchases, day)


def _counted(purchases: Purchases, day: int) -> Spend:
    """The mean of what paying days left, of the last half a year where there were some; scattered as in other shops."""
    p, q = _PRIOR_SPEND
    is_known = (purchases.day <= day) & (purchases.margin_minor > 0)
    lately = purchases.margin_minor[is_known & (purchases.day > day - COUNTED_DAYS)]
    earned = lately if len(lately) >= COUNTED_MIN else purchases.margin_minor[is_known]
    mean = float(earned.mean()) if len(earned) else 1.0
    return Spend(p, q, mean * (q - 1.0) / p)


def _renewed_spend(in_force: Spend, states: tuple[States, States, States], notes: Notes) -> Spend:
    """Of the day before the held-out weeks, before the last of them, and after."""
    then, lately, now = states
    found = fit_spend(then.spend_days, then.mean_margin_minor)
    if not isinstance(found, SpendFit):
        why: str = found
    elif is_counted(in_force):
        return _noted(found, notes)  # nothing was learned that it could be held against
    else:
        gains = [gain_of_margins(found.spend, in_force, since, now) for since in (then, lately)]
        notes.seen["held_out_gain_margin"] = gains[0]
        if min(gains) >= -WORSE_BY:
            return _noted(found, notes)
        why = _WORSE if gains[0] < -WORSE_BY else _WORSE_LATELY
    notes.remarks.append(f"margin: as the model in force has it ({why})")
    return in_force


def _noted(found: SpendFit, notes: Notes) -> Spend:
    notes.seen["spend_dependence"] = found.dependence
    if abs(found.dependence) > DEPENDENCE_MAX:
        notes.remarks.append("margin hangs on frequency: forecasts of margin are in doubt")
    return found.spend
