"""Why a figure of a customer is what it is: the contract of `wafa customer ID --why QUESTION --json`."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from pipeline.schemas.decisions import CustomerId, Lifecycle, Numbers, Outbound, Outcome, Stage
from pipeline.schemas.views import ChannelPart, TierName


class Cause(Outbound):
    """The event that moved something; a Tick is time itself."""

    type: str = Field(description="Kind of the event; `Tick` where only time had passed.")
    id: str | None = Field(description="Its id; none for a Tick or another control.")
    source: str | None = Field(description="Its source.")
    at: AwareDatetime = Field(description="When it happened.")


class ValueEntry(Outbound):
    """What one event changed in one part of the value."""

    part: str = Field(
        description="The part, named as in `parts`; beside the value, `referral_value_minor` and `net_revenue_minor`."
    )
    amount_minor: int = Field(description="By how much it changed the part.")
    at: AwareDatetime = Field(description="When it happened.")
    type: str = Field(description="Kind of the event.")
    id: str = Field(description="Its id; of a channel's cost the channel and its month.")
    order_id: str | None = Field(description="The order it is about.")
    friend_id: str | None = Field(None, description="Of a referral's credit: the friend, where the log names them.")


class ChannelWhy(ChannelPart):
    """A channel's part in winning them, and what it is reckoned from."""

    cohort_month: str | None = Field(description="The month of their first purchase, whose spend is shared.")
    touches_at: tuple[AwareDatetime, ...] = Field(description="Its touches in the window before the first purchase.")
    spend_minor: int | None = Field(description="What the channel spent on that month's customers; none told yet.")
    customers_won: float | None = Field(description="How many it won of them, by shares.")


class ValueWhy(Outbound):
    """The entries behind the value: those of a part add up to the part."""

    currency: str | None = Field(description="Of the amounts; none before a purchase.")
    value_to_date_minor: int = Field(description="Margin less every cost.")
    referral_value_minor: int = Field(description="Beside it, through referrals.")
    net_revenue_minor: int = Field(0, description="Beside it: what they paid and did not get back.")
    parts: dict[str, int] = Field(description="Each part by name.")
    entries: tuple[ValueEntry, ...] = Field(description="In the order of the log.")
    channels: tuple[ChannelWhy, ...] = Field((), description="Behind the cost of channels.")


class Condition(Outbound):
    """One thing that a stage asks for."""

    name: str = Field(
        description="Such as `known`, `worked_on_together`, `loyal`; `still_worked_on`, `still_loyal` to keep a stage."
    )
    holds: bool = Field(description="Whether it was so.")
    facts: dict[str, Any] = Field(description="The figures and instants it rests on, by name.")


class StageMove(Outbound):
    """A move from one stage to another."""

    left: Stage | None = Field(description="None: first heard of.")
    reached: Stage = Field(description="The stage then.")
    at: AwareDatetime = Field(description="When.")
    reason: str = Field(description="Why, as in the view.")
    cause: Cause = Field(description="The event that moved it.")
    conditions: tuple[Condition, ...] = Field(description="To reach the stage then, or to keep the one that was lost.")


class StageWhy(Outbound):
    """What moved the stage and the evidence then; what holds it now; what the next one asks for."""

    stage: Stage = Field(description="Now.")
    since_at: AwareDatetime = Field(description="Since when.")
    reason: str = Field(description="Why, as in the view.")
    moves: tuple[StageMove, ...] = Field(description="In the order of the log.")
    holds: tuple[Condition, ...] = Field(description="What this stage asks for to be kept, now.")
    failed_checks: int = Field(ge=0, description="Checks in a row that found evidence gone.")
    failed_checks_max: int = Field(ge=1, description="With so many it falls.")
    next_stage: Stage | None = Field(description="The stage above; none above the highest.")
    next_asks: tuple[Condition, ...] = Field(description="What the next stage asks for; what does not hold is missing.")
    frozen_by_complaint: bool = Field(description="While a serious complaint is new and open the stage does not move.")
    frozen_until_at: AwareDatetime | None = Field(
        None, description="An open serious complaint holds it until then at most; none: there is no such complaint."
    )


class LifecycleMove(Outbound):
    """A move from one lifecycle to another."""

    left: Lifecycle | None = Field(description="None: first heard of.")
    reached: Lifecycle = Field(description="The lifecycle then.")
    at: AwareDatetime = Field(description="When it happened, whenever it was noticed.")
    reason: str = Field(description="Why, as in the view.")
    cause: Cause = Field(description="The event that moved it.")
    silent_days: int | None = Field(description="Since the last purchase, then.")
    at_risk_after_days: int | None = Field(description="Their own limit then; none: the policy's counted.")
    limit_days: int | None = Field(
        None, description="The silence that leads there, as it was then; none: silence does not."
    )


