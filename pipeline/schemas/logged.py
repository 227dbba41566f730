"""What happened to one customer, as `crm.customer-events.v1` keeps it: the log's events, and the controls among them.

The record's key is the pseudonymous customer id (controls: `CONTROL_KEY`), so the value does not repeat it. Nothing
here names a person: no address, name, handle or free text, only what was learned from them (language, sentiment).
Money is already in the shop's currency; what was paid in another stands beside it with the day of its rate.

These are msgspec structs and not pydantic models because they are read back on the hot path: ingest has validated
what they hold, so the log is decoded, not validated again. The publishers' contract is `events`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import msgspec

CONTROL_KEY: Final = b"__control__"


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Frozen, compact on the wire: a field at its default is left out."""


class Event(_Struct, tag_field="type", frozen=True, kw_only=True):
    """What every event of a customer carries. `source` and `id` together are the duplicate key."""

    id: str
    source: str
    occurred_at: datetime
    received_at: datetime
    simulated: bool = False


class CustomerIdentified(Event, tag=True, frozen=True, kw_only=True):
    """A person became known, or better known. `reachable_by` are kinds of alias (email, phone), never values."""

    reachable_by: tuple[str, ...] = ()
    kind: str = "person"  # or "company"
    language: str | None = None
    time_zone: str | None = None
    country: str | None = None


class TouchRecorded(Event, tag=True, frozen=True, kw_only=True):
    """Marketing reached them: an advertisement, a search, a post, an affiliate's link."""

    channel: str
    campaign_id: str | None = None
    followed: bool = False
    referrer_host: str | None = None
    affiliate_id: str | None = None
    partner_id: str | None = None


class PreferenceStated(Event, tag=True, frozen=True, kw_only=True):
    """What they said they want, which beats anything inferred."""

    marketing_channel: str | None = None
    service_channel: str | None = None
    contacts_per_month_max: int | None = None
    interests: tuple[str, ...] = ()
    reason_for_buying: str | None = None  # a code, never a sentence


class ContactMade(Event, tag=True, frozen=True, kw_only=True):
    """A person of ours dealt with them."""

    department: str  # marketing, sales, service
    channel: str | None = None
    is_inbound: bool = False
    service_minutes: float = 0.0
    need: str | None = None


class Item(_Struct, frozen=True, kw_only=True):
    """One line of an order or refund. `amount_minor` is for the whole line, after discount."""

    product_id: str
    category: str | None = None
    quantity: int = 1
    amount_minor: int = 0


class OrderCompleted(Event, tag=True, frozen=True, kw_only=True):
    """They bought. Sent again with the same `order_id` it replaces what was known: the latest `occurred_at` wins."""

    order_id: str
    revenue_minor: int
    currency: str
    discount_minor: int = 0
    coupon: str | None = None
    items: tuple[Item, ...] = ()
    channel: str | None = None
    affiliate_id: str | None = None
    commission_minor: int | None = None
    paid_minor: int | None = None
    paid_currency: str | None = None
    rate_on: date | None = None


class OrderRefunded(Event, tag=True, frozen=True, kw_only=True):
    """Money went back, without shipping and tax; `amount_minor` None means all that is left. The latest word counts."""

    refund_id: str
    order_id: str
    amount_minor: int | None = None
    currency: str | None = None
    reason: str | None = None
    items: tuple[Item, ...] = ()
    paid_minor: int | None = None
    paid_currency: str | None = None
    rate_on: date | None = None


class OrderCancelled(Event, tag=True, frozen=True, kw_only=True):
    """The order is void, as if never placed."""

    order_id: str
    reason: str | None = None


class OrderPromised(Event, tag=True, frozen=True, kw_only=True):
    """We promised to deliver by `promised_at`."""

    order_id: str
    promised_at: datetime


class OrderShipped(Event, tag=True, frozen=True, kw_only=True):
    """The order left us."""

    order_id: str


class OrderDelivered(Event, tag=True, frozen=True, kw_only=True):
    """The order arrived."""

    order_id: str


class EmailEvent(Event, frozen=True, kw_only=True):
    """What every e-mail event carries."""

    email_id: str
    campaign_id: str | None = None
    trigger_id: str | None = None


class EmailDelivered(EmailEvent, tag=True, frozen=True, kw_only=True):
    """An e-mail reached the mailbox. `need` is a code of what it was made from."""

    need: str | None = None


class EmailOpened(EmailEvent, tag=True, frozen=True, kw_only=True):
    """An e-mail was opened, by a person unless `is_machine`."""

    is_machine: bool = False
    need: str | None = None


class EmailClicked(EmailEvent, tag=True, frozen=True, kw_only=True):
    """A link was clicked, by a person unless `is_machine`."""

    is_machine: bool = False
    need: str | None = None


class EmailBounced(EmailEvent, tag=True, frozen=True, kw_only=True):
    """An e-mail came back: hard (no such mailbox), soft or other."""

    bounce_type: str = "other"


class EmailUnsubscribed(EmailEvent, tag=True, frozen=True, kw_only=True):
    """They do not want this list, or (`list_id` None) any marketing e-mail."""

    list_id: str | None = None


class EmailMarkedAsSpam(EmailEvent, tag=True, frozen=True, kw_only=True):
    """They called an e-mail spam: no more marketing by e-mail."""


class ConsentChanged(Event, tag=True, frozen=True, kw_only=True):
    """They allowed or forbade a purpose on a channel. `channel` None means all channels."""

    purpose: str  # marketing, feedback, ...
    state: str  # granted, denied, revoked
    channel: str | None = None
    valid_until: datetime | None = None


