"""Whether a fit would have foretold better than another what it had not seen; which segments earn one of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.counts import Counts
from pipeline.analysis.purchases import States
from pipeline.analysis.rhythm import likelihood as of_rhythm
from pipeline.analysis.spend import foretold
from pipeline.analysis.timing import SPREAD_OF_SEGMENTS, Prior, Refusal, TimingFit, fit_timing, log_likelihood, z_of
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

WORSE_BY: Final = 2.0
"""Log-likelihood, in all, that a candidate may be worse by: less than chance alone makes of two equal models."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate against the model in force, both asked about weeks the candidate did not see."""

    gain: float
    """Log-likelihood of those weeks under the candidate, less under the model in force."""
    customers: float

    @property
    def accepted(self) -> bool:
        """Whether the candidate may take its place."""
        return self.gain >= -WORSE_BY


@dataclass(frozen=True, slots=True)
class Segment:
    """The same cohort or channel, counted before the held-out weeks and after."""

    before: Counts
    after: Counts


def judge(candidate: Timing, in_force: Timing, before: Counts, after: Counts) -> Judgement:
    """How much better the candidate foretold what happened between two counts of the same shop.

    The likelihood of the weeks between is that of all up to `after` over that of all up to `before`: two tables are
    enough, and no customer has to be followed.
    """

    def of_weeks_between(timing: Timing) -> float:
        z, first = z_of(timing), timing.leaves_at_first
        later = log_likelihood(z, after, leaves_at_first=first)[0]
        return later - log_likelihood(z, before, leaves_at_first=first)[0]

    return Judgement(of_weeks_between(candidate) - of_weeks_between(in_force), after.total)


def gain_of_rhythm(candidate: Rhythm, in_force: Rhythm, before: States, after: States) -> float:
    """The same of rhythms: how much better the candidate foretold the gaps and silences between two days."""

    def of_weeks_between(rhythm: Rhythm) -> float:
        later, earlier = (of_rhythm(rhythm, each.counts, each.sum_log_gap) for each in (after, before))
        return later - earlier

    return of_weeks_between(candidate) - of_weeks_between(in_force)


def gain_of_margins(candidate: Spend, in_force: Spend, before: States, after: States) -> float:
    """The same of margins: of what repeat days between two days left, given what each customer's days had left."""
    place = np.searchsorted(after.customer, before.customer)
    days, total = np.zeros(len(after.customer)), np.zeros(len(after.customer))
    days[place], total[place] = before.spend_days, before.spend_days * before.mean_margin_minor
    more = after.spend_days - days
    left = after.spend_days * after.mean_margin_minor - total
    bought = (more > 0.0) & (left > 0.0)
    known = days[bought], total[bought], more[bought], left[bought]
    return foretold(candidate, *known) - foretold(in_force, *known)


def fit_segments(segments: Mapping[str, Segment], shop: Timing) -> dict[str, TimingFit]:
    """The cohorts and channels that deserve parameters of their own, as learned up to the held-out weeks.

    Each is drawn to its shop's the more the less it has shown, and left to the shop's where its own would not have
    foretold the weeks since better. `shop` has not seen these either.
    """
    fits = {}
    for name, each in segments.items():
        found = _drawn(each.before, shop)
        if isinstance(found, TimingFit) and judge(found.timing, shop, each.before, each.after).gain > 0.0:
            fits[name] = found
    return fits


def _drawn(counts: Counts, shop: Timing) -> TimingFit | Refusal:
    prior = Prior(z_of(shop), np.array(SPREAD_OF_SEGMENTS))
    return fit_timing(counts, prior, leaves_at_first=shop.leaves_at_first)
