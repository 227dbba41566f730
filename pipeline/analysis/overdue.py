"""Setting the level of "overdue" to what the shop can act on, and replaying what its alarms would have caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.analysis.counts import Floats, Whole
from pipeline.analysis.purchases import Purchases, bought_between
from pipeline.analysis.rhythm import heaviest, tails
from pipeline.core.rhythm import LONGEST_COUNTS, REGULARITIES, Rhythm
from pipeline.core.timing import Timing

HALVINGS: Final = 40
LEVEL_WEEKS: Final = 6
"""The level is set for so many weeks to come at the most, by as many before."""
LEVEL_LEAST: Final = 1e-9
LEVEL_MOST: Final = 0.5
"""A silence that half of a customer's own gaps exceed is not rare."""
FIRST_REPEATS_MIN: Final = 20
"""Second orders seen before the shop's own curve of them is used."""
_NEVER: Final = np.iinfo(np.int64).max // 4
"""A day far in the future."""


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Silences, each from a purchase to the next; every array is (spells,). Times in weeks, days since 1970."""

    customer: Whole
    day: Whole
    ends: Whole
    """Day of the next purchase; far in the future if there was none."""
    frequency: Floats
    recency: Floats
    sum_log_gap: Floats


class Limits(NamedTuple):
    """The policy's: no shorter silence is news, every longer one is; whole days."""

    shortest_days: int = 3
    longest_days: int = 365


USUAL_LIMITS: Final = Limits()


class Budget(NamedTuple):
    """How many alarms the shop can act on, and what customers are called by until now."""

    alarms_a_week: float
    limits: Limits = USUAL_LIMITS
    in_force: tuple[Rhythm, float] | None = None
    """The rhythm and level that their deadlines were drawn by; None before a first model."""
    days: int = LEVEL_WEEKS * 7
    """Until the level is set anew: what falls due later the next level decides."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule would have done in a window: each silence gives one alarm at most."""

    alarms: int
    lost_per_alarm: float
    """Purchases fewer than at the customer's own rate, in the horizon after the alarm."""
    lost_error: float
    """Standard error of it."""
    fell_per_alarm: float
    """The same against the horizon up to their last purchase: no model in it."""
    fell_error: float
    quiet_fraction: float
    """Alarms with no purchase in the horizon after."""
    silent_days: float
    """Median silence at the alarm."""


def spells_of(purchases: Purchases, frequency_min: int = 1) -> Spells:
    """Every silence of customers who had bought often enough."""
    who, day = purchases.customer, purchases.day
    if not len(who):
        return Spells(who, day, day, *(np.zeros(0) for _ in range(3)))
    first = np.concatenate([[True], who[1:] != who[:-1]])
    starts = np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))
    gaps = np.cumsum(np.log(np.where(first, 7, np.diff(day, prepend=0)) / 7.0))
    ends = np.where(np.append(~first[1:], False), np.append(day[1:], 0), _NEVER)
    times = np.arange(len(who)) - starts
    known = times >= frequency_min
    rows = (times.astype(float), (day - day[starts]) / 7.0, gaps - gaps[starts])
    return Spells(who[known], day[known], ends[known], *(row[known] for row in rows))


def open_between(spells: Spells, first_day: int, last_day: int) -> Spells:
    """The silences that lasted into these days."""
    return _only(spells, (spells.ends >= first_day) & (spells.day <= last_day))


def deadlines(rhythm: Rhythm, spells: Spells, level: float, limits: Limits = USUAL_LIMITS) -> Floats:
    """`core.rhythm.deadline` for many."""
    own = spells.frequency / (spells.frequency + LONGEST_COUNTS)
    longest = limits.longest_days / 7.0
    return np.asarray(_rare_silences(rhythm, spells, level) ** own * longest ** (1.0 - own))