class MentionPosted(Event, tag=True, frozen=True, kw_only=True):
    """They wrote about us in public. `sentiment` is -1..1, None when nobody could tell."""

    mention_id: str
    platform: str
    sentiment: float | None = None
    language: str | None = None
    reach: int = 0


class ReviewPosted(Event, tag=True, frozen=True, kw_only=True):
    """They rated a product. `rating_fraction` is 0 (worst) to 1 (best)."""

    review_id: str
    rating_fraction: float
    product_id: str | None = None
    order_id: str | None = None
    sentiment: float | None = None


class ReferralMade(Event, tag=True, frozen=True, kw_only=True):
    """They sent somebody to us. `referred_customer_id` is pseudonymous, None while that person is unknown."""

    referral_id: str
    referred_customer_id: str | None = None
    campaign_id: str | None = None
    reward_minor: int | None = None
    currency: str | None = None


class SurveyAnswered(Event, tag=True, frozen=True, kw_only=True):
    """They answered a question of ours. Scores run 0..`score_max`."""

    survey_id: str
    kind: str  # nps, ces, csat
    score: float
    score_max: float
    order_id: str | None = None
    sentiment: float | None = None


class TicketEvent(Event, frozen=True, kw_only=True):
    """What every ticket event carries."""

    ticket_id: str
    kind: str | None = "complaint"  # complaint, compliment, suggestion, product_idea, question; None: it does not say
    severity: int | None = None  # 1 (slight) to 5 (grave)
    status: str | None = None  # new, open, pending, hold, solved, closed
    category: str | None = None
    order_id: str | None = None
    channel: str | None = None
    promised_at: datetime | None = None
    sentiment: float | None = None
    csat: str | None = None  # good, bad
    service_minutes: float = 0.0
    service_cost_minor: int = 0
    product_id: str | None = None


class TicketOpened(TicketEvent, tag=True, frozen=True, kw_only=True):
    """They turned to service: a complaint, a compliment, a suggestion, a product idea or a question."""


class TicketUpdated(TicketEvent, tag=True, frozen=True, kw_only=True):
    """A ticket moved. Back to `open` after it was solved is a reopening."""


class TicketResolved(TicketEvent, tag=True, frozen=True, kw_only=True):
    """Service says it is solved."""


class CostRecorded(Event, tag=True, frozen=True, kw_only=True):
    """What was spent on this customer or on one of their orders."""

    department: str  # marketing, sales, service
    amount_minor: int
    currency: str
    activity: str | None = None
    activity_count: int = 1
    channel: str | None = None
    campaign_id: str | None = None
    order_id: str | None = None
    affiliate_id: str | None = None
    partner_id: str | None = None


class CustomerReferred(Event, tag=True, frozen=True, kw_only=True):
    """Another customer sent them to us. Told by that customer's log."""

    referrer_id: str
    referral_id: str


class ReferralCredited(Event, tag=True, frozen=True, kw_only=True):
    """What a friend brought, or gave back. Told by the friend's log; `path` has a mark of each it came through."""

    path: tuple[int, ...]
    amount_minor: int
    currency: str = ""


class Tick(_Struct, tag_field="type", tag=True, frozen=True, kw_only=True):
    """It is now `as_of`, and every event up to then is in the log: silence is proven."""

    as_of: datetime


class PolicyAdopted(_Struct, tag_field="type", tag=True, frozen=True, kw_only=True):
    """The shop's rules from here on: the whole checked policy, and its hash."""

    adopted_at: datetime
    policy_hash: str
    policy: dict[str, Any]


class ModelFitted(_Struct, tag_field="type", tag=True, frozen=True, kw_only=True):
    """A fitted model: the shop's, or of a `channel/...` or `cohort/YYYY-MM`, which counts beside the shop's own fit.

    Of scope `population`: where the shop's customers lie; of `affinity`: its table of what goes with what.
    """

    fitted_at: datetime
    scope: str = "shop"
    parameters: dict[str, float] = {}
    diagnostics: dict[str, float] = {}


class ChannelCostRevised(_Struct, tag_field="type", tag=True, frozen=True, kw_only=True):
    """What a channel cost in a month, counted anew, and whom it won. `shares` are in 720,720ths of a customer.

    Where several channels won a customer, each has its share; 0 means that every acquisition is the channel's alone.
    """

    revised_at: datetime
    channel: str
    cohort_month: str  # YYYY-MM
    version: int
    spend_minor: int
    acquisitions: int
    shares: int = 0
    told_by: str = ""  # events, file; empty: a file


CustomerEvent = (
    CustomerIdentified
    | TouchRecorded
    | PreferenceStated
    | ContactMade
    | OrderCompleted
    | OrderRefunded
    | OrderCancelled
    | OrderPromised
    | OrderShipped
    | OrderDelivered
    | EmailDelivered
    | EmailOpened
    | EmailClicked
    | EmailBounced
    | EmailUnsubscribed
    | EmailMarkedAsSpam
    | ConsentChanged
    | MentionPosted
    | ReviewPosted
    | ReferralMade
    | SurveyAnswered
    | TicketOpened
    | TicketUpdated
    | TicketResolved
    | CostRecorded
    | CustomerReferred
    | ReferralCredited
)
BETWEEN_CUSTOMERS: Final = (CustomerReferred, ReferralCredited)
"""What one customer's log tells another's; no publisher sends it."""
Control = Tick | PolicyAdopted | ModelFitted | ChannelCostRevised
Logged = CustomerEvent | Control

_decoder: Final = msgspec.json.Decoder(Logged)
_encoder: Final = msgspec.json.Encoder()

decode = _decoder.decode
"""One record's value as an event or control. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""

encode = _encoder.encode
"""An event or control as a record's value."""
