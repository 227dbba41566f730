"""One event and one customer: what they are afterwards, and what is decided. Pure: the log alone determines both."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core import buckets, categories, decide, forecast, lifecycle, needs, owed, referrals, stage, standing
from pipeline.core import ledger as ledgers
from pipeline.core.apply import APPLY, KNOWN_BY_OWN_ID
from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, date_of
from pipeline.core.decisions import Decision
from pipeline.core.guardrails import NEVER
from pipeline.core.marks import MARK_BYTES, event_mark, is_marked, spread
from pipeline.core.moment import Moment, Note
from pipeline.core.policy import Policy
from pipeline.core.profile import EVENT_MARKS_MAX, Ledger, Lifecycle, Profile, Refund
from pipeline.core.referrals import Told
from pipeline.core.worth import WHOLE
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason

REVIEW_SECONDS: Final = 7 * DAY_SECONDS
"""Nobody goes unseen for longer than this once time passes."""
_SPREAD_SECONDS: Final = DAY_SECONDS
_LATE_SECONDS: Final = DAY_SECONDS
_PROSPECT: Final = int(Lifecycle.PROSPECT)


class Outcome(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    LATE = "late"
    DUPLICATE = "duplicate"
    TOO_OLD = "too_old"
    REVIEWED = "reviewed"


class Step(msgspec.Struct, frozen=True, gc=False):
    """The customer afterwards, what was decided on the way, and what became of the event."""

    profile: Profile
    decisions: tuple[Decision, ...]
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    """What is odd about the event, though it counts: for the dead letters."""
    told: tuple[Told, ...] = ()
    """What other customers' logs are told."""


def step(
    customer_id: str, profile: Profile | None, event: logged.CustomerEvent | logged.Tick, controls: Controls
) -> Step:
    """Apply the event, let time pass, look at the stage, decide. A Tick is a visit: only time passes.

    Before a log's first Tick events change the state and decide nothing: an import sends nothing.
    """
    tick_at = controls.tick_at
    notes: tuple[Note, ...]
    if isinstance(event, logged.Tick):
        if profile is None:
            raise ValueError("a Tick visits customers that are there")
        after = replace(profile, as_of=max(tick_at, profile.as_of))
        after = needs.reviewed(after, controls.policy, controls.affinity)
        after = forecast.paced(after, controls.models, controls.policy)
        outcome, notes = Outcome.REVIEWED, ()
    else:
        at = int(event.occurred_at.timestamp())
        applied = _applied(customer_id, profile, event, at, controls)
        if not isinstance(applied, tuple):
            assert profile is not None or applied is Outcome.TOO_OLD
            return Step(profile or _newcomer(at, tick_at), (), applied)
        after, outcome, notes = applied
    policy, came = controls.policy, after
    after = _aged(after, policy, controls)
    # A ledger is folded once a day, at every visit, and when it is too long: not at every event of a day.
    is_new_day = profile is None or after.bucket_day != profile.bucket_day
    if outcome is Outcome.REVIEWED or is_new_day or ledgers.is_too_long(after.ledger):
        unfolded, after = after, _folded(after, policy, controls)
        notes += _let_go(unfolded.ledger, after.ledger)
    told: tuple[Told, ...] = ()
    if not isinstance(event, logged.Tick):
        after, told, odd = referrals.told_on(customer_id, profile, after, event)
        notes += odd
    if not tick_at:
        changes = standing.after(customer_id, after, event, controls)
        return Step(replace(after, next_review_at=0, **changes), (), outcome, notes, told)
    # A late event triggers nothing its day would have; but time passes in its step too.
    after = decide.opened_by_silence(came if outcome is Outcome.LATE else profile, after, policy)
    if outcome is not Outcome.LATE:
        after = decide.opened_by_event(after, event, policy)
    changes = standing.after(customer_id, after, event, controls)
    decisions: tuple[Decision, ...] = ()
    look_at = NEVER
    if after.considerations:
        waiting = 0 if profile is None else decide.waiting(profile, came, after, controls)
        if waiting == len(after.considerations):
            look_at = after.look_at
        else:
            found = decide.settled(customer_id, after, controls, waiting=waiting)
            decisions, look_at = found.decisions, found.look_at
            changes |= found.changes
    changes["next_review_at"] = _next_review(customer_id, after, policy, tick_at=tick_at, look_at=look_at)
    return Step(replace(after, **changes), decisions, outcome, notes, told)


def _newcomer(at: int, tick_at: int) -> Profile:
    return Profile(first_seen_at=at, as_of=max(at, tick_at))


