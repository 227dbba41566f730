"""What is summed: one row of whole numbers for whatever it is of (the shop, a department, a tier, a channel)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from pipeline.core.value import Value


class Measure(IntEnum):
    """A place in a row."""

    ORDERS = 0
    REPEAT_ORDERS = 1
    """Of customers who had bought on an earlier day."""
    REVENUE = 2
    REFUNDED = 3
    MARGIN = 4
    DISCOUNT = 5
    COMMISSION = 6
    RETURNS = 7
    SALES = 8
    MARKETING = 9
    SERVICE = 10
    SENDS = 11
    SERVICE_TIME = 12
    CHANNELS = 13
    """The customer's share of what channels spent, when they were won."""
    TOUCHES = 14
    EMAILS = 15
    MARKETING_ACTIVITIES = 16
    SALES_ACTIVITIES = 17
    SERVICE_ACTIVITIES = 18
    TICKETS = 19
    BUYERS = 20
    REWARDS = 21
    """For sending a friend: of what is under `MARKETING`."""
    ANSWERED = 22
    """E-mails opened or clicked by a person, each once."""
    KEPT = 23
    """Orders of which something is left."""
    SOLVED = 24
    """Tickets solved, and not opened again."""


SIZE: Final = len(Measure)
Row = list[int]

_COSTS: Final = {
    "marketing": (Measure.CHANNELS, Measure.DISCOUNT, Measure.SENDS, Measure.MARKETING),
    "sales": (Measure.COMMISSION, Measure.SALES),
    "service": (Measure.SERVICE_TIME, Measure.RETURNS, Measure.SERVICE),
}
_ACTIVITIES: Final = {
    "marketing": (Measure.TOUCHES, Measure.EMAILS, Measure.MARKETING_ACTIVITIES),
    "sales": (Measure.SALES_ACTIVITIES,),
    "service": (Measure.SERVICE_ACTIVITIES, Measure.TICKETS),
}
DEPARTMENTS: Final = tuple(_COSTS)


def nothing() -> Row:
    """A row of noughts."""
    return [0] * SIZE


def add(to: Row, row: Row) -> None:
    """Put a row onto another."""
    for place, each in enumerate(row):
        if each:  # mostly not
            to[place] += each


def cost_of(row: Row, department: str) -> int:
    """What a department cost."""
    return sum(row[each] for each in _COSTS[department])


def activities_of(row: Row, department: str) -> int:
    """What a department did."""
    return sum(row[each] for each in _ACTIVITIES[department])


def cost(row: Row) -> int:
    """What all departments cost."""
    return sum(cost_of(row, department) for department in DEPARTMENTS)


def profit(row: Row) -> int:
    """Margin less all costs: what value to date is made of."""
    return row[Measure.MARGIN] - cost(row)


def value_of(row: Row) -> Value:
    """The parts of a value that a row holds."""
    return Value(
        margin_minor=row[Measure.MARGIN],
        channel_cost_minor=row[Measure.CHANNELS],
        commission_cost_minor=row[Measure.COMMISSION],
        sales_cost_minor=row[Measure.SALES],
        discount_cost_minor=row[Measure.DISCOUNT],
        send_cost_minor=row[Measure.SENDS],
        marketing_cost_minor=row[Measure.MARKETING],
        service_time_cost_minor=row[Measure.SERVICE_TIME],
        return_cost_minor=row[Measure.RETURNS],
        service_recorded_cost_minor=row[Measure.SERVICE],
    )


def net_revenue(row: Row) -> int:
    """Revenue less refunds."""
    return row[Measure.REVENUE] - row[Measure.REFUNDED]


def brought(row: Row) -> int:
    """What orders left once the goods, discounts, commission and returns are paid."""
    return row[Measure.MARGIN] - row[Measure.DISCOUNT] - row[Measure.COMMISSION] - row[Measure.RETURNS]
