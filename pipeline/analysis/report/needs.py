"""For those who make the products: what customers miss, dislike and wish, the most valuable customers' wishes first.

Codes alone, never a word of text nor anybody's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.analysis.report.life import Wish
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, table


def needs(shop: Shop) -> Part:
    """The part."""
    has_tiers = any(shop.tally.by_tier)
    wishes = _with_categories(shop, shop.tally.wishes)
    ranked = sorted(wishes.items(), key=lambda each: _rank(each, has_tiers=has_tiers))
    rows: list[list[Cell]] = [
        [wish.kind, wish.category, wish.product_id, wish.reason, said, by, mvc if has_tiers else None, value]
        for wish, (said, by, mvc, value) in ranked
    ]
    remarks = []
    if not has_tiers:
        remarks.append(
            "Nobody has a tier yet (`wafa fit`): in order of the value of who said it, instead of MVCs first."
        )
    lost = shop.tally.lost
    if lost.people:
        remarks.append(f"At risk or lapsed: {lost.people:,}; {lost.told:,} of them had said what was wrong.")
    columns = "kind category product_id reason said people_said mvc_said said_value_minor"
    return Part(
        "needs",
        "Needs: for those who make the products",
        (
            table("needs", "What was said", columns, rows, shown_max=8),
            table(
                "losses", "What was said last by who is silent now", "kind category product_id reason people",
                _losses(shop), shown_max=5,
            ),
        ),
        tuple(remarks),
    )  # fmt: skip


def _with_categories(shop: Shop, wishes: Mapping[Wish, Sequence[int]]) -> dict[Wish, list[int]]:
    """The sums by what was said, with the products' categories now that all orders have been read."""
    found: dict[Wish, list[int]] = {}
    for wish, sums in wishes.items():
        category = shop.tally.category_by_product.get(wish.product_id, wish.category)
        whole = found.setdefault(wish._replace(category=category), [0] * len(sums))
        for place, each in enumerate(sums):
            whole[place] += each
    return found


def _losses(shop: Shop) -> list[list[Cell]]:
    """What most said first; where nobody said anything there is nothing to show."""
    if not shop.tally.lost.told:
        return []
    losses = _with_categories(shop, {wish: (people,) for wish, people in shop.tally.lost.wishes.items()})
    return [
        [wish.kind, wish.category, wish.product_id, wish.reason, people]
        for wish, (people,) in sorted(losses.items(), key=lambda each: (-each[1][0], each[0]))
    ]


def _rank(each: tuple[Wish, list[int]], *, has_tiers: bool) -> tuple[int, int, int, Wish]:
    wish, (said, _, mvc, value) = each
    return (-mvc if has_tiers else 0, -value, -said, wish)