class LifecycleWhy(Outbound):
    """What moved the lifecycle, and which silence would move it on."""

    lifecycle: Lifecycle = Field(description="Now.")
    since_at: AwareDatetime = Field(description="Since when, as in the view.")
    reason: str = Field(description="Why, as in the view.")
    moves: tuple[LifecycleMove, ...] = Field(description="In the order of the log.")
    purchase_days: tuple[date, ...] = Field(description="As far as they are kept.")
    last_purchase_at: AwareDatetime | None = Field(description="None before a purchase.")
    silent_days: int | None = Field(description="Whole days of 24 hours since the last purchase.")
    limits_are: Literal["own_rhythm", "policy"] = Field(description="Whose limits count.")
    at_risk_after_days: int = Field(description="Silence that puts them at risk.")
    lapsed_after_days: int = Field(description="Silence after which they have lapsed.")
    next_lifecycle: Lifecycle | None = Field(description="Where silence leads next.")
    next_at: AwareDatetime | None = Field(description="When, if they do not buy before.")
    is_proven: bool = Field(description="Whether time has passed in the log: before, silence moves nothing.")


class TierLines(Outbound):
    """Where the lines between tiers run in this shop."""

    measured_on: date = Field(description="The day the shop's customers were measured.")
    customers: int = Field(description="Those who had bought.")
    mvc_from_minor: int = Field(description="Most valuable: worth so much in all, or more ...")
    mvc_returns_above: float = Field(description="... and likelier than this to come back.")
    mgc_gap_from_minor: int = Field(description="Most growable: might be worth so much more.")
    bz_serve_above_minor: int = Field(description="Below zero: serving an order costs more than this ...")
    bz_certainty_above: float = Field(description="... and worth less than nothing is surer than this.")


class TierMove(Outbound):
    """A move from one tier to another."""

    left: str = Field(description="The tier before.")
    cause: Cause = Field(description="The event that moved it; often another, by which their tier was looked at.")
    reached: dict[str, Any] = Field(description="The tier then, with its figures, as in the profile's view.")
    lines: TierLines | None = Field(description="The shop's lines then.")


class Alike(Outbound):
    """Customers who are alike, when the shop was measured."""

    channel: str | None = Field(description="Won through it (`none`: through no channel); none: through whichever.")
    weeks_from: int | None = Field(description="Here for so many weeks or more; none: for however long.")
    weeks_below: int | None = Field(description="And for fewer than so many; none: no limit.")
    customers: int | None = Field(description="How many they were; none: too few, or measured before it was told.")


class PotentialWhy(Outbound):
    """What they might be worth from now on, by the model and the lines in force, on the day of the last look."""

    potential_minor: int = Field(description="The greatest of what is expected, of the best tenth, and by categories.")
    told_by: Literal["expected", "best_tenth", "categories"] = Field(description="Which of these it is.")
    expected_minor: int = Field(description="Expected of them, less what keeping and serving them will cost.")
    best_tenth_minor: int = Field(description="The same of somebody whom nine in ten of `compared_with` stay below.")
    they_are: Alike = Field(description="Those most like them.")
    compared_with: Alike | None = Field(description="The nearest who were many enough; none: nobody was.")
    categories: int = Field(description="Product categories they bought in; 0: nobody told.")
    categories_of_broadest: int = Field(description="The same of the broadest tenth of `broadest_of`; 0: nobody told.")
    broadest_of: Alike | None = Field(description="The nearest who were many enough and whose categories were told.")


class TierKept(Outbound):
    """Why they are in another tier than their figures lead to by themselves."""

    by: Literal["slack", "hold"] = Field(
        description="`slack`: its line is missed by little. `hold`: no fall follows another move at once."
    )
    else_tier: TierName = Field(description="Where their figures lead by themselves.")
    slack_permille: int = Field(description="By so much of a line who is above it may fall below, by the policy.")
    hold_days: int = Field(description="For so many days after a move nobody falls, by the policy.")
    since_days: int = Field(description="For how many days they had been in their tier, when last looked at.")