def _rare_silences(rhythm: Rhythm, spells: Spells, level: float) -> Floats:
    """`core.rhythm.rare_silence` for many."""
    timing = rhythm.timing
    regular = heaviest(rhythm, spells.frequency, spells.recency, spells.sum_log_gap)
    n = timing.r + regular * spells.frequency
    start = timing.alpha / regular + spells.recency
    low: Floats = start * np.expm1(np.minimum(-np.log(level) / n, 700.0))
    found: Floats = low.copy()
    for k in REGULARITIES[1:]:
        these = regular == k
        shape, begin, short = n[these], start[these], low[these]
        high = short * k + begin
        for _ in range(HALVINGS):
            high = np.where(tails(k, shape, begin, high) > level, high * 2.0, high)
        for _ in range(HALVINGS):
            middle = (short + high) / 2.0
            beyond = tails(k, shape, begin, middle) > level
            short, high = np.where(beyond, middle, short), np.where(beyond, high, middle)
        found[these] = high
    return found


def limited(silence: Floats, limits: Limits) -> Floats:
    """Deadlines as the product keeps to them: whole days, within the policy's limits; in weeks."""
    days = np.ceil(np.minimum(silence * 7.0, limits.longest_days))
    return np.asarray(np.maximum(days, limits.shortest_days) / 7.0)


def alarms(spells: Spells, silence: Floats, first_day: int, last_day: int) -> tuple[NDArray[np.bool_], Floats]:
    """Which silences would have raised an alarm within these days, and on which day each would."""
    day = np.ceil(spells.day + np.maximum(np.minimum(silence, 1e6) * 7.0, 1.0))
    return (day >= first_day) & (day <= last_day) & (day < spells.ends), day


