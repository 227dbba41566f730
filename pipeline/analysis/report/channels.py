"""What each channel costs and brings: cost of winning one, payback, value of who it won, and orders by its touches."""

from __future__ import annotations

from typing import Final

from pipeline.analysis.report.calendar import OUTSIDE, month_name
from pipeline.analysis.report.measures import Measure, Row, add, brought, nothing
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, added, mean, share, table, with_total
from pipeline.analysis.report.tally import BY_FRIEND, CHANNEL, FRIEND, OF_NO_CHANNEL, WHOLE_TIME
from pipeline.core.acquisition import WHOLE, Cpa, cpa_from
from pipeline.core.policy import ATTRIBUTIONS

FLAG: Final = "costs more than it brings"
FLAGGED_AFTER: Final = 2


def channels(shop: Shop) -> Part:
    """The part."""
    names, by_channel = _names(shop), _by_channel(shop)
    flagged = [name for name in names if costs_more_than_it_brings(shop, name)]
    rows = [_channel(shop, name, flagged) for name in names]
    value, parts_to_date = added(by_channel, 2), sum(shop.tally.won.values())
    remarks = [f"{name} {FLAG}: in the last {FLAGGED_AFTER} whole periods its spend was above what it brought."
               for name in flagged]  # fmt: skip
    if not shop.spend_by_month:
        remarks.append("No channel's spend has been told (`wafa spend`): cost of winning and payback are unknown.")
    return Part(
        "channels",
        "Channels: what they cost, what they bring",
        (
            with_total(
                table(
                    "channels",
                    "Channels in this time",
                    "channel touches won spend_minor cpa_minor cpa_low_minor cpa_high_minor brought_minor paid_back "
                    "payback_months verdict",
                    rows,
                ),
                added(rows, 1),
                _customers(sum(_parts_won(shop, name) for name in names)),
                added(rows, 3),
                None,
                None,
                None,
                added(rows, 7),
                None,
                None,
                "",
            ),
            table(
                "word_of_mouth",
                "Word of mouth: who came by a friend in this time (customers and value: to date)",
                "touched won_by_friend reward_minor reward_each_minor brought_minor customers value_minor "
                "value_per_customer_minor",
                _word_of_mouth(shop),
            ),
            with_total(
                table(
                    "value_by_channel",
                    "Value to date, by who won the customers",
                    "channel won value_minor value_per_customer_minor unacquired_minor",
                    by_channel,
                ),
                _customers(parts_to_date),
                value,
                mean(round(value), parts_to_date / WHOLE),
                added(by_channel, 4),
            ),
            table(
                "value_by_channel_and_cohort",
                "Value to date, by who won the customers and when",
                "channel cohort_month won spend_minor value_minor value_per_customer_minor",
                _by_cohort(shop),
                shown_max=0,
            ),
            table(
                "attribution",
                f"Orders by the touches before them (the policy's model: {shop.policy.value.attribution})",
                "channel first last linear position",
                _attribution(shop),
            ),
            table(
                "attribution_money",
                "The same, in money",
                "channel model orders_attributed net_revenue_minor brought_minor",
                _attributed_money(shop),
                shown_max=0,
            ),
        ),
        tuple(remarks),
    )


def _customers(parts: int) -> float:
    """Parts of customers, as so many of them: rounded once, after they have been put together."""
    return round(parts / WHOLE, 2)


def _parts_won(shop: Shop, name: str) -> int:
    return shop.tally.people["persuaded", name, WHOLE_TIME]


def _names(shop: Shop) -> list[str]:
    names = {*shop.tally.keys(CHANNEL), *(channel for channel, _ in shop.spend)}
    names |= {channel for step, channel, period in shop.tally.people if channel and period == WHOLE_TIME and step}
    ours = [name for name in OF_NO_CHANNEL if name in names]
    return [*sorted(names.difference(ours)), *ours]


def channel_row(shop: Shop, name: str) -> Row:
    """A channel's row of the whole time, by the policy's model of attribution."""
    row = nothing()
    for number in range(len(shop.calendar.periods)):
        add(row, shop.tally.row(CHANNEL, name, number))
    return row


def costs_more_than_it_brings(shop: Shop, name: str) -> bool:
    """In the last two periods that are over and whole, one after the other."""
    last = shop.whole_periods()[-FLAGGED_AFTER:]
    return len(last) == FLAGGED_AFTER and all(
        shop.spend.get((name, number), 0) > max(0, brought(shop.tally.row(CHANNEL, name, number))) for number in last
    )


def cpa_of(shop: Shop, name: str) -> Cpa | None:
    """What winning one through a channel cost in this time, with its interval; None without spend."""
    paid = sorted({channel for channel, number in shop.spend if number != OUTSIDE})
    if name not in paid:
        return None
    mine = shop.spent_on(name), _parts_won(shop, name)
    spend = sum(shop.spent_on(each) for each in paid)
    parts = sum(_parts_won(shop, each) for each in paid)
    return cpa_from(mine, (spend, parts), shop.policy.value.cpa_prior_customers) if parts else None


