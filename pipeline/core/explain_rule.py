"""Why a rule's trigger was sent, held or withheld, or was never considered: by living the customer's log again.

A consideration opens when the rule's cause occurs. What merely is not so opens none, so it stands in no decision: here
it is told, with what would have to happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pipeline.core import guardrails, lifecycle
from pipeline.core.days import day_of, instant
from pipeline.core.decide import FEEDBACK_REQUEST, RETENTION_OFFER
from pipeline.core.explain import happened_at
from pipeline.core.explain_moves import cause_of
from pipeline.core.lived import Life, Moment
from pipeline.core.policy import Rule
from pipeline.core.profile import Lifecycle, Profile
from pipeline.core.step import Outcome
from pipeline.schemas import logged

PASSED_OVER_MAX: Final = 20
"""Causes told that opened nothing, the latest ones."""


class RuleMoves:
    """Gathers what became of each consideration of a rule, and the causes that opened none."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.considerations: dict[str, dict[str, Any]] = {}
        self.passed_over: list[dict[str, Any]] = []
        self.fell_silent_at = 0
        """When they last became at risk; 0: never."""

    def see(self, moment: Moment) -> None:
        """The decisions of this moment, and a cause that opened nothing."""
        for each in moment.decisions:
            if each.rule == self.rule:
                found = self.considerations.setdefault(
                    each.trigger_id,
                    {
                        "trigger_id": each.trigger_id, "business_key": each.business_key, "caused_at": each.caused_at,
                        "considered_at": each.considered_at, "expires_at": each.expires_at, "moves": [],
                    },
                )  # fmt: skip
                found["moves"].append(
                    {
                        "outcome": str(each.outcome), "reasons": [str(reason) for reason in each.reasons],
                        "decided_at": each.decided_at, "channel": each.channel, "numbers": dict(each.numbers),
                        "policy_hash": each.policy_hash,
                    }
                )  # fmt: skip
        if moment.after is not None and _falls_silent(moment):
            self.fell_silent_at = moment.after.lifecycle_since_at
        caused = _CAUSES.get(self.rule)
        if caused is None or moment.outcome is Outcome.DUPLICATE or not caused.occurs(moment) or self._opened(moment):
            return
        why = _why_not(moment, getattr(moment.controls.policy.rules, self.rule))
        self.passed_over.append({"at": happened_at(moment.event), "cause": cause_of(moment), "reason": why})
        del self.passed_over[:-PASSED_OVER_MAX]

    def _opened(self, moment: Moment) -> bool:
        before = moment.before.considerations if moment.before is not None else ()
        after = moment.after.considerations if moment.after is not None else ()
        known = {(each.rule, each.business_key) for each in before}
        return any(each.rule == self.rule and (each.rule, each.business_key) not in known for each in after) or any(
            each.rule == self.rule and (each.rule, each.business_key) not in known for each in moment.decisions
        )


def rule_document(life: Life, moves: RuleMoves) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    profile, policy = life.profile, life.controls.policy
    if profile is None:
        return None
    rule: Rule = getattr(policy.rules, moves.rule)
    open_keys = {each.business_key for each in profile.considerations if each.rule == moves.rule}
    caused = _CAUSES.get(moves.rule)
    stop = guardrails.first_stop(profile, moves.rule, policy)
    return {
        "rule": moves.rule,
        "enabled": rule.enabled,
        "purpose": rule.purpose,
        "considerations": [
            {**each, "is_open": each["business_key"] in open_keys} for each in moves.considerations.values()
        ],
        "passed_over": moves.passed_over,
        "cause": caused.stands(life, moves.fell_silent_at) if caused is not None else None,
        "in_the_way": None if stop is None else {"reason": str(stop.reason), "until_at": _until(stop.until_at)},
    }


def _until(at: int) -> Any:
    return None if at >= guardrails.NEVER else instant(at)


def _why_not(moment: Moment, rule: Rule) -> str:
    if not moment.controls.tick_at:
        return "before_first_tick"
    if moment.outcome is Outcome.LATE:
        return "late"
    if moment.outcome is Outcome.TOO_OLD:
        return "too_old"
    if moment.outcome is None:
        return "step_failed"
    return "known_before" if rule.enabled else "rule_off"


class _Cause(NamedTuple):
    """What causes a rule's trigger: whether a moment has it, and how the customer stands to it now."""

    occurs: Callable[[Moment], bool]
    stands: Callable[[Life, int], dict[str, Any]]
    """Of somebody known; with when they last became at risk."""


def _known(life: Life) -> Profile:
    assert life.profile is not None, "who is not known has no answer"
    return life.profile


def _falls_silent(moment: Moment) -> bool:
    before, after = moment.before, moment.after
    has_come = after is not None and after.lifecycle == Lifecycle.AT_RISK
    return has_come and (before is None or before.lifecycle != Lifecycle.AT_RISK)


def _silence(life: Life, fell_silent_at: int) -> dict[str, Any]:
    profile, policy = _known(life), life.controls.policy
    last = profile.ledger.last_at
    if not last:
        return {"state": "to_come", "reason": "no_purchase_yet", "at": None}
    state = Lifecycle(profile.lifecycle)
    if state not in (Lifecycle.AT_RISK, Lifecycle.LAPSED):
        limit = lifecycle.limit_of(state, policy, profile.pace)
        at = instant(last + limit) if limit is not None else None
        return {
            "state": "to_come",
            "reason": "not_silent_for_long" if life.controls.tick_at else "no_tick_yet",
            "at": at,
        }
    spell = day_of(last, policy.shop.time_zone)
    reason = "considered_for_this_silence" if spell <= profile.spell_considered else "fell_silent_unseen"
    since_at = fell_silent_at if fell_silent_at > last else profile.lifecycle_since_at or last
    return {"state": "has_come", "reason": reason, "at": instant(since_at)}


def _orders(moment: Moment) -> bool:
    return isinstance(moment.event, logged.OrderCompleted)


def _order(life: Life, fell_silent_at: int) -> dict[str, Any]:
    if not _known(life).ledger.last_at:
        return {"state": "to_come", "reason": "no_purchase_yet", "at": None}
    return {"state": "to_come", "reason": "next_order", "at": None}


_CAUSES: Final[Mapping[str, _Cause]] = {
    RETENTION_OFFER: _Cause(_falls_silent, _silence),
    FEEDBACK_REQUEST: _Cause(_orders, _order),
}
"""By rule. A rule without a row is told by its considerations alone."""
