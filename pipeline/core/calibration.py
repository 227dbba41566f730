"""Forecast against what came: a small correction of the chance of return, learned from predictions that have matured.

A logistic of seven things known at the moment of the forecast. Until it has learned, the model's own chance stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, fsum, log, log1p
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted correction for one horizon: `intercept + sum(weight * feature)` is the logit."""

    weeks: float
    intercept: float
    weights: tuple[float, ...]

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


def calibrated(calibration: Calibration, seen: tuple[float, ...]) -> float:
    """The corrected chance of a purchase within the calibration's horizon."""
    logit = calibration.intercept + fsum(w * f for w, f in zip(calibration.weights, seen, strict=True))
    return 1.0 / (1.0 + exp(min(-logit, 700.0)))


def _logit(chance: float) -> float:
    within = min(max(chance, _CLIP), 1.0 - _CLIP)
    return log(within / (1.0 - within))
