"""Which triggers are considered, and what becomes of each: the table of a consideration's moves.

A consideration opens when its rule's cause occurs, never because something merely is so. Held, it ends in one of sent,
withheld, expired or cancelled; each move is one decision, and being held again is none. So
considered = sent + withheld + expired + cancelled + still held.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pipeline.core import guardrails
from pipeline.core import ledger as ledgers
from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, date_of, day_of, instant
from pipeline.core.decisions import Decision, Outcome, Reason
from pipeline.core.lifecycle import silence_limits
from pipeline.core.marks import mark, trigger_id
from pipeline.core.policy import Policy, Rule
from pipeline.core.profile import (
    ASKED_MAX,
    CONSIDERATIONS_MAX,
    Consideration,
    Lifecycle,
    Profile,
    Stage,
)  # fmt: skip
from pipeline.schemas import logged

RETENTION_OFFER: Final = "retention_offer"
FEEDBACK_REQUEST: Final = "feedback_request"

CAUSES: Final = {RETENTION_OFFER: Reason.AT_RISK, FEEDBACK_REQUEST: Reason.ORDER_DONE}
"""Why each rule's trigger is considered."""


def opened(
    before: Profile | None, after: Profile, event: logged.CustomerEvent | logged.Tick, controls: Controls
) -> Profile:
    """The customer with a consideration for each cause that this step brought about."""
    policy = controls.policy
    if after.lifecycle == Lifecycle.AT_RISK and (before is None or before.lifecycle != Lifecycle.AT_RISK):
        after = _open_retention(after, event, policy)
    if isinstance(event, logged.OrderCompleted) and (before is None or after.ledger is not before.ledger):
        after = _open_feedback(after, event, policy)
    elif isinstance(event, logged.OrderDelivered):
        after = _hasten_feedback(after, event, policy)
    return after


def _open_retention(profile: Profile, event: logged.CustomerEvent | logged.Tick, policy: Policy) -> Profile:
    rule = policy.rules.retention_offer
    last = ledgers.first_and_last(profile.ledger)[1]
    key = date_of(day_of(last, policy.shop.time_zone))
    caused_at = last + silence_limits(policy)[0]
    not_before = caused_at + rule.wait_days * DAY_SECONDS
    return _with(profile, RETENTION_OFFER, rule, event, key=key, caused_at=caused_at, not_before=not_before)


def _open_feedback(profile: Profile, event: logged.OrderCompleted, policy: Policy) -> Profile:
    order = mark(event.order_id)
    if order in profile.asked:
        return profile
    rule = policy.rules.feedback_request
    caused_at = int(event.occurred_at.timestamp())
    profile = replace(profile, asked=(*profile.asked, order)[-ASKED_MAX:])
    not_before = caused_at + rule.wait_days * DAY_SECONDS
    return _with(profile, FEEDBACK_REQUEST, rule, event, key=event.order_id, caused_at=caused_at, not_before=not_before)


def _hasten_feedback(profile: Profile, event: logged.OrderDelivered, policy: Policy) -> Profile:
    """A known delivery says better than the order's date when to ask."""
    not_before = (
        int(event.occurred_at.timestamp()) + policy.rules.feedback_request.wait_after_delivery_days * DAY_SECONDS
    )
    held = tuple(
        replace(each, not_before_at=not_before)
        if each.rule == FEEDBACK_REQUEST and each.business_key == event.order_id
        else each
        for each in profile.considerations
    )
    return replace(profile, considerations=held)


def _with(  # noqa: PLR0913 - a consideration's parts
    profile: Profile,
    name: str,
    rule: Rule,
    event: logged.CustomerEvent | logged.Tick,
    *,
    key: str,
    caused_at: int,
    not_before: int,
) -> Profile:
    if not rule.enabled:
        return profile
    cause_id, source = ("", "tick") if isinstance(event, logged.Tick) else (event.id, event.source)
    new = Consideration(
        name, rule.edition, key, cause_id, source, caused_at, profile.as_of, not_before,
        not_before + rule.expires_after_days * DAY_SECONDS,
    )  # fmt: skip
    return replace(profile, considerations=(*profile.considerations, new))


