"""What publishers may tell Wafa: the contract of everything that comes in.

Each class is one event in Wafa's own JSON; other accepted forms (Segment, CloudEvents, CSV) become these. Unknown
fields are ignored, so a publisher may send more than is asked for; a field named here must be right. Constraints are
said in the fields, where they are checked natively and exported as JSON Schema; what holds between fields is in
`contradiction`. Within a major version fields are only added, and only optional ones.

Money is whole minor units (cents) beside an ISO 4217 code. Instants are RFC 3339 with an offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.config import JsonDict, JsonValue
from pydantic_core import CoreSchema, core_schema

from pipeline.schemas.currencies import CODES

if TYPE_CHECKING:
    Currency = str
else:
    Currency = Annotated[Literal[CODES], Field(description="ISO 4217 code of the amounts beside it.")]

AMOUNT_MINOR_MAX: Final = 10**12
ITEMS_MAX: Final = 200
TEXT_MAX: Final = 20_000
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Nothing was sold on line before: an older date is a publisher's default value."""
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

_DAY: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT: Final = f"^{_DAY}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]+)?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})$"
AN_INSTANT: Final = "an RFC 3339 instant with an offset, such as 2026-02-06T20:03:41Z"


@dataclass(frozen=True, slots=True)
class _Written:
    """How an instant or a day is written in JSON. Pydantic alone takes more: epoch seconds in quotes, for one.

    Checked natively, before the text is read as what it is.
    """

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        given = handler(source)
        text = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=self.pattern), "not_so_written", custom_error_message=self.expected
        )
        read: Any = {**given, "strict": False}  # strict would want the text to be an instant already
        return core_schema.json_or_python_schema(core_schema.chain_schema([text, read]), given)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        assert schema["type"] == "json-or-python"
        return {**handler(schema["python_schema"]), "pattern": self.pattern}


def is_instant(text: str) -> bool:
    """Whether a text is written as an instant has to be."""
    return re.fullmatch(_INSTANT, text) is not None


@cache
def time_zones() -> frozenset[str]:
    """The IANA zones of the pinned `tzdata` wheel, the same on every machine."""
    return frozenset((files("tzdata") / "zones").read_text("utf-8").split())


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError("expected the name of an IANA time zone, such as Asia/Tehran")
    return name


Id = Annotated[str, Field(min_length=1, max_length=100)]
Name = Annotated[str, Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
Code = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Instant = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST), _Written(_INSTANT, AN_INSTANT)]
Day = Annotated[date, Field(ge=EARLIEST.date(), le=LATEST.date()), _Written(f"^{_DAY}$", "a day such as 2026-02-06")]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]
Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
Phone = Annotated[str, Field(max_length=40, pattern=r"^\+?[0-9 ()./-]{4,}$")]
Handle = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.-]+:\S+$")]
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]
Sentiment = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
ScoreMax = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
Department = Literal["marketing", "sales", "service"]
TicketKind = Literal["complaint", "compliment", "suggestion", "product_idea", "question"]
ContactChannel = Literal["email", "sms", "phone", "post", "push", "chat", "messenger", "social", "in_person"]

_ALIASES: Final = ("customer_id", "email", "phone", "handle")
_SPENT_ON: Final = ("channel", "campaign_id", "affiliate_id", "partner_id")


def _given(field: str) -> JsonDict:
    """That `field` is there and not null, in JSON Schema."""
    return {"required": [field], "properties": {field: {"not": {"type": "null"}}}}


def _needs_an_alias(schema: JsonDict) -> None:
    schema["anyOf"] = [_given(alias) for alias in _ALIASES]


def _may_be_anybody(_: JsonDict) -> None:
    pass


def _needs_currency(amount: str, *, from_minor: int = 0) -> Callable[[JsonDict], None]:
    """An amount from so much on needs its currency beside it; the same rule as in `contradiction`."""

    def add(schema: JsonDict) -> None:
        _needs_an_alias(schema)
        schema["if"] = {"required": [amount], "properties": {amount: {"type": "integer", "minimum": from_minor}}}
        schema["then"] = _given("currency")

    return add


def _cost_needs_an_object(schema: JsonDict) -> None:
    named: list[JsonValue] = [_given(alias) for alias in _ALIASES]
    schema["anyOf"] = named + [_given(field) for field in _SPENT_ON]
    schema["if"] = _given("order_id")
    schema["then"] = {"anyOf": named}


