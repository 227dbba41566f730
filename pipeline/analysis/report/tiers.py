"""What each tier of customers is worth, costs and returns, and who moved: from growable to valuable first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, share, table, with_total
from pipeline.analysis.report.tally import NO_TIER

_FIRST: Final = ("mgc", "mvc")
_ORDER: Final = ("mvc", "mgc", "rest", "bz")


def tiers(shop: Shop) -> Part:
    """The part; where profiles hold no tier it says so."""
    by_tier = shop.tally.by_tier
    if set(by_tier) <= {NO_TIER}:
        return _part((), (), ("Nobody has a tier yet (`wafa fit`).",))
    count, value = sum(of.count for of in by_tier.values()), sum(of.value for of in by_tier.values())
    cost = sum(of.cost for of in by_tier.values())
    rows: list[list[Cell]] = [
        [tier or "none", of.count, share(of.count, count), of.value, share(of.value, value) if value > 0 else None,
         of.cost, share(of.cost, cost), *of.ratio()]
        for tier, of in sorted(by_tier.items(), key=lambda each: tier_rank(each[0]))
    ]  # fmt: skip
    are_moves_known = shop.calendar.kind != "week"
    moves = _moves(shop) if are_moves_known else []
    remarks = () if are_moves_known else ("Moves are known from month's end to month's end: use --period month.",)
    of_value = 1.0 if value > 0 else None
    in_all = (count, 1.0, value, of_value, cost, share(cost, cost), share(value, cost))
    return _part(rows, moves, remarks, in_all=(*in_all, None, None))


def _moves(shop: Shop) -> list[list[Cell]]:
    """By period, the latest first: a tier is known at the ends of months, so which week it changed in nobody knows."""
    return [
        [shop.name(period), f"{before or 'none'} to {after or 'none'}", count]
        for (before, after, period), count in sorted(
            shop.tally.tier_moves.items(), key=lambda each: (-each[0][2], each[0][:2] != _FIRST, each[0])
        )
        if before != after and "unknown" not in (before, after)
    ]


def tier_rank(tier: str) -> tuple[int, str]:
    """The order tiers are told in, the most valuable first; who has none last."""
    return (_ORDER.index(tier) if tier in _ORDER else len(_ORDER), tier)


def _part(
    rows: Sequence[Sequence[Cell]],
    moves: Sequence[Sequence[Cell]],
    remarks: tuple[str, ...] = (),
    *,
    in_all: tuple[Cell, ...] = (),
) -> Part:
    return Part(
        "tiers",
        "Tiers: most valuable, most growable, below zero",
        (
            with_total(
                table(
                    "tiers",
                    "Tiers, to date",
                    "tier customers customers_share value_minor value_share cost_minor cost_share returned "
                    "returned_low returned_high",
                    rows,
                    shown_max=12 if rows else 0,  # where there is none, a remark says why
                ),
                *in_all,
            ),
            replace(
                table("tier_moves", "Moves from month to month, the latest first", "period move moves", moves),
                shown_max=6 if rows else 0,
                is_latest_first=True,
            ),
        ),
        remarks,
    )
