"""The shop's table of what goes with what, measured over all its customers: `core.affinity` says what it means.

A customer counts once, however much they buy: with the share of their orders that each category has.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core import responses
from pipeline.core.affinity import CATEGORIES_MAX, DISCOUNTED, FOLLOWS_MAX, RESPONSE
from pipeline.core.categories import PAIRED, bought
from pipeline.core.policy import Policy
from pipeline.core.price import with_discount
from pipeline.core.profile import Profile

PRIOR_CUSTOMERS: Final = 5.0
"""What is usual weighs as much as so many of a category's buyers."""
NAMES_MAX: Final = 20_000
"""Categories told apart while counting; more are left out, and counted."""
_BLOCK: Final = 20_000
"""Customers multiplied at once: bounds memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """The table as numbers by name, for `ModelFitted`, and what it rests on."""

    parameters: dict[str, float]
    diagnostics: dict[str, float]


@dataclass(slots=True)
class Tally:
    """What is counted while customers pass by, one after the other: a few numbers each."""

    names: dict[str, int] = field(default_factory=dict)
    customers: int = 0
    left_out: int = 0
    orders: int = 0
    discounted: int = 0
    tried: int = 0
    answered: int = 0
    _sizes: array[int] = field(default_factory=lambda: array("H"))
    _places: array[int] = field(default_factory=lambda: array("I"))
    _shares: array[float] = field(default_factory=lambda: array("d"))

    def add(self, profile: Profile, policy: Policy, today: int) -> None:
        """Count a customer as of a day."""
        orders, discounted = with_discount(profile)
        self.orders += orders
        self.discounted += discounted
        for each in responses.responses(profile, policy, None):
            self.tried += each.tried + each.bought
            self.answered += each.answered + each.bought
        found = bought(profile, today, policy.shop.time_zone)
        weight = found.in_all.weight
        self.add_shares({name: min(1.0, each.weight / weight) for name, each in found.lately.items()} if weight else {})

    def add_shares(self, shares: dict[str, float]) -> None:
        """Count a customer with the shares of their orders that categories have; one of none counts nowhere."""
        kept = 0
        for name, share in shares.items():
            place = self.names.get(name)
            if place is None and len(self.names) < NAMES_MAX:
                place = self.names[name] = len(self.names)
            if place is None:
                self.left_out += 1
                continue
            self._places.append(place)
            self._shares.append(share)
            kept += 1
        if kept:
            self.customers += 1
            self._sizes.append(kept)

    def measured(self) -> Measured:
        """The table of those counted so far."""
        buyers = Counter(self._places.tolist())
        names = list(self.names)
        common = sorted(buyers, key=lambda place: (-buyers[place], names[place]))[:CATEGORIES_MAX]
        usual, together = self._sums(common)
        kept = [names[place] for place in common]
        parameters = {f"{PAIRED}{name}": round(float(share), 9) for name, share in zip(kept, usual, strict=True)}
        bought_by = np.array([buyers[place] for place in common], float)
        parameters |= _pairs(kept, usual, together, bought_by)
        if self.orders:
            parameters[DISCOUNTED] = round(self.discounted / self.orders, 9)
        if self.tried:
            parameters[RESPONSE] = round(self.answered / self.tried, 9)
        diagnostics = {
            "customers": self.customers,
            "categories": len(kept),
            "categories_left_out": len(names) - len(kept),
            "mentions_left_out": self.left_out,
            "orders": self.orders,
            "messages": self.tried,
        }
        return Measured(parameters, {name: float(number) for name, number in diagnostics.items()})

    def _sums(self, common: Sequence[int]) -> tuple[Floats, Floats]:
        """Mean shares, (categories,); and of who bought one, the shares of another, (categories, categories)."""
        columns = np.full(len(self.names), -1)
        columns[list(common)] = np.arange(len(common))
        sizes = np.array(self._sizes, np.int64)
        places = columns[np.array(self._places, np.int64)]
        shares = np.array(self._shares, np.float64)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        together = np.zeros((len(common), len(common)))
        total = np.zeros(len(common))
        for start in range(0, len(sizes), _BLOCK):
            here = sizes[start : start + _BLOCK]
            block = slice(ends[start], ends[start + len(here)])
            rows, known = np.repeat(np.arange(len(here)), here), places[block] >= 0
            share = np.zeros((len(here), len(common)))
            share[rows[known], places[block][known]] = shares[block][known]
            total += share.sum(0)
            together += (share > 0).T.astype(float) @ share
        return total / max(self.customers, 1), together


def _pairs(names: Sequence[str], usual: Floats, together: Floats, buyers: Floats) -> dict[str, float]:
    """For each category the others that its buyers buy more than is usual: the eight of the largest gain."""
    expected = (together + PRIOR_CUSTOMERS * usual) / (buyers[:, None] + PRIOR_CUSTOMERS)
    gain = expected - usual
    np.fill_diagonal(gain, 0.0)
    found: dict[str, float] = {}
    for row, name in enumerate(names):
        best = sorted(range(len(names)), key=lambda column: (-gain[row, column], names[column]))[:FOLLOWS_MAX]
        found |= {
            f"{name}{PAIRED}{names[column]}": round(float(expected[row, column]), 9)
            for column in best
            if gain[row, column] > 0
        }
    return found
