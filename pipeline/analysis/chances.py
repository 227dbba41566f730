"""Chances of `core.timing` for many customers at once."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pipeline.analysis.counts import Counts, Floats
from pipeline.core.timing import Timing


def p_alive(timing: Timing, counts: Counts) -> Floats:
    """`core.timing.p_alive` for many."""
    x = counts.frequency
    silence = np.log((timing.alpha + counts.tenure) / (timing.alpha + counts.recency))
    alive = expit(np.log((timing.stays + x) / timing.a) - (timing.r + x) * silence)
    return np.asarray(alive if timing.leaves_at_first else np.where(x == 0, 1.0, alive))


def p_return(timing: Timing, counts: Counts, weeks: float | Floats) -> Floats:
    """`core.timing.p_return` for many; `weeks` of all, or of each."""
    n = timing.r + counts.frequency
    return np.asarray(p_alive(timing, counts) * -np.expm1(-n * np.log1p(weeks / (timing.alpha + counts.tenure))))
