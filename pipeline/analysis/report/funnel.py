"""The funnel: whom marketing reached, sales persuaded, service satisfied, and who promotes us."""

from __future__ import annotations

from pipeline.analysis.report.calendar import date_at
from pipeline.analysis.report.measures import Measure
from pipeline.analysis.report.satisfaction import satisfaction_tables
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, share, table
from pipeline.analysis.report.tally import OF_NO_CHANNEL, WHOLE_TIME
from pipeline.core.acquisition import WHOLE


def people(shop: Shop, step: str, period: int) -> int:
    """How many, whatever the channel."""
    return shop.tally.people[step, "", period]


def persuaded(shop: Shop, period: int) -> int:
    """People whose first order lies there: their parts by channel, put together."""
    parts = (n for (step, _, number), n in shop.tally.people.items() if step == "persuaded" and number == period)
    return sum(parts) // WHOLE


def prospects(shop: Shop) -> list[int]:
    """At the beginning of each period."""
    known = shop.tally.prospects_before
    found = []
    for number in range(len(shop.calendar.periods)):
        found.append(known)
        known += people(shop, "newcomers", number) - persuaded(shop, number)
    return found


def funnel(shop: Shop) -> Part:
    """The part."""
    reached, won = people(shop, "reached", WHOLE_TIME), persuaded(shop, WHOLE_TIME)
    might_buy = shop.tally.prospects_before + people(shop, "newcomers", WHOLE_TIME)
    heard, satisfied = people(shop, "heard", WHOLE_TIME), people(shop, "satisfied", WHOLE_TIME)
    buyers, promoting = people(shop, "buyers", WHOLE_TIME), people(shop, "promoting", WHOLE_TIME)
    steps: list[list[Cell]] = [
        ["reached (marketing)", reached, None, None, ""],
        ["persuaded (sales)", won, share(won, might_buy), might_buy, "prospects and newly known"],
        ["satisfied (service)", satisfied, share(satisfied, heard), heard, "with evidence"],
        [
            "promoting (word of mouth)",
            promoting,
            share(promoting, buyers),
            buyers,
            "buyers (a promoter need not be one)",
        ],
    ]
    remarks = []
    first_day = shop.tally.first_day
    if first_day is not None and first_day > shop.calendar.last_day:
        remarks.append(f"Nothing is known of this time: the first event of all is of {date_at(first_day)}.")
    elif not heard:
        remarks.append("There is no evidence of how anybody felt in this time: satisfaction is unknown, not low.")
    else:
        remarks.append(
            f"Satisfaction is of the {heard:,} customers of whom there is evidence (surveys, reviews, mentions, "
            "tickets, promised deliveries); of others it is unknown."
        )
    return Part(
        "funnel",
        "From reached to promoting",
        (
            table("funnel", "The funnel, people", "step people base_share base_people base", steps),
            table(
                "funnel_by_period",
                "The funnel by period",
                "period newcomers reached prospects persuaded conversion buyers heard satisfied promoting",
                _by_period(shop),
                shown_max=3,
            ),
            table(
                "funnel_by_first_channel",
                "Prospects and first orders, by the channel that touched them first",
                "channel newcomers prospects persuaded conversion",
                _by_first_channel(shop),
            ),
            *satisfaction_tables(shop),
            table(
                "funnel_by_channel", "Reached and won by channel", "channel reached won", _by_channel(shop), shown_max=0
            ),
        ),
        tuple(remarks),
    )


def _by_period(shop: Shop) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for number, before in enumerate(prospects(shop)):
        newcomers, won = people(shop, "newcomers", number), persuaded(shop, number)
        rows.append(
            [
                shop.name(number), newcomers, people(shop, "reached", number), before, won,
                share(won, before + newcomers), shop.row(number)[Measure.BUYERS],
                *(people(shop, step, number) for step in ("heard", "satisfied", "promoting")),
            ]
        )  # fmt: skip
    return rows


def _channels(shop: Shop, *steps: str) -> list[str]:
    """Those with people at one of these steps."""
    counts = shop.tally.people
    return sorted({channel for step, channel, _ in counts if channel and step in steps})


def _by_first_channel(shop: Shop) -> list[list[Cell]]:
    counts, rows = shop.tally.people, list[list[Cell]]()
    for channel in _channels(shop, "prospects", "newcomers"):
        newcomers, before, won = (
            counts[step, channel, WHOLE_TIME] for step in ("newcomers", "prospects", "first order")
        )
        rows.append([channel, newcomers, before, won, share(won, before + newcomers)])
    return rows


def _by_channel(shop: Shop) -> list[list[Cell]]:
    counts = shop.tally.people
    names = [
        channel
        for channel in _channels(shop, "reached", "persuaded")
        if counts["reached", channel, WHOLE_TIME] or counts["persuaded", channel, WHOLE_TIME]
    ]
    return [
        [channel, None if channel in OF_NO_CHANNEL else counts["reached", channel, WHOLE_TIME],
         round(counts["persuaded", channel, WHOLE_TIME] / WHOLE, 2)]
        for channel in names
    ]  # fmt: skip
