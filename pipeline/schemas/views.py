"""Each customer as others may see them: the contract of `crm.profiles.v1`, one latest view a customer, compacted.

Figures are as of the customer's last event or review (`as_of`), not of the moment of reading. Of two views the one of
the higher `offset` is the later: a reader writes only what is newer. A tombstone means the customer is erased. Written
by `core.view`; its encoding and this contract are held together by a test.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, Field

from pipeline.schemas.decisions import CustomerId, Lifecycle, Outbound, Outcome, Reason, Rule, Stage


class DealtWell(Outbound):
    """When a department last dealt with them well."""

    department: str = Field(description="Marketing, sales or service.")
    at: AwareDatetime | None = Field(description="When; none: never.")
    is_recent: bool = Field(description="In the last cycle.")


class StageEvidence(Outbound):
    """What the relationship stage rests on, and what the next one still wants."""

    identified: bool = Field(description="We know who they are.")
    departments: tuple[str, ...] = Field(
        description="Of marketing, sales and service, those that dealt with them well in the last cycle."
    )
    failed_checks: int = Field(ge=0, description="Checks in a row that found the evidence gone.")
    need_known_at: AwareDatetime | None = Field(None, description="Since when we know a need of theirs.")
    need_answered_at: AwareDatetime | None = Field(
        None, description="When they last answered a message made from a need."
    )
    first_purchase_at: AwareDatetime | None = Field(None, description="None before it.")
    cycle_days: int = Field(0, ge=0, description="A cycle of theirs: the policy's, or longer by their own rhythm.")
    typical_gap_days: int | None = Field(
        None, ge=0, description="Middle one of the latest gaps between purchase days; none before two."
    )
    dealt_well: tuple[DealtWell, ...] = Field((), description="Department by department.")
    bought_in_cycles: tuple[bool, ...] = Field(
        (), description="Whether they bought in each of the last cycles, the newest first."
    )
    complaint_open: bool = Field(default=False, description="A complaint of theirs waits for us.")
    is_frozen: bool = Field(
        default=False, description="It is so serious, and so new, that the stage stays where it is."
    )
    referrals: int = Field(0, ge=0, description="Friends they sent: evidence of loyalty, never a condition.")
    next_stage: Stage | None = Field(None, description="The one above; none above the highest.")
    missing: tuple[str, ...] = Field(
        (),
        description="What it still wants: `identity`, `need`, `answer`, `purchase`, `departments`, `cycles`, "
        "`complaint_solved`, `time_since_fall`.",
    )
    may_rise_at: AwareDatetime | None = Field(None, description="Not before, where a stage was lost lately.")


class SatisfactionEvidence(Outbound):
    """What one kind of evidence says."""

    kind: str = Field(description="`survey`, `review`, `mention`, `ticket` or `promise`.")
    count: int = Field(ge=1, description="How many pieces of it, at most the latest eight.")
    mean_fraction: float = Field(ge=0, le=1, description="What they say, 0 (bad) to 1 (good).")
    latest_on: date = Field(description="Day of the latest.")
    age_days: int = Field(ge=0, description="How long ago that was.")
    weight: float = Field(ge=0, description="What they weigh now, together.")


class Satisfaction(Outbound):
    """How satisfied they are, by what they said and what became of it; never by what they spend."""

    level: str = Field(description="`unknown`, `dissatisfied`, `mixed` or `satisfied`.")
    fraction: float | None = Field(ge=0, le=1, description="0 (bad) to 1 (good); none without evidence.")
    fraction_low: float | None = Field(ge=0, le=1, description="It is 90 % sure to be between this ...")
    fraction_high: float | None = Field(ge=0, le=1, description="... and this.")
    evidence: tuple[SatisfactionEvidence, ...] = Field(description="What it rests on, kind by kind.")


class OwedByDepartment(Outbound):
    """A department's promises to them."""

    department: str = Field(description="Marketing (consent), sales (delivery) or service (answers).")
    made: int = Field(ge=0, description="All of them.")
    kept: int = Field(ge=0, description="Done in time.")
    broken: int = Field(ge=0, description="Not done when their time had passed.")
    open: int = Field(ge=0, description="Their time has not come.")


class OwedOpen(Outbound):
    """A promise whose time has not come."""

    what: str = Field(description="`delivery` or `answer`.")
    due_at: AwareDatetime = Field(description="It is broken if not done by then.")
    shipped_at: AwareDatetime | None = Field(description="The order is on its way since.")