class _Contract(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Inbound(_Contract):
    """What every event carries. `source` and `id` together are the duplicate key."""

    model_config = ConfigDict(json_schema_extra=_needs_an_alias)

    id: Id = Field(description="The publisher's id of this event; sent again, it is the same event.")
    source: Id = Field(description="Which system says so, such as `shop` or `helpdesk`.")
    occurred_at: Instant = Field(description="When it happened. At most 5 minutes ahead of its arrival.")
    customer_id: Id | None = Field(None, description="The publisher's own id of the customer.")
    email: Email | None = Field(None, description="The customer's e-mail address.")
    phone: Phone | None = Field(None, description="The customer's phone number, best with its country code.")
    handle: Handle | None = Field(None, description="The customer on a platform, as `platform:name`.")
    simulated: bool = Field(default=False, description="Made up, by a simulator or a test.")


# -- contacts ---------------------------------------------------------------------------------------------------------


class CustomerIdentified(Inbound):
    """A person or a company became known, or better known. It replaces the address kept of them as a whole."""

    type: Literal["CustomerIdentified"]
    kind: Literal["person", "company"] = Field("person", description="Whom we deal with.")
    name: Name | None = Field(None, description="What to call them.")
    handles: Annotated[tuple[Handle, ...], Field(max_length=20)] = Field(
        (), description="Further social networks they belong to, as `platform:name`."
    )
    language: Language | None = Field(None, description="The language they want, BCP 47.")
    time_zone: TimeZone | None = Field(None, description="Their IANA time zone; quiet hours go by it.")
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = Field(None, description="ISO 3166-1 alpha-2.")
    area: Name | None = Field(None, description="Region or town.")
    postal_address: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(None, description="For post.")
    job: Name | None = Field(None, description="What they do.")
    company: Name | None = Field(None, description="Whom they do it for.")


class TouchRecorded(Inbound):
    """Marketing reached them: an advertisement, a search, a post, an affiliate's link."""

    type: Literal["TouchRecorded"]
    channel: Code = Field(description="Through what, such as `paid_search`, `affiliate`, `email`, `influencer`.")
    campaign_id: Id | None = Field(None, description="Which campaign.")
    followed: bool = Field(
        default=False,
        description="Whether they followed it to us, as the parameters of a link tell: an answer of theirs by the "
        "channel. Else it only reached them.",
    )
    search_term: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None, description="What they searched for."
    )
    referrer: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        None, description="URL they came from; only its host is kept."
    )
    affiliate_id: Id | None = Field(None, description="Which affiliate.")
    partner_id: Id | None = Field(None, description="Which partner company of a joint campaign.")


class PreferenceStated(Inbound):
    """What they said they want, which beats anything inferred. Only what is given changes."""

    type: Literal["PreferenceStated"]
    marketing_channel: ContactChannel | None = Field(None, description="Where they want offers and news.")
    service_channel: ContactChannel | None = Field(None, description="Where they want to be served.")
    contacts_per_month_max: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="How many messages they want at most in any 31 days; 0 is none. Obeyed while it is not stale."
    )
    interests: Annotated[tuple[Code, ...], Field(max_length=50)] = Field((), description="Codes of what they care for.")
    reason_for_buying: Code | None = Field(None, description="A code of the motive, such as `gift`.")


class ContactMade(Inbound):
    """A person of ours dealt with them."""

    type: Literal["ContactMade"]
    department: Department = Field(description="Whose person.")
    channel: ContactChannel | None = Field(None, description="How.")
    is_inbound: bool = Field(default=False, description="They came to us.")
    service_minutes: Minutes = Field(0.0, description="How long it took us.")
    need: Code | None = Field(None, description="The need of theirs it was about, where it answered one.")
    text: Text | None = Field(None, description="A note, word for word; kept apart from the log.")


# -- purchases --------------------------------------------------------------------------------------------------------


class Item(_Contract):
    """One line of an order or refund."""

    product_id: Id = Field(description="Product or SKU.")
    category: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(None, description="What kind.")
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = Field(1, description="How many.")
    amount_minor: Amount = Field(
        0, description="The whole line, after discount; where no line has one, margins go by quantity."
    )


Items = Annotated[tuple[Item, ...], Field(max_length=ITEMS_MAX)]


class _OfOrder(Inbound):
    order_id: Id = Field(description="The order, unique in the shop.")


