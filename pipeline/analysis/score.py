"""`core.predict` for a million customers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, hyp2f1, roots_legendre

from pipeline.analysis.chances import p_alive, p_return
from pipeline.analysis.counts import Counts, Floats
from pipeline.analysis.purchases import States
from pipeline.core.history import WEEK_DAYS
from pipeline.core.predict import EXACT_WEEKS, HORIZON_DAYS, Model
from pipeline.core.season import factor
from pipeline.core.spend import PRIOR_DAYS, Spend
from pipeline.core.timing import GONE, LEAST_TERM, LOGIT_MAX, SERIES_TERMS_MAX, Timing, is_summed, parts_of


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What is expected of each customer; every array is (customers,), but for the horizons' (horizons, customers)."""

    p_alive: Floats
    p_return: Floats
    """Within 90 days, as the model alone says."""
    orders: Floats
    margin_minor: Floats
    value_minor: Floats
    next_order_weeks: Floats
    """Median, if they stay."""


def score(model: Model, states: States, day: int) -> Scores:
    """Predictions for all on a day."""
    counts, timing = states.counts, model.timing
    alive = p_alive(timing, counts)
    horizons = [(days / WEEK_DAYS, 0.0) for days in HORIZON_DAYS] + [(model.value_weeks, model.discount)]
    outlook = outlooks(timing, counts, horizons)
    margin = margins(model.spend, states)
    factors = np.array([factor(model.season, day, days / WEEK_DAYS) for days in HORIZON_DAYS])
    orders = alive * outlook[:-1] * factors[:, None]
    n, start = timing.r + counts.frequency, timing.alpha + counts.tenure
    return Scores(
        p_alive=alive,
        p_return=p_return(timing, counts, HORIZON_DAYS[1] / WEEK_DAYS),
        orders=orders,
        margin_minor=orders * margin,
        value_minor=alive * outlook[-1] * margin,
        next_order_weeks=start * np.expm1(np.minimum(np.log(2.0) / n, 700.0)),
    )


def margins(spend: Spend, states: States) -> Floats:
    """`core.spend.expected_margin` for many, (customers,)."""
    rich, poor = states.spend_days, states.poor_days
    share = (rich + PRIOR_DAYS * spend.paying_fraction) / (rich + poor + PRIOR_DAYS)
    leave = spend.p * (spend.gamma + rich * states.mean_margin_minor) / (spend.p * rich + spend.q - 1.0)
    cost = (states.poor_minor + PRIOR_DAYS * spend.poor_minor) / (poor + PRIOR_DAYS)
    return np.asarray(share * leave + (1.0 - share) * cost)


def outlooks(timing: Timing, counts: Counts, horizons: Sequence[tuple[float, float]]) -> Floats:
    """Orders of each customer if they have not left, within each of some (weeks, discount a week): (spans, customers).

    Reckoned once for each frequency and tenure, by the day while it is short, then by the whole week; between whole
    weeks the part between, as `core.predict` has it. Looked up then.
    """
    low = np.where(counts.tenure < EXACT_WEEKS, np.rint(counts.tenure * WEEK_DAYS) / WEEK_DAYS, np.floor(counts.tenure))
    part, count = np.where(counts.tenure < EXACT_WEEKS, 0.0, counts.tenure - low), len(low)
    ends = np.concatenate([low, np.where(part > 0.0, low + 1.0, low)])
    often = np.tile(counts.frequency, 2)
    keys = often * (ends.max(initial=0.0) + 1.0) + ends
    _, places, inverse = np.unique(keys, return_index=True, return_inverse=True)
    found = []
    for ahead, rate in horizons:
        each = orders_if_alive(timing, often[places], ends[places], ahead, rate)[inverse]
        found.append(each[:count] + (each[count:] - each[:count]) * part)
    return np.array(found)


def orders_if_alive(timing: Timing, frequency: Floats, tenure: Floats, weeks: float, discount: float = 0.0) -> Floats:
    """`core.timing.discounted_orders_if_alive` for many, (cells,)."""
    n, stays, start = timing.r + frequency, timing.stays + frequency + 1.0, timing.alpha + tenure
    scale = start / (n + 1.0) * np.maximum(1.0, stays / max(1.0, timing.a))
    falls = np.maximum(1.0, np.minimum(timing.a, n + 1.0))
    span = np.log1p(np.minimum(weeks / scale, falls * np.expm1(GONE / falls)))
    often, which = np.unique(frequency, return_inverse=True)
    fails = np.array([is_summed(timing, int(each)) for each in often], bool)[which]
    places, weights = roots_legendre(8)
    summed, parts = np.zeros_like(start), parts_of(timing, weeks)
    for part in range(parts):
        for place, weight in zip((places + 1.0) / 2.0, weights / 2.0, strict=True):
            elapsed = span * (part + place) / parts
            ahead = scale * np.expm1(elapsed)
            kept = _kept(timing, frequency, ahead / (start + ahead), fails)
            summed += weight * np.exp(elapsed - discount * ahead) * kept
    return np.asarray(n / start * scale * span * summed / parts)


def _kept(timing: Timing, frequency: Floats, done: Floats, fails: NDArray[np.bool_]) -> Floats:
    """The same of what is left, for many, (cells,); `fails`: where the series does."""
    a, stays, found = timing.a, timing.stays + frequency + 1.0, np.empty_like(done)
    found[fails] = thinned(timing.r + frequency[fails] + 1.0, stays[fails], a, done[fails])
    rest = ~fails
    series = hyp2f1(a, a + timing.stays - timing.r, a + stays[rest], done[rest])
    found[rest] = np.exp(a * np.log1p(-done[rest])) * series
    return found


def thinned(n: Floats, stays: Floats, leaves: float, done: Floats) -> Floats:
    """`core.timing.thinned` for many, (cells,)."""
    none = n * np.log1p(-done)
    top = np.where(none > -LOGIT_MAX, 0.0, np.floor((n - 1.0) * done / (1.0 - done)))
    likeliest = np.exp(none + gammaln(n + top) - gammaln(n) - gammaln(top + 1.0) + top * np.log(done))
    first = np.exp(gammaln(stays + top) - gammaln(stays) - gammaln(stays + leaves + top) + gammaln(stays + leaves))
    summed = likeliest * first
    k, term = top.copy(), likeliest * first
    for _ in range(SERIES_TERMS_MAX):
        ratio = (n + k) / (k + 1.0) * done * (stays + k) / (stays + leaves + k)
        term, k = term * ratio, k + 1.0
        summed = summed + term
        if ((ratio < 1.0) & (term <= LEAST_TERM * summed)).all():
            break
    down = top > 0.0
    k, term, above = top[down], (likeliest * first)[down], summed[down]
    n, stays, done, below = n[down], stays[down], done[down], np.zeros_like(k)
    for _ in range(SERIES_TERMS_MAX):
        ratio = k / ((n + k - 1.0) * done) * (stays + leaves + k - 1.0) / np.maximum(stays + k - 1.0, LEAST_TERM)
        term, k = term * ratio, np.maximum(k - 1.0, 0.0)
        below = below + term
        if ((ratio < 1.0) & (term <= LEAST_TERM * (above + below))).all():
            break
    summed[down] += below
    return np.asarray(summed)