class Owed(Outbound):
    """What we owe them: our own record."""

    departments: tuple[OwedByDepartment, ...] = Field(description="Department by department.")
    open: tuple[OwedOpen, ...] = Field(description="The next due first.")


class OrderValue(Outbound):
    """What one order brought "once": its margin, what getting it cost, and what is left of it. After refunds."""

    purchased_at: AwareDatetime = Field(description="When.")
    revenue_minor: int = Field(ge=0, description="After discount.")
    refunded_minor: int = Field(ge=0, description="Given back.")
    margin_minor: int = Field(description="On what was kept, at the price before discount.")
    discount_cost_minor: int = Field(description="Taken off that price.")
    commission_cost_minor: int = Field(description="Of the affiliate who brought it.")
    recorded_cost_minor: int = Field(description="Costs that name it, of any department.")
    channel_cost_minor: int = Field(0, description="Of the first order: what channels cost that won the customer.")
    cost_minor: int = Field(description="What getting it cost: the four together.")
    left_minor: int = Field(description="Margin less cost.")


class ChannelPart(Outbound):
    """A channel's part in winning them. `cpa_...` are for forecasts and advice: shrunk toward all channels' cost."""

    channel: str = Field(description="Through what they were touched.")
    share_fraction: float = Field(ge=0, le=1, description="Its part of the acquisition.")
    cost_minor: int = Field(description="That part of what the channel spent on their month's customers.")
    cpa_minor: int | None = Field(description="What an acquisition through it costs; none before spend was told.")
    cpa_low_minor: int | None = Field(description="It is 90 % sure to be more than this ...")
    cpa_high_minor: int | None = Field(description="... and less than this.")


class Value(Outbound):
    """What they are worth so far: margin less what it cost to win, keep and serve them, in minor units."""

    currency: str | None = Field(description="The shop's; none before the first purchase.")
    orders: int = Field(ge=0, description="Orders that stand.")
    revenue_minor: int = Field(ge=0, description="Of all orders that stand.")
    refunded_minor: int = Field(ge=0, description="Given back.")
    net_revenue_minor: int = Field(description="Revenue less refunds.")
    discount_minor: int = Field(ge=0, description="Discounts they had; already off the revenue.")
    acquisition_cost_minor: int = Field(description="What it cost to win them and their orders.")
    retention_cost_minor: int = Field(description="What it cost to keep them.")
    service_cost_minor: int = Field(description="What it cost to serve them.")
    value_to_date_minor: int = Field(description="Margin less the three costs.")
    margin_minor: int = Field(0, description="On net revenue, at the margin rates, of the price before discount.")
    referral_value_minor: int = Field(
        0, description="A share of what came through them. Beside the value: a sum over customers leaves it out."
    )
    value_with_referrals_minor: int = Field(0, description="Both together: what tiers and offers go by.")
    channel_cost_minor: int = Field(0, description="Of the channels that won them. Part of the acquisition cost.")
    cohort_month: str | None = Field(None, description="Month of the first purchase, YYYY-MM.")
    acquisition_channels: tuple[ChannelPart, ...] = Field((), description="Who had a part in winning them.")
    commission_cost_minor: int = Field(0, description="Of affiliates, for what was kept. Part of the acquisition cost.")
    sales_cost_minor: int = Field(0, description="Recorded by sales. Part of the acquisition cost.")
    discount_cost_minor: int = Field(0, description="Discount on what was kept. Part of the retention cost.")
    send_cost_minor: int = Field(0, description="E-mails to them. Part of the retention cost.")
    marketing_cost_minor: int = Field(0, description="Recorded by marketing. Part of the retention cost.")
    service_time_cost_minor: int = Field(0, description="A person's time. Part of the service cost.")
    return_cost_minor: int = Field(0, description="Handling what they gave back. Part of the service cost.")
    service_recorded_cost_minor: int = Field(0, description="Recorded by service and on tickets. Part of its cost.")
    latest_orders: tuple[OrderValue, ...] = Field(
        (), description="The last five orders that can still change, the newest first."
    )
    refunds_waiting: int = Field(0, ge=0, description="Refunds whose order has not come yet; not counted so far.")
    refunds_let_go: int = Field(0, ge=0, description="Refunds whose order never came; not counted.")


class Ahead(Outbound):
    """What is expected within so many days."""

    days: int = Field(ge=1, description="From `as_of` on.")
    orders: float = Field(ge=0, description="Days with a purchase.")
    margin_minor: int = Field(description="What they leave after discount and commission.")
    revenue_minor: int = Field(description="Net, at their own share of margin so far, drawn to the shop's.")