def replay(
    purchases: Purchases, timing: Timing, spells: Spells, silence: Floats, window: tuple[int, int, int]
) -> Replay:
    """What alarms after such silences would have caught; `window` is first day, last day, and the horizon's days."""
    first_day, last_day, horizon = window
    fired, on = alarms(spells, silence, first_day, last_day)
    who, day = spells.customer[fired], on[fired].astype(np.int64)
    came = bought_between(purchases, who, day, horizon)
    own = (timing.r + spells.frequency[fired]) / (timing.alpha + spells.recency[fired]) * horizon / 7.0
    before = bought_between(purchases, who, spells.day[fired] - horizon, horizon)
    number = int(fired.sum())
    if not number:
        return Replay(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    lost, fell = own - came, before - came
    root = np.sqrt(number)
    return Replay(
        number, float(lost.mean()), float(lost.std() / root), float(fell.mean()), float(fell.std() / root),
        float((came == 0).mean()), float(np.median(day - spells.day[fired])),
    )  # fmt: skip


def tuned(
    rule: Callable[[float], Floats], spells: Spells, days: tuple[int, int], budget: float, ends: tuple[float, float]
) -> float:
    """The level of a rule at which it raises `budget` alarms between two days, between `ends` (fewest, most alarms)."""
    return _level_of(lambda level: int(alarms(spells, rule(level), *days)[0].sum()), budget, ends)


def _level_of(alarms_at: Callable[[float], float], budget: float, ends: tuple[float, float]) -> float:
    """The level that raises so many alarms, found by halving."""
    fewest, most = ends
    for _ in range(HALVINGS):
        middle = float(np.sqrt(fewest * most))
        if alarms_at(middle) < budget:
            fewest = middle
        else:
            most = middle
    return fewest


def level_for(rhythm: Rhythm, spells: Spells, day: int, budget: Budget) -> tuple[float, float]:
    """The level of "overdue" that should keep to a weekly budget in the days after a day, and the alarms a week by it.

    Counted, not modelled. Of the silences that last on that day, those whose deadline falls in the days to come count
    as far as such lasted until theirs in as many days before; beside them as many as silences raised that began in
    these. So a crowd that came in one month is foreseen when its deadlines near. A silence raises one alarm: who is
    overdue by the level in force counts no more, and who would be by the new one alone counts at once. The least level
    where the policy's longest silence alone raises more.
    """
    since, until, limits = day - budget.days + 1, day + budget.days, budget.limits
    seen = open_between(spells, since, day)
    older, younger = _only(seen, seen.day < since), _only(seen, seen.day >= since)
    waiting = _waiting(spells, day, budget)

    def levels_of(some: Spells, first: int, last: int) -> tuple[Floats, Floats]:
        begin, end = levels_of_alarms(rhythm, some, (first, last), limits)
        return np.sort(begin), np.sort(end)

    due_then, raised_then = levels_of(_lasting(older), since, day), levels_of(older, since, day)
    due, begun = levels_of(waiting, day + 1, until), levels_of(younger, since, day)

    def alarms_at(level: float) -> float:
        lasted = (_raised(raised_then, level) + 1) / (_raised(due_then, level) + 1)
        at_once = _reached(due[1], level) if budget.in_force else 0
        return at_once + _raised(due, level) * lasted + _raised(begun, level)

    level = _level_of(alarms_at, budget.alarms_a_week * budget.days / 7.0, (LEVEL_LEAST, LEVEL_MOST))
    return level, alarms_at(level) / budget.days * 7.0


def _waiting(spells: Spells, day: int, budget: Budget) -> Spells:
    """The silences of a day that are not overdue by what is in force, as if nobody bought again."""
    lasting = _lasting(_only(spells, (spells.day <= day) & (spells.ends > day)))
    if budget.in_force is None:
        return lasting
    rhythm, level = budget.in_force
    _, not_yet_below = levels_of_alarms(rhythm, lasting, (day + 1, day + 1), budget.limits)
    return _only(lasting, level < not_yet_below)


def _raised(levels: tuple[Floats, Floats], level: float) -> int:
    """How many raise their alarm at a level; `levels` from which on, and below which, sorted."""
    return _reached(levels[0], level) - _reached(levels[1], level)


def _reached(levels: Floats, level: float) -> int:
    return int(np.searchsorted(levels, level, "right"))


def _lasting(spells: Spells) -> Spells:
    """The same, if nobody had bought again."""
    return replace(spells, ends=np.full(len(spells.day), _NEVER))


def levels_of_alarms(
    rhythm: Rhythm, spells: Spells, days: tuple[int, int], limits: Limits = USUAL_LIMITS
) -> tuple[Floats, Floats]:
    """From which level on, and below which, each silence raises its alarm within these days; both (spells,).

    A deadline falls as the level rises: it is within a silence from the tail on of the rare silence that is drawn to
    it. So each is reckoned once, not once for every level that is tried. One shorter than the policy's shortest is
    beyond no deadline, one as long as its longest beyond every. From infinity on: never; from 0 on, or below infinity:
    always.
    """
    regular = heaviest(rhythm, spells.frequency, spells.recency, spells.sum_log_gap)
    n = rhythm.timing.r + regular * spells.frequency
    start = rhythm.timing.alpha / regular + spells.recency
    until = np.minimum(days[1], spells.ends - 1) - spells.day
    before = days[0] - 1 - spells.day

    def tail_of(silent_days: Whole) -> Floats:
        found = np.full(len(n), np.inf)
        for k in REGULARITIES:
            these = (regular == k) & (silent_days >= max(1, limits.shortest_days))
            silence, frequency = silent_days[these] / 7.0, spells.frequency[these]
            rare = silence * (silence * 7.0 / limits.longest_days) ** (LONGEST_COUNTS / frequency)
            found[these] = tails(k, n[these], start[these], rare)
        found[silent_days >= limits.longest_days] = 0.0
        return found

    return tail_of(until), tail_of(before)


def weeks_to_second(purchases: Purchases, day: int, share: float) -> float | None:
    """Weeks by which a share of those who come a second time have come, by the shop's own curve; None: too few yet.

    Kaplan-Meier: who is still waiting counts as long as they have waited.
    """
    is_first = purchases.is_first
    firsts = np.flatnonzero(is_first & (purchases.day <= day))
    nexts = np.minimum(firsts + 1, len(is_first) - 1)
    came = (nexts > firsts) & ~is_first[nexts] & (purchases.day[nexts] <= day)
    waited = np.where(came, purchases.day[nexts], day) - purchases.day[firsts]
    if came.sum() < FIRST_REPEATS_MIN:
        return None
    gaps, events = np.unique(waited[came], return_counts=True)
    waiting = len(waited) - np.searchsorted(np.sort(waited), gaps)
    arrived = 1.0 - np.cumprod(1.0 - events / waiting)
    return float(gaps[np.searchsorted(arrived, share * arrived[-1])] / 7.0)


def _only(spells: Spells, rows: NDArray[np.bool_]) -> Spells:
    return Spells(*(getattr(spells, field.name)[rows] for field in fields(spells)))
