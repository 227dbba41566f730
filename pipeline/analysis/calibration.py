"""Learning `core.calibration` from predictions that have matured, and whether it is better than the model alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import expit, gammaln, logit

from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import Counts, Floats, Whole
from pipeline.analysis.rhythm import tails
from pipeline.analysis.search import least
from pipeline.core.calibration import OUTCOMES_MIN, Calibration
from pipeline.core.rhythm import REGULARITIES, Rhythm
from pipeline.core.timing import Timing

Refusal = Literal[
    "too few outcomes", "all outcomes alike", "the search did not settle", "no better than the model alone"
]
_KINDS: Final = (
    np.array([1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 90, 130, 200, 300, 450], np.float64),
    np.array([1, 1.5, 2, 2.5, 3, 4, 5, 7, 9, 12, 16, 21, 28, 37, 50, 65, 90, 130, 200, 365]) / 7.0,
    np.array([0.0, 0.15, 0.6, 1.5]),
)
"""Customers of all kinds: how often they came again, how long their gaps were, and how far these scatter in logarithms.

Gaps all alike: 0; of k = 4: .13; of k = 1: .58.
"""
_SILENT_DAYS: Final = np.append(0.0, np.unique(np.rint(np.geomspace(1.0, 3_650.0, 60))))
_SPAN_WEEKS_MIN: Final = 52.0
_SPAN_TIMES: Final = 1.5
"""No customer is known for much longer than those that were learned from."""
_BEYOND: Final = float(np.log(100.0))
"""The furthest of those who came again is not the furthest who ever will: a hundred times their odds are let stand."""
_NEWTON_STEPS: Final = 6
_BINDING_MAX: Final = 60
_RISING_MAX: Final = 1e-9
_NO_CHANGE: Final = 1e-12
_CLIP: Final = 1e-5
_TAIL_MIN: Final = 1e-6
_NEVER: Final = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Who had bought twice at an instant, and whether they bought within the weeks after; every array (customers,).

    An offer's effect must not be learned as habit: who had one meanwhile is known up to that day. They may not be left
    out: offers go to who stays silent, so those who are left would be those who came.
    """

    customer: Whole
    counts: Counts
    sum_log_gap: Floats
    returned: Floats
    """1 or 0."""
    unseen_weeks: Floats
    """Of who had not bought when an offer was made to them: the weeks left then, in which nothing is known; else 0."""

    def came(self, timing: Timing, weeks: float) -> Floats:
        """Whether each bought within so many weeks; where that is unknown, the chance that the model alone gave it."""
        counts, unseen = self.counts, self.unseen_weeks
        then = Counts(counts.frequency, counts.recency, counts.tenure + weeks - unseen, counts.customers)
        return np.asarray(np.where(unseen > 0.0, p_return(timing, then, unseen), self.returned))

    def of(self, some: NDArray[np.bool_]) -> Snapshot:
        """Some of them."""
        counts = Counts(*(getattr(self.counts, field.name)[some] for field in fields(Counts)))
        rows = (self.sum_log_gap[some], self.returned[some], self.unseen_weeks[some])
        return Snapshot(self.customer[some], counts, *rows)


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
    """The correction learned from earlier snapshots; refused where it does worse than the model alone on `check`.

    Outcomes are counted by customer: of one at several days they are hardly several.
    """
    if len(np.unique(np.concatenate([each.customer for each in learn]))) < OUTCOMES_MIN:
        return "too few outcomes"
    fitted = _likeliest(timing, rhythm, weeks, learn)
    if check is not None and isinstance(fitted, Calibration):
        with_it, without = surprises(fitted, timing, rhythm, check)
        if with_it >= without:
            return "no better than the model alone"
    return fitted


def _likeliest(timing: Timing, rhythm: Rhythm, weeks: float, learn: list[Snapshot]) -> Calibration | Refusal:
    """The correction under which what came was likeliest, however few there are."""
    seen = np.concatenate([features(timing, rhythm, weeks, each.counts, each.sum_log_gap) for each in learn])
    came = np.concatenate([each.came(timing, weeks) for each in learn])
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

    found = least(loss, np.zeros(standard.shape[1]), np.inf, gain=1e-6)  # Newton's steps go on from there
    if not found.is_settled:
        return "the search did not settle"
    span = max(_SPAN_WEEKS_MIN, _SPAN_TIMES * max(float(each.counts.recency.max(initial=0.0)) for each in learn))
    w = _held(found.at, standard, came, _lengthened(timing, rhythm, weeks, span) / scale)
    said = np.einsum("cf,f->c", standard, w)
    raw = np.concatenate([p_return(timing, each.counts, weeks) for each in learn])
    lift = float((said - _odds(raw))[came == 1.0].max(initial=0.0)) + _BEYOND
    weights = w[1:] / scale
    return Calibration(
        weeks, float(w[0] - weights @ centre), tuple(float(each) for each in weights), float(expit(said.max())), lift
    )