class NextOrder(Outbound):
    """When the next order comes, if they stay: days from `as_of`; none where it is further off than ten years."""

    early: int | None = Field(ge=0, description="One in ten is earlier.")
    median: int | None = Field(ge=0, description="Half of those like them are earlier.")
    late: int | None = Field(ge=0, description="One in ten is later.")


class Prediction(Outbound):
    """What the fitted model expects of them."""

    basis: Literal["own purchases", "the shop's average"] = Field(
        description="Whose behaviour it rests on: who has bought on one day is taken for the shop's average."
    )
    p_return: float = Field(ge=0, le=1, description="Chance of a purchase within `return_days`: the one to act on.")
    return_days: int = Field(ge=1, description="Its horizon.")
    p_alive: float = Field(ge=0, le=1, description="Chance that they are still a customer: for experts.")
    ahead: tuple[Ahead, ...] = Field(description="Within 30, 90 and 365 days.")
    value_ahead_minor: int = Field(description="Margin expected within `value_ahead_days`, discounted.")
    value_ahead_days: int = Field(ge=1, description="Its horizon.")
    next_order_days: NextOrder
    overdue_at: AwareDatetime | None = Field(description="When their silence is longer than their rhythm explains.")
    model_scope: str = Field(description="Whose model it is: `shop`, `channel/...` or `cohort/YYYY-MM`.")
    model_fitted_at: AwareDatetime = Field(description="Which fit it is of.")


TierName = Literal["unknown", "bz", "rest", "mgc", "mvc"]
TierReason = Literal[
    "no_purchase_yet", "no_forecast_yet", "no_population_yet", "not_looked_at_yet", "usual", "most_valuable",
    "room_to_grow", "costs_more_to_serve", "valuable_but_leaving", "below_zero_service", "below_zero_acquisition",
    "below_zero_discounts", "below_zero_refunds", "below_zero_keeping", "below_zero_margin",
]  # fmt: skip
Treatment = Literal["basic", "reactive", "accountable", "proactive"]


class MonthEnd(Outbound):
    """The tier a month ended in."""

    month: str = Field(pattern=r"^\d{4}-\d{2}$", description="YYYY-MM, in the shop's zone.")
    tier: TierName


class Tier(Outbound):
    """What they are to the shop, and the figures it rests on: all of the day they were last looked at; minor units."""

    tier: TierName = Field(description="Most valuable, most growable, below zero, the rest; or nothing to go by yet.")
    tier_reason: TierReason = Field(description="What it rests on.")
    treatment: Treatment = Field(description="How much we do for them, by stage and tier.")
    since_on: date | None = Field(None, description="In this tier since; none before the first look, like the rest.")
    checked_on: date | None = Field(None, description="Looked at last.")
    actual_minor: int | None = Field(None, description="Worth so far, with referrals.")
    expected_minor: int | None = Field(None, description="Expected, less what keeping and serving them will cost.")
    potential_minor: int | None = Field(None, description="Expected of the best of those like them.")
    gap_minor: int | None = Field(None, description="Potential less expected, times the chance that they come back.")
    p_return: float | None = Field(None, ge=0, le=1, description="That chance, within the forecast's horizon.")
    p_below_zero: float | None = Field(
        None, ge=0, le=1, description="That they are worth less than nothing in all; none: no doubt, or too early."
    )
    cost_to_serve_per_order_minor: int | None = Field(None, description="Time, returns and costs of service.")
    month_ends: tuple[MonthEnd, ...] = Field((), max_length=13, description="The latest 13, the oldest first.")


class Rfm(Outbound):
    """Recency, frequency and monetary scores by the shop's fifths: for people who think in them."""

    recency: int = Field(ge=1, le=5, description="5: bought lately.")
    frequency: int = Field(ge=1, le=5, description="5: bought often.")
    monetary: int = Field(ge=1, le=5, description="5: spent most.")
    segment: Literal[
        "champions", "cannot_lose_them", "at_risk", "need_attention", "potential_loyalists", "loyal", "promising",
        "new", "about_to_sleep", "lost", "frequent_small_baskets",
    ] = Field(description="The field's name for these scores; not the lifecycle.")  # fmt: skip
    days_since_purchase: int = Field(ge=0, description="What recency is of: days of the shop's calendar.")
    purchase_days: int = Field(ge=0, le=32, description="What frequency is of: days with a purchase in a year.")
    spent_minor: int = Field(description="What monetary is of: net revenue of a year.")


