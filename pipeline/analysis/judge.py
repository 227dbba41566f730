"""Whether a fit would have foretold better than another what it had not seen; which segments earn one of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.counts import Counts
from pipeline.analysis.timing import SPREAD_OF_SEGMENTS, Prior, Refusal, TimingFit, fit_timing, log_likelihood, z_of
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


def fit_segments(segments: Mapping[str, Segment], shop_before: Timing, shop: Timing) -> dict[str, TimingFit]:
    """The cohorts and channels that deserve parameters of their own.

    Each is drawn to its shop's the more the less it has shown, and left to the shop's where its own, fitted to the time
    before, would not have foretold the weeks since better.
    """
    fits = {}
    for name, each in segments.items():
        candidate = _drawn(each.before, shop_before)
        if not isinstance(candidate, TimingFit):
            continue
        if judge(candidate.timing, shop_before, each.before, each.after).gain <= 0.0:
            continue
        found = _drawn(each.after, shop)
        if isinstance(found, TimingFit):
            fits[name] = found
    return fits


def _drawn(counts: Counts, shop: Timing) -> TimingFit | Refusal:
    prior = Prior(z_of(shop), np.array(SPREAD_OF_SEGMENTS))
    return fit_timing(counts, prior, leaves_at_first=shop.leaves_at_first)
