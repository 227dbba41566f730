"""Why a customer stands where they do with buying: what moved them, and which silence would move them on."""

from __future__ import annotations

from typing import Any

from pipeline.core import ledger as ledgers
from pipeline.core import lifecycle
from pipeline.core.days import DAY_SECONDS, date_of, instant
from pipeline.core.explain_moves import cause_of
from pipeline.core.lived import Life, Moment
from pipeline.core.policy import Policy
from pipeline.core.profile import Lifecycle, Profile


class LifecycleMoves:
    """Gathers what moved the lifecycle, moment by moment."""

    def __init__(self) -> None:
        self.moves: list[dict[str, Any]] = []

    def see(self, moment: Moment) -> None:
        """A move, if there is one here."""
        before, after = moment.before, moment.after
        if after is None or (before is not None and before.lifecycle == after.lifecycle):
            return
        last, at = after.ledger.last_at, after.lifecycle_since_at or after.first_seen_at
        self.moves.append(
            {
                "left": Lifecycle(before.lifecycle).label if before is not None else None,
                "reached": Lifecycle(after.lifecycle).label,
                "at": instant(at),
                "reason": after.lifecycle_reason,
                "cause": cause_of(moment),
                "silent_days": max(0, at - last) // DAY_SECONDS if last else None,
                "at_risk_after_days": after.pace.at_risk_days if after.pace is not None else None,
                "limit_days": _limit_days(after, moment.controls.policy),
            }
        )


def _limit_days(after: Profile, policy: Policy) -> int | None:
    """Of the silence that leads to where they are; None where silence does not."""
    at_risk, lapsed = lifecycle.silence_limits(policy, after.pace)
    limit = {Lifecycle.AT_RISK: at_risk, Lifecycle.LAPSED: lapsed}.get(Lifecycle(after.lifecycle))
    return limit // DAY_SECONDS if limit is not None else None


def lifecycle_document(life: Life, moves: LifecycleMoves) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    profile, policy, as_of = life.profile, life.controls.policy, life.as_of
    if profile is None:
        return None
    last = profile.ledger.last_at
    at_risk, lapsed = lifecycle.silence_limits(policy, profile.pace)
    state = Lifecycle(profile.lifecycle)
    limit = lifecycle.limit_of(state, policy, profile.pace)
    following = lifecycle.ON_SILENCE[state][0].label if state in lifecycle.ON_SILENCE else None
    zone = policy.shop.time_zone
    return {
        "lifecycle": state.label,
        "since_at": instant(profile.lifecycle_since_at or profile.first_seen_at),
        "reason": profile.lifecycle_reason,
        "moves": moves.moves,
        "purchase_days": [date_of(day) for day in ledgers.purchase_days(profile.ledger, zone)],
        "last_purchase_at": instant(last) if last else None,
        "silent_days": (as_of - last) // DAY_SECONDS if last else None,
        "limits_are": "own_rhythm" if profile.pace is not None else "policy",
        "at_risk_after_days": at_risk // DAY_SECONDS,
        "lapsed_after_days": lapsed // DAY_SECONDS,
        "next_lifecycle": following,
        "next_at": instant(last + limit) if following is not None and limit is not None and last else None,
        "is_proven": bool(life.controls.tick_at),
    }
