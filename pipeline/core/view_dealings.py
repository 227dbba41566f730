"""How we deal with a customer, for others to see: the evidence of the stage, satisfaction, what we owe. JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.core import cases, owed, satisfaction
from pipeline.core import stage as stages
from pipeline.core.days import DAY_SECONDS, date_of, instant, instant_or_none
from pipeline.core.policy import Policy
from pipeline.core.profile import Profile, Stage
from pipeline.core.reckoned import Reckoned

_ASKED_FROM: Final = {
    "identity": int(Stage.BASIC),
    "need": int(Stage.BASIC),
    "answer": int(Stage.BASIC),
    "purchase": int(Stage.COLLABORATIVE),
    "departments": int(Stage.COLLABORATIVE),
    "cycles": int(Stage.BONDED),
    "complaint_solved": int(Stage.EXPLORATORY),
    "time_since_fall": int(Stage.EXPLORATORY),
}
"""What can be missing for the next stage, and the lowest stage that asks for it."""
_COLLABORATIVE, _BONDED = int(Stage.COLLABORATIVE), int(Stage.BONDED)


def stage_evidence(profile: Profile, policy: Policy, known: Reckoned) -> dict[str, Any]:
    """What the stage rests on, with its numbers and instants, and what is missing for the next."""
    as_of, stage, cycle_days = profile.as_of, profile.stage, stages.cycle_days(profile, policy)
    since = as_of - cycle_days * DAY_SECONDS
    dealt = stages.dealt_at(profile, as_of, policy)
    recent = [name for name, at in dealt.items() if at and at > since]
    bought = stages.bought_in_cycles(profile, as_of, policy, known.purchase_days)
    rises_at, first_at = stages.may_rise_at(profile, policy), profile.ledger.first_at
    need_known_at, need_answered_at = stages.need_known_at(profile), stages.need_answered_at(profile)
    is_stale = not stage and stages.is_need_stale(profile, policy)
    is_fresh = is_stale and stages.is_need_fresh(profile, as_of, policy)  # known anew since, and not answered
    is_open, is_frozen = cases.has_open_complaint(profile), stages.is_frozen(profile, as_of, policy)
    is_there = {
        "identity": profile.identified,
        "need": need_known_at and (is_fresh or not is_stale),
        "answer": need_answered_at and not is_fresh,
        "purchase": profile.ledger.last_at,
        "departments": len(recent) >= policy.stage.departments_for_collaborative,
        "cycles": all(bought),
        "complaint_solved": not is_frozen and not (is_open and stage == _COLLABORATIVE),
        "time_since_fall": rises_at <= as_of,
    }
    return {
        "identified": bool(profile.identified),
        "departments": recent,
        "failed_checks": profile.stage_failed_checks,
        "need_known_at": instant_or_none(need_known_at),
        "need_answered_at": instant_or_none(need_answered_at),
        "first_purchase_at": instant_or_none(first_at),
        "cycle_days": cycle_days,
        "typical_gap_days": profile.dealings.gap_days or None,
        "dealt_well": [
            {"department": name, "at": instant_or_none(at), "is_recent": name in recent} for name, at in dealt.items()
        ],
        "bought_in_cycles": bought,
        "complaint_open": is_open,
        "is_frozen": is_frozen,
        "referrals": len(profile.referrals),
        "next_stage": Stage(stage + 1).label if stage < _BONDED else None,
        "missing": _missing(stage, is_there),
        "may_rise_at": instant_or_none(rises_at) if rises_at > as_of else None,
    }


def _missing(stage: int, is_there: Mapping[str, object]) -> list[str]:
    """What the next stage still wants, its own conditions and those of the stages below it."""
    if stage >= _BONDED:
        return []
    return [what for what, has in is_there.items() if not has and _ASKED_FROM[what] <= stage + 1]


def satisfaction_of(profile: Profile, policy: Policy, known: Reckoned) -> dict[str, Any]:
    """How satisfied they are, and what that rests on."""
    found = satisfaction.satisfaction(profile, profile.as_of, policy)
    return {
        "level": found.level,
        "fraction": found.fraction,
        "fraction_low": found.low,
        "fraction_high": found.high,
        "evidence": [
            {
                "kind": each.kind,
                "count": each.pieces,
                "mean_fraction": each.mean_fraction,
                "latest_on": date_of(each.latest_day),
                "age_days": max(known.today - each.latest_day, 0),
                "weight": each.weight,
            }
            for each in found.evidence
        ],
    }


def owed_to_them(profile: Profile, as_of: int) -> dict[str, Any]:
    """What each department has promised, kept and broken, and what is open."""
    return {
        "departments": [
            {"department": name, "made": of.made, "kept": of.kept, "broken": of.broken, "open": of.open}
            for name, of in owed.by_department(profile, as_of).items()
        ],
        "open": [
            {"what": each.what, "due_at": instant(each.due_at), "shipped_at": instant_or_none(each.shipped_at)}
            for each in owed.still_open(profile.dealings, as_of)
        ],
    }
