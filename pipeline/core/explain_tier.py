"""Why a customer is in a tier: what moved it and the figures then; the figures now, and the shop's lines beside them.

And whom what they might be worth is told from.
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.core import tier as tiers
from pipeline.core import view_tier
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, day_of
from pipeline.core.explain_moves import cause_of
from pipeline.core.lived import Life, Moment
from pipeline.core.outlook import ahead_minor, facts, potential_minor, upkeep_minor
from pipeline.core.population import EVERY, TENURE_WEEKS, Population, alike, best, compared_with
from pipeline.core.profile import Profile, Tier
from pipeline.core.standing import figures
from pipeline.core.tier_lines import Lines

_WHOLE: Final = 1000
_NONE: Final = Tier.UNKNOWN
"""Who is in no tier has no line that may be missed by little."""


class TierMoves:
    """Gathers what moved the tier, moment by moment."""

    def __init__(self) -> None:
        self.moves: list[dict[str, Any]] = []

    def see(self, moment: Moment) -> None:
        """A move, if there is one here."""
        after = moment.after
        if after is None or after.standing is None:
            return
        before = _tier_of(moment.before)
        if before != after.standing.tier:
            self.moves.append(
                {
                    "left": before.label,
                    "cause": cause_of(moment),
                    "reached": view_tier.tier(after, moment.controls),
                    "lines": _lines(moment.controls),
                }
            )


def tier_document(life: Life, moves: TierMoves) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    profile, controls = life.profile, life.controls
    if profile is None:
        return None
    return {
        "currency": profile.currency or None,
        "moves": moves.moves,
        "tier": view_tier.tier(profile, controls),
        "lines": _lines(controls),
        "kept": _kept(profile, controls),
        "potential": _potential(profile, controls),
        "pulled_down_by": _drags(profile, controls),
    }


def _kept(profile: Profile, controls: Controls) -> dict[str, Any] | None:
    """Why they are in another tier than their figures lead to by themselves; None if they are not.

    On the day of the last look, by the lines in force. A line missed by little keeps the tier; missed by more, no fall
    follows another move at once.
    """
    population, rules, standing = controls.population, controls.policy.tiers, profile.standing
    known = facts(profile, controls, standing.checked_day) if standing is not None else None
    if population is None or standing is None or known is None:
        return None
    held = Tier(standing.tier)
    plain, slack = (
        tiers.told(figures(known, population, rules, lines), lines)[0]
        for lines in (controls.lines[_NONE], controls.lines[held])
    )
    if held in (plain, _NONE):
        return None
    by = "slack" if slack is held else "hold" if slack < held and standing.since_days < rules.hold_days else None
    if by is None:
        return None
    return {
        "by": by,
        "else_tier": plain.label,
        "slack_permille": rules.slack_permille,
        "hold_days": rules.hold_days,
        "since_days": standing.since_days,
    }


def _tier_of(profile: Profile | None) -> Tier:
    return Tier(profile.standing.tier) if profile is not None and profile.standing is not None else Tier.UNKNOWN


def _lines(controls: Controls) -> dict[str, Any] | None:
    """Where the tiers' lines run in this shop; None before it is measured."""
    population = controls.population
    return None if population is None else _of_shop(population, controls.lines[_NONE])


def _of_shop(population: Population, lines: Lines) -> dict[str, Any]:
    return {
        "measured_on": date_of(population.measured_on),
        "customers": population.customers,
        "mvc_from_minor": round(lines.value_minor),
        "mvc_returns_above": lines.return_permille / _WHOLE,
        "mgc_gap_from_minor": round(lines.gap_minor),
        "bz_serve_above_minor": round(lines.serve_minor),
        "bz_certainty_above": lines.below_zero_permille / _WHOLE,
    }


def _potential(profile: Profile, controls: Controls) -> dict[str, Any] | None:
    """What they might be worth, of the day they were last looked at: what it is told by, and who is alike."""
    population, standing = controls.population, profile.standing
    known = facts(profile, controls, standing.checked_day) if standing is not None else None
    if population is None or known is None:
        return None
    of = known.outlook
    expected = ahead_minor(of, upkeep_minor(of, population.upkeep_minor))
    found, name = potential_minor(of, expected, population), alike(of.segment, of.tenure)
    of_best = best(population.best_ahead_minor, name, of.tenure)
    told_by = "expected" if found == expected else "best_tenth" if found == of_best else "categories"
    return {
        "potential_minor": found,
        "told_by": told_by,
        "expected_minor": expected,
        "best_tenth_minor": of_best,
        "they_are": _group(population, (of.segment, of.tenure)),
        "compared_with": _group(population, compared_with(population.best_ahead_minor, of.segment, of.tenure)),
        "categories": of.categories,
        "categories_of_broadest": best(population.best_categories, name, of.tenure),
        "broadest_of": _group(population, compared_with(population.best_categories, of.segment, of.tenure)),
    }


def _group(population: Population, group: tuple[str, int | str] | None) -> dict[str, Any] | None:
    """Those who are alike: through which channel they were won, for how long they have been here, how many they are."""
    if group is None:
        return None
    segment, tenure = group
    limits = (0, *TENURE_WEEKS, None)
    here = (None, None) if isinstance(tenure, str) else limits[tenure : tenure + 2]
    return {
        "channel": None if segment == EVERY else segment,
        "weeks_from": here[0],
        "weeks_below": here[1],
        "customers": population.customers if group == (EVERY, EVERY) else population.alike_customers.get(alike(*group)),
    }


def _drags(profile: Profile, controls: Controls) -> dict[str, int]:
    """What pulls somebody down who may be worth less than nothing, now; empty where that is in no doubt."""
    population, zone = controls.population, controls.policy.shop.time_zone
    known = None if population is None else facts(profile, controls, day_of(profile.as_of, zone))
    if population is None or known is None:
        return {}
    held = Tier(profile.standing.tier) if profile.standing is not None else Tier.UNKNOWN
    told = figures(known, population, controls.policy.tiers, controls.lines[held])
    return {f"{name}_minor": amount for name, amount in told.drags._asdict().items() if amount}
