"""What was decided about a trigger: the contract of `crm.decisions.v1`, one record for each move of a consideration.

A consideration opens when a rule's cause occurs and has the trigger's id; it is held, and ends sent, withheld, expired
or cancelled. Considered = sent + withheld + expired + cancelled + still held. Written by `core.decisions` (its encoding
and this contract are held together by a test), keyed by customer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Outcome = Literal["held", "sent", "withheld", "expired", "cancelled"]
Reason = Literal[
    "at_risk",
    "order_done",
    "too_soon",
    "no_consent",
    "complaint_open",
    "complaint_recent",
    "cap",
    "cool_down",
    "stale",
    "purchased",
    "order_void",
    "too_many_open",
    "rule_off",
    "wish",
]
Stage = Literal["exploratory", "basic", "collaborative", "bonded"]
Lifecycle = Literal["prospect", "new", "active", "at_risk", "lapsed", "won_back"]
Arm = Literal["treated", "holdout"]

CustomerId = Annotated[str, Field(min_length=1, max_length=64, description="Wafa's own id of the customer.")]
TriggerId = Annotated[
    str, Field(min_length=1, max_length=64, description="Derived from customer, rule, business key and edition.")
]
Rule = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", description="The rule, as policy writes it: `win_back`.")]
Numbers = Annotated[
    dict[str, int | float | str], Field(description="The numbers the decision rests on, by name (unit last).")
]


class Outbound(BaseModel):
    """What Wafa says. Fields are added within a major version, optional ones only; none is there that is not named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Decision(Outbound):
    """One move of one consideration."""

    trigger_id: TriggerId
    rule: Rule
    edition: int = Field(ge=1, description="Of the rule; raised, it sends again to who had it before.")
    customer_id: CustomerId
    business_key: str = Field(min_length=1, description="The order, ticket, survey or silent spell that is the cause.")
    outcome: Outcome = Field(description="Where the consideration stands now.")
    reasons: tuple[Reason, ...] = Field(description="Why; the first weighs most.")
    numbers: Numbers
    cause_event_id: str = Field(description="Id of the event that is the cause.")
    cause_source: str = Field(description="Its source; with the id the event's duplicate key.")
    caused_at: AwareDatetime = Field(description="When the cause occurred.")
    considered_at: AwareDatetime = Field(description="When the consideration opened.")
    decided_at: AwareDatetime = Field(description="When this move was made, in the log's time.")
    expires_at: AwareDatetime = Field(description="It is not sent any more then.")
    purpose: str = Field(min_length=1, description="The consent it needs.")
    channel: str = Field(min_length=1, description="Where it is to reach them.")
    stage: Stage = Field(description="The customer's relationship stage then.")
    lifecycle: Lifecycle = Field(description="The customer's lifecycle then.")
    policy_hash: str = Field(min_length=1, description="The policy it was decided by.")
    arm: Arm = Field("treated", description="The experiment's side the customer is on.")