class Window(Outbound):
    """What happened in the last so many days, today included. The 365-day figures are exact to a week."""

    orders: int = Field(ge=0, description="Purchases.")
    revenue_minor: int = Field(description="Of these purchases.")
    refunded_minor: int = Field(description="Given back in these days.")
    emails_delivered: int = Field(ge=0, description="E-mails that reached them.")
    emails_opened: int = Field(ge=0, description="Opened by a person.")
    emails_clicked: int = Field(ge=0, description="Followed by a person.")
    mentions: int = Field(ge=0, description="Public posts about us.")
    reviews: int = Field(ge=0, description="Reviews.")
    sentiment_mean: float | None = Field(ge=-1, le=1, description="-1 (bad) to 1 (good); none where nobody could tell.")
    complaints: int = Field(ge=0, description="Complaints opened.")
    contacts: int = Field(ge=0, description="Contacts with a person of ours.")


class Windows(Outbound):
    """The rolling figures."""

    days_7: Window
    days_30: Window
    days_90: Window
    days_365: Window


class Consent(Outbound):
    """What they said about one purpose on one channel."""

    purpose: str = Field(description="For what.")
    channel: str = Field(description="Where; `*` is everywhere.")
    granted: bool = Field(description="What they decided.")
    changed_at: AwareDatetime = Field(description="When.")
    valid_until: AwareDatetime | None = Field(description="A grant ends then.")


class Preferences(Outbound):
    """What they said they want."""

    marketing_channel: str | None = Field(description="Where they want offers and news.")
    service_channel: str | None = Field(description="Where they want to be served.")
    interests: tuple[str, ...] = Field(description="Codes of what they care for.")


class Fact(Outbound):
    """One thing we know of them. Stated beats inferred; past its life in the policy it is stale, and not used."""

    fact: Literal[
        "marketing_channel", "service_channel", "contacts_per_month_max", "interests", "reason_for_buying", "language",
        "time_zone", "country", "kind",
    ] = Field(description="What it is about.")  # fmt: skip
    value: tuple[str, ...] = Field(description="What we know; of `interests` several.")
    source: Literal["stated", "inferred"] = Field(description="They said it, or their behaviour says it.")
    confirmed_at: AwareDatetime | None = Field(description="When it was last said or seen; none if not remembered.")
    stale: bool = Field(description="Past its life: shown, and not used.")


class ChannelResponse(Outbound):
    """How they respond by one channel, over the last year."""

    channel: str = Field(description="By what.")
    tried: int = Field(ge=0, description="Messages and contacts of ours.")
    answered: int = Field(ge=0, description="Opened or followed, or they came by it themselves.")
    bought: int = Field(ge=0, description="Orders soon after an answer by it, as far as both are remembered.")
    fraction: float = Field(ge=0, le=1, description="Answers and orders, of all: shrunk to the usual.")


class PreferredTime(Outbound):
    """The part of the day in which they answer and buy most."""

    from_hour: int = Field(ge=0, le=21, description="From this hour ...")
    to_hour: int = Field(ge=3, le=24, description="... until before this one.")
    fraction: float = Field(ge=0, le=1, description="Of what they did, so much in these hours.")
    answers: int = Field(ge=0, description="How much they did in all.")
    time_zone: str = Field(description="Where: their own zone, while we know it, else the shop's.")


class CategoryAffinity(Outbound):
    """A category they buy of."""

    category: str = Field(description="Which: at most 32 characters of its name, `>` written as `/`.")
    share_fraction: float = Field(ge=0, le=1, description="Its part of what they buy, lately bought counting more.")
    orders: int = Field(ge=1, description="Orders of it, as far as they are remembered.")
    last_on: date | None = Field(
        description="The last one; of folded ones the latest day of their quarter that it may be; none if longer ago."
    )
    stale: bool = Field(description="Not bought for a year: shown, and not used.")


class NextBest(Outbound):
    """A category to offer them next."""

    category: str = Field(description="Which.")
    score: float = Field(ge=0, le=1, description="Its expected share of their next orders.")
    basis: Literal["stated", "own purchases", "bought with", "popular"] = Field(
        description="They said so; they buy it; who buys what they buy does; customers of the shop do."
    )
    because: str = Field(description="With `bought with`: the category that speaks most for it.")


