"""How we deal with a customer, for others to see: the evidence of the stage, satisfaction, what we owe. JSON-ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.core import owed, satisfaction
from pipeline.core import stage as stages
from pipeline.core.days import DAY_SECONDS, date_of, day_of, instant
from pipeline.core.policy import Policy
from pipeline.core.profile import Profile, Stage


def stage_evidence(profile: Profile, as_of: int, policy: Policy) -> dict[str, Any]:
    """What the stage rests on, with its numbers and instants, and what is missing for the next."""
    cycle_days = stages.cycle_days(profile, policy)
    since = as_of - cycle_days * DAY_SECONDS
    dealt = stages.dealt_at(profile, as_of, policy)
    recent = [name for name, at in dealt.items() if at and at > since]
    bought = stages.bought_in_cycles(profile, as_of, policy)
    rises_at = stages.may_rise_at(profile, policy)
    is_enough = len(recent) >= policy.stage.departments_for_collaborative
    missing = _missing(profile, policy, is_enough=is_enough, is_regular=all(bought), is_time=rises_at <= as_of)
    return {
        "identified": bool(profile.identified),
        "departments": recent,
        "failed_checks": profile.stage_failed_checks,
        "need_known_at": _at(stages.need_known_at(profile)),
        "need_answered_at": _at(stages.need_answered_at(profile)),
        "first_purchase_at": _at(profile.ledger.first_at),
        "cycle_days": cycle_days,
        "typical_gap_days": profile.dealings.gap_days or None,
        "dealt_well": [{"department": name, "at": _at(at), "is_recent": name in recent} for name, at in dealt.items()],
        "bought_in_cycles": bought,
        "complaint_open": stages.has_open_complaint(profile),
        "is_frozen": stages.is_frozen(profile, policy),
        "referrals": len(profile.referrals),
        "next_stage": Stage(profile.stage + 1).label if profile.stage < Stage.BONDED else None,
        "missing": list(missing),
        "may_rise_at": _at(rises_at) if rises_at > as_of else None,
    }


def _missing(profile: Profile, policy: Policy, *, is_enough: bool, is_regular: bool, is_time: bool) -> Iterator[str]:
    """What the next stage still wants, its own conditions and those of the stages below it."""
    stage = profile.stage
    is_held = stages.is_frozen(profile, policy) or (stage == Stage.COLLABORATIVE and stages.has_open_complaint(profile))
    holds = (
        ("identity", Stage.BASIC, profile.identified),
        ("need", Stage.BASIC, stages.need_known_at(profile)),
        ("answer", Stage.BASIC, stages.need_answered_at(profile)),
        ("purchase", Stage.COLLABORATIVE, profile.ledger.last_at),
        ("departments", Stage.COLLABORATIVE, is_enough),
        ("cycles", Stage.BONDED, is_regular),
        ("complaint_solved", Stage.EXPLORATORY, not is_held),
        ("time_since_fall", Stage.EXPLORATORY, is_time),
    )
    if stage < Stage.BONDED:
        yield from (what for what, asked_from, is_there in holds if stage + 1 >= asked_from and not is_there)


def satisfaction_of(profile: Profile, as_of: int, policy: Policy) -> dict[str, Any]:
    """How satisfied they are, and what that rests on."""
    found, today = satisfaction.satisfaction(profile, as_of, policy), day_of(as_of, policy.shop.time_zone)
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
                "age_days": max(today - each.latest_day, 0),
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
            {"what": each.what, "due_at": instant(each.due_at), "shipped_at": _at(each.shipped_at)}
            for each in owed.still_open(profile.dealings, as_of)
        ],
    }


def _at(at: int) -> Any:
    return instant(at) if at else None
