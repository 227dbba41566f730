"""Forecast against what came: a small correction of the chance of return, learned from predictions that have matured.

A logistic of seven things known at the moment of the forecast. Until it has learned, the model's own chance stands. A
fit holds the weights together so that no customer's chance rises while they are silent, and says how far outcomes bear
it out: so much is said, and no more.
"""

from __future__ import annotations

from math import exp, fsum, inf, log, log1p
from typing import Final

import msgspec

from pipeline.core import rhythm as regular
from pipeline.core import timing as irregular
from pipeline.core.rhythm import Gaps, Rhythm
from pipeline.core.timing import Timing

FEATURES: Final = (
    "logit_p_return",
    "logit_p_return_regular",
    "log_p_longer_gap",
    "log_silence",
    "log_frequency",
    "log_tenure",
    "log_silence_in_gaps",
)
OUTCOMES_MIN: Final = 500
"""Matured predictions before a calibration may be used."""
_CLIP: Final = 1e-5
_TAIL_MIN: Final = 1e-6
_NEVER: Final = 1e-300


class Calibration(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A fitted correction for one horizon: `intercept + sum(weight * feature)` is the logit."""

    weeks: float
    intercept: float
    weights: tuple[float, ...]
    most: float = 1.0
    """The highest chance said of anybody it was learned from."""
    lift: float = inf
    """How far above the model's own, as a logit, it may be: as far as of anybody who then came again, and some more."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(FEATURES):
            raise ValueError(f"expected {len(FEATURES)} weights, got {len(self.weights)}")


def features(timing: Timing, rhythm: Rhythm, weeks: float, gaps: Gaps, silence: float) -> tuple[float, ...]:
    """What the correction looks at, in the order of `FEATURES`; for who has bought twice (`frequency` above 0)."""
    frequency, recency, _ = gaps
    tenure = recency + silence
    returns, longer = regular.chances(rhythm, gaps, silence, weeks)
    return (
        _logit(irregular.p_return(timing, frequency, recency, tenure, weeks)),
        _logit(returns),
        log(max(_TAIL_MIN, longer)),
        log1p(silence),
        log1p(frequency),
        log1p(tenure),
        log1p(silence * frequency / recency),
    )


def calibrated(calibration: Calibration, seen: tuple[float, ...], raw: float) -> float:
    """The corrected chance of a purchase within the calibration's horizon; `raw` is what the model alone says."""
    logit = calibration.intercept + fsum(w * f for w, f in zip(calibration.weights, seen, strict=True))
    logit = min(logit, log(max(raw, _NEVER) / max(1.0 - raw, _NEVER)) + calibration.lift)
    return min(1.0 / (1.0 + exp(min(-logit, 700.0))), calibration.most)


def _logit(chance: float) -> float:
    within = min(max(chance, _CLIP), 1.0 - _CLIP)
    return log(within / (1.0 - within))