def _applied(
    customer_id: str, profile: Profile | None, event: logged.CustomerEvent, at: int, controls: Controls
) -> tuple[Profile, Outcome, tuple[Note, ...]] | Outcome:
    """The customer with the event applied, or why it is not."""
    tick_at = controls.tick_at
    before = profile or _newcomer(at, tick_at)
    kind = type(event)
    marks = before.event_marks
    if kind not in KNOWN_BY_OWN_ID:
        this = event_mark(event.source, event.id)
        if is_marked(marks, this):
            return Outcome.DUPLICATE
        marks = (marks + this)[-EVENT_MARKS_MAX * MARK_BYTES :]
    as_of = max(tick_at, at, before.as_of)
    now = Moment(customer_id, at, as_of, controls)
    before = forecast.paced(before, controls.models, controls.policy)
    try:
        changes = APPLY[kind](before, event, now)
    except ledgers.TooOld:
        return Outcome.TOO_OLD
    if changes is None:
        if profile is not None and at >= before.first_seen_at:
            return Outcome.DUPLICATE
        changes = {}  # nothing new but that they were here so early
    changes["as_of"] = as_of
    changes["event_marks"] = marks
    if at < before.first_seen_at:
        changes["first_seen_at"] = at
    if event.simulated:
        changes["simulated"] = 1
    if now.today != before.bucket_day:
        changes["bucket_day"] = now.today
        if buckets.ages(before.bucket_day, now.today):
            changes["buckets"] = buckets.aged(changes.get("buckets", before.buckets), now.today)
    outcome = Outcome.LATE if as_of - at > _LATE_SECONDS else Outcome.ACCEPTED
    return replace(before, **changes), outcome, tuple(now.notes)


def _aged(profile: Profile, policy: Policy, controls: Controls) -> Profile:
    """The customer after what time alone brings: silence, the prospect's limit, the stage's check."""
    as_of = profile.as_of
    pace = profile.pace
    limit = lifecycle.limit_of(profile.lifecycle, policy, pace) if controls.tick_at else None  # else none is proven
    while limit is not None:
        last = ledgers.first_and_last(profile.ledger)[1]
        if as_of - last < limit:
            break
        to, reason = lifecycle.ON_SILENCE[Lifecycle(profile.lifecycle)]
        since_at = max(last + limit, profile.lifecycle_since_at)  # a less patient model may have come meanwhile
        profile = replace(profile, lifecycle=int(to), lifecycle_reason=reason, lifecycle_since_at=since_at)
        limit = lifecycle.limit_of(profile.lifecycle, policy, pace)
        if to == Lifecycle.AT_RISK:
            break  # one state a step: the cause of what hangs on it is seen even by a late visit
    if profile.lifecycle == _PROSPECT and not profile.prospect_overdue:
        limit_at = profile.first_seen_at + policy.lifecycle.prospect_limit_days * DAY_SECONDS
        if as_of >= limit_at:
            profile = replace(profile, prospect_overdue=1)
    moved = stage.checked(profile, as_of, policy)
    return replace(profile, **moved) if moved else profile


def _folded(profile: Profile, policy: Policy, controls: Controls) -> Profile:
    """The customer with everything in the ledger folded that can no longer change."""
    ledger = profile.ledger
    if not ledger.orders and not ledger.refunds:
        return profile
    ledger = ledgers.folded(
        ledger, as_of=profile.as_of, window_days=policy.ledger.refund_window_days, first_tick_at=controls.first_tick_at,
        zone=policy.shop.time_zone,
    )  # fmt: skip
    if ledger is profile.ledger:
        return profile
    here = {each.order for each in ledger.orders}
    gone = [each for each in ledgers.purchases(profile.ledger) if each.order not in here]
    sales_at = stage.sales_at_after(profile, gone)
    wants, ledger = categories.settled(profile.needs, profile.ledger, ledger, policy.shop.time_zone)
    return replace(profile, ledger=ledger, needs=wants, sales_at=sales_at)


def _let_go(before: Ledger, after: Ledger) -> tuple[Note, ...]:
    """Refunds and cancellations that have waited too long for an order that nobody told."""
    if after is before:
        return ()
    known = {order.order for order in before.orders if order.known}
    here = {order.order for order in after.orders}
    return tuple(
        _without_order(Reason.REFUND_WITHOUT_ORDER, refund.refunded_at, _told(refund))
        for refund in before.refunds
        if refund.order not in known and refund not in after.refunds
    ) + tuple(
        _without_order(Reason.CANCELLATION_WITHOUT_ORDER, order.version_at, "it")
        for order in before.orders
        if order.cancelled and not order.known and order.order not in here
    )


def _told(refund: Refund) -> str:
    return "all of it" if refund.amount_minor == WHOLE else str(refund.amount_minor)


def _without_order(reason: Reason, at: int, what: str) -> Note:
    day = date_of(at // DAY_SECONDS)
    problem = f"order_id: expected an order told within the refund window of {day}, got none; {what} not counted"
    return Note(reason, problem)


def _next_review(customer_id: str, profile: Profile, policy: Policy, *, tick_at: int, look_at: int) -> int:
    """When time alone can next matter to this customer: always after the last Tick, at most seven days ahead."""
    now = max(profile.as_of, tick_at)
    review_at = now + REVIEW_SECONDS - spread(customer_id, _SPREAD_SECONDS)
    limit = lifecycle.limit_of(profile.lifecycle, policy, profile.pace)
    if limit is not None:
        review_at = min(review_at, ledgers.first_and_last(profile.ledger)[1] + limit)
    elif profile.lifecycle == _PROSPECT and not profile.prospect_overdue:
        review_at = min(review_at, profile.first_seen_at + policy.lifecycle.prospect_limit_days * DAY_SECONDS)
    due_at = owed.next_due(profile.dealings, now)
    if due_at:
        review_at = min(review_at, due_at)
    return max(min(review_at, look_at), now + 1)
