"""Own deadlines against the best fixed window on a shop's history, each tuned to the same number of alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.counts import Floats
from pipeline.analysis.overdue import (
    Budget,
    Replay,
    Spells,
    alarms,
    deadlines,
    level_for,
    limited,
    open_between,
    replay,
    spells_of,
    tuned,
)
from pipeline.analysis.purchases import Purchases, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.core.rhythm import Rhythm


@dataclass(frozen=True)
class Shop:
    purchases: Purchases
    rhythm: Rhythm
    spells: Spells
    window: tuple[int, int, int]
    """First and last day of alarms, and the days looked at after each."""

    @property
    def customers(self) -> int:
        first, last, _ = self.window
        return len(set(self.spells.customer[(self.spells.ends > first) & (self.spells.day <= last)]))


def shop(purchases: Purchases, fitted_on: int, last: int, horizon: int, frequency_min: int) -> Shop:
    """What was known on a day; alarms are raised from then until `last`."""
    states = states_on(purchases, fitted_on)
    found = fit_rhythm(states.counts, states.sum_log_gap)
    assert isinstance(found, RhythmFit)
    return Shop(purchases, found.rhythm, spells_of(purchases, frequency_min), (fitted_on + 1, last, horizon))


def both(shop: Shop, volume: float) -> tuple[Replay, Replay]:
    """Own deadlines and the fixed window, each at `volume` alarms a customer."""
    first, last, _ = shop.window
    budget = volume * shop.customers
    spells = open_between(shop.spells, first, last)

    def own(level: float) -> Floats:
        return deadlines(shop.rhythm, spells, level)

    def fixed(weeks: float) -> Floats:
        return np.full(len(spells.day), weeks)

    level = tuned(own, spells, (first, last), budget, (1e-9, 0.5))
    weeks = tuned(fixed, spells, (first, last), budget, (200.0, 0.2))
    timing = shop.rhythm.timing
    return (
        replay(shop.purchases, timing, spells, own(level), shop.window),
        replay(shop.purchases, timing, spells, fixed(weeks), shop.window),
    )


def raised(shop: Shop, budget: Budget, fits: int, days: int) -> list[int]:
    """How many become overdue after each of some fits, so many days apart; each silence once.

    Who is beyond a new deadline, and was not beyond the one before, is overdue at once. Before the first fit the level
    in force, or else the first fit's own, is taken to have been there all along.
    """
    since, spells, found = shop.window[0], shop.spells, []
    done = np.zeros(len(spells.day), bool)
    for first in range(since, since + fits * days, days):
        level, _ = level_for(shop.rhythm, spells, first - 1, budget)
        if first == since:
            rhythm, before = budget.in_force or (shop.rhythm, level)
            done = alarms(
                spells, limited(deadlines(rhythm, spells, before, budget.limits), budget.limits), 0, first - 1
            )[0]
        budget = budget._replace(in_force=(shop.rhythm, level), days=days)
        silence = limited(deadlines(shop.rhythm, spells, level, budget.limits), budget.limits)
        new, on = alarms(spells, silence, 0, first + days - 1)
        new &= ~done & (np.maximum(on, first) < spells.ends)
        found.append(int(new.sum()))
        done |= new
    return found
