"""What the lines of an order or a refund are of: categories, each by a short mark, and what each weighs of the whole.

Margin goes by category, so a refund that names its lines takes what those of its order left, and not a share of
everything. An order keeps the rates that were in force when it came, beside the weights; a refund keeps weights only.
Weights are in their lowest terms: they are shares, and small numbers pack into a byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Final

from pipeline.core.marks import short_mark
from pipeline.core.policy import ValueRules
from pipeline.core.profile import KINDS_MAX
from pipeline.schemas.logged import Item

UNSAID: Final = 0
"""In the place of a category's mark: lines that name none."""
_KIND_FIELDS: Final = 3
_NAMED_FIELDS: Final = 2


def weights(items: Sequence[Item]) -> dict[str, int]:
    """What lines weigh by category (empty: none): their amounts; where no line has one, their quantities."""
    if len(items) == 1:  # as most are
        item = items[0]
        return {item.category or "": item.amount_minor or item.quantity}
    found: dict[str, int] = {}
    priced = any(item.amount_minor for item in items)
    for item in items:
        category = item.category or ""
        found[category] = found.get(category, 0) + (item.amount_minor if priced else item.quantity)
    return found


def as_kinds(weight_by_category: Mapping[str, int], rules: ValueRules) -> tuple[int, ...]:
    """An order's lines as it keeps them; nothing where none names a category, or they name more than are kept."""
    if len(weight_by_category) > KINDS_MAX or weight_by_category.keys() == {""}:
        return ()
    rates, usual = rules.margin_permille_by_category, rules.margin_permille
    lowest = gcd(*weight_by_category.values())
    kept: list[int] = []
    for category, weight in weight_by_category.items():
        if weight:
            kept += (_mark(category), weight // lowest, rates.get(category, usual))
    return tuple(kept)


def kinds(kept: Sequence[int]) -> list[tuple[int, int, int]]:
    """(category's mark, weight, margin rate in thousandths) of each again."""
    return list(zip(kept[::_KIND_FIELDS], kept[1::_KIND_FIELDS], kept[2::_KIND_FIELDS], strict=True))


def are_mixed(kept: Sequence[int]) -> bool:
    """Whether an order's lines are of several categories."""
    return len(kept) > _KIND_FIELDS


def as_named(items: Sequence[Item]) -> tuple[int, ...]:
    """The lines that a refund names as it keeps them; nothing where they are of more categories than are kept."""
    weight_by_category = weights(items)
    if len(weight_by_category) > KINDS_MAX:
        return ()
    lowest = gcd(*weight_by_category.values())
    kept: list[int] = []
    for category, weight in weight_by_category.items():
        if weight:
            kept += (_mark(category), weight // lowest)
    return tuple(kept)


def named(kept: Sequence[int]) -> list[tuple[int, int]]:
    """(category's mark, weight) of each again."""
    return list(zip(kept[::_NAMED_FIELDS], kept[1::_NAMED_FIELDS], strict=True))


def _mark(category: str) -> int:
    return short_mark(category) if category else UNSAID
