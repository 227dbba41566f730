"""Which triggers are considered, and what becomes of each: the table of a consideration's moves.

A consideration opens when its rule's cause occurs, never because something merely is so. Held, it ends in one of sent,
withheld, expired or cancelled; each move is one decision, and being held again is none. So
considered = sent + withheld + expired + cancelled + still held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from pipeline.core import guardrails
from pipeline.core import ledger as ledgers
from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, date_of, day_of, instant
from pipeline.core.decisions import Decision, Outcome, Reason
from pipeline.core.lifecycle import silence_limits
from pipeline.core.marks import mark, packed_id, short_mark, trigger_id, unpacked_id
from pipeline.core.moment import Changes
from pipeline.core.needs import contacts_max, marketing_channel
from pipeline.core.policy import Policy, Rule
from pipeline.core.profile import (
    ASKED,
    CONSIDERATIONS_MAX,
    LIFECYCLES,
    MESSAGES_MAX,
    MESSAGES_WINDOW_DAYS_MAX,
    STAGES,
    Consideration,
    Ledger,
    Lifecycle,
    Order,
    Profile,
)  # fmt: skip
from pipeline.core.words import short
from pipeline.schemas import logged

RETENTION_OFFER: Final = "retention_offer"
FEEDBACK_REQUEST: Final = "feedback_request"

CAUSES: Final = {RETENTION_OFFER: Reason.AT_RISK, FEEDBACK_REQUEST: Reason.ORDER_DONE}
"""Why each rule's trigger is considered."""


def opened_by_silence(before: Profile | None, after: Profile, policy: Policy) -> Profile:
    """The customer with a consideration for a silence that has reached its limit since `before`.

    A silent spell is considered once, also when a purchase that had ended it is cancelled. Its cause is no event.
    """
    if after.lifecycle != Lifecycle.AT_RISK or (before is not None and before.lifecycle == Lifecycle.AT_RISK):
        return after
    last = ledgers.first_and_last(after.ledger)[1]
    spell = day_of(last, policy.shop.time_zone)
    if spell <= after.spell_considered:
        return after
    caused_at = last + silence_limits(policy, after.pace)[0]
    not_before = caused_at + policy.rules.retention_offer.wait_days * DAY_SECONDS
    cause = _Cause(date_of(spell), "", "tick", caused_at, not_before)
    return replace(after, spell_considered=spell, considerations=_with(after, RETENTION_OFFER, policy, cause))


def opened_by_event(profile: Profile, event: logged.CustomerEvent | logged.Tick, policy: Policy) -> Profile:
    """The customer with a consideration for what the event is the cause of."""
    opens = _OPENED_BY.get(type(event))
    return profile if opens is None else opens(profile, event, policy)


def _open_feedback(profile: Profile, event: logged.OrderCompleted, policy: Policy) -> Profile:
    entry = ledgers.find(profile.ledger, mark(event.order_id))
    if entry is None or entry.asked:  # none: an old order told anew, and folded since
        return profile
    rule = policy.rules.feedback_request
    not_before = entry.purchased_at + rule.wait_days * DAY_SECONDS
    if entry.delivered_at:
        not_before = entry.delivered_at + rule.wait_after_delivery_days * DAY_SECONDS
    cause = _Cause(event.order_id, event.id, event.source, entry.purchased_at, not_before)
    asked = ledgers.put(profile.ledger, replace(entry, noted=entry.noted | ASKED))
    return replace(profile, ledger=asked, considerations=_with(profile, FEEDBACK_REQUEST, policy, cause))


def _hasten_feedback(profile: Profile, event: logged.OrderDelivered, policy: Policy) -> Profile:
    """A known delivery says better than the order's date when to ask; of one told again the earliest counts."""
    rule, entry = policy.rules.feedback_request, ledgers.find(profile.ledger, mark(event.order_id))
    if entry is None or not entry.delivered_at:  # of an old order, which is folded
        return profile
    not_before = entry.delivered_at + rule.wait_after_delivery_days * DAY_SECONDS
    expires = not_before + rule.expires_after_days * DAY_SECONDS
    held = tuple(
        replace(each, not_before_at=not_before, expires_at=expires)
        if each.rule == FEEDBACK_REQUEST and each.business_key == event.order_id
        else each
        for each in profile.considerations
    )
    return replace(profile, considerations=held)


_OPENED_BY: Final[dict[type, Callable[[Profile, Any, Policy], Profile]]] = {
    logged.OrderCompleted: _open_feedback,
    logged.OrderDelivered: _hasten_feedback,
}


