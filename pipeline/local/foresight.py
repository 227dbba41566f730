"""What the shop of a demonstration expects of its customers: learned on the way, and at the end held against what came.

Learned as in any shop, by `wafa spend` and `wafa fit`, from what is in Kafka by then; read back from there too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from pipeline import states
from pipeline.core.days import date_of, day_of
from pipeline.core.forecast import history_of
from pipeline.core.ledger import all_days
from pipeline.core.predict import HORIZON_DAYS, Model, from_parameters, predict
from pipeline.core.profile import Profile, Tier
from pipeline.local.cast import Cast
from pipeline.settings import Settings

NEEDS: Final = "scipy"
"""The package without which nothing is learned: it comes with the extra `analysis`."""
_PART: Final = 2, 3
"""Learned after so much of the time that is shown; the rest says how good it was."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was expected of each customer on a day, from what was known by then."""

    day: int
    orders: Mapping[bytes, tuple[float, ...]]
    """Within each of the horizons, by the customer's key."""


@dataclass(frozen=True, slots=True)
class Came:
    """How an expectation went."""

    on: str
    """A day, as 1997-12-30."""
    days: int
    customers: int
    expected: float
    orders: int


@dataclass(slots=True)
class OfTier:
    """The customers of a tier, and what they are worth, in minor units."""

    customers: int = 0
    actual_minor: int = 0
    """So far."""
    ahead_minor: int = 0
    """Expected."""


@dataclass(slots=True)
class Outcome:
    """What there is to show at the end."""

    tiers: Mapping[Tier, OfTier] = field(default_factory=dict)
    """Of everybody who has bought; unknown before anything was learned."""
    came: Came | None = None

    @property
    def has_tiers(self) -> bool:
        """Whether anybody's tier is known."""
        return bool(self.tiers.keys() - {Tier.UNKNOWN})


def week_to_learn(weeks: int) -> int | None:
    """After which week of so many the model is learned; None where what it needs is not installed."""
    part, of = _PART
    return max(1, weeks * part // of) if find_spec(NEEDS) is not None else None


def learn(cast: Cast) -> Expected | None:
    """Learn what channels cost and what to expect of customers; None where there was too little to learn from."""
    cast.run("spend")
    told = json.loads(cast.run("fit", "--json", refused_is_fine=True).splitlines()[-1])
    if not told["models"]:
        return None
    return _expected(cast.settings, from_parameters(told["models"][0]["parameters"]))


def _expected(settings: Settings, model: Model) -> Expected:
    orders, day = {}, 0
    people = dict(_customers(settings))
    for profile, zone in people.values():
        day = max(day, day_of(profile.as_of, zone) - 1)  # the last whole day, as the model's own
    for key, (profile, zone) in people.items():
        history = history_of(profile.ledger, zone)
        if history is not None:
            orders[key] = predict(model, history, day).orders
    return Expected(day, orders)


def _customers(settings: Settings) -> list[tuple[bytes, tuple[Profile, str]]]:
    return [
        (key, (profile, partition.controls.policy.shop.time_zone))
        for partition in states.partitions(settings)
        for key, profile in partition.customers()
    ]


def outcome(settings: Settings, expected: Expected | None) -> Outcome:
    """The customers by tier as they stand, and how the longest expectation went that is over."""
    tiers: dict[Tier, OfTier] = {}
    until, bought = 0, dict[bytes, list[int]]()
    for key, (profile, zone) in _customers(settings):
        until = max(until, day_of(profile.as_of, zone) - 1)
        if not profile.ledger.last_at:
            continue
        bought[key] = all_days(profile.ledger, zone)
        standing = profile.standing
        of = tiers.setdefault(Tier(standing.tier) if standing else Tier.UNKNOWN, OfTier())
        of.customers += 1
        if standing is not None:
            of.actual_minor += standing.actual_minor
            of.ahead_minor += standing.ahead_minor
    return Outcome(tiers, None if expected is None else _came(expected, bought, until))


def _came(expected: Expected, bought: Mapping[bytes, list[int]], until: int) -> Came | None:
    over = [(place, days) for place, days in enumerate(HORIZON_DAYS) if expected.day + days <= until]
    if not over:
        return None
    place, days = over[-1]
    within = range(expected.day + 1, expected.day + days + 1)
    orders = Counter(day in within for key in expected.orders for day in bought.get(key, ()))[True]
    total = sum(each[place] for each in expected.orders.values())
    return Came(date_of(expected.day), days, len(expected.orders), total, orders)
