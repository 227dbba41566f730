"""The customer as others may see them: the public face of a profile, figures as of its last change. JSON-ready."""

from __future__ import annotations

from typing import Any, Final

from pipeline.core import buckets
from pipeline.core import ledger as ledgers
from pipeline.core import stage as stages
from pipeline.core.acquisition import WHOLE, channel_costs, cohort_month, cpa
from pipeline.core.buckets import Measure
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, day_of, instant
from pipeline.core.profile import Lifecycle, Profile, Stage
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import value
from pipeline.core.view_dealings import owed_to_them, satisfaction_of, stage_evidence
from pipeline.core.view_forecast import prediction
from pipeline.core.view_needs import needs_view
from pipeline.core.view_tier import scores, tier
from pipeline.core.worth import worth

_ORDERS_SHOWN: Final = 5


def view(customer_id: str, profile: Profile, controls: Controls, *, partition: int, offset: int) -> dict[str, Any]:
    """The view of a customer. (partition, offset) says which of two views is the later."""
    policy, as_of = controls.policy, profile.as_of
    zone = policy.shop.time_zone
    first, last = ledgers.first_and_last(profile.ledger)
    return {
        "customer_id": customer_id,
        "partition": partition,
        "offset": offset,
        "as_of": instant(as_of),
        "first_seen_at": instant(profile.first_seen_at),
        "stage": Stage(profile.stage).label,
        "stage_reason": stages.reason(profile),
        "stage_since_at": instant(profile.stage_since_at or profile.first_seen_at),
        "stage_evidence": stage_evidence(profile, as_of, policy),
        "lifecycle": Lifecycle(profile.lifecycle).label,
        "lifecycle_reason": profile.lifecycle_reason,
        "lifecycle_since_at": instant(profile.lifecycle_since_at or profile.first_seen_at),
        "prospect_overdue": bool(profile.prospect_overdue),
        "value": _value(profile, controls),
        "prediction": prediction(profile, controls),
        "tier": tier(profile, controls),
        "rfm": scores(profile, controls),
        "first_purchase_at": instant(first) if first else None,
        "last_purchase_at": instant(last) if last else None,
        "days_since_purchase": (as_of - last) // 86_400 if last else None,
        "purchase_days": [date_of(day) for day in ledgers.purchase_days(profile.ledger, zone)[-5:]],
        "windows": _windows(profile, day_of(as_of, zone)),
        "open_tickets": len(profile.tickets),
        "complaint_open": stages.has_open_complaint(profile),
        "complaints": profile.complaints,
        "complaint_closed_at": instant(profile.complaint_closed_at) if profile.complaint_closed_at else None,
        "consents": [
            {
                "purpose": each.purpose,
                "channel": each.channel,
                "granted": bool(each.granted),
                "changed_at": instant(each.changed_at),
                "valid_until": instant(each.valid_until) if each.valid_until else None,
            }
            for each in profile.consents
        ],
        "preferences": {
            "marketing_channel": profile.marketing_channel,
            "service_channel": profile.service_channel,
            "interests": list(profile.interests),
        },
        "needs": needs_view(profile, controls),
        "considerations_open": [
            {"rule": each.rule, "business_key": each.business_key, "expires_at": instant(each.expires_at)}
            for each in profile.considerations
        ],
        "last_decision": _last_decision(profile),
        "next_review_at": instant(profile.next_review_at) if profile.next_review_at else None,
        "policy_hash": controls.policy_hash,
        "simulated": bool(profile.simulated),
        "satisfaction": satisfaction_of(profile, as_of, policy),
        "owed": owed_to_them(profile, as_of),
    }


def _value(profile: Profile, controls: Controls) -> dict[str, Any]:
    orders, revenue, refunded, discount = ledgers.totals(profile.ledger)
    to_date = value(profile, controls)
    referred = referral_value_minor(profile, controls.policy.value)
    here = {order.order for order in profile.ledger.orders if order.known}
    return {
        "currency": profile.currency or None,
        "orders": orders,
        "revenue_minor": revenue,
        "refunded_minor": refunded,
        "net_revenue_minor": revenue - refunded,
        "discount_minor": discount,
        "acquisition_cost_minor": to_date.acquisition_cost_minor,
        "retention_cost_minor": to_date.retention_cost_minor,
        "service_cost_minor": to_date.service_cost_minor,
        "value_to_date_minor": to_date.value_to_date_minor,
        "referral_value_minor": referred,
        "value_with_referrals_minor": to_date.value_to_date_minor + referred,
        **to_date._asdict(),
        "cohort_month": cohort_month(profile, controls.policy.shop.time_zone),
        "acquisition_channels": _acquisition_channels(profile, controls),
        "latest_orders": _latest_orders(profile, to_date.channel_cost_minor),
        "refunds_waiting": sum(refund.order not in here for refund in profile.ledger.refunds),
        "refunds_let_go": profile.ledger.orphans,
    }


def _acquisition_channels(profile: Profile, controls: Controls) -> list[dict[str, Any]]:
    month = cohort_month(profile, controls.policy.shop.time_zone) or ""
    shown = []
    for channel, share, cost_minor in channel_costs(profile, controls):
        cost = cpa(controls, channel, month)
        shown.append(
            {
                "channel": channel,
                "share_fraction": round(share / WHOLE, 9),
                "cost_minor": cost_minor,
                "cpa_minor": cost.estimate_minor if cost else None,
                "cpa_low_minor": cost.low_minor if cost else None,
                "cpa_high_minor": cost.high_minor if cost else None,
            }
        )
    return shown


def _latest_orders(profile: Profile, channel_cost_minor: int) -> list[dict[str, Any]]:
    """The latest orders, each with what getting it cost; the first of all bears what winning the customer cost."""
    ledger = profile.ledger
    latest = sorted(ledgers.purchases(ledger), key=lambda each: (each.purchased_at, each.order), reverse=True)
    shown = []
    first = latest[-1] if latest and latest[-1].purchased_at == ledger.first_at else None
    for order in latest[:_ORDERS_SHOWN]:
        winning = channel_cost_minor if order is first else 0
        of = worth(order, ledger.refunds)
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


def _windows(profile: Profile, today: int) -> dict[str, dict[str, int | float | None]]:
    shown: dict[str, dict[str, int | float | None]] = {}
    for days, sums in buckets.figures(profile.buckets, today).items():
        scored = sums[Measure.SENTIMENTS]
        shown[f"days_{days}"] = {
            "orders": sums[Measure.ORDERS],
            "revenue_minor": sums[Measure.REVENUE_MINOR],
            "refunded_minor": sums[Measure.REFUNDED_MINOR],
            "emails_delivered": sums[Measure.EMAILS_DELIVERED],
            "emails_opened": sums[Measure.EMAILS_OPENED],
            "emails_clicked": sums[Measure.EMAILS_CLICKED],
            "mentions": sums[Measure.MENTIONS],
            "reviews": sums[Measure.REVIEWS],
            "sentiment_mean": round(sums[Measure.SENTIMENT_MILLI] / scored / 1000, 3) if scored else None,
            "complaints": sums[Measure.COMPLAINTS],
            "contacts": sums[Measure.CONTACTS],
        }
    return shown


def _last_decision(profile: Profile) -> dict[str, object] | None:
    if profile.last_decision is None:
        return None
    rule, outcome, reason, decided_at = profile.last_decision
    return {"rule": rule, "outcome": outcome, "reason": reason, "decided_at": instant(decided_at)}