class OrderCompleted(_OfOrder):
    """They bought. Sent again with the same `order_id` it replaces what was known: the latest `occurred_at` wins."""

    type: Literal["OrderCompleted"]
    revenue_minor: Amount = Field(description="After discount, without shipping and tax.")
    currency: Currency
    discount_minor: Amount = Field(0, description="Already taken off `revenue_minor`.")
    shipping_minor: Amount = Field(0, description="Beside `revenue_minor`; not counted as value.")
    tax_minor: Amount = Field(0, description="Beside `revenue_minor`; not counted as value.")
    coupon: Id | None = Field(None, description="The offer they used.")
    items: Items = Field((), description="What they bought.")
    channel: Code | None = Field(None, description="Where they bought, such as `web` or `store`.")
    affiliate_id: Id | None = Field(None, description="Which affiliate sent them.")
    commission_minor: Amount | None = Field(
        None, description="What the affiliate gets; absent, as the policy says. It comes back with a refund."
    )


class OrderRefunded(_OfOrder):
    """Money went back; without an amount, all that is left of the order. Sent again, the latest `occurred_at` wins."""

    model_config = ConfigDict(json_schema_extra=_needs_currency("amount_minor"))

    type: Literal["OrderRefunded"]
    refund_id: Id = Field(description="The refund, unique in its order.")
    amount_minor: Amount | None = Field(
        None, description="How much, without shipping and tax; absent, all that is left of the order."
    )
    currency: Currency | None = None
    reason: Code | None = Field(None, description="A code, such as `damaged`.")
    items: Items = Field((), description="What was given back.")


class OrderCancelled(_OfOrder):
    """The order is void, as if never placed."""

    type: Literal["OrderCancelled"]
    reason: Code | None = Field(None, description="A code, such as `out_of_stock`.")


class OrderPromised(_OfOrder):
    """We promised to deliver by `promised_at`."""

    type: Literal["OrderPromised"]
    promised_at: Instant = Field(description="The latest we said.")


class OrderShipped(_OfOrder):
    """The order left us."""

    type: Literal["OrderShipped"]


class OrderDelivered(_OfOrder):
    """The order arrived."""

    type: Literal["OrderDelivered"]


# -- emails -----------------------------------------------------------------------------------------------------------


class _OfEmail(Inbound):
    email_id: Id = Field(description="The e-mail or its template, as the mailing system names it.")
    campaign_id: Id | None = Field(None, description="Which campaign.")
    trigger_id: Id | None = Field(None, description="Which trigger of Wafa made it be sent (`ce_id`).")


class _OfLetter(_OfEmail):
    need: Code | None = Field(None, description="The need of theirs it was made from, such as `running_shoes`.")


class EmailDelivered(_OfLetter):
    """An e-mail reached the mailbox."""

    type: Literal["EmailDelivered"]


class EmailOpened(_OfLetter):
    """An e-mail was opened."""

    type: Literal["EmailOpened"]
    is_machine: bool = Field(default=False, description="By a mail proxy or scanner, not by a person.")


class EmailClicked(_OfLetter):
    """A link in an e-mail was followed."""

    type: Literal["EmailClicked"]
    is_machine: bool = Field(default=False, description="By a scanner, not by a person.")
    link_id: Id | None = Field(None, description="Which link; not kept in the log.")


class EmailBounced(_OfEmail):
    """An e-mail came back."""

    type: Literal["EmailBounced"]
    bounce_type: Literal["hard", "soft", "other"] = Field("other", description="Hard: there is no such mailbox.")


class EmailUnsubscribed(_OfEmail):
    """They do not want a list, or any marketing e-mail."""

    type: Literal["EmailUnsubscribed"]
    list_id: Id | None = Field(None, description="The list they left; absent, all marketing e-mail.")


class EmailMarkedAsSpam(_OfEmail):
    """They called an e-mail spam: no more marketing by e-mail."""

    type: Literal["EmailMarkedAsSpam"]


class ConsentChanged(Inbound):
    """They allowed or forbade a purpose on a channel. What is not granted is not allowed."""

    type: Literal["ConsentChanged"]
    purpose: Code = Field(description="For what, such as `marketing` or `feedback`.")
    state: Literal["granted", "denied", "revoked"] = Field(description="What they decided.")
    channel: ContactChannel | None = Field(None, description="Where; absent, on all channels.")
    valid_until: Instant | None = Field(None, description="A grant ends then.")
    evidence: Text | None = Field(None, description="How and where they said so; kept apart from the log.")


# -- socials ----------------------------------------------------------------------------------------------------------