def _channel(shop: Shop, name: str, flagged: list[str]) -> list[Cell]:
    row, cpa = channel_row(shop, name), cpa_of(shop, name)
    spend = None if name in OF_NO_CHANNEL else shop.spent_on(name)
    left, cost = _left_and_cost(shop, name)
    return [
        name, row[Measure.TOUCHES], _customers(_parts_won(shop, name)), spend,
        *((cpa.estimate_minor, cpa.low_minor, cpa.high_minor) if cpa else (None, None, None)),
        brought(row), share(left, cost), payback_months(shop, name), FLAG if name in flagged else "",
    ]  # fmt: skip


def _word_of_mouth(shop: Shop) -> list[list[Cell]]:
    """Touched by a channel or not, and in all: what friends were given is of all whom they sent."""
    tally = shop.tally
    rewards = shop.whole()[Measure.REWARDS]
    rows: list[list[Cell]] = []
    for touched in BY_FRIEND:
        of, row = tally.by_friend[touched], nothing()
        for number in range(len(shop.calendar.periods)):
            add(row, tally.row(FRIEND, touched, number))
        won = tally.won_by_friend[touched]
        rows.append([touched, won, None, None, brought(row), of.count, of.value, mean(of.value, of.count)])
    won, brought_minor, count, value = (
        sum(cell for row in rows if isinstance(cell := row[place], int)) for place in (1, 4, 5, 6)
    )
    if not (count or rewards):
        return []
    return [*rows, ["in all", won, rewards, mean(rewards, won), brought_minor, count, value, mean(value, count)]]


def _months_paid(shop: Shop, name: str) -> list[int]:
    """Those a channel cost something in; one it was told to have cost nothing in is none."""
    return [month for (channel, month), amount in shop.spend_by_month.items() if channel == name and amount]


def _left_and_cost(shop: Shop, name: str) -> tuple[int, int]:
    """What customers of months with spend have left so far, and that spend."""
    months = _months_paid(shop, name)
    left = sum(amount for (channel, month, _), amount in shop.tally.left.items() if channel == name and month in months)
    return left, sum(shop.spend_by_month[name, month] for month in months)


def payback_months(shop: Shop, name: str) -> int | None:
    """Months after that of the first purchase until a channel's customers had left, on average, what winning one cost.

    Each age is averaged over the cohorts whose month of that age is over; only cohorts with spend count.
    """
    months = [month for month in _months_paid(shop, name) if month < shop.this_month]
    won = {month: shop.tally.won[name, month] for month in months}
    spend, parts = sum(shop.spend_by_month[name, month] for month in months), sum(won.values())
    if not parts:
        return None
    cost, left = spend * WHOLE / parts, 0.0
    for age in range(shop.this_month - min(months)):
        seen = [month for month in months if month + age < shop.this_month]
        here = sum(won[month] for month in seen)
        if not here:
            break
        left += sum(shop.tally.left[name, month, age] for month in seen) * WHOLE / here
        if left >= cost:
            return age
    return None


def _by_channel(shop: Shop) -> list[list[Cell]]:
    won: dict[str, int] = {}
    value: dict[str, int] = {}
    for (channel, _), parts in shop.tally.won.items():
        won[channel] = won.get(channel, 0) + parts
    for (channel, _), amount in shop.tally.value_won.items():
        value[channel] = value.get(channel, 0) + amount
    names = [name for name in {*won, *shop.unacquired} if won.get(name) or shop.unacquired[name]]
    return [
        [
            name, _customers(won.get(name, 0)), value.get(name, 0),
            mean(value.get(name, 0), won.get(name, 0) / WHOLE), shop.unacquired[name] or None,
        ]
        for name in sorted(names, key=lambda each: (-value.get(each, 0), each))
    ]  # fmt: skip


def _by_cohort(shop: Shop) -> list[list[Cell]]:
    tally = shop.tally
    keys = sorted({*(key for key, parts in tally.won.items() if parts), *shop.spend_by_month})
    return [
        [channel, month_name(month), _customers(tally.won[channel, month]),
         shop.spend_by_month.get((channel, month), 0), tally.value_won[channel, month],
         mean(tally.value_won[channel, month], tally.won[channel, month] / WHOLE)]
        for channel, month in keys
    ]  # fmt: skip


def _attribution(shop: Shop) -> list[list[Cell]]:
    attributed = shop.tally.attributed
    names = sorted({channel for _, channel in attributed})
    return [
        [
            name,
            *(
                round(attributed.get((model, name), [0])[0] / WHOLE, 2)
                for model in ("first", "last", "linear", "position")
            ),
        ]
        for name in names
    ]


def _attributed_money(shop: Shop) -> list[list[Cell]]:
    return [
        [channel, model, round(parts / WHOLE, 2), revenue, left]
        for (model, channel), (parts, revenue, left) in sorted(
            shop.tally.attributed.items(), key=lambda each: each[0][::-1]
        )
    ]


assert set(ATTRIBUTIONS) == {"first", "last", "linear", "position"}, "each model has its column"