class TierWhy(Outbound):
    """What moved the tier and the figures then; the figures now, and the shop's lines beside them."""

    currency: str | None = Field(description="Of the amounts.")
    moves: tuple[TierMove, ...] = Field(description="In the order of the log.")
    tier: dict[str, Any] = Field(description="The tier now, with its figures, as in the profile's view.")
    lines: TierLines | None = Field(description="The shop's lines; none before it is measured.")
    kept: TierKept | None = Field(None, description="None: their figures lead to it by themselves.")
    potential: PotentialWhy | None = Field(
        None, description="Whom what they might be worth is told from; none before they are looked at."
    )
    pulled_down_by: dict[str, int] = Field(description="What weighs on somebody who may be worth less than nothing.")


class ModelUsed(Outbound):
    """The model a prediction is of."""

    scope: str = Field(description="`shop`, or whose model is theirs: `channel/...`, `cohort/...`.")
    fitted_at: AwareDatetime = Field(description="When it was fitted.")
    learned_until_on: date = Field(description="The day up to which buying was learned from.")
    parameters: dict[str, float] = Field(description="By name.")
    diagnostics: dict[str, float] = Field(description="What the fit said of itself, by name.")


class PurchasesSeen(Outbound):
    """The customer's purchases as the model sees them."""

    as_of_on: date = Field(description="At the end of this day.")
    purchase_days: int = Field(description="Distinct days.")
    first_on: date = Field(description="The first.")
    last_on: date = Field(description="The last.")
    tenure_days: int = Field(description="Since the first.")
    days_since_purchase: int = Field(description="Since the last, by the shop's calendar.")
    mean_gap_days: float | None = Field(description="Between purchase days; none before the second.")
    spend_days: int = Field(description="Repeat purchase days with a margin above zero.")
    mean_margin_minor: int = Field(description="Of those; 0 without any.")
    poor_days: int = Field(description="The other repeat purchase days: given back, or sold at a loss.")
    poor_margin_minor: int = Field(description="Of those, in all.")


class HorizonFactors(Outbound):
    """The factors of the orders expected within a horizon."""

    days: int = Field(description="Within so many.")
    orders_if_they_stay: float = Field(description="Of somebody who has not left.")
    season_factor: float = Field(description="How busy those days are, against the rest.")


class MadeOf(Outbound):
    """`p_alive` times `orders_if_they_stay` times `season_factor` are orders; times an order's margin, margin."""

    p_alive: float = Field(description="Chance that they have not left.")
    ahead: tuple[HorizonFactors, ...] = Field(description="By horizon.")
    margin_an_order_minor: float = Field(description="Of theirs and the shop's, weighed.")
    margin_an_order_of_the_shop_minor: float = Field(description="Of somebody unknown.")
    is_calibrated: bool = Field(description="Whether the chance of return is corrected by what came of earlier ones.")


class HorizonBand(Outbound):
    """Within what comes of customers like this one; one in ten ends up below, one in ten above, or fewer."""

    days: int = Field(description="Within so many.")
    orders_low: int = Field(description="Purchase days.")
    orders_high: int = Field(description="Purchase days.")
    margin_low_minor: int = Field(description="What they leave.")
    margin_high_minor: int = Field(description="What they leave.")


class PredictionBand(Outbound):
    """How far what comes may lie from what is expected, if the model is right."""

    share: float = Field(description="Of customers like this one so many end up within, at the least.")
    ahead: tuple[HorizonBand, ...] = Field(description="By horizon.")
    value_ahead_low_minor: int = Field(description="Of the value ahead.")
    value_ahead_high_minor: int = Field(description="Of the value ahead.")


class PredictionWhy(Outbound):
    """The inputs behind a prediction; without one, why there is none."""

    absent: Literal["no_model", "no_purchase"] | None = Field(description="Why there is none.")
    currency: str | None = Field(description="Of the amounts.")
    model: ModelUsed | None = Field(description="Whose numbers they are.")
    purchases: PurchasesSeen | None = Field(description="What is known of the customer.")
    made_of: MadeOf | None = Field(description="The factors.")
    band: PredictionBand | None = Field(description="How far what comes may lie from it.")
    prediction: dict[str, Any] | None = Field(description="As in the profile's view.")


class RuleMove(Outbound):
    """One decision about a consideration."""

    outcome: Outcome = Field(description="Where it stood then.")
    reasons: tuple[str, ...] = Field(description="Why; the first weighs most.")
    decided_at: AwareDatetime = Field(description="When.")
    channel: str = Field(description="Where it was to reach them.")
    numbers: Numbers
    policy_hash: str = Field(description="The policy it was decided by.")


