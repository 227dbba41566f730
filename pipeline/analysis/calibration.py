"""Learning `core.calibration` from predictions that have matured, and whether it is better than the model alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import expit, gammaln, logit

from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import Counts, Floats
from pipeline.analysis.rhythm import tails
from pipeline.analysis.search import least
from pipeline.core.calibration import OUTCOMES_MIN, Calibration
from pipeline.core.rhythm import REGULARITIES, Rhythm
from pipeline.core.timing import Timing

Refusal = Literal[
    "too few outcomes", "all outcomes alike", "the search did not settle", "no better than the model alone"
]
_CLIP: Final = 1e-5
_TAIL_MIN: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Who had bought twice at an instant, and whether they bought within the weeks after; every array (customers,).

    Only customers without a treatment meanwhile: an offer's effect must not be learned as habit.
    """

    counts: Counts
    sum_log_gap: Floats
    returned: Floats
    """1 or 0."""


def features(timing: Timing, rhythm: Rhythm, weeks: float, counts: Counts, sum_log_gap: Floats) -> Floats:
    """`core.calibration.features` for many, (customers, features)."""
    x, silence = counts.frequency, counts.tenure - counts.recency
    mine = rhythm.timing
    left = mine.a / (mine.b + x)
    fits, gone, chance, longer = [], [], [], []
    for k, share in zip(REGULARITIES, rhythm.shares, strict=True):
        n, start = mine.r + k * x, mine.alpha / k + counts.recency
        now, then = tails(k, n, start, silence), tails(k, n, start, silence + weeks)
        of_gaps = np.log(max(share, 1e-300)) + (k - 1) * sum_log_gap - x * gammaln(k) + gammaln(n)
        of_gaps += mine.r * np.log(mine.alpha / k) - n * np.log(start)
        fits.append(of_gaps + np.log(now + left))
        gone.append(of_gaps + np.log1p(left))
        chance.append((now - then) / (now + left))
        longer.append(now)
    regular = np.sum(_shares(fits) * np.array(chance), axis=0)
    tail = np.sum(_shares(gone) * np.array(longer), axis=0)
    return np.column_stack(
        [
            logit(np.clip(p_return(timing, counts, weeks), _CLIP, 1.0 - _CLIP)),
            logit(np.clip(regular, _CLIP, 1.0 - _CLIP)),
            np.log(np.maximum(tail, _TAIL_MIN)),
            np.log1p(silence),
            np.log1p(x),
            np.log1p(counts.tenure),
            np.log1p(silence * x / counts.recency),
        ]
    )


def fit_calibration(
    timing: Timing, rhythm: Rhythm, weeks: float, learn: list[Snapshot], check: Snapshot | None = None
) -> Calibration | Refusal:
    """The correction learned from earlier snapshots; refused where it does worse than the model alone on `check`."""
    seen = np.concatenate([features(timing, rhythm, weeks, each.counts, each.sum_log_gap) for each in learn])
    came = np.concatenate([each.returned for each in learn])
    if len(came) < OUTCOMES_MIN:
        return "too few outcomes"
    if came.min() == came.max():
        return "all outcomes alike"
    centre, scale = seen.mean(axis=0), seen.std(axis=0)
    scale[scale == 0.0] = 1.0
    standard = np.column_stack([np.ones(len(seen)), (seen - centre) / scale])

    def loss(w: Floats) -> tuple[float, Floats]:
        # Not a product of matrices: the linear algebra library's threads wait for each other longer than they work.
        odds = np.einsum("cf,f->c", standard, w)
        value = np.logaddexp(0.0, odds).sum() - np.sum(came * odds) + 0.5 * (w[1:] @ w[1:])
        slope = np.einsum("cf,c->f", standard, expit(odds) - came)
        slope[1:] += w[1:]
        return float(value) / len(came), slope / len(came)

    found = least(loss, np.zeros(standard.shape[1]), np.inf, gain=1e-12)
    if not found.is_settled:
        return "the search did not settle"
    w = found.at
    weights = w[1:] / scale
    fitted = Calibration(weeks, float(w[0] - weights @ centre), tuple(float(each) for each in weights))
    if check is not None:
        with_it = log_loss(
            calibrated(fitted, features(timing, rhythm, weeks, check.counts, check.sum_log_gap)), check.returned
        )
        if with_it >= log_loss(p_return(timing, check.counts, weeks), check.returned):
            return "no better than the model alone"
    return fitted


def calibrated(calibration: Calibration, seen: Floats) -> Floats:
    """`core.calibration.calibrated` for many: (customers, features) to (customers,)."""
    return np.asarray(expit(calibration.intercept + seen @ np.array(calibration.weights)))


def log_loss(chance: Floats, returned: Floats) -> float:
    """Mean surprise at what came, given the chances that were said; 0 is a prophet, less is better."""
    within = np.clip(chance, _CLIP, 1.0 - _CLIP)
    return float(-np.mean(returned * np.log(within) + (1.0 - returned) * np.log1p(-within)))


def brier(chance: Floats, returned: Floats) -> float:
    """Mean squared distance of the chances from what came."""
    return float(np.mean((chance - returned) ** 2))


def _shares(logs: list[Floats]) -> Floats:
    stacked = np.array(logs)
    parts = np.exp(stacked - stacked.max(axis=0))
    return np.asarray(parts / parts.sum(axis=0))