class _Cause(msgspec.Struct, frozen=True, gc=False):
    """What a consideration is opened for, and from when on its message may go out."""

    key: str
    event_id: str
    source: str
    at: int
    not_before_at: int


def _with(profile: Profile, name: str, policy: Policy, cause: _Cause) -> tuple[Consideration, ...]:
    """The considerations with one more, if the rule is on."""
    rule: Rule = getattr(policy.rules, name)
    if not rule.enabled:
        return profile.considerations
    expires_at = cause.not_before_at + rule.expires_after_days * DAY_SECONDS
    new = Consideration(
        short(name), rule.edition, cause.key, packed_id(cause.event_id), cause.source, cause.at, profile.as_of,
        cause.not_before_at, expires_at,
    )  # fmt: skip
    return (*profile.considerations, new)


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What changes in the customer when every open consideration is looked at, what is decided, when to look again."""

    changes: Changes
    decisions: tuple[Decision, ...]
    look_at: int
    """The earliest instant at which time alone can move an open consideration."""


def waiting(before: Profile, came: Profile, after: Profile, controls: Controls) -> int:
    """How many of the considerations, from the first, need no look: nothing they hang on has changed since the last.

    `before`: as the last look left the customer; `came`: with the event applied; `after`: with everything else of its
    step. A new order makes none void that was open before it, nor does folding.
    """
    count, rules = len(before.considerations), controls.policy.needs
    has_stayed = (
        after.as_of < before.look_at
        and after.looked_under == short_mark(controls.policy_hash)
        and (came.ledger is before.ledger or _has_one_order_more(came.ledger, before.ledger))
        and after.lifecycle == before.lifecycle
        and after.consents is before.consents
        and after.dealings.cases is before.dealings.cases
        and after.complaint_closed_at == before.complaint_closed_at
        and marketing_channel(after, rules) == marketing_channel(before, rules)
        and contacts_max(after, rules) == contacts_max(before, rules)
        and after.needs.contacts_at == before.needs.contacts_at
        and after.considerations[:count] == before.considerations
    )
    return count if has_stayed else 0


def _has_one_order_more(after: Ledger, before: Ledger) -> bool:
    return (
        after.refunds is before.refunds and len(after.orders) == len(before.orders) + 1 and bool(after.orders[-1].known)
    )


class _Rails:
    """What stops each rule's message now: the same for all its considerations, until something is sent."""

    __slots__ = ("_policy", "_profile", "_stops")

    def __init__(self, profile: Profile, policy: Policy) -> None:
        self._profile = profile
        self._policy = policy
        self._stops: dict[str, guardrails.Stop | None] = {}

    def stop(self, rule: str) -> guardrails.Stop | None:
        if rule not in self._stops:
            self._stops[rule] = guardrails.first_stop(self._profile, rule, self._policy)
        return self._stops[rule]


def settled(customer_id: str, profile: Profile, controls: Controls, *, waiting: int = 0) -> Settled:
    """Look at every open consideration once, by priority; at none of the first `waiting`, as `waiting` has found."""
    decisions: list[Decision] = []
    policy = controls.policy
    held = list(profile.considerations[:waiting])
    due = sorted(profile.considerations[waiting:], key=lambda each: _turn(each, policy))
    if held and due and _turn(due[0], policy) < _turn(held[-1], policy):  # it may take the place of one that waits
        return settled(customer_id, profile, controls)
    rails = _Rails(profile, policy)
    orders = {order.order: order for order in profile.ledger.orders} if len(due) > 1 else None
    for each in due:
        void = _void(profile, each, policy, orders)
        outcome, reason = (Outcome.CANCELLED, void) if void is not None else _move(profile, each, policy, rails)
        if outcome is Outcome.HELD and len(held) >= CONSIDERATIONS_MAX:
            outcome, reason = Outcome.WITHHELD, Reason.TOO_MANY_OPEN
        if outcome is not Outcome.HELD or not each.announced:
            decisions.append(_decision(customer_id, profile, each, (outcome, reason), controls))
        if outcome is Outcome.HELD:
            held.append(each if each.announced else replace(each, announced=1))
        elif outcome is Outcome.SENT:
            if waiting:  # a message sent counts for those that wait
                return settled(customer_id, profile, controls)
            profile = replace(
                profile,
                sent_at=_lately(profile.sent_at, profile.as_of),
                rule_sent_at={**profile.rule_sent_at, each.rule: profile.as_of},
            )
            rails = _Rails(profile, policy)
    look_at = min([_look_at(profile, each, rails) for each in held[waiting:]], default=guardrails.NEVER)
    if waiting:
        look_at = min(look_at, profile.look_at)
    changes: Changes = {"look_at": look_at if held else 0, "looked_under": short_mark(controls.policy_hash)}
    if decisions:
        last = decisions[-1]
        changes["considerations"] = tuple(held)
        changes["last_decision"] = (last.rule, last.outcome, last.reasons[0], profile.as_of)
        changes["sent_at"], changes["rule_sent_at"] = profile.sent_at, profile.rule_sent_at
    return Settled(changes, tuple(decisions), look_at)


