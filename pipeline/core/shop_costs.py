"""What the shop spent on no customer: let in at the door, kept by the event's id, summed by channel and month.

A cost for a period is shared among the period's days, so a month has the part of its days; without a period it is of
the month in which it was spent, in the shop's zone. Parts are whole minor units and together the whole cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from pipeline.core.days import date_of, day_of
from pipeline.core.entries import NotAdmitted
from pipeline.core.money import portion
from pipeline.schemas import events, logged
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.shop_costs import ShopCost

PERIOD_DAYS_MAX: Final = 3 * 366
"""A cost is for three years at most."""
AHEAD_DAYS_MAX: Final = 366
"""What is paid in advance begins within a year."""

ChannelMonth = tuple[str, str]
_DAY: Final = timedelta(days=1)


def key_of(source: str, event_id: str) -> bytes:
    """What a cost is kept under: told again by the same source under the same id, it is the same cost."""
    return blake2b(f"{len(source)}/{source}/{event_id}".encode(), digest_size=16).hexdigest().encode()


def shop_cost(event: events.CostRecorded, entry: logged.CostRecorded) -> ShopCost:
    """An inbound cost that names no customer, its amount as `entry` has it. Raises NotAdmitted for an odd period."""
    for why in odd_period(event, entry.occurred_at.date()):
        raise why
    kept: dict[str, Any] = {name: getattr(entry, name) for name in _KEPT}
    return ShopCost(**kept, period_start_on=event.period_start_on, period_end_on=event.period_end_on)


def odd_period(event: events.CostRecorded, spent_on: date) -> Iterator[NotAdmitted]:
    """What is wrong with the period of a cost that names no customer."""
    start, end = event.period_start_on, event.period_end_on
    first = start or end
    if first is not None and (first - spent_on).days > AHEAD_DAYS_MAX:
        problem = f"period_start_on: expected at most {AHEAD_DAYS_MAX} days after occurred_at, got {first}"
        yield NotAdmitted(Reason.TOO_FAR_AHEAD, problem)
    if start is not None and end is not None and not start <= end <= start + timedelta(days=PERIOD_DAYS_MAX):
        problem = f"period_end_on: expected from {start} to {PERIOD_DAYS_MAX} days later, got {end}"
        yield NotAdmitted(Reason.SCHEMA_VIOLATION, problem)


_KEPT: Final = (
    "department", "amount_minor", "currency", "occurred_at", "channel", "activity", "activity_count", "campaign_id",
    "affiliate_id", "partner_id", "simulated",
)  # fmt: skip


class Span(NamedTuple):
    """Days of one month, and the part of a cost that is for them."""

    first_on: date
    last_on: date
    part_minor: int


def spans(cost: ShopCost, zone: str) -> Iterator[Span]:
    """The days a cost is for, month by month, each with its part, in order; all of its month where none are stated."""
    start, end = cost.period_start_on or cost.period_end_on, cost.period_end_on or cost.period_start_on
    if start is None or end is None:
        spent_on = date.fromisoformat(date_of(day_of(int(cost.occurred_at.timestamp()), zone)))
        first = spent_on.replace(day=1)
        yield Span(first, _next_month(first) - _DAY, cost.amount_minor)
        return
    first, days, before = start, (end - start).days + 1, 0
    while start <= end:
        following = min(_next_month(start), end + _DAY)
        through = portion(cost.amount_minor, (following - first).days, days)
        yield Span(start, following - _DAY, through - before)  # so that no part is off by more than a minor unit
        start, before = following, through


def by_month(cost: ShopCost, zone: str) -> Iterator[tuple[str, int]]:
    """The months (YYYY-MM) a cost is for, each with its part, in order."""
    for first_on, _, part in spans(cost, zone):
        yield f"{first_on:%Y-%m}", part


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def summed(costs: Iterable[ShopCost], zone: str) -> dict[ChannelMonth, int]:
    """What each channel spent on each month; under the channel `""` what names none."""
    sums: dict[ChannelMonth, int] = {}
    for cost in costs:
        for month, part in by_month(cost, zone):
            place = (cost.channel or "", month)
            sums[place] = sums.get(place, 0) + part
    return sums
