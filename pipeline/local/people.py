"""Who the customers of the demonstration are said to be: invented, each from the seed and their own number alone."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from pipeline.local.cdnow import Purchase

OPENED_ON: Final = date(1997, 1, 1)
WEEKS: Final = 78
"""To 30 June 1998, the last day of the purchases."""
PROSPECTS_FRACTION: Final = 0.05
"""Invented people who never buy, beside the customers."""
CHANNELS: Final = {
    "paid_search": (0.30, 900), "affiliate": (0.20, 700), "banner": (0.20, 1_100), "word_of_mouth": (0.15, 0),
    "print": (0.15, 1_400),
}  # fmt: skip
"""How people found the shop: their share, and the cents it took to win each."""
_HANDLE_FRACTION: Final = 0.15
_NAMED_PROSPECTS_FRACTION: Final = 0.7


@dataclass(slots=True)
class Person:
    """Who somebody is said to be, and how they take to the shop."""

    customer_id: str
    email: str
    handle: str | None
    channel: str
    arrives_at: datetime
    is_named: bool
    """They say who they are; else all we ever know is how they came."""
    reads: float
    """The chance that they open a letter."""
    mood: float
    """0 (hard to please) to 1."""
    purchases: Mapping[int, Sequence[Purchase]]
    """By week."""
    subscribed: bool = False


def midday(day: date) -> datetime:
    """Noon of a day, the purchases' own time of day being unknown."""
    return datetime.combine(day, time(12), UTC)


def week_of(day: date) -> int:
    """Which week of the shop's a day is in, from 0."""
    return (day - OPENED_ON).days // 7


def customer(seed: int, number: str, purchases: Sequence[Purchase]) -> Person:
    """Who is said to have made these purchases. They came at most three weeks before the first."""
    draw = random.Random(f"{seed}/{number}")
    by_week: dict[int, list[Purchase]] = defaultdict(list)
    for purchase in purchases:
        by_week[week_of(purchase.bought_on)].append(purchase)
    first_at = midday(min(purchase.bought_on for purchase in purchases))
    arrives_at = first_at - timedelta(days=draw.randrange(21), minutes=draw.randrange(30, 600))
    return _person(draw, f"cdnow-{number}", arrives_at, by_week, is_named=True)


def prospect(seed: int, number: int) -> Person:
    """Somebody who looks and does not buy."""
    draw = random.Random(f"{seed}/prospect/{number}")
    arrives_at = midday(OPENED_ON) + timedelta(days=draw.randrange(7 * WEEKS - 10), minutes=draw.randrange(600))
    is_named = draw.random() < _NAMED_PROSPECTS_FRACTION
    return _person(draw, f"prospect-{number:04}", arrives_at, {}, is_named=is_named)


def _person(
    draw: random.Random, customer_id: str, arrives_at: datetime, purchases: Mapping[int, Sequence[Purchase]],
    *, is_named: bool,
) -> Person:  # fmt: skip
    return Person(
        customer_id=customer_id, email=f"{customer_id}@example.com",
        handle=f"forum:{customer_id.replace('-', '')}" if draw.random() < _HANDLE_FRACTION else None,
        channel=draw.choices(list(CHANNELS), [share for share, _ in CHANNELS.values()])[0],
        arrives_at=max(arrives_at, datetime.combine(OPENED_ON, time(0, 1), UTC)), is_named=is_named,
        reads=draw.betavariate(2, 4), mood=draw.betavariate(5, 2), purchases=purchases,
    )  # fmt: skip