def _lately(sent_at: tuple[int, ...], as_of: int) -> tuple[int, ...]:
    """The messages sent that a cap or a wish may look at, with the one of now."""
    since = as_of - MESSAGES_WINDOW_DAYS_MAX * DAY_SECONDS
    return (*(at for at in sent_at if at > since), as_of)[-MESSAGES_MAX:]


def _turn(each: Consideration, policy: Policy) -> tuple[int, int, str]:
    """When its turn is, among the others: by priority, then by cause."""
    return (getattr(policy.rules, each.rule).priority, each.caused_at, each.business_key)


def _move(profile: Profile, each: Consideration, policy: Policy, rails: _Rails) -> tuple[Outcome, Reason]:
    """Where a consideration whose cause stands moves now, and why."""
    rule: Rule = getattr(policy.rules, each.rule)
    if profile.as_of >= each.expires_at:
        return Outcome.EXPIRED, Reason.STALE
    if not rule.enabled:
        return Outcome.WITHHELD, Reason.RULE_OFF
    if profile.as_of < each.not_before_at:
        return Outcome.HELD, Reason.TOO_SOON
    stop = rails.stop(each.rule)
    if stop is None:
        return Outcome.SENT, CAUSES[each.rule]
    return (Outcome.WITHHELD if guardrails.is_final(stop, each.expires_at) else Outcome.HELD), stop.reason


def _void(profile: Profile, each: Consideration, policy: Policy, orders: Mapping[int, Order] | None) -> Reason | None:
    """Why the cause is gone, if it is. `orders`: those of the ledger by their marks, where many are asked for."""
    if each.rule == RETENTION_OFFER:
        last = ledgers.first_and_last(profile.ledger)[1]
        spell = date_of(day_of(last, policy.shop.time_zone)) if last else ""
        if spell < each.business_key:
            return Reason.ORDER_VOID
        is_silent = profile.lifecycle in (Lifecycle.AT_RISK, Lifecycle.LAPSED) and spell == each.business_key
        return None if is_silent else Reason.PURCHASED
    key = mark(each.business_key)
    order = ledgers.find(profile.ledger, key) if orders is None else orders.get(key)
    return Reason.ORDER_VOID if order is not None and ledgers.is_void(profile.ledger, order) else None


def _look_at(profile: Profile, each: Consideration, rails: _Rails) -> int:
    """The earliest instant at which time alone can move this one."""
    if profile.as_of < each.not_before_at:
        return min(each.not_before_at, each.expires_at)
    stop = rails.stop(each.rule)
    if stop is None:
        return profile.as_of + 1
    return min(stop.until_at, each.expires_at, guardrails.consent_ends_at(profile))


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
        cause_event_id=unpacked_id(each.cause_id),
        cause_source=each.cause_source,
        caused_at=instant(each.caused_at),
        considered_at=instant(each.considered_at),
        decided_at=instant(profile.as_of),
        expires_at=instant(each.expires_at),
        purpose=rule.purpose,
        channel=guardrails.channel_of(profile, rule, controls.policy),
        stage=STAGES[profile.stage],
        lifecycle=LIFECYCLES[profile.lifecycle],
        policy_hash=controls.policy_hash,
    )


def _numbers(profile: Profile, each: Consideration, policy: Policy) -> dict[str, int | float | str]:
    """The figures the decision rests on."""
    last = ledgers.first_and_last(profile.ledger)[1]
    numbers: dict[str, int | float | str] = {
        "days_since_purchase": (profile.as_of - last) // DAY_SECONDS if last else 0,
        "messages_in_window": len(guardrails.messages_within(profile, policy.guard_rails.messages_window_days)),
    }
    wish = contacts_max(profile, policy.needs)
    if wish is not None:
        numbers |= {
            "messages_in_month": len(guardrails.messages_within(profile, guardrails.MONTH_DAYS)),
            "contacts_per_month_max": wish,
        }
    if each.rule == RETENTION_OFFER:
        orders, revenue, refunded, _ = ledgers.totals(profile.ledger)
        numbers |= {"orders": orders, "net_revenue_minor": revenue - refunded, "currency": profile.currency}
    return numbers
