"""Which channels and cohorts get a model of their own: those whose own would have foretold better than the shop's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec.structs import replace

from pipeline.analysis.calibration import surprises
from pipeline.analysis.counts import Counts, Whole, table_of, told_apart
from pipeline.analysis.judge import Segment, fit_segments
from pipeline.analysis.purchases import Purchases, snapshot, states_on
from pipeline.analysis.renewal import HELD_OUT_WEEKS
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.predict import Model, not_of_a_shop

CUSTOMERS_MIN: Final = 50
"""A segment of fewer says too little to be looked at."""
OUTCOMES_MIN: Final = 100
"""Fewer matured predictions of a segment's customers do not tell whether the shop's correction holds for them."""
SEGMENTS_MAX: Final = 256
"""Of more the largest are looked at."""


def segment_models(
    shop: Model, purchases: Purchases, day: int, scopes: Mapping[str, Whole]
) -> dict[str, tuple[Model, float]]:
    """The models of segments that earn one, and how many customers each is of; by scope.

    A segment has its own way of buying and leaving, and all else from the shop; its correction of the chance of return
    only where that has proved itself on the segment's own customers. `scopes`: the customers of each.
    """
    held_out = day - HELD_OUT_WEEKS * 7
    before, now = (_cells_on(purchases, each) for each in (held_out, day))
    drawn_to = shop.timing
    if shop.fitted_on > held_out:  # a shop's first: it has seen the weeks that segments are judged by
        shop_before = fit_timing(before.table)
        if not isinstance(shop_before, TimingFit):
            return {}
        drawn_to = shop_before.timing
    largest = sorted(scopes, key=lambda scope: (-len(scopes[scope]), scope))[:SEGMENTS_MAX]
    tables = {
        scope: Segment(before.of(scopes[scope]), now.of(scopes[scope]))
        for scope in largest
        if len(scopes[scope]) >= CUSTOMERS_MIN
    }
    found = fit_segments(tables, drawn_to)
    models = {
        scope: _corrected(replace(shop, timing=fit.timing), purchases.of(scopes[scope]), day)
        for scope, fit in found.items()
    }
    return {scope: (model, tables[scope].after.total) for scope, model in models.items() if not not_of_a_shop(model)}


def _corrected(model: Model, own: Purchases, day: int) -> Model:
    """The segment's model, without the shop's correction where it foretold the segment's customers no better.

    It was learned beside the shop's way of buying: what was wrong there may be right here.
    """
    if model.calibration is None:
        return model
    horizon = round(model.calibration.weeks * 7.0)
    check = snapshot(own, day - horizon, horizon)
    if len(check.returned) >= OUTCOMES_MIN:
        with_it, without = surprises(model.calibration, model.timing, model.rhythm, check)
        if with_it < without:
            return model
    return replace(model, calibration=None)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The shop's table on a day, and which of its cells each customer is in, (customers,): -1 for not yet."""

    table: Counts
    cell: Whole

    def of(self, customers: Whole) -> Counts:
        """The table of some customers."""
        cells = self.cell[customers]
        return table_of(self.table, cells[cells >= 0])


def _cells_on(purchases: Purchases, day: int) -> _Cells:
    """Everybody counted once, whatever segments they are in."""
    states = states_on(purchases, day)
    table, cells = told_apart(states.counts)
    everybody = np.full(int(purchases.customer.max(initial=-1)) + 1, -1, np.int64)
    everybody[states.customer] = cells
    return _Cells(table, everybody)
