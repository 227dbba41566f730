"""What the lines of an order or a refund are of: categories, each by a short mark, and what each weighs of the whole.

Margin goes by category, so a refund that names its lines takes what those of its order left, and not a share of
everything. An order keeps the rates that were in force when it came, beside the weights; a refund keeps weights only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Final, NamedTuple

from pipeline.core.marks import short_mark
from pipeline.core.policy import ValueRules
from pipeline.core.profile import KINDS_MAX
from pipeline.schemas.logged import Item

UNSAID: Final = 0
"""In the place of a category's mark: lines that name none."""
_KIND_FIELDS: Final = 3
_NAMED_FIELDS: Final = 2


class Kind(NamedTuple):
    """The lines of an order that are of one category."""

    category: int
    """Its mark."""
    weight: int
    """Of the sum of all weights."""
    permille: int
    """The margin rate when the order came."""


def weights(items: Sequence[Item]) -> dict[str, int]:
    """What lines weigh by category (empty: none): their amounts; where no line has one, their quantities."""
    found: dict[str, int] = {}
    priced = any(item.amount_minor for item in items)
    for item in items:
        category = item.category or ""
        found[category] = found.get(category, 0) + (item.amount_minor if priced else item.quantity)
    return found


def rate_of(category: str, rules: ValueRules) -> int:
    """The margin rate of a category, in thousandths: its own, or else the default."""
    return rules.margin_permille_by_category.get(category, rules.margin_permille)


def as_kinds(weight_by_category: Mapping[str, int], rules: ValueRules) -> tuple[int, ...]:
    """An order's lines as it keeps them; nothing where none names a category, or they name more than are kept."""
    if weight_by_category.keys() <= {""}:
        return ()
    kept = _lightened(weight_by_category)
    return tuple(part for category, weight in kept for part in (_mark(category), weight, rate_of(category, rules)))


def kinds(kept: Sequence[int]) -> list[Kind]:
    """An order's lines again."""
    return [Kind(*kept[place : place + _KIND_FIELDS]) for place in range(0, len(kept), _KIND_FIELDS)]


def are_mixed(kept: Sequence[int]) -> bool:
    """Whether an order's lines are of several categories."""
    return len(kept) > _KIND_FIELDS


def as_named(items: Sequence[Item]) -> tuple[int, ...]:
    """The lines that a refund names as it keeps them; nothing where they are of more categories than are kept."""
    return tuple(part for category, weight in _lightened(weights(items)) for part in (_mark(category), weight))


def named(kept: Sequence[int]) -> list[tuple[int, int]]:
    """(category's mark, weight) of each again."""
    return [(kept[place], kept[place + 1]) for place in range(0, len(kept), _NAMED_FIELDS)]


def _lightened(weight_by_category: Mapping[str, int]) -> list[tuple[str, int]]:
    """By category, each weight in its lowest terms: they are shares, and small numbers pack into a byte."""
    found = sorted((category, weight) for category, weight in weight_by_category.items() if weight)
    if not 0 < len(found) <= KINDS_MAX:
        return []
    lowest = gcd(*(weight for _, weight in found))
    return [(category, weight // lowest) for category, weight in found]


def _mark(category: str) -> int:
    return short_mark(category) if category else UNSAID