class MentionPosted(Inbound):
    """Somebody wrote about us in public. Counts for the brand's reputation; never creates a customer."""

    model_config = ConfigDict(json_schema_extra=_may_be_anybody)

    type: Literal["MentionPosted"]
    mention_id: Id = Field(description="The post, unique on its platform.")
    platform: Code = Field(description="Where, such as `instagram`.")
    author_handle: Annotated[str, Field(min_length=1, max_length=150, pattern=r"^\S+$")] | None = Field(
        None, description="Who, on that platform."
    )
    sentiment: Sentiment | None = Field(None, description="-1 (bad) to 1 (good), as the source judges.")
    tone: Literal["positive", "negative", "neutral"] | None = Field(None, description="Where `sentiment` is not given.")
    reach: Annotated[int, Field(ge=0, le=10**11)] = Field(0, description="People who may have seen it.")
    language: Language | None = Field(None, description="Of the text, BCP 47.")
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(None, description="Where to read it.")
    text: Text | None = Field(None, description="Word for word; kept apart from the log.")


class ReviewPosted(Inbound):
    """They rated a product or an order."""

    type: Literal["ReviewPosted"]
    review_id: Id = Field(description="The review, unique in its source.")
    product_id: Id | None = Field(None, description="Of which product.")
    order_id: Id | None = Field(None, description="Of which order.")
    rating: Score = Field(description="What they gave.")
    rating_max: ScoreMax = Field(5.0, description="The best there is.")
    rating_min: Score = Field(1.0, description="The worst there is.")
    sentiment: Sentiment | None = Field(None, description="Of the text, as the source judges.")
    language: Language | None = Field(None, description="Of the text, BCP 47.")
    text: Text | None = Field(None, description="Word for word; kept apart from the log.")


class ReferralMade(Inbound):
    """They sent somebody to us. The aliases are the referrer's; the friend is named by `referred_...`, if at all."""

    model_config = ConfigDict(json_schema_extra=_needs_currency("reward_minor"))

    type: Literal["ReferralMade"]
    referral_id: Id = Field(description="The referral, unique in the shop.")
    referred_customer_id: Id | None = Field(None, description="The friend, by the publisher's own customer id.")
    referred_email: Email | None = Field(None, description="The friend's address: looked up, never kept.")
    code: Id | None = Field(None, description="The code they passed on.")
    campaign_id: Id | None = Field(None, description="Which referral programme.")
    reward_minor: Amount | None = Field(
        None, description="What they were given for it: marketing's cost, once a referral; told again, the most counts."
    )
    currency: Currency | None = None


class SurveyAnswered(Inbound):
    """They answered a question of ours. Scores run from 0 to `score_max`."""

    type: Literal["SurveyAnswered"]
    survey_id: Id = Field(description="The survey as sent to this customer, or the survey.")
    kind: Literal["nps", "ces", "csat"] = Field(description="Would recommend; was it easy; was it good.")
    score: Score = Field(description="What they gave.")
    score_max: ScoreMax = Field(description="The best there is.")
    order_id: Id | None = Field(None, description="About which order.")
    sentiment: Sentiment | None = Field(None, description="Of the comment, as the source judges.")
    language: Language | None = Field(None, description="Of the comment, BCP 47.")
    comment: Text | None = Field(None, description="Word for word; kept apart from the log.")


# -- complaints -------------------------------------------------------------------------------------------------------


class _OfTicket(Inbound):
    model_config = ConfigDict(json_schema_extra=_needs_currency("service_cost_minor", from_minor=1))

    ticket_id: Id = Field(description="The ticket, unique in its help desk.")
    kind: TicketKind | None = Field(
        None,
        description="What they turned to us with; left out, it is as was said. Once any event of a ticket calls it a "
        "complaint, it is one.",
    )
    severity: Annotated[int, Field(ge=1, le=5)] | None = Field(None, description="1 (slight) to 5 (grave).")
    status: Literal["new", "open", "pending", "hold", "solved", "closed"] | None = Field(
        None, description="Back to `open` after `solved` is a reopening."
    )
    priority: Literal["urgent", "high", "normal", "low"] | None = Field(
        None, description="Stands for severity 5, 4, 3, 2 where that is not given."
    )
    category: Code | None = Field(None, description="What it is about, such as `delivery`.")
    order_id: Id | None = Field(None, description="About which order.")
    product_id: Id | None = Field(None, description="About which product.")
    channel: ContactChannel | None = Field(None, description="How they turned to us.")
    promised_at: Instant | None = Field(None, description="When we promised to answer, at the latest.")
    sentiment: Sentiment | None = Field(None, description="Of the text, as the source judges.")
    csat: Literal["good", "bad"] | None = Field(None, description="What they said of our service.")
    service_minutes: Minutes = Field(0.0, description="Spent on it since the ticket's last event.")
    service_cost_minor: Amount = Field(0, description="Spent on it since the ticket's last event.")
    currency: Currency | None = None
    language: Language | None = Field(None, description="Of the text, BCP 47.")
    text: Text | None = Field(None, description="Word for word; kept apart from the log.")


