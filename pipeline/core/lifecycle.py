"""Where a customer stands with buying: moved by purchases, and by silence reached.

Two tables, one for each kind of cause; the docs' diagram is drawn from them. Risk is the lifecycle's `at_risk` and
nothing else; it never moves the relationship stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from pipeline.core.days import DAY_SECONDS
from pipeline.core.policy import Policy
from pipeline.core.profile import Lifecycle, Pace

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


PaceAfter = Callable[[int], Pace | None]
"""How long they may be silent after so many purchase days."""


def fixed_pace(_days: int) -> Pace | None:
    """That of a shop without a model: the policy's days count."""
    return None


def silence_limits(policy: Policy, pace: Pace | None) -> tuple[int, int]:
    """Seconds of silence after which a buyer is at risk, and after which they have lapsed.

    By their own rhythm; fixed by policy for everybody while there is no model.
    """
    if pace is not None:
        at_risk = pace.at_risk_days * DAY_SECONDS
        return at_risk, at_risk * policy.forecast.lapsed_after_deadlines
    rules = policy.lifecycle
    return rules.at_risk_after_days * DAY_SECONDS, rules.lapsed_after_days * DAY_SECONDS


def lived(
    history: Sequence[tuple[int, int]], policy: Policy, silent_until: int, pace_after: PaceAfter = fixed_pace
) -> tuple[Lifecycle, str]:
    """Where a history of purchases, (instant, day) oldest first, leads to, and why.

    Told from the whole history, so that the order in which its parts arrived is of no matter; every silence in it is
    judged by the model now in force and by what was known when it began. One day's purchases are one. `silent_until`
    0: nobody has proven that nothing came since the last of them.
    """
    state, reason = ON_VOID
    days = _spans(history)
    for number, (first_at, _) in enumerate(days):
        if number and (state == Lifecycle.NEW or number == len(days) - 1):  # else only the last silence tells
            state, reason = silent(state, reason, first_at - days[number - 1][1], policy, pace_after(number))
        if state != Lifecycle.NEW or number + 1 >= policy.lifecycle.active_from_purchases:
            state, reason = ON_PURCHASE[state]
    if not days:
        return state, reason
    return silent(state, reason, silent_until - days[-1][1], policy, pace_after(len(days)))


class Active(NamedTuple):
    """Since when they were active by their history as it was, and the instant from which it is another now."""

    since_at: int
    changed_at: int


def since_at(
    history: Sequence[tuple[int, int]],
    state: Lifecycle,
    policy: Policy,
    pace_after: PaceAfter = fixed_pace,
    before: Active | None = None,
) -> int:
    """When a history led to the state that `lived` found: at a purchase, or once a silence had lasted long enough.

    Told from the history, not from when it was noticed: somebody whose past is imported today has been at risk since
    their silence grew too long, not since today. As far as purchase days are kept one by one; who was active `before`,
    since before the change, is so still unless a silence is too long now. 0 without purchases: since first seen.
    """
    days = _spans(history)
    if not days:
        return 0
    first_at, last_at = days[-1]
    if state in (Lifecycle.AT_RISK, Lifecycle.LAPSED):
        return last_at + silence_limits(policy, pace_after(len(days)))[state == Lifecycle.LAPSED]
    if state == Lifecycle.NEW:
        return days[0][0]
    if state == Lifecycle.WON_BACK:
        return first_at
    if before is not None and not 0 < before.since_at < before.changed_at:
        before = None
    for number in range(len(days) - 1, 0, -1):  # active since they were last away, if they ever were
        if before is not None and days[number][0] < before.changed_at:
            break
        at_risk, lapsed = silence_limits(policy, pace_after(number))
        silence = days[number][0] - days[number - 1][1]
        if silence >= at_risk:
            return days[number + (silence >= lapsed)][0]  # who had lapsed is won back first
    return before.since_at if before is not None else days[policy.lifecycle.active_from_purchases - 1][0]


def first_difference(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> int | None:
    """The instant from which two histories are not the same; None where they are."""
    for mine, yours in zip_longest(one, other):
        if mine != yours:
            return min(each[0] for each in (mine, yours) if each is not None)
    return None


def _spans(history: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Instants of the first and the last purchase of each day."""
    spans: list[tuple[int, int]] = []
    last_day = -1
    for at, day in history:
        if day == last_day:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
        last_day = day
    return spans


def silent(state: Lifecycle, reason: str, seconds: int, policy: Policy, pace: Pace | None) -> tuple[Lifecycle, str]:
    """Where a silence of so many seconds leads from a state, and why."""
    while (limit := limit_of(state, policy, pace)) is not None and seconds >= limit:
        state, reason = ON_SILENCE[state]
    return state, reason


def limit_of(state: int, policy: Policy, pace: Pace | None = None) -> int | None:
    """Seconds of silence that move this state on, None if silence does not."""
    if state not in ON_SILENCE:
        return None
    at_risk, lapsed = silence_limits(policy, pace)
    return lapsed if state == Lifecycle.AT_RISK else at_risk
