"""The customer as others may see them: the public face of a profile, figures as of its last change. JSON-ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict

from pipeline.core import cases
from pipeline.core import ledger as ledgers
from pipeline.core import stage as stages
from pipeline.core.acquisition import channel_view
from pipeline.core.codec import labels
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, instant, instant_or_none
from pipeline.core.profile import Ledger, Order, Profile
from pipeline.core.reckoned import Reckoned, reckoned
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import value_of
from pipeline.core.view_dealings import owed_to_them, satisfaction_of, stage_evidence
from pipeline.core.view_forecast import prediction
from pipeline.core.view_needs import needs_view
from pipeline.core.view_tier import scores, tier
from pipeline.core.worth import worth

_ORDERS_SHOWN: Final = 5
_DAYS_SHOWN: Final = 5


def view(customer_id: str, profile: Profile, controls: Controls, *, partition: int, offset: int) -> dict[str, Any]:
    """The view of a customer. (partition, offset) says which of two views is the later."""
    policy, as_of = controls.policy, profile.as_of
    first, last = ledgers.first_and_last(profile.ledger)
    first_seen_at = instant(profile.first_seen_at)
    stage, lifecycle = labels(profile.stage, profile.lifecycle)
    known = reckoned(profile, controls, customer_id)
    return {
        "customer_id": customer_id,
        "partition": partition,
        "offset": offset,
        "as_of": instant(as_of),
        "first_seen_at": first_seen_at,
        "stage": stage,
        "stage_reason": stages.reason(profile),
        "stage_since_at": instant_or_none(profile.stage_since_at) or first_seen_at,
        "stage_evidence": stage_evidence(profile, policy, known),
        "lifecycle": lifecycle,
        "lifecycle_reason": profile.lifecycle_reason,
        "lifecycle_since_at": instant_or_none(profile.lifecycle_since_at) or first_seen_at,
        "prospect_overdue": bool(profile.prospect_overdue),
        "value": _value(profile, controls, known),
        "prediction": prediction(profile, controls, known),
        "tier": tier(profile, controls),
        "rfm": scores(controls, known),
        "first_purchase_at": instant_or_none(first),
        "last_purchase_at": instant_or_none(last),
        "days_since_purchase": (as_of - last) // 86_400 if last else None,
        "purchase_days": [date_of(day) for day in known.purchase_days[-_DAYS_SHOWN:]],
        "windows": {f"days_{days}": _window(sums) for days, sums in known.windows.items()},
        "open_tickets": sum(not cases.is_solved(case) for case in profile.dealings.cases),
        "complaint_open": cases.has_open_complaint(profile),
        "complaints": profile.complaints,
        "complaint_closed_at": instant_or_none(profile.complaint_closed_at),
        "consents": [
            {
                "purpose": each.purpose,
                "channel": each.channel,
                "granted": bool(each.granted),
                "changed_at": instant(each.changed_at),
                "valid_until": instant_or_none(each.valid_until),
            }
            for each in profile.consents
        ],
        "preferences": {
            "marketing_channel": profile.marketing_channel,
            "service_channel": profile.service_channel,
            "interests": list(profile.interests),
        },
        "needs": needs_view(profile, controls, known),
        "considerations_open": [
            {"rule": each.rule, "business_key": each.business_key, "expires_at": instant(each.expires_at)}
            for each in profile.considerations
        ],
        "last_decision": _last_decision(profile),
        "next_review_at": instant_or_none(profile.next_review_at),
        "policy_hash": controls.policy_hash,
        "simulated": bool(profile.simulated),
        "satisfaction": satisfaction_of(profile, policy, known),
        "owed": owed_to_them(profile, as_of),
    }


def _value(profile: Profile, controls: Controls, known: Reckoned) -> dict[str, Any]:
    ledger, of_orders = profile.ledger, known.live.worth
    to_date = value_of(of_orders, profile, controls, known.channel_costs)
    worth_minor = to_date.value_to_date_minor
    referred = referral_value_minor(profile, controls.policy.value)
    here = {order.order for order in ledger.orders if order.known}
    return {
        "currency": profile.currency or None,
        "orders": ledger.folded_orders + known.live.orders,
        "revenue_minor": of_orders.revenue_minor,
        "refunded_minor": of_orders.refunded_minor,
        "net_revenue_minor": of_orders.revenue_minor - of_orders.refunded_minor,
        "discount_minor": ledger.folded_discount_minor + sum([order.discount_minor for order in known.purchases]),
        "acquisition_cost_minor": to_date.acquisition_cost_minor,
        "retention_cost_minor": to_date.retention_cost_minor,
        "service_cost_minor": to_date.service_cost_minor,
        "value_to_date_minor": worth_minor,
        "referral_value_minor": referred,
        "value_with_referrals_minor": worth_minor + referred,
        **asdict(to_date),
        "cohort_month": known.cohort_month,
        "acquisition_channels": [
            channel_view(each, controls, known.cohort_month or "") for each in known.channel_costs
        ],
        "latest_orders": _latest_orders(ledger, known, to_date.channel_cost_minor),
        "refunds_waiting": sum([refund.order not in here for refund in ledger.refunds]),
        "refunds_let_go": ledger.orphans,
    }


def _latest_orders(ledger: Ledger, known: Reckoned, channel_cost_minor: int) -> list[dict[str, Any]]:
    """The latest orders, each with what getting it cost; the first of all bears what winning the customer cost."""
    latest = sorted(known.purchases, key=_newest, reverse=True)
    shown = []
    first = latest[-1] if latest and latest[-1].purchased_at == ledger.first_at else None
    for order in latest[:_ORDERS_SHOWN]:
        of = worth(order, ledger.refunds)
        winning = channel_cost_minor if order is first else 0
        cost = of.discount_minor + of.commission_minor + order.cost_minor + winning
        shown.append(
            {
                "purchased_at": instant(order.purchased_at),
                "revenue_minor": of.revenue_minor,
                "refunded_minor": of.refunded_minor,
                "margin_minor": of.margin_minor,
                "discount_cost_minor": of.discount_minor,
                "commission_cost_minor": of.commission_minor,
                "recorded_cost_minor": order.cost_minor,
                "channel_cost_minor": winning,
                "cost_minor": cost,
                "left_minor": of.margin_minor - cost,
            }
        )
    return shown


def _newest(order: Order) -> tuple[int, int]:
    return order.purchased_at, order.order


def _window(sums: Sequence[int]) -> dict[str, int | float | None]:
    """A window's rolling figures, which come in the order of `Measure`."""
    (
        orders, revenue_minor, refunded_minor, delivered, opened, clicked, mentions, sentiment_milli, sentiments,
        complaints, contacts, reviews,
    ) = sums  # fmt: skip
    return {
        "orders": orders,
        "revenue_minor": revenue_minor,
        "refunded_minor": refunded_minor,
        "emails_delivered": delivered,
        "emails_opened": opened,
        "emails_clicked": clicked,
        "mentions": mentions,
        "reviews": reviews,
        "sentiment_mean": round(sentiment_milli / sentiments / 1000, 3) if sentiments else None,
        "complaints": complaints,
        "contacts": contacts,
    }


def _last_decision(profile: Profile) -> dict[str, object] | None:
    if profile.last_decision is None:
        return None
    rule, outcome, reason, decided_at = profile.last_decision
    return {"rule": rule, "outcome": outcome, "reason": reason, "decided_at": instant(decided_at)}
