"""Where the lines between tiers run: at shares of the shop's customers (`population`), by policy.

Somebody keeps the tier they are in while its lines are missed by little, so there are lines for those in each.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.policy import TierRules
from pipeline.core.population import Population, at
from pipeline.core.profile import Tier

_WHOLE: Final = 1000


class Lines(msgspec.Struct, frozen=True, gc=False):
    """Where they run for somebody in one of the tiers; money in minor units, chances in thousandths."""

    value_minor: float
    """Who is worth so much in all is valuable."""
    return_permille: int
    """Who is valuable and likelier than this to come back is an MVC."""
    gap_minor: float
    """Who might be worth so much more is an MGC."""
    serve_minor: float
    """Who costs more than this to serve, for each order, may be a BZ."""
    below_zero_permille: int
    """Who is likelier than this to be worth less than nothing surely is."""


def lines_of(population: Population, rules: TierRules) -> tuple[Lines, ...]:
    """The lines for those in each tier, by its number."""
    return tuple([_lines(population, rules, held) for held in Tier])


def _lines(population: Population, rules: TierRules, held: Tier) -> Lines:
    slack = rules.slack_permille
    return Lines(
        value_minor=_cut(population.value, _WHOLE - rules.mvc_top_permille, rules, kept=held is Tier.MVC),
        return_permille=rules.mvc_return_permille - (slack if held is Tier.MVC else 0),
        gap_minor=_cut(population.gap, _WHOLE - rules.mgc_top_permille, rules, kept=held is Tier.MGC),
        serve_minor=_cut(population.serve, rules.bz_serve_permille, rules, kept=held is Tier.BZ),
        below_zero_permille=rules.bz_certainty_permille - (slack if held is Tier.BZ else 0),
    )


def _cut(cuts: tuple[int, ...], permille: int, rules: TierRules, *, kept: bool) -> float:
    """The cut so many thousandths of the customers are below; a little lower for who is above it already."""
    cut = at(cuts, permille)
    return cut - abs(cut) * rules.slack_permille / _WHOLE if kept else cut
