"""What is decided about a trigger, with its reasons and numbers; and the trigger itself, when it is sent.

Both encode (msgspec, JSON) to the wire form of `crm.decisions.v1` and `crm.triggers.v1`; their public contracts are in
`schemas.decisions` and `schemas.triggers`, and a test holds the two together.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """Where a consideration stands: held, or ended in one of the other ways."""

    HELD = "held"
    SENT = "sent"
    WITHHELD = "withheld"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why. Closed: it labels metrics."""

    AT_RISK = "at_risk"
    ORDER_DONE = "order_done"
    TOO_SOON = "too_soon"
    NO_CONSENT = "no_consent"
    COMPLAINT_OPEN = "complaint_open"
    COMPLAINT_RECENT = "complaint_recent"
    CAP = "cap"
    COOL_DOWN = "cool_down"
    STALE = "stale"
    PURCHASED = "purchased"
    ORDER_VOID = "order_void"
    TOO_MANY_OPEN = "too_many_open"
    RULE_OFF = "rule_off"
    WISH = "wish"


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One move of one consideration."""

    trigger_id: str
    rule: str
    edition: int
    customer_id: str
    business_key: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    numbers: dict[str, int | float | str]
    cause_event_id: str
    cause_source: str
    caused_at: datetime
    considered_at: datetime
    decided_at: datetime
    expires_at: datetime
    purpose: str
    channel: str
    stage: str
    lifecycle: str
    policy_hash: str
    arm: str = "treated"


class Trigger(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What marketing automation is told to do. Valid until `expires_at`; the same `trigger_id` is the same trigger."""

    trigger_id: str
    rule: str
    customer_id: str
    business_key: str
    reasons: tuple[Reason, ...]
    numbers: dict[str, int | float | str]
    cause_event_id: str
    cause_source: str
    caused_at: datetime
    decided_at: datetime
    expires_at: datetime
    purpose: str
    channel: str
    stage: str
    lifecycle: str
    policy_hash: str
    arm: str


def trigger(decision: Decision) -> Trigger:
    """The trigger of a decision to send."""
    return Trigger(**{name: getattr(decision, name) for name in Trigger.__struct_fields__})
