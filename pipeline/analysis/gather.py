"""A shop's purchase days from its customers' states: what a fit learns from, in arrays."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from pipeline.analysis.counts import Whole
from pipeline.analysis.purchases import Purchases
from pipeline.core import ledger as ledgers
from pipeline.core.days import day_of
from pipeline.core.folded import folded_brought_minor, folded_days, rest_of
from pipeline.core.forecast import scopes_of
from pipeline.core.live import live_of
from pipeline.core.policy import Policy
from pipeline.core.profile import Ledger, Past, Profile

OFFERS = ("retention_offer",)
"""Triggers that may bring somebody back: after one, what they do is not their habit alone."""


@dataclass
class Gathering:
    """Customers as they are added, one after the other; who never bought is left out."""

    count: int = 0
    revenue_minor: int = 0
    """Net, of all."""
    brought_minor: int = 0
    """Margin after discount and commission, of all."""
    _customer: array[int] = field(default_factory=lambda: array("q"))
    _day: array[int] = field(default_factory=lambda: array("q"))
    _margin: array[float] = field(default_factory=lambda: array("d"))
    _treated_on: array[int] = field(default_factory=lambda: array("q"))
    _scopes: defaultdict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))

    def add(self, profile: Profile, policy: Policy) -> None:
        """One customer more."""
        zone = policy.shop.time_zone
        rows = purchase_rows(profile.ledger, zone)
        if not rows:
            return
        for day in sorted(rows):
            self._customer.append(self.count)
            self._day.append(day)
            self._margin.append(rows[day])
        offered_at = max((profile.rule_sent_at.get(rule, 0) for rule in OFFERS), default=0)
        self._treated_on.append(day_of(offered_at, zone) if offered_at else 0)
        for scope in scopes_of(profile, policy):
            self._scopes[scope].append(self.count)
        worth = ledgers.worth_of(profile.ledger)
        self.revenue_minor += worth.revenue_minor - worth.refunded_minor
        self.brought_minor += worth.brought_minor
        self.count += 1

    @property
    def purchases(self) -> Purchases:
        """Everybody's purchase days."""
        return Purchases(
            np.array(self._customer, np.int64),
            np.array(self._day, np.int64),
            np.array(self._margin, np.float64),
            np.array(self._treated_on, np.int64),
        )

    @property
    def scopes(self) -> dict[str, Whole]:
        """The customers of each channel and each cohort."""
        return {scope: np.array(customers, np.int64) for scope, customers in self._scopes.items()}


def purchase_rows(ledger: Ledger, zone: str) -> dict[int, float]:
    """A customer's purchase days and what each left.

    Of folded days only the first and the last are known one by one; the others share what they left in all. Days before
    those that are kept are spread evenly back to the first.
    """
    rows: dict[int, float] = {**live_of(ledger, zone).brought_by_day}
    kept = folded_days(ledger)
    if not kept:
        return rows
    rest, past = rest_of(ledger), ledger.past or Past()
    first = day_of(ledger.folded_first_at, zone)
    older = [first + (kept[0] - first) * number // rest.older_days for number in range(rest.older_days)]
    days = [*older, *kept]
    rich = len(days) - 2 - rest.poor_days
    between = folded_brought_minor(ledger) - past.first_margin_minor - past.last_margin_minor - rest.poor_minor
    for number, day in enumerate(days):
        if number == 0:
            left: float = past.first_margin_minor
        elif number == len(days) - 1:
            left = past.last_margin_minor
        else:
            left = between / rich if number <= rich else rest.poor_minor / rest.poor_days
        rows[day] = rows.get(day, 0) + left
    return rows
