"""Where a customer stands with buying: moved by purchases, and by silence reached.

Two tables, one for each kind of cause; the docs' diagram is drawn from them. Risk is the lifecycle's `at_risk` and
nothing else; it never moves the relationship stage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.core.days import DAY_SECONDS
from pipeline.core.policy import Policy
from pipeline.core.profile import Lifecycle

ON_PURCHASE: Final = {
    Lifecycle.PROSPECT: (Lifecycle.NEW, "first_purchase"),
    Lifecycle.NEW: (Lifecycle.ACTIVE, "bought_again"),
    Lifecycle.ACTIVE: (Lifecycle.ACTIVE, "bought_again"),
    Lifecycle.AT_RISK: (Lifecycle.ACTIVE, "bought_again"),
    Lifecycle.LAPSED: (Lifecycle.WON_BACK, "came_back"),
    Lifecycle.WON_BACK: (Lifecycle.ACTIVE, "bought_again"),
}
"""On the first purchase of a day. A new customer needs as many purchase days as the policy says to become active."""

ON_SILENCE: Final = {
    Lifecycle.NEW: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.ACTIVE: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.WON_BACK: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.AT_RISK: (Lifecycle.LAPSED, "silent_for_long"),
}
"""When the silence since the last purchase reaches the state's limit. A prospect has bought nothing to be silent since;
a lapsed customer stays so."""

ON_VOID: Final = (Lifecycle.PROSPECT, "purchases_cancelled")
"""When every purchase there was is cancelled."""


def silence_limits(policy: Policy) -> tuple[int, int]:
    """Seconds of silence after which a buyer is at risk, and after which they have lapsed.

    Fixed by policy for everybody; a customer's own rhythm will take its place here.
    """
    rules = policy.lifecycle
    return rules.at_risk_after_days * DAY_SECONDS, rules.lapsed_after_days * DAY_SECONDS


def lived(history: Iterable[tuple[int, int]], policy: Policy, silent_until: int) -> tuple[Lifecycle, str]:
    """Where a history of purchases, (instant, day) oldest first, leads to, and why.

    Told from the whole history, so that the order in which its parts arrived is of no matter. One day's purchases are
    one. `silent_until` 0: nobody has proven that nothing came since the last of them.
    """
    state, reason = ON_VOID
    last_at, last_day, days = 0, -1, 0
    for at, day in history:
        if day != last_day:
            days += 1
            state, reason = silent(state, reason, at - last_at, policy)
            if state != Lifecycle.NEW or days >= policy.lifecycle.active_from_purchases:
                state, reason = ON_PURCHASE[state]
        last_at, last_day = at, day
    return silent(state, reason, silent_until - last_at, policy)


def silent(state: Lifecycle, reason: str, seconds: int, policy: Policy) -> tuple[Lifecycle, str]:
    """Where a silence of so many seconds leads from a state, and why."""
    while (limit := limit_of(state, policy)) is not None and seconds >= limit:
        state, reason = ON_SILENCE[state]
    return state, reason


def limit_of(state: int, policy: Policy) -> int | None:
    """Seconds of silence that move this state on, None if silence does not."""
    if state not in ON_SILENCE:
        return None
    at_risk, lapsed = silence_limits(policy)
    return lapsed if state == Lifecycle.AT_RISK else at_risk
