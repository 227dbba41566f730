"""Every figure of the report: its name in files, in words, its unit, and what it means. docs/report.md lists them."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "count", "money", "share", "number", "measured"]


class Figure(NamedTuple):
    """A column: `money` is whole minor units, `share` 0 to 1, `number` any other, `measured` as the row's unit says."""

    words: str
    kind: Kind
    about: str


FIGURES: Final[dict[str, Figure]] = {}


def _add(of: Kind, /, **named: tuple[str, str]) -> None:
    for name, (words, about) in named.items():
        FIGURES[name] = Figure(words, of, about)


_add(
    "text",
    period=(
        "period",
        (
            "Week, month, quarter or year, in the shop's zone; `(part)` where the report begins or ends within it, "
            "`(not over)` while it lasts."
        ),
    ),
    channel=(
        "channel",
        (
            "Through what customers were touched. *Word of mouth alone*: no touch, and a friend sent them. "
            "*None known*: neither; or, of who was touched, an order with no touch in the days before it."
        ),
    ),
    cohort_month=("customers of", "Month of the first purchase, or of a channel's spend."),
    department=("department", "Marketing, sales or service."),
    step=("step", "Of the funnel: reached, persuaded, satisfied, promoting."),
    base=("of whom", "Whom the share is of."),
    touched=("touched", "Who came by a friend: whether a channel had a part in winning them too."),
    lifecycle=("lifecycle", "Where customers stand with buying, as of the log's last moment."),
    tier=(
        "tier",
        (
            "MVC, MGC, BZ or the rest, as of the log's last moment. *Of no customer*: costs that name none, channels "
            "that won nobody, and what channels' spend of this time and their customers' shares of it differ by."
        ),
    ),
    move=("from, to", "The tiers at the ends of two months that follow each other; of the month there is now, so far."),
    goal=("goal", "What the shop wants, from `[goals]` in the policy."),
    owner=("owner", "Who answers for it: marketing, sales, service or shared."),
    kind=(
        "what was said",
        (
            "Complaint, suggestion, product idea, low rating (two fifths of the best or less), refund, "
            "cancellation, interest, reason for buying."
        ),
    ),
    category=("category", "Of the product, as orders named it last."),
    product_id=("product", "As orders, reviews, refunds and tickets name it."),
    reason=("reason", "The code that the ticket, refund, cancellation or preference carries."),
    verdict=("verdict", "*Costs more than it brings*: in the last two whole periods one after the other."),
    line=("line", "A sum that the report and the customers' values both have."),
    model=("model", "How the touches before an order share it."),
    evidence=("by", "What tells how satisfied they are: of all kinds together, or of one."),
    level=("satisfaction", "Of a customer by all evidence, the older the less; unknown without any."),
    output=(
        "brought about",
        (
            "Newly known: their first event of all lies in this time, and a channel touched them first. Customers "
            "won: by the policy's model of touches. E-mails answered: opened or clicked by a person, each once. Orders "
            "kept: placed in this time, and something of them is left. Tickets solved: and not opened again."
        ),
    ),
    unit=("unit", "Minor units of the shop's currency, a share, or a count."),
)
_add(
    "count",
    people=("people", "How many: at this step in the time of the report; who said this last before they went silent."),
    base_people=("of so many", "How many those are."),
    won_by_friend=("came by a friend", "People with a first order in the time of the report, whom a friend had sent."),
    running_month=(
        "month not over",
        "So many months after the first purchase is the month that is not over: its share is so far.",
    ),
    newcomers=("newly known", "People whose first event of all lies in the period."),
    reached=("reached", "People that marketing reached: a touch, an e-mail delivered, or a contact by marketing."),
    prospects=("prospects", "Known before the period and without a purchase until then."),
    persuaded=("persuaded", "People whose first order lies in the period."),
    heard=(
        "with evidence",
        (
            "Of those with a purchase by the end of that time, of whom something of that time tells how they felt: "
            "survey, review, mention, ticket, promised delivery."
        ),
    ),
    satisfied=(
        "satisfied",
        "Of those with evidence, who were satisfied by it at the end of that time, as profiles reckon it.",
    ),
    customers_heard=(
        "customers",
        "With a purchase and such evidence, if it weighs enough to say how satisfied they are.",
    ),
    pieces=("pieces", "Of evidence, as profiles keep them: of each customer the latest eight of a kind."),
    age_days=("median age, days", "Half of the pieces are no older, as of the log's last moment."),
    promoting=(
        "promoting",
        (
            "People who sent a friend (a referral told again counts once, on its earliest date), praised us in public, "
            "or gave a recommendation score of nine tenths or more."
        ),
    ),
    customers=("customers", "People with a purchase."),
    buyers=("buyers", "People with an order in the period."),
    orders=("orders", "That stand: not cancelled."),
    activities=(
        "activities",
        (
            "Of the department: marketing's touches and e-mails, service's tickets, each one's contacts and recorded "
            "activities. Of a channel: what costs that name it say was done."
        ),
    ),
    touches=("touches", "Of people known, by the channel."),
    said=("said", "How often."),
    people_said=("by people", "By how many people."),
    mvc_said=("by MVCs", "By how many of the most valuable customers; none without tiers."),
    kept=("kept", "Promises to customers, to date: deliveries and answers in time, messages with consent."),
    broken=("broken", "Not done when their time had passed; messages without consent."),
    open=("open", "Whose time has not come."),
    moves=("customers", "Who moved so."),
    payback_months=(
        "payback, months",
        (
            "After the month of the first purchase, until what a channel's customers left on "
            "average was what winning one cost; none: not yet."
        ),
    ),
)
_add(
    "money",
    revenue_minor=("revenue", "Of orders, after discount, on the day of the order."),
    refunded_minor=("refunded", "Given back, on the day of the refund."),
    net_revenue_minor=("net revenue", "Revenue less what was given back."),
    margin_minor=("margin", "On net revenue, of the price before discount."),
    discount_minor=("discounts", "On what was kept."),
    brought_minor=("brought", "What orders left: margin less discounts, commission and handling of returns."),
    cost_minor=(
        "cost",
        (
            "Of a department: marketing's spend on channels, e-mails, discounts and recorded costs; sales' "
            "commissions and recorded costs; service's time, returns, tickets and recorded costs."
        ),
    ),
    cost_each_minor=("cost for each", "The department's whole cost by so many."),
    spend_minor=("spend", "What channels were told to have cost (`wafa spend`), a month's day by day alike."),
    reward_minor=(
        "rewards",
        "What friends were given for sending somebody, in the time of the report; among marketing's costs.",
    ),
    reward_each_minor=("rewards each", "By people who came by a friend."),
    marketing_minor=("marketing", "Its cost."),
    sales_minor=("sales", "Its cost."),
    service_minor=("service", "Its cost."),
    profit_minor=("profit", "Margin less all costs."),
    value_minor=("value", "Value to date: as `wafa books` sums it, up to the log's last moment."),
    value_per_customer_minor=("value each", "Value by number of customers."),
    profit_per_buyer_minor=("profit per buyer", "Profit by number of buyers."),
    cpa_minor=("cost of winning one", "Spend by customers won (CPA); shrunk toward all channels' where few were won."),
    cpa_low_minor=("at least", "The cost of winning one lies above it with 95 % probability."),
    cpa_high_minor=("at most", "It lies below it with 95 % probability."),
    unacquired_minor=(
        "nobody won",
        "Of its spend, that of months in which it won nobody: in no customer's value.",
    ),
    predicted_minor=("predicted", "What they will still bring, as their profiles predict it; none without a model."),
    report_minor=("in the report", "Of all periods, and what lies outside them."),
    customers_minor=("in the customers", "The same, summed over the customers' values."),
    difference_minor=("difference", "What does not add up."),
    said_value_minor=("value of who said it", "Value to date of these people."),
)
_add(
    "share",
    base_share=("share", "Of those named beside it."),
    conversion=("persuaded of all", "Persuaded, of prospects and newly known together."),
    returned=("return", "Profit per unit of money spent on them, to date."),
    returned_low=("return, at least", "Lies above it with 95 % probability."),
    returned_high=("return, at most", "Lies below it with 95 % probability."),
    score=("score", "Mean of the pieces, 0 to 1; of all kinds together, mean of the customers' satisfaction."),
    score_low=("score, at least", "The mean lies above it with 95 % probability; none of one customer."),
    score_high=("score, at most", "It lies below it with 95 % probability."),
    customers_share=("of customers", "Of all with a purchase."),
    value_share=("of value", "Of the value of all; none where that is not above zero."),
    cost_share=("of cost", "Of the cost of all."),
    kept_share=("kept, of all", "Kept, of those kept or broken."),
    paid_back=(
        "paid back, to date",
        "Of all that it has cost, what customers of the months it cost something in have left so far.",
    ),
)
_add(
    "number",
    won=("won", "Customers won: each shared by the channels that had a part in it, by the policy's model."),
    first=("first", "All of an order to the first touch before it."),
    last=("last", "All to the last touch."),
    linear=("linear", "To each touch the same."),
    position=("position", "Two fifths each to the first and the last, the rest to those between."),
    orders_attributed=("orders", "By the model: the parts of orders that a channel has."),
)
_add(
    "measured",
    result=("how much", "Of a promise kept or broken: the share kept, of those due in this time."),
    target=("target", "From the policy, of a whole period: none where the report has a part of one."),
    actual=("actual", "So far; money in minor units, else a share."),
    forecast=("forecast", "Of the whole period; of one that is over, what was."),
    forecast_low=("at least", "Nine periods in ten end above it."),
    forecast_high=("at most", "Nine in ten end below it."),
    gap=("gap", "Forecast less target, turned so that below zero is worse than wanted."),
)
AGES_SHOWN: Final = 13
for _age in range(AGES_SHOWN):
    FIGURES[f"month_{_age}"] = Figure(
        str(_age), "share", f"Of the month's new customers, who bought {_age} months later."
    )
