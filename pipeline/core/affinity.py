"""What goes with what: the shop's table of categories bought by the same customers, and what to offer one of them next.

The table is measured over all customers in a process of its own and travels as `ModelFitted` of scope `affinity`, as
numbers by name: `shoes>socks` is the share of orders with socks among customers who bought shoes, `>socks` among all.
A customer's own purchases speak first; the table fills in where they are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal

import msgspec

from pipeline.core.categories import PAIRED, Bought, Buys, code
from pipeline.core.digits import shown
from pipeline.core.policy import NeedsRules

SCOPE: Final = "affinity"
CATEGORIES_MAX: Final = 200
"""Categories of the shop's table: those bought by most customers."""
FOLLOWS_MAX: Final = 8
"""Categories kept that go with one."""
SUGGESTED_MAX: Final = 3
PRIOR_ORDERS: Final = 5.0
"""What the table says weighs as much as so many orders of the customer's own."""
DISCOUNTED: Final = "discounted_fraction"
RESPONSE: Final = "response_fraction"

Basis = Literal["stated", "own purchases", "bought with", "popular"]


@dataclass(frozen=True, slots=True)
class Affinity:
    """The shop's table. Shares are of a customer's orders, 0 to 1."""

    usual: Mapping[str, float] = field(default_factory=dict)
    """By category: its share over all customers."""
    follows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By category: the shares of those that its buyers buy more than others do."""
    discounted_fraction: float | None = None
    """Orders with a discount, of all orders of the shop; None: not measured."""
    response_fraction: float | None = None
    """Messages and contacts that were answered, of all."""
    popular: tuple[str, ...] = field(init=False, compare=False)
    """The categories, that of the largest share first."""
    by_folded_name: Mapping[str, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        popular = sorted(self.usual, key=lambda name: (-self.usual[name], name))
        object.__setattr__(self, "popular", tuple(popular))
        object.__setattr__(self, "by_folded_name", {name.casefold(): name for name in reversed(popular)})


NONE: Final = Affinity()


class Suggestion(msgspec.Struct, frozen=True, gc=False):
    """A category to offer next."""

    category: str
    score: float
    """Its expected share of their next orders."""
    basis: Basis
    because: str
    """The category bought that speaks most for it; empty where that is not the reason."""


def from_parameters(numbers: Mapping[str, float]) -> Affinity:
    """The table that the numbers name. What is no share from 0 to 1 is left out."""
    usual: dict[str, float] = {}
    follows: dict[str, dict[str, float]] = {}
    shares = {name: number for name, number in numbers.items() if 0 <= number <= 1}
    for name in sorted(shares):
        bought, pair, other = name.partition(PAIRED)
        if pair and bought:
            follows.setdefault(bought, {})[other] = shares[name]
        elif pair:
            usual[other] = shares[name]
    return Affinity(usual, follows, shares.get(DISCOUNTED), shares.get(RESPONSE))


def next_best(bought: Bought, interests: Sequence[str], affinity: Affinity, rules: NeedsRules) -> list[Suggestion]:
    """The categories to offer next, at most three, the best first; none before the table is measured.

    What they said they care for comes first, then by expected share of their next orders. What was just bought is left
    out, as the policy says; what was not bought for a year is not used.
    """
    fresh = bought.lately
    just = bought.today - rules.just_bought_days
    left_out = {name for name, each in fresh.items() if each.last_day > just}
    wished = {affinity.by_folded_name.get(code(each).casefold()) for each in interests}
    total = sum(each.weight for each in fresh.values())
    found = []
    for category in _candidates(fresh, wished, left_out, affinity):
        because, expected = _expected(category, fresh, total, affinity)
        own = fresh[category].weight if category in fresh else 0.0
        score = (own + PRIOR_ORDERS * expected) / (bought.in_all.weight + PRIOR_ORDERS)
        basis: Basis = "bought with" if because else "popular"
        if category in wished:
            basis = "stated"
        elif category in fresh:
            basis = "own purchases"
        found.append(Suggestion(category, shown(min(score, 1.0)), basis, because if basis == "bought with" else ""))
    found.sort(key=lambda each: (each.basis != "stated", -each.score, each.category))
    return found[:SUGGESTED_MAX]


def _candidates(
    fresh: Mapping[str, Buys], wished: set[str | None], left_out: set[str], affinity: Affinity
) -> list[str]:
    """The categories of which one may be among the best: any other scores by what is usual, so the first few do."""
    named = {*fresh, *(name for name in wished if name is not None)}
    for name in fresh:
        named.update(affinity.follows.get(name, ()))
    named &= affinity.usual.keys()
    others = (name for name in affinity.popular if name not in named and name not in left_out)
    return [*sorted(named - left_out), *islice(others, SUGGESTED_MAX)]


def _expected(category: str, fresh: Mapping[str, Buys], total: float, affinity: Affinity) -> tuple[str, float]:
    """The share of orders that the table expects of who buys these, and which of them speaks most for it."""
    usual = affinity.usual[category]
    if not total:
        return "", usual
    expected, most, because = 0.0, usual, ""
    for name in sorted(fresh):
        share = affinity.follows.get(name, {}).get(category, usual)
        expected += fresh[name].weight / total * share
        if share > most and name != category:
            most, because = share, name
    return because, expected
