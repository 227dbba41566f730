"""Where a smooth function of a few numbers is least: BFGS, begun from the function's own curvature.

In place of `scipy.optimize.minimize` (L-BFGS-B): that calls the linear algebra library at each step, whose threads wait
for each other forty times longer than the step takes. Here a step is a few sums over as many numbers as are sought.
Source: Nocedal & Wright (2006), Numerical Optimization, chapter 6; the step's length as Lewis & Overton (2013),
Mathematical Programming 141, 135-163.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.counts import Floats

STEPS_MAX: Final = 500
LENGTHS_MAX: Final = 40
"""Lengths tried for a step."""
SETTLED_SLOPE_MAX: Final = 1e-3
"""Slope that may be left where a search has settled, of what is a mean over customers."""
_STEP: Final = 1e-4
_FALL: Final = 1e-4
"""Share of the fall that the slope promises which a step must bring."""
_FLAT: Final = 0.9
"""Share of the slope that may be left after a step."""
_CURVATURE_LEAST: Final = 1e-8

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
    at, (value, slope) = start, loss(start)
    inverse = _inverse(curvature(loss, start))
    for _ in range(STEPS_MAX):
        if not np.isfinite(value) or np.abs(slope).max() <= slope_max or np.any(np.abs(at - start) >= bound):
            break
        step = _stepped(loss, at, value, slope, -(inverse * slope).sum(axis=1))
        if step is None:
            break
        after, lower, slope_after = step
        inverse = _learned(inverse, after - at, slope_after - slope)
        gained = value - lower
        at, value, slope = after, lower, slope_after
        if gained <= gain * max(abs(value), 1.0):
            break
    return Least(at, value, slope, bool(np.all(np.abs(at - start) < bound)))


def curvature(loss: Loss, at: Floats) -> Floats:
    """How the slope changes with each number, (numbers, numbers)."""
    steps = np.eye(len(at)) * _STEP
    rows = np.array([(loss(at + step)[1] - loss(at - step)[1]) / (2.0 * _STEP) for step in steps])
    return np.asarray((rows + rows.T) / 2.0)


def _inverse(curved: Floats) -> Floats:
    """What turns a slope into a step downhill: where the function is bent the other way, by as much."""
    if not np.isfinite(curved).all():
        return np.eye(len(curved))
    sizes, ways = np.linalg.eigh(curved)
    return np.asarray(ways / np.maximum(np.abs(sizes), _CURVATURE_LEAST) @ ways.T)


def _stepped(loss: Loss, at: Floats, value: float, slope: Floats, way: Floats) -> tuple[Floats, float, Floats] | None:
    """A step that way which lowers the value enough and leaves less of the slope; None if none is found."""
    falls = float((slope * way).sum())
    if not falls < 0.0:
        way, falls = -slope, -float((slope * slope).sum())
    short, long, length = 0.0, np.inf, min(1.0, 1.0 / float(np.abs(way).max()))
    best = None
    for _ in range(LENGTHS_MAX):
        after = at + length * way
        lower, slope_after = loss(after)
        if not lower <= value + _FALL * length * falls:
            long = length
        elif float((slope_after * way).sum()) < _FLAT * falls:
            best, short = (after, lower, slope_after), length
        else:
            return after, lower, slope_after
        length = 2.0 * short if long == np.inf else (short + long) / 2.0
    return best


def _learned(inverse: Floats, moved: Floats, changed: Floats) -> Floats:
    """The BFGS update: what the slope did over a step says how the function is bent along it."""
    bent = float((moved * changed).sum())
    if not bent > 0.0:
        return inverse
    turned = (inverse * changed).sum(axis=1)
    along = np.multiply.outer(moved, moved) * (1.0 + float((changed * turned).sum()) / bent) / bent
    across = np.multiply.outer(turned, moved)
    return np.asarray(inverse + along - (across + across.T) / bent)
