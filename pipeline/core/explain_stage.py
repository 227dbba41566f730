"""Why a customer is at a stage: what moved it and the evidence then, what holds it now, what the next one asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.core import cases
from pipeline.core import stage as stages
from pipeline.core.days import DAY_SECONDS, instant, instant_or_none
from pipeline.core.explain_moves import cause_of
from pipeline.core.lived import Life, Moment
from pipeline.core.policy import Policy
from pipeline.core.profile import Profile, Stage
from pipeline.core.stage import HOLDS, KEEPS, Evidence

Facts = dict[str, Any]


def conditions(asked: tuple[Evidence, ...], profile: Profile, as_of: int, policy: Policy) -> list[Facts]:
    """What is asked for to reach a stage or to keep it, whether each holds at an instant, and the figures behind it."""
    return [
        {
            "name": name_of(evidence),
            "holds": evidence(profile, as_of, policy),
            "facts": _FACTS.get(name_of(evidence), _no_facts)(profile, as_of, policy),
        }
        for evidence in asked
    ]


def name_of(evidence: Evidence) -> str:
    """`is_loyal` is the condition `loyal`."""
    return evidence.__name__.removeprefix("is_")


class StageMoves:
    """Gathers what moved the stage, moment by moment."""

    def __init__(self) -> None:
        self.moves: list[Facts] = []

    def see(self, moment: Moment) -> None:
        """A move, if there is one here."""
        after = moment.after
        if after is None or (moment.before is not None and moment.before.stage == after.stage):
            return
        before = None if moment.before is None else Stage(moment.before.stage)
        asked = HOLDS[Stage(after.stage)] if before is None or after.stage > before else KEEPS[before]
        self.moves.append(
            {
                "left": before.label if before is not None else None,
                "reached": Stage(after.stage).label,
                "at": instant(after.stage_since_at or after.first_seen_at),
                "reason": stages.reason(after),
                "cause": cause_of(moment),
                "conditions": conditions(asked, after, after.as_of, moment.controls.policy),
            }
        )


def stage_document(life: Life, moves: StageMoves) -> Facts | None:
    """The whole explanation; None before anything is known of them."""
    profile, policy, as_of = life.profile, life.controls.policy, life.as_of
    if profile is None:
        return None
    stage = Stage(profile.stage)
    following = Stage(stage + 1) if stage < max(Stage) else None
    return {
        "stage": stage.label,
        "since_at": instant(profile.stage_since_at or profile.first_seen_at),
        "reason": stages.reason(profile),
        "moves": moves.moves,
        "holds": conditions(KEEPS[stage], profile, as_of, policy),
        "failed_checks": profile.stage_failed_checks,
        "failed_checks_max": stages.FAILED_CHECKS_MAX,
        "next_stage": following.label if following is not None else None,
        "next_asks": conditions(HOLDS[following], profile, as_of, policy) if following is not None else [],
        "frozen_by_complaint": stages.is_frozen(profile, as_of, policy),
        "frozen_until_at": instant_or_none(stages.frozen_until(profile, policy)),
    }


# -- the figures behind each condition --------------------------------------------------------------------------------


def _no_facts(profile: Profile, as_of: int, policy: Policy) -> Facts:
    return {}


def _known(profile: Profile, as_of: int, policy: Policy) -> Facts:
    return {
        "identified": bool(profile.identified),
        "need_known_at": instant_or_none(stages.need_known_at(profile)),
        "need_confirmed_at": instant_or_none(stages.need_confirmed_at(profile)),
        "need_answered_at": instant_or_none(stages.need_answered_at(profile)),
    }


def _worked_on_together(profile: Profile, as_of: int, policy: Policy) -> Facts:
    return _dealt_with(profile, as_of, policy, policy.stage.departments_for_collaborative)


def _still_worked_on(profile: Profile, as_of: int, policy: Policy) -> Facts:
    return _dealt_with(profile, as_of, policy, policy.stage.departments_to_keep)


def _dealt_with(profile: Profile, as_of: int, policy: Policy, asked: int) -> Facts:
    return {
        "last_purchase_at": instant_or_none(profile.ledger.last_at),
        "departments": stages.departments(profile, as_of, policy),
        "departments_asked": asked,
        "since_at": instant(max(0, as_of - stages.cycle_days(profile, policy) * DAY_SECONDS)),
        **{f"{name}_at": instant_or_none(at) for name, at in stages.dealt_at(profile, as_of, policy).items()},
    }


def _loyal(profile: Profile, as_of: int, policy: Policy) -> Facts:
    return {
        "cycle_days": stages.cycle_days(profile, policy),
        "bought_in_cycles": stages.bought_in_cycles(profile, as_of, policy),
        "complaint_open": cases.has_open_complaint(profile),
        "referrals": len(profile.referrals),
    }


_FACTS: Final[Mapping[str, Callable[[Profile, int, Policy], Facts]]] = {
    "known": _known,
    "known_of_late": _known,
    "worked_on_together": _worked_on_together,
    "still_worked_on": _still_worked_on,
    "loyal": _loyal,
    "still_loyal": _loyal,
}
"""By condition. One without figures of its own is told by whether it holds."""
