"""Which channels and cohorts get a model of their own: those whose own would have foretold better than the shop's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.analysis.counts import Counts, counted
from pipeline.analysis.fit import HELD_OUT_WEEKS
from pipeline.analysis.judge import SEGMENTS_MAX, Segment, fit_segments
from pipeline.analysis.purchases import Purchases, States, Whole, states_on
from pipeline.analysis.timing import TimingFit, fit_timing, z_of
from pipeline.core.predict import Model

CUSTOMERS_MIN: Final = 50
"""A segment of fewer says too little to be looked at."""


def segment_models(
    shop: Model, purchases: Purchases, day: int, scopes: Mapping[str, Whole]
) -> dict[str, tuple[Model, float]]:
    """The models of segments that earn one, and how many customers each is of; by scope.

    A segment has its own way of buying and leaving, and all else from the shop. `scopes`: the customers of each.
    """
    before, now = states_on(purchases, day - HELD_OUT_WEEKS * 7), states_on(purchases, day)
    shop_before = fit_timing(counted(before.counts))
    if not isinstance(shop_before, TimingFit):
        return {}
    shop_now = TimingFit(shop.timing, 0.0, now.counts.total, z_of(shop.timing), np.zeros((4, 4)))
    largest = sorted(scopes, key=lambda scope: (-len(scopes[scope]), scope))[:SEGMENTS_MAX]
    tables = {
        scope: Segment(_of(before, scopes[scope]), _of(now, scopes[scope]))
        for scope in largest
        if len(scopes[scope]) >= CUSTOMERS_MIN
    }
    found = fit_segments(tables, shop_before, shop_now)
    return {scope: (replace(shop, timing=fit.timing), fit.customers) for scope, fit in found.items()}


def _of(states: States, customers: Whole) -> Counts:
    """The table of some customers."""
    is_one = np.zeros(max(states.customer.max(initial=0), customers.max(initial=0)) + 1, np.bool_)
    is_one[customers] = True
    rows = is_one[states.customer]
    counts = states.counts
    return counted(
        Counts(*(each[rows] for each in (counts.frequency, counts.recency, counts.tenure, counts.customers)))
    )