class Considered(Outbound):
    """A trigger considered, and what became of it."""

    trigger_id: str = Field(description="As on `crm.decisions.v1`.")
    business_key: str = Field(description="The order or the silent spell that is the cause.")
    caused_at: AwareDatetime = Field(description="When its cause occurred.")
    considered_at: AwareDatetime = Field(description="When it opened.")
    expires_at: AwareDatetime = Field(description="It is not sent any more then.")
    moves: tuple[RuleMove, ...] = Field(description="Every decision about it, in order.")
    is_open: bool = Field(description="Whether it still waits.")


class PassedOver(Outbound):
    """A cause that opened no consideration."""

    at: AwareDatetime = Field(description="When it happened.")
    cause: Cause = Field(description="What it was.")
    reason: str = Field(description="before_first_tick, late, too_old, step_failed, rule_off, known_before.")


class CauseNow(Outbound):
    """How the customer stands to the rule's cause now."""

    state: Literal["has_come", "to_come"] = Field(description="Whether it has come.")
    reason: str = Field(description="Why so, as a code.")
    at: AwareDatetime | None = Field(description="When it came, or would come if nothing happens before.")


class InTheWay(Outbound):
    """What would stop a message under the rule now."""

    reason: str = Field(description="Which rail stops it, as in decisions.")
    until_at: AwareDatetime | None = Field(description="None: only something that happens can change it.")


class RuleWhy(Outbound):
    """Every consideration of a rule, every cause that opened none, and what would have to happen for another."""

    rule: str = Field(description="As policy writes it.")
    enabled: bool = Field(description="Whether the policy in force has it on.")
    purpose: str = Field(description="The consent it needs.")
    considerations: tuple[Considered, ...] = Field(description="In the order in which they were first decided on.")
    passed_over: tuple[PassedOver, ...] = Field(description="The latest 20.")
    cause: CauseNow | None = Field(description="None for a rule whose cause is not told here.")
    in_the_way: InTheWay | None = Field(description="None: nothing.")


class EvidenceEntry(Outbound):
    """A piece of evidence of satisfaction."""

    kind: str = Field(description="`survey`, `review`, `mention`, `ticket` or `promise`.")
    what: str | None = Field(description="What became of the ticket or promise; none of what they said.")
    about: str | None = Field(description="The ticket or order.")
    on: date = Field(description="The day it is of; an open complaint is of today.")
    age_days: int = Field(ge=0, description="How old it is.")
    score: float = Field(ge=0, le=1, description="From 0, bad, to 1, good.")
    weight: float = Field(ge=0, description="By its kind and age.")
    events: tuple[Cause, ...] = Field(description="What told it, in the order of the log.")


class SatisfactionWhy(Outbound):
    """The pieces satisfaction is the weighed mean of, with the prior."""

    satisfaction: dict[str, Any] = Field(description="As in the profile's view, now.")
    prior_fraction: float = Field(description="What is thought of somebody without evidence.")
    prior_weight: float = Field(description="How much evidence that is worth.")
    entries: tuple[EvidenceEntry, ...] = Field(description="The latest first.")


class FactEntry(Outbound):
    """A fact about what they need, and what told it."""

    fact: str = Field(description="Its name, as in the view.")
    value: tuple[str, ...] = Field(description="What is so.")
    source: Literal["stated", "inferred"] = Field(description="How we know it.")
    confirmed_at: AwareDatetime | None = Field(description="When it was last said or seen, if remembered.")
    age_days: int | None = Field(description="Since then.")
    stale: bool = Field(description="Past its life: not used.")
    holds_until_at: AwareDatetime | None = Field(description="When its life ends, unless it is said or seen again.")
    event: Cause | None = Field(description="What made it so; a Tick: a review that inferred it.")


class HeardEntry(Outbound):
    """Something that passed by a channel: what response and the time of day are told from."""

    channel: str | None = Field(description="None: a sign of life by none.")
    what: Literal["tried", "answered", "asked", "life"] = Field(
        description="We tried, they answered, they asked for service; or a sign of life."
    )
    at: AwareDatetime = Field(description="When.")
    age_days: int = Field(description="How old it is.")
    event: Cause = Field(description="What told it.")


class OrderEntry(Outbound):
    """An order that stands: what categories, a shift in them and the price are told from."""

    order_id: str = Field(description="Its id.")
    at: AwareDatetime = Field(description="When they bought.")
    age_days: int = Field(description="How old it is.")
    categories: tuple[str, ...] = Field(description="Of its lines.")
    has_discount: bool = Field(description="Whether there was one, or an offer was used.")
    events: tuple[Cause, ...] = Field(description="What told it, in the order of the log.")