class PriceSensitivity(Outbound):
    """Whether they buy only with offers."""

    sensitivity: Literal["unknown", "full_price", "mixed", "offers_only"] = Field(
        description="`unknown` while their orders are too few to say."
    )
    orders: int = Field(ge=0, description="Orders it is told from.")
    discounted: int = Field(ge=0, description="Those of them with a discount.")
    fraction: float = Field(ge=0, le=1, description="With a discount, of all: shrunk to the shop's share.")
    discount_fraction: float = Field(ge=0, le=1, description="Discounts on what they kept, of its price before.")


class Shift(Outbound):
    """They buy other things than before."""

    since_on: date = Field(description="The review that found it.")
    distance: float = Field(ge=0, le=1, description="0: no further than chance makes it; toward 1: nothing in common.")
    toward: str = Field(description="The category that has gained most.")
    away_from: str = Field(description="The category that has lost most.")


class Needs(Outbound):
    """What they need and want, and how we know it."""

    facts: tuple[Fact, ...] = Field(description="What they said, or what their behaviour says.")
    channels: tuple[ChannelResponse, ...] = Field(description="The one they respond to best first.")
    preferred_time: PreferredTime | None = Field(description="None while too little is known, or none stands out.")
    affinity: tuple[CategoryAffinity, ...] = Field(description="What they buy most, at most eight categories.")
    next_best: tuple[NextBest, ...] = Field(description="At most three; none before the shop's table is measured.")
    price: PriceSensitivity
    shift: Shift | None = Field(description="None while they buy what they always bought.")


class ConsiderationOpen(Outbound):
    """A trigger whose cause has come and whose end has not."""

    rule: Rule
    business_key: str = Field(description="The order, ticket, survey or silent spell that is the cause.")
    expires_at: AwareDatetime = Field(description="It is not sent any more then.")


class LastDecision(Outbound):
    """The latest decision about them."""

    rule: Rule
    outcome: Outcome = Field(description="What was decided.")
    reason: Reason | None = Field(description="What weighed most.")
    decided_at: AwareDatetime = Field(description="When.")


class ProfileView(Outbound):
    """One customer."""

    customer_id: CustomerId
    partition: int = Field(ge=0, description="Of the customer's log.")
    offset: int = Field(ge=0, description="How far that log was read: the higher, the later.")
    as_of: AwareDatetime = Field(description="The instant all figures are of.")
    first_seen_at: AwareDatetime = Field(description="Their first event.")
    stage: Stage = Field(description="How far the relationship has grown.")
    stage_reason: str = Field(description="Why they are in it.")
    stage_since_at: AwareDatetime = Field(description="Since when.")
    stage_evidence: StageEvidence
    lifecycle: Lifecycle = Field(description="Where they stand with buying.")
    lifecycle_reason: str = Field(description="Why.")
    lifecycle_since_at: AwareDatetime = Field(
        description="Since the purchase that led there, or since their silence grew too long; not since it was noticed."
    )
    prospect_overdue: bool = Field(description="A prospect for longer than anybody should be.")
    value: Value
    prediction: Prediction | None = Field(None, description="None before a model is fitted, or before a purchase.")
    tier: Tier | None = Field(None, description="None in views made before tiers were.")
    rfm: Rfm | None = Field(None, description="None before a purchase, or before the shop's customers are measured.")
    first_purchase_at: AwareDatetime | None = Field(description="None before it.")
    last_purchase_at: AwareDatetime | None = Field(description="None before it.")
    days_since_purchase: int | None = Field(
        ge=0, description="Whole days of 24 hours from the last purchase to `as_of`."
    )
    purchase_days: tuple[date, ...] = Field(description="The last five days they bought on, in the shop's zone.")
    windows: Windows
    open_tickets: int = Field(ge=0, description="Of any kind.")
    complaint_open: bool = Field(description="A complaint of theirs waits for us: no promotion.")
    complaints: int = Field(ge=0, description="Complaints so far.")
    complaint_closed_at: AwareDatetime | None = Field(description="When the last one was solved.")
    consents: tuple[Consent, ...] = Field(description="What is not here is not allowed.")
    preferences: Preferences
    needs: Needs | None = None
    considerations_open: tuple[ConsiderationOpen, ...] = Field(description="Triggers held or about to be decided.")
    last_decision: LastDecision | None = Field(description="None before the first.")
    next_review_at: AwareDatetime | None = Field(description="When silence can next matter.")
    policy_hash: str = Field(description="The policy the figures were reckoned by.")
    simulated: bool = Field(description="Made up, by a simulator or a test.")
    satisfaction: Satisfaction | None = Field(None, description="None in views from before it was kept.")
    owed: Owed | None = Field(None, description="None in views from before it was kept.")