class TicketOpened(_OfTicket):
    """They turned to service: a complaint, a compliment, a suggestion, a product idea or a question."""

    type: Literal["TicketOpened"]
    kind: TicketKind = Field("complaint", description="What they turned to us with.")


class TicketUpdated(_OfTicket):
    """A ticket moved."""

    type: Literal["TicketUpdated"]


class TicketResolved(_OfTicket):
    """Service says it is solved."""

    type: Literal["TicketResolved"]


# -- costs ------------------------------------------------------------------------------------------------------------


class CostRecorded(Inbound):
    """What was spent: on a customer or an order (then it names the customer), or on a channel."""

    model_config = ConfigDict(json_schema_extra=_cost_needs_an_object)

    type: Literal["CostRecorded"]
    department: Department = Field(description="Who spent it.")
    amount_minor: Annotated[int, Field(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)] = Field(
        description="How much; below zero takes an earlier cost back."
    )
    currency: Currency
    activity: Code | None = Field(None, description="On what, such as `advertising` or `gift`.")
    activity_count: Annotated[int, Field(ge=1, le=10**9)] = Field(1, description="How many of it.")
    channel: Code | None = Field(None, description="For which channel.")
    campaign_id: Id | None = Field(None, description="For which campaign.")
    period_start_on: Day | None = Field(None, description="First day it was spent for.")
    period_end_on: Day | None = Field(None, description="Last day it was spent for.")
    order_id: Id | None = Field(None, description="For which order of the customer named.")
    affiliate_id: Id | None = Field(None, description="To which affiliate.")
    partner_id: Id | None = Field(None, description="With which partner company.")


InboundEvent = (
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
)


# -- what holds between fields ----------------------------------------------------------------------------------------


def _refund(event: OrderRefunded) -> str | None:
    if event.amount_minor is not None and event.currency is None:
        return "currency: expected with amount_minor, got none"
    return None


def _referral(event: ReferralMade) -> str | None:
    if event.reward_minor is not None and event.currency is None:
        return "currency: expected with reward_minor, got none"
    return None


def _review(event: ReviewPosted) -> str | None:
    if not event.rating_min <= event.rating <= event.rating_max or event.rating_min == event.rating_max:
        return f"rating: expected {event.rating_min:g} to {event.rating_max:g}, got {event.rating:g}"
    return None


def _survey(event: SurveyAnswered) -> str | None:
    if event.score > event.score_max:
        return f"score: expected 0 to score_max, {event.score_max:g}, got {event.score:g}"
    return None


def _ticket(event: _OfTicket) -> str | None:
    if event.service_cost_minor and event.currency is None:
        return "currency: expected with service_cost_minor, got none"
    return None


def _cost(event: CostRecorded) -> str | None:
    start, end = event.period_start_on, event.period_end_on
    if start is not None and end is not None and end < start:
        return f"period_end_on: expected {start} (period_start_on) or later, got {end}"
    return None


_CHECKS: Final[dict[type[Inbound], Callable[..., str | None]]] = {
    OrderRefunded: _refund,
    ReferralMade: _referral,
    ReviewPosted: _review,
    SurveyAnswered: _survey,
    TicketOpened: _ticket,
    TicketUpdated: _ticket,
    TicketResolved: _ticket,
    CostRecorded: _cost,
}


def contradiction(event: InboundEvent) -> str | None:
    """What its fields, each right by itself, get wrong between them; None if nothing."""
    check = _CHECKS.get(event.__class__)
    return None if check is None else check(event)


def names_nobody(event: InboundEvent) -> bool:
    """Whether it lacks the alias it needs."""
    if event.customer_id is not None or event.email is not None or event.phone is not None or event.handle is not None:
        return False
    return not may_be_nobodys(event)


def may_be_nobodys(event: InboundEvent) -> bool:
    """Whether it needs no alias. A mention may be anybody's, a cost a channel's; an order's has a buyer."""
    if isinstance(event, CostRecorded):
        spent_on = event.channel or event.campaign_id or event.affiliate_id or event.partner_id
        return event.order_id is None and spent_on is not None
    return isinstance(event, MentionPosted)
