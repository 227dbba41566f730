"""For those who make the products: what customers miss, dislike and wish, the most valuable customers' wishes first.

Codes alone, never a word of text nor anybody's name.
"""

from __future__ import annotations

from pipeline.analysis.report.life import Wish
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, table


def needs(shop: Shop) -> Part:
    """The part."""
    has_tiers = any(shop.tally.by_tier)
    ranked = sorted(shop.tally.wishes.items(), key=lambda each: _rank(each, has_tiers=has_tiers))
    rows: list[list[Cell]] = [
        [
            wish.kind,
            wish.category or shop.tally.category_by_product.get(wish.product_id, ""),
            wish.product_id,
            wish.reason,
            said,
            by,
            mvc if has_tiers else None,
            value,
        ]
        for wish, (said, by, mvc, value) in ranked
    ]
    remarks = []
    if not has_tiers:
        remarks.append("Profiles hold no tier yet: in order of the value of who said it, instead of MVCs first.")
    silent = sum(shop.tally.losses.values())
    losses: list[list[Cell]] = [
        [kind, category, reason, people]
        for (kind, category, reason), people in sorted(shop.tally.losses.items(), key=lambda each: (-each[1], each[0]))
        if kind != "nothing" or len(shop.tally.losses) > 1
    ]
    if silent:
        told = silent - shop.tally.losses["nothing", "", ""]
        remarks.append(f"At risk or lapsed: {silent:,}; {told:,} of them had said what was wrong.")
    return Part(
        "needs",
        "Needs: for those who make the products",
        (
            table(
                "needs",
                "What was said",
                "kind category product_id reason said people_said mvc_said said_value_minor",
                rows,
                shown_max=8,
            ),
            table(
                "losses", "What was said last by who went silent", "kind category reason people", losses, shown_max=5
            ),
        ),
        tuple(remarks),
    )


def _rank(each: tuple[Wish, list[int]], *, has_tiers: bool) -> tuple[int, int, int, Wish]:
    wish, (said, _, mvc, value) = each
    return (-mvc if has_tiers else 0, -value, -said, wish)
