"""Customers counted by what the timing model needs of them: a table of a tenth as many cells says all of a million."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Cells of alike customers; every array is (cells,). Times in weeks."""

    frequency: Floats
    recency: Floats
    tenure: Floats
    customers: Floats
    """How many are alike."""

    @property
    def total(self) -> float:
        """Customers in all."""
        return float(self.customers.sum())


def counts_of(frequency: ArrayLike, recency: ArrayLike, tenure: ArrayLike) -> Counts:
    """One cell for each customer: nothing is rounded. For published checks and small shops."""
    x, last, age = (np.asarray(each, np.float64) for each in (frequency, recency, tenure))
    return Counts(x, last, age, np.ones(len(x)))


def counted(counts: Counts) -> Counts:
    """The same customers with their times in whole weeks, alike ones counted together.

    A repeat purchase keeps at least half a week between first and last.
    """
    return told_apart(counts)[0]


def told_apart(counts: Counts) -> tuple[Counts, Whole]:
    """The same table, and which of its cells each of those given is in."""
    weeks = np.rint(counts.recency).astype(np.int64)
    tenure = np.maximum(np.rint(counts.tenure).astype(np.int64), weeks)
    times = counts.frequency.astype(np.int64)
    wide, high = int(tenure.max(initial=0)) + 1, int(weeks.max(initial=0)) + 1
    keys, inverse = np.unique((times * high + weeks) * wide + tenure, return_inverse=True)
    rest, last = np.divmod(keys, wide)
    often, first = np.divmod(rest, high)
    customers = np.bincount(inverse, weights=counts.customers, minlength=len(keys)).astype(np.float64)
    return _cells(often, first, last, customers), inverse.astype(np.int64)


def table_of(table: Counts, cells: Whole) -> Counts:
    """The table of some customers, each in one of the cells of a larger table."""
    customers = np.bincount(cells, minlength=len(table.customers)).astype(np.float64)
    some = customers > 0.0
    return Counts(table.frequency[some], table.recency[some], table.tenure[some], customers[some])


def _cells(frequency: Whole, recency: Whole, tenure: Whole, customers: Floats) -> Counts:
    bought = frequency > 0
    weeks = np.where(bought, np.maximum(recency, 0.5), 0.0)
    return Counts(frequency.astype(float), weeks, np.maximum(tenure.astype(float), weeks), customers)
