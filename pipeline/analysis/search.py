"""Where a smooth function of a few numbers is least: scipy's L-BFGS-B, and whether where it ended is a bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize

from pipeline.analysis.counts import Floats

STEPS_MAX: Final = 500
SETTLED_SLOPE_MAX: Final = 1e-3
"""Slope that may be left where a search has settled, of what is a mean over customers."""
_STEP: Final = 1e-4

Loss = Callable[[Floats], tuple[float, Floats]]
"""A value, and its slope in each number."""


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """Where the search ended."""

    at: Floats
    value: float
    slope: Floats
    is_within: bool
    """Whether it ended within its bound of the start."""

    @property
    def is_settled(self) -> bool:
        """Whether it ended at a bottom, and not at its bound, for want of steps, or at what is no number."""
        return self.is_within and bool(np.isfinite(self.value) and np.abs(self.slope).max() <= SETTLED_SLOPE_MAX)


def least(loss: Loss, start: Floats, bound: float, *, gain: float = 1e-14, slope_max: float = 1e-9) -> Least:
    """Where the function is least near the start, (numbers,).

    Ends where no slope is above `slope_max`, where a step gains less than the share `gain` of the value, where a number
    is `bound` away from its start, or after `STEPS_MAX` steps: `is_settled` tells whether that is a bottom.
    """
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(each - bound, each + bound) for each in start],
        options={"ftol": gain, "gtol": slope_max, "maxiter": STEPS_MAX},
    )  # fmt: skip
    at = np.asarray(found.x)
    return Least(at, float(found.fun), np.asarray(found.jac), bool(np.all(np.abs(at - start) < bound)))


def curvature(loss: Loss, at: Floats) -> Floats:
    """How the slope changes with each number, (numbers, numbers)."""
    steps = np.eye(len(at)) * _STEP
    rows = np.array([(loss(at + step)[1] - loss(at - step)[1]) / (2.0 * _STEP) for step in steps])
    return np.asarray((rows + rows.T) / 2.0)