def surprises(calibration: Calibration, timing: Timing, rhythm: Rhythm, check: Snapshot) -> tuple[float, float]:
    """Log-loss with the correction, and of the model alone."""
    weeks = calibration.weeks
    alone, came = p_return(timing, check.counts, weeks), check.came(timing, weeks)
    looks = features(timing, rhythm, weeks, check.counts, check.sum_log_gap)
    return log_loss(calibrated(calibration, looks, alone), came), log_loss(alone, came)


def holds_for_others(timing: Timing, rhythm: Rhythm, weeks: float, learn: list[Snapshot], check: Snapshot) -> bool:
    """Whether a correction learned from half of the customers does better on the others' outcomes of `check`."""
    sums = np.zeros(2)
    for half in (0, 1):
        mine = [each.of(each.customer % 2 == half) for each in learn if (each.customer % 2 == half).any()]
        found = _likeliest(timing, rhythm, weeks, mine) if mine else None
        others = check.of(check.customer % 2 != half)
        if not isinstance(found, Calibration) or not len(others.customer):
            return False
        sums += np.array(surprises(found, timing, rhythm, others)) * len(others.customer)
    return bool(sums[0] < sums[1])


def _lengthened(timing: Timing, rhythm: Rhythm, weeks: float, span: float) -> Floats:
    """How the features change as silences of customers of all kinds grow, step by step, (steps, features).

    Of customers known for up to `span` weeks from first to last purchase.
    """
    often, gap, scatter, silent = (each.ravel() for each in np.meshgrid(*_KINDS, _SILENT_DAYS / 7.0, indexing="ij"))
    can_be = (often * gap <= span) & ((scatter == 0.0) | ((often > 1.0) & (gap > 1.0 / 7.0)))
    x, last, ahead = often[can_be], (often * gap)[can_be], silent[can_be]
    logs = x * (np.log(gap[can_be]) - scatter[can_be])
    seen = features(timing, rhythm, weeks, Counts(x, last, last + ahead, np.ones(len(x))), logs)
    steps = np.diff(seen.reshape(-1, len(_SILENT_DAYS), seen.shape[1]), axis=1)
    return np.asarray(steps.reshape(-1, seen.shape[1]))


def _held(w: Floats, standard: Floats, came: Floats, lengthened: Floats) -> Floats:
    """The likeliest weights under which no step of a silence raises the chance, from the likeliest of all, (weights,).

    Newton's steps, each to the nearest point that keeps to every step, as the curvature measures nearness: that is what
    non-negative least squares leave, given the few steps that bind.
    """
    sides = np.column_stack([np.zeros(len(lengthened)), lengthened])
    sides /= np.maximum(np.sqrt(np.einsum("sf,sf->s", sides, sides)), _NO_CHANGE)[:, None]
    binding: list[int] = []
    for _ in range(_NEWTON_STEPS):
        chance = expit(np.einsum("cf,f->c", standard, w))
        ridge = np.append(0.0, np.ones(len(w) - 1))
        curvature = np.einsum("cf,c,cg->fg", standard, chance * (1.0 - chance), standard) + np.diag(ridge)
        goal = w - np.linalg.solve(curvature, np.einsum("cf,c->f", standard, chance - came) + ridge * w)
        root = np.linalg.cholesky(curvature)
        for _ in range(_BINDING_MAX):
            normals = np.linalg.solve(root, sides[binding].T)
            held = nnls(normals, root.T @ goal)[0] if binding else np.zeros(0)
            w = np.asarray(np.linalg.solve(root.T, root.T @ goal - normals @ held), np.float64)
            rising = np.einsum("sf,f->s", sides, w)
            if rising.max() <= _RISING_MAX:
                break
            binding.append(int(rising.argmax()))
    return w


def calibrated(calibration: Calibration, seen: Floats, raw: Floats) -> Floats:
    """`core.calibration.calibrated` for many: (customers, features) and (customers,) to (customers,)."""
    said = calibration.intercept + seen @ np.array(calibration.weights)
    chance = expit(np.minimum(said, _odds(raw) + calibration.lift))
    return np.asarray(np.minimum(chance, calibration.most))


def _odds(chance: Floats) -> Floats:
    """In logarithms, as far down as numbers go."""
    return np.asarray(np.log(np.maximum(chance, _NEVER)) - np.log(np.maximum(1.0 - chance, _NEVER)))


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