class NeedsWhy(Outbound):
    """What is known of their needs, who said so and when, and what each inference rests on."""

    needs: dict[str, Any] = Field(description="As in the profile's view, now.")
    facts: tuple[FactEntry, ...] = Field(description="Stated and inferred.")
    heard: tuple[HeardEntry, ...] = Field(description="Behind channels and time of day, in the order of the log.")
    orders: tuple[OrderEntry, ...] = Field(description="Behind categories, a shift and price; the oldest first.")


class PromiseEntry(Outbound):
    """A promise, and what became of it."""

    department: str = Field(description="Marketing, sales or service.")
    what: Literal["delivery", "answer", "message"] = Field(description="A message: one without consent.")
    about: str | None = Field(description="The order or ticket.")
    due_at: AwareDatetime = Field(description="By when; of a message, when it was sent.")
    done_at: AwareDatetime | None = Field(description="When it was done; none: not yet.")
    outcome: Literal["kept", "broken", "open"] = Field(description="What became of it so far.")
    age_days: int = Field(ge=0, description="Since it was due; 0 until then.")
    events: tuple[Cause, ...] = Field(description="What told it, in the order of the log.")


class PromisesCounted(Outbound):
    """Promises that are known by their number alone."""

    department: str = Field(description="Marketing, sales or service.")
    kept: int = Field(ge=0, description="Messages with consent; what is too old to be remembered one by one.")
    broken: int = Field(ge=0, description="Too old to be remembered one by one.")


class OwedWhy(Outbound):
    """What each department promised, kept and broke: entries and numbers add up to it."""

    departments: tuple[dict[str, Any], ...] = Field(description="As in the profile's view, now.")
    entries: tuple[PromiseEntry, ...] = Field(description="The one due last first.")
    counted: tuple[PromisesCounted, ...] = Field(description="The rest.")


class MoneyEntry(Outbound):
    """A purchase or a refund."""

    order_id: str = Field(description="The order.")
    at: AwareDatetime = Field(description="When it was bought, or given back.")
    age_days: int = Field(description="How old it is.")
    amount_minor: int = Field(description="What was paid; below zero, what went back.")
    events: tuple[Cause, ...] = Field(description="What told of the order, in the order of the log.")


class RfmCuts(Outbound):
    """The shop's fifths: a score is 1 and one more for each cut that is reached."""

    measured_on: date = Field(description="The day the shop's customers were measured.")
    customers: int = Field(description="Those who had bought.")
    days_since_purchase: tuple[int, ...] = Field(description="So many or fewer.")
    purchase_days: tuple[int, ...] = Field(description="So many or more, in a year.")
    spent_minor: tuple[int, ...] = Field(description="So much or more, in a year.")


class RfmWhy(Outbound):
    """What recency, frequency and monetary scores are of, and the shop's cuts beside it."""

    absent: Literal["no_purchase", "no_population"] | None = Field(description="Why there are no scores.")
    currency: str | None = Field(description="Of the amounts.")
    scores: dict[str, Any] | None = Field(description="As in the profile's view, now.")
    habits: dict[str, int] | None = Field(description="What is scored; none before a purchase.")
    cuts: RfmCuts | None = Field(description="None before the shop is measured.")
    purchase_days: tuple[date, ...] = Field(description="Of a year, as far as they are kept.")
    entries: tuple[MoneyEntry, ...] = Field(
        description="Purchases and refunds of a year, the oldest first. They add up to what was spent, exact to a week."
    )


class Explanation(Outbound):
    """The answer to one question; the part asked for is filled, unless nothing is known of the customer."""

    why: str = Field(
        description="value, stage, lifecycle, tier, prediction, satisfaction, needs, owed, rfm or a rule's name."
    )
    customer_id: CustomerId
    as_of: AwareDatetime | None = Field(description="The latest instant that is proven in the log.")
    value: ValueWhy | None = Field(description="Asked `value`.")
    stage: StageWhy | None = Field(description="Asked `stage`.")
    lifecycle: LifecycleWhy | None = Field(description="Asked `lifecycle`.")
    tier: TierWhy | None = Field(description="Asked `tier`.")
    prediction: PredictionWhy | None = Field(description="Asked `prediction`.")
    rule: RuleWhy | None = Field(description="Asked for a rule.")
    satisfaction: SatisfactionWhy | None = Field(None, description="Asked `satisfaction`.")
    needs: NeedsWhy | None = Field(None, description="Asked `needs`.")
    owed: OwedWhy | None = Field(None, description="Asked `owed`.")
    rfm: RfmWhy | None = Field(None, description="Asked `rfm`.")