def settled(customer_id: str, profile: Profile, controls: Controls) -> tuple[Profile, tuple[Decision, ...]]:
    """The customer after every open consideration was looked at once, by priority, and what was decided."""
    decisions: list[Decision] = []
    held: list[Consideration] = []
    rules = controls.policy.rules
    for each in sorted(
        profile.considerations, key=lambda one: (getattr(rules, one.rule).priority, one.caused_at, one.business_key)
    ):
        outcome, reason = _move(profile, each, controls.policy)
        if outcome is Outcome.HELD and len(held) >= CONSIDERATIONS_MAX:
            outcome, reason = Outcome.WITHHELD, Reason.TOO_MANY_OPEN
        if outcome is not Outcome.HELD or not each.announced:
            decisions.append(_decision(customer_id, profile, each, (outcome, reason), controls))
        if outcome is Outcome.HELD:
            held.append(each if each.announced else replace(each, announced=1))
        elif outcome is Outcome.SENT:
            profile = replace(
                profile,
                sent_at=(*profile.sent_at, profile.as_of)[-controls.policy.guard_rails.messages_max :],
                rule_sent_at={**profile.rule_sent_at, each.rule: profile.as_of},
            )
    if decisions:
        last = decisions[-1]
        profile = replace(profile, last_decision=(last.rule, last.outcome, last.reasons[0], profile.as_of))
    return replace(profile, considerations=tuple(held)), tuple(decisions)


def _move(profile: Profile, each: Consideration, policy: Policy) -> tuple[Outcome, Reason]:
    """Where a consideration moves now, and why."""
    rule: Rule = getattr(policy.rules, each.rule)
    void = _void(profile, each)
    if void is not None:
        return Outcome.CANCELLED, void
    if profile.as_of >= each.expires_at:
        return Outcome.EXPIRED, Reason.STALE
    if not rule.enabled:
        return Outcome.WITHHELD, Reason.RULE_OFF
    if profile.as_of < each.not_before_at:
        return Outcome.HELD, Reason.TOO_SOON
    stop = guardrails.first_stop(profile, each.rule, rule, policy, as_of=profile.as_of, expires_at=each.expires_at)
    if stop is None:
        return Outcome.SENT, CAUSES[each.rule]
    return (Outcome.WITHHELD if stop.is_final else Outcome.HELD), stop.reason


def _void(profile: Profile, each: Consideration) -> Reason | None:
    """Why the cause is gone, if it is."""
    if each.rule == RETENTION_OFFER:
        return (
            Reason.PURCHASED
            if profile.lifecycle in (Lifecycle.NEW, Lifecycle.ACTIVE, Lifecycle.WON_BACK)
            else (Reason.ORDER_VOID if profile.lifecycle == Lifecycle.PROSPECT else None)
        )
    order = ledgers.find(profile.ledger, mark(each.business_key))
    return Reason.ORDER_VOID if order is not None and ledgers.is_void(profile.ledger, order) else None


def next_look_at(profile: Profile, policy: Policy) -> int:
    """The earliest instant at which time alone can move an open consideration."""
    soonest = guardrails.NEVER
    for each in profile.considerations:
        if profile.as_of < each.not_before_at:
            look_at = each.not_before_at
        else:
            rule: Rule = getattr(policy.rules, each.rule)
            stop = guardrails.first_stop(
                profile, each.rule, rule, policy, as_of=profile.as_of, expires_at=each.expires_at
            )
            look_at = profile.as_of + 1 if stop is None else stop.until_at
        soonest = min(soonest, look_at, each.expires_at)
    return soonest


def _decision(
    customer_id: str, profile: Profile, each: Consideration, move: tuple[Outcome, Reason], controls: Controls
) -> Decision:
    outcome, reason = move
    rule: Rule = getattr(controls.policy.rules, each.rule)
    return Decision(
        trigger_id=trigger_id(customer_id, each.rule, each.business_key, each.edition),
        rule=each.rule,
        edition=each.edition,
        customer_id=customer_id,
        business_key=each.business_key,
        outcome=outcome,
        reasons=(reason,),
        numbers=_numbers(profile, each, controls.policy),
        cause_event_id=each.cause_id,
        cause_source=each.cause_source,
        caused_at=instant(each.caused_at),
        considered_at=instant(each.considered_at),
        decided_at=instant(profile.as_of),
        expires_at=instant(each.expires_at),
        purpose=rule.purpose,
        channel=guardrails.channel_of(profile, rule),
        stage=Stage(profile.stage).label,
        lifecycle=Lifecycle(profile.lifecycle).label,
        policy_hash=controls.policy_hash,
    )


def _numbers(profile: Profile, each: Consideration, policy: Policy) -> dict[str, int | float | str]:
    """The figures the decision rests on."""
    last = ledgers.first_and_last(profile.ledger)[1]
    numbers: dict[str, int | float | str] = {
        "days_since_purchase": (profile.as_of - last) // DAY_SECONDS if last else 0,
        "messages_in_window": sum(
            at > profile.as_of - policy.guard_rails.messages_window_days * DAY_SECONDS for at in profile.sent_at
        ),
    }
    if each.rule == RETENTION_OFFER:
        orders, revenue, refunded, _ = ledgers.totals(profile.ledger)
        numbers |= {"orders": orders, "net_revenue_minor": revenue - refunded, "currency": profile.currency}
    return numbers
