"""Where a customer stands with buying: moved by purchases, and by silence reached.

Two tables, one for each kind of cause; the docs' diagram is drawn from them. Risk is the lifecycle's `at_risk` and
nothing else; it never moves the relationship stage.
"""

from __future__ import annotations

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
"""On a purchase later than all before it."""

ON_SILENCE: Final = {
    Lifecycle.NEW: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.ACTIVE: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.WON_BACK: (Lifecycle.AT_RISK, "silent_since_purchase"),
    Lifecycle.AT_RISK: (Lifecycle.LAPSED, "silent_for_long"),
}
"""When the silence since the last purchase reaches the state's limit. A prospect has bought nothing to be silent since;
a lapsed customer stays so."""

ON_VOID: Final = (Lifecycle.PROSPECT, "purchases_cancelled")
"""When the last purchase there was is cancelled."""


def silence_limits(policy: Policy) -> tuple[int, int]:
    """Seconds of silence after which a buyer is at risk, and after which they have lapsed.

    Fixed by policy for everybody; a customer's own rhythm will take its place here.
    """
    rules = policy.lifecycle
    return rules.at_risk_after_days * DAY_SECONDS, rules.lapsed_after_days * DAY_SECONDS


def limit_of(state: int, policy: Policy) -> int | None:
    """Seconds of silence that move this state on, None if silence does not."""
    if state not in ON_SILENCE:
        return None
    at_risk, lapsed = silence_limits(policy)
    return lapsed if state == Lifecycle.AT_RISK else at_risk
