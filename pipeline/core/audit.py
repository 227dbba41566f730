"""Does it add up? The same money three times: over customers, over the channels that won them, and in the books.

Customers' values come from their profiles, the books from the log itself (`books`); both are summed here in the same
way, figure by figure and channel by channel, and what lies between is named. Referral value is in none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import WHOLE, ChannelCost, channel_costs, cohort_month, parts_of
from pipeline.core.books import Log
from pipeline.core.controls import Controls, spending
from pipeline.core.money import portion
from pipeline.core.profile import Profile
from pipeline.core.value import NOTHING, Value, value

NO_CHANNEL: Final = ""
"""Whom no touch had a part in winning."""
PARTS: Final = {
    "margin_minor": "margin",
    "channel_cost_minor": "channels",
    "commission_cost_minor": "commission",
    "sales_cost_minor": "sales",
    "discount_cost_minor": "discounts",
    "send_cost_minor": "e-mails",
    "marketing_cost_minor": "marketing",
    "service_time_cost_minor": "service time",
    "return_cost_minor": "returns",
    "service_recorded_cost_minor": "service",
}
"""The line of each part of a value."""
assert tuple(PARTS) == Value.__struct_fields__, "every part has its line"


class Line(NamedTuple):
    """One figure, by the customers' profiles and by the books."""

    name: str
    customers_minor: int
    books_minor: int

    @property
    def difference_minor(self) -> int:
        """What does not add up."""
        return self.customers_minor - self.books_minor


class Spend(NamedTuple):
    """A channel's spend of a month: spend = spread - since - rounding + unacquired, to the minor unit."""

    channel: str
    cohort_month: str
    spend_minor: int
    spread_minor: int
    """Over the customers of that month, by the books."""
    since_minor: int
    """Of it, for customers that the last revision did not count yet; below zero, for some that moved away."""
    rounding_minor: int
    unacquired_minor: int
    """Spent, and nobody won."""


@dataclass
class Sums:
    """One side: a sum over customers, and the same money by channel."""

    count: int = 0
    value: Value = NOTHING
    net_revenue_minor: int = 0
    value_by_channel: dict[str, int] = field(default_factory=dict)
    parts_by_channel: dict[str, int] = field(default_factory=dict)
    spread: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(channel, month) to (parts, minor units)."""

    def take(self, worth: Value, net_revenue_minor: int, month: str | None, costs: Sequence[ChannelCost]) -> None:
        """One customer more, with what winning them cost, channel by channel."""
        self.count += 1
        self.net_revenue_minor += net_revenue_minor
        self.value += worth
        left, parts_left = worth.value_to_date_minor, WHOLE
        for channel, share, cost_minor in costs:
            parts, minor = self.spread.get((channel, month or ""), (0, 0))
            self.spread[channel, month or ""] = (parts + share, minor + cost_minor)
            part = portion(left, share, parts_left)  # of what is left, so that the parts are the whole
            left, parts_left = left - part, parts_left - share
            self._add_to_channel(channel, part, share)
        if parts_left:
            self._add_to_channel(NO_CHANNEL, left, parts_left)

    def _add_to_channel(self, channel: str, amount_minor: int, share: int) -> None:
        self.value_by_channel[channel] = self.value_by_channel.get(channel, 0) + amount_minor
        self.parts_by_channel[channel] = self.parts_by_channel.get(channel, 0) + share

    def charged_minor(self, channel: str) -> int:
        """What customers bear of a channel's spend, of all months."""
        return sum(minor for (each, _), (_, minor) in self.spread.items() if each == channel)


@dataclass
class Customers(Sums):
    """The side of the customers: what their profiles say."""

    refunds_let_go: int = 0

    def add(self, profile: Profile, controls: Controls) -> None:
        """One customer more."""
        _, revenue, refunded, _ = ledgers.totals(profile.ledger)
        self.refunds_let_go += profile.ledger.orphans
        month = cohort_month(profile, controls.policy.shop.time_zone)
        self.take(value(profile, controls), revenue - refunded, month, channel_costs(profile, controls))


def booked(into: Sums, log: Log) -> Sums:
    """The side of the books, with the customers of one partition's log more."""
    for each in log.accounts():
        into.take(each.value, each.net_revenue_minor, each.cohort_month, each.channel_costs)
    return into


class Audit(NamedTuple):
    """The report."""

    customers: Customers
    lines: tuple[Line, ...]
    spend: tuple[Spend, ...]

    @property
    def adds_up(self) -> bool:
        """Whether no line has a difference."""
        return not any(line.difference_minor for line in self.lines)


def audited(customers: Customers, books: Sums, controls: Controls) -> Audit:
    """Customers, channels and books side by side; the channels' spend is as `controls` have it, which the log told."""
    spend = tuple(_spends(books, controls))
    lines = [Line("net revenue", customers.net_revenue_minor, books.net_revenue_minor)]
    lines += lines_of(customers.value, books.value)
    for channel in sorted({*customers.value_by_channel, *books.value_by_channel}):
        theirs, ours = (side.value_by_channel.get(channel, 0) for side in (customers, books))
        lines.append(Line(f"value, by {channel or 'no channel'}", theirs, ours))
    for channel in sorted({each.channel for each in spend}):
        of = [each for each in spend if each.channel == channel]
        between = sum(each.since_minor + each.rounding_minor - each.unacquired_minor for each in of)
        spent = sum(each.spend_minor for each in of)
        lines.append(Line(f"spent on {channel}", customers.charged_minor(channel) - between, spent))
    return Audit(customers, tuple(lines), spend)


def lines_of(one: Value, other: Value) -> list[Line]:
    """Every part of a value beside the same of another sum, and the value."""
    lines = [Line(name, getattr(one, part), getattr(other, part)) for part, name in PARTS.items()]
    return [*lines, Line("value to date", one.value_to_date_minor, other.value_to_date_minor)]


def _spends(books: Sums, controls: Controls) -> Iterable[Spend]:
    for control in spending(controls):
        spend, parts = control.spend_minor, parts_of(control)
        here, spread = books.spread.get((control.channel, control.cohort_month), (0, 0))
        since = portion(spend, here, parts) - spend if parts else 0
        yield Spend(
            control.channel, control.cohort_month, spend, spread, since,
            rounding_minor=spread - spend - since if parts else 0, unacquired_minor=0 if parts else spend,
        )  # fmt: skip
