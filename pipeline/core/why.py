"""Why is it so? One question about one customer, answered by living their log again. JSON-ready."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import asdict

from pipeline.core.days import instant
from pipeline.core.explain import ValueEntries, channels
from pipeline.core.explain_dealings import DealingsTold, owed_document, satisfaction_document
from pipeline.core.explain_lifecycle import LifecycleMoves, lifecycle_document
from pipeline.core.explain_moves import Watching
from pipeline.core.explain_needs import NeedsTold, needs_document
from pipeline.core.explain_orders import OrdersTold
from pipeline.core.explain_prediction import prediction_document
from pipeline.core.explain_rfm import rfm_document
from pipeline.core.explain_rule import RuleMoves, rule_document
from pipeline.core.explain_stage import StageMoves, stage_document
from pipeline.core.explain_tier import TierMoves, tier_document
from pipeline.core.lived import Life, Records
from pipeline.core.policy import Rules

FIGURES: Final = ("value", "stage", "lifecycle", "tier", "prediction", "satisfaction", "needs", "owed", "rfm")
RULES: Final = Rules.__struct_fields__
QUESTIONS: Final = (*FIGURES, *RULES)


def why(question: str, customer_id: str, records: Records) -> dict[str, Any]:
    """The answer: one of `FIGURES` or a rule's name is asked; its part is filled.

    A part is None where nothing is known of the customer. Raises ValueError for another question.
    """
    if question not in QUESTIONS:
        raise ValueError(f"why: expected one of {', '.join(QUESTIONS)}, got {question!r}")
    life = Life(customer_id)
    value, stage, lifecycle, tier = ValueEntries(), StageMoves(), LifecycleMoves(), TierMoves()
    dealings, needs, orders, rule = DealingsTold(), NeedsTold(), OrdersTold(), RuleMoves(question)
    watchers: dict[str, Watching] = {
        "value": value, "stage": stage, "lifecycle": lifecycle, "tier": tier, "satisfaction": dealings, "needs": needs,
        "owed": dealings, "rfm": orders,
    }  # fmt: skip
    watching = watchers.get(question, rule)
    for moment in life.moments(records):
        watching.see(moment)
    return {
        "why": question,
        "customer_id": customer_id,
        "as_of": instant(life.as_of) if life.as_of else None,
        "value": _value(life, value) if question == "value" else None,
        "stage": stage_document(life, stage) if question == "stage" else None,
        "lifecycle": lifecycle_document(life, lifecycle) if question == "lifecycle" else None,
        "tier": tier_document(life, tier) if question == "tier" else None,
        "prediction": prediction_document(life) if question == "prediction" else None,
        "rule": rule_document(life, rule) if question in RULES else None,
        "satisfaction": satisfaction_document(life, dealings) if question == "satisfaction" else None,
        "needs": needs_document(life, needs) if question == "needs" else None,
        "owed": owed_document(life, dealings) if question == "owed" else None,
        "rfm": rfm_document(life, orders) if question == "rfm" else None,
    }


def _value(life: Life, gathered: ValueEntries) -> dict[str, Any] | None:
    if life.profile is None:
        return None
    return {
        "currency": life.profile.currency or None,
        "value_to_date_minor": gathered.value.value_to_date_minor,
        "referral_value_minor": gathered.referral_minor,
        "net_revenue_minor": gathered.revenue_minor,
        "parts": asdict(gathered.value),
        "entries": [entry._asdict() for entry in gathered.entries],
        "channels": channels(life.profile, life.controls),
    }
