"""What marketing automation is told to do: the contract of `crm.triggers.v1`, CloudEvents 1.0 in binary mode.

The id is derived from what caused it, so that a trigger read twice is the same trigger: whoever acts on triggers keeps
the ids it has acted on. The customer is a pseudonym; who may, joins `crm.addresses.v1` by the record's key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from pydantic import AwareDatetime, Field

from pipeline.schemas.decisions import Arm, CustomerId, Lifecycle, Numbers, Outbound, Reason, Rule, Stage, TriggerId

SOURCE: Final = "wafa"


class Trigger(Outbound):
    """What to do about a customer, and why. Not to be acted on after `expires_at`."""

    trigger_id: TriggerId
    rule: Rule
    customer_id: CustomerId
    business_key: str = Field(min_length=1, description="The order, ticket, survey or silent spell that is the cause.")
    reasons: tuple[Reason, ...] = Field(description="Why; the first weighs most.")
    numbers: Numbers
    cause_event_id: str = Field(description="Id of the event that is the cause.")
    cause_source: str = Field(description="Its source; with the id the event's duplicate key.")
    caused_at: AwareDatetime = Field(description="When the cause occurred.")
    decided_at: AwareDatetime = Field(description="When it was decided to send, in the log's time.")
    expires_at: AwareDatetime = Field(description="Not to be acted on after this.")
    purpose: str = Field(min_length=1, description="The consent it needs, which was there when it was decided.")
    channel: str = Field(min_length=1, description="Where it is to reach them.")
    stage: Stage = Field(description="The customer's relationship stage.")
    lifecycle: Lifecycle = Field(description="The customer's lifecycle.")
    policy_hash: str = Field(min_length=1, description="The policy it was decided by.")
    arm: Arm = Field(description="The experiment's side the customer is on.")


class Sent(Protocol):
    """A trigger as far as its headers need it."""

    @property
    def trigger_id(self) -> str:
        """Its id."""

    @property
    def rule(self) -> str:
        """What made it."""

    @property
    def customer_id(self) -> str:
        """Whom it is about."""

    @property
    def decided_at(self) -> datetime:
        """When."""


def trigger_type(rule: str) -> str:
    """The CloudEvents type of a rule's triggers: `win_back` is `crm.win-back.v1`."""
    return f"crm.{rule.replace('_', '-')}.v1"


def trigger_headers(sent: Sent) -> tuple[tuple[str, bytes], ...]:
    """A trigger's record headers, as CloudEvents' Kafka binding has them (binary mode)."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", sent.trigger_id.encode()),
        ("ce_type", trigger_type(sent.rule).encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_time", sent.decided_at.isoformat().encode()),
        ("ce_subject", sent.customer_id.encode()),
        ("content-type", b"application/json"),
    )
