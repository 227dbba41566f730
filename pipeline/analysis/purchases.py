"""A shop's purchase days as arrays, and what the models need of them as of any day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.analysis.calibration import Snapshot
from pipeline.analysis.counts import Counts, Floats, Whole

CUSTOMERS_MAX: Final = 20_000
"""Beyond so many a snapshot, or the level of the season, is of a sample: every so-manieth customer."""


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """Purchase days, one row each, by customer and then day; every array is (purchase days,). Days since 1970."""

    customer: Whole
    """0, 1, 2, ...: the place of the customer among those given."""
    day: Whole
    margin_minor: Floats
    treated_on: Whole | None = None
    """(customers,): the day of the latest offer made to each, 0 for none; None: nobody had one."""

    def first_days(self, until: int) -> Whole:
        """First purchase days up to a day, in order, (customers,)."""
        return np.asarray(np.sort(self.day[self.is_first & (self.day <= until)]))

    def repeat_days(self, until: int) -> Whole:
        """Repeat purchase days up to a day, in order."""
        return np.asarray(np.sort(self.day[~self.is_first & (self.day <= until)]))

    def repeat_customers(self, until: int) -> int:
        """How many had bought on two days or more by a day."""
        return len(self.twice_by(until))

    def twice_by(self, day: int) -> Whole:
        """Who had bought on two days or more by a day, in order."""
        is_first = self.is_first
        is_second = ~is_first & np.append(False, is_first[:-1])[: len(is_first)]
        return np.asarray(self.customer[is_second & (self.day <= day)])

    def of(self, customers: Whole) -> Purchases:
        """The purchase days of some customers (in order, each once)."""
        starts = np.searchsorted(self.customer, customers)
        sizes = np.searchsorted(self.customer, customers, "right") - starts
        rows = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        return Purchases(self.customer[rows], self.day[rows], self.margin_minor[rows], self.treated_on)

    @property
    def is_first(self) -> NDArray[np.bool_]:
        """Which rows are a customer's first purchase day."""
        return np.concatenate([[True], self.customer[1:] != self.customer[:-1]])[: len(self.customer)]


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Where customers stood on a day; every array is (customers,)."""

    customer: Whole
    counts: Counts
    sum_log_gap: Floats
    spend_days: Floats
    """Repeat purchase days that left something, and what on average."""
    mean_margin_minor: Floats
    poor_minor: Floats
    """What the others left in all."""

    @property
    def poor_days(self) -> Floats:
        """Repeat purchase days that left nothing, or less."""
        return self.counts.frequency - self.spend_days


def purchases_of(customers: Iterable[Sequence[tuple[int, float]]]) -> Purchases:
    """From each customer's (day, margin) pairs; several of a day are one."""
    rows: list[tuple[int, int, float]] = []
    for number, pairs in enumerate(customers):
        merged: dict[int, float] = {}
        for day, margin in pairs:
            merged[day] = merged.get(day, 0.0) + margin
        rows += [(number, day, merged[day]) for day in sorted(merged)]
    return Purchases(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], float),
    )


def states_on(purchases: Purchases, day: int) -> States:
    """What was known of each customer at the end of a day; who had not bought by then is not in it."""
    known = purchases.day <= day
    who, days, margin = purchases.customer[known], purchases.day[known], purchases.margin_minor[known]
    first = np.concatenate([[True], who[1:] != who[:-1]])[: len(who)]
    starts = np.flatnonzero(first)
    place = np.cumsum(first) - 1
    size = np.diff(np.append(starts, len(who)))
    gaps = np.log(np.where(first, 7, np.diff(days, prepend=0)) / 7.0)
    spent, poor = ~first & (margin > 0), ~first & (margin <= 0)
    bought, total = (
        np.bincount(place[spent], minlength=len(starts)),
        np.bincount(place[spent], margin[spent], len(starts)),
    )
    last = starts + size - 1
    counts = Counts(
        (size - 1).astype(float),
        (days[last] - days[starts]) / 7.0,
        (day - days[starts]) / 7.0,
        np.ones(len(starts)),
    )
    return States(
        customer=who[starts],
        counts=counts,
        sum_log_gap=np.bincount(place, gaps, len(starts)).astype(np.float64),
        spend_days=bought.astype(np.float64),
        mean_margin_minor=(total / np.maximum(bought, 1)).astype(np.float64),
        poor_minor=np.bincount(place[poor], margin[poor], len(starts)).astype(np.float64),
    )


def bought_between(purchases: Purchases, customer: Whole, after: int | Whole, days: int) -> Whole:
    """Purchase days of these customers in the `days` after a day (not on it), (customers,)."""
    wide = int(purchases.day.max(initial=0)) + days + 2
    keys = purchases.customer * wide + purchases.day
    low = customer * wide + np.minimum(after, wide - 1)
    high = customer * wide + np.minimum(np.asarray(after) + days, wide - 1)
    return np.asarray(np.searchsorted(keys, high, "right") - np.searchsorted(keys, low, "right"))


def some_of(purchases: Purchases) -> Purchases:
    """The purchase days of at most 20,000 customers: every so-manieth."""
    everybody = purchases.customer[purchases.is_first]
    return purchases if len(everybody) <= CUSTOMERS_MAX else purchases.of(_thinned(everybody))


def _thinned(customers: Whole) -> Whole:
    return customers[:: max(1, -(-len(customers) // CUSTOMERS_MAX))]


def snapshot(purchases: Purchases, day: int, horizon_days: int) -> Snapshot:
    """Who had bought twice by a day, and whether they bought in the days after, or until an offer was made to them.

    Of several offers the latest is known: one after the days looked at says nothing of them.
    """
    some = purchases.of(_thinned(purchases.twice_by(day)))
    states = states_on(some, day)
    seen = np.full(len(states.customer), horizon_days)
    if purchases.treated_on is not None:
        offered = purchases.treated_on[states.customer]
        within = (offered > day) & (offered <= day + horizon_days)
        seen[within] = offered[within] - 1 - day
    returned = _bought_within(some, states.customer, day, seen)
    unseen = np.where(returned, 0, horizon_days - seen) / 7.0
    return Snapshot(states.customer, states.counts, states.sum_log_gap, returned.astype(float), unseen)


def _bought_within(purchases: Purchases, customer: Whole, after: int, days: Whole) -> NDArray[np.bool_]:
    """Whether each bought in so many days after a day (not on it), (customers,)."""
    wide = int(purchases.day.max(initial=0)) + 2
    keys = purchases.customer * wide + purchases.day
    low, high = (customer * wide + np.minimum(after + each, wide - 1) for each in (0 * days, days))
    return np.asarray(np.searchsorted(keys, high, "right") > np.searchsorted(keys, low, "right"))
