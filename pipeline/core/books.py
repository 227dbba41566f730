"""Does it add up? Customers, channels and the books, three sums over the same money, and what lies between them.

Customers' values are summed from their profiles; channels' from each customer's shares; the books are the log's own
events and the spend as told, reckoned here without a ledger: by order id, in whole. Referral value is in none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import WHOLE, channel_costs, cohort_month, parts_of
from pipeline.core.controls import Controls, spending
from pipeline.core.money import portion
from pipeline.core.profile import Profile
from pipeline.core.value import NOTHING, Value, value
from pipeline.schemas import logged

NO_CHANNEL: Final = ""
"""Whom no touch had a part in winning."""


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
    """Over the customers of that month."""
    since_minor: int
    """Of it, for customers that the last revision did not count yet; below zero, for some that moved away."""
    rounding_minor: int
    unacquired_minor: int
    """Spent, and nobody won."""


@dataclass
class Customers:
    """The sum over customers, and the same money by channel."""

    count: int = 0
    value: Value = NOTHING
    net_revenue_minor: int = 0
    value_by_channel: dict[str, int] = field(default_factory=dict)
    parts_by_channel: dict[str, int] = field(default_factory=dict)
    spread: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(channel, month) to (parts, minor units)."""
    refunds_let_go: int = 0

    def add(self, profile: Profile, controls: Controls) -> None:
        """One customer more."""
        worth = value(profile, controls)
        _, revenue, refunded, _ = ledgers.totals(profile.ledger)
        self.count += 1
        self.net_revenue_minor += revenue - refunded
        self.refunds_let_go += profile.ledger.orphans
        self.value = Value(*(mine + theirs for mine, theirs in zip(self.value, worth, strict=True)))
        month = cohort_month(profile, controls.policy.shop.time_zone) or ""
        left, parts_left = worth.value_to_date_minor, WHOLE
        for channel, share, cost_minor in channel_costs(profile, controls):
            parts, minor = self.spread.get((channel, month), (0, 0))
            self.spread[channel, month] = (parts + share, minor + cost_minor)
            part = portion(left, share, parts_left)  # of what is left, so that the parts are the whole
            left, parts_left = left - part, parts_left - share
            self._add_to_channel(channel, part, share)
        if parts_left:
            self._add_to_channel(NO_CHANNEL, left, parts_left)

    def _add_to_channel(self, channel: str, amount_minor: int, share: int) -> None:
        self.value_by_channel[channel] = self.value_by_channel.get(channel, 0) + amount_minor
        self.parts_by_channel[channel] = self.parts_by_channel.get(channel, 0) + share


_COSTS: Final = ("sales", "marketing", "service")


class _RefundTold(NamedTuple):
    """One refund, as told; of two versions the greater counts."""

    at: int
    is_whole: bool
    amount_minor: int
    paid_currency: str
    paid_minor: int


class _Version(NamedTuple):
    """One order, as told once; of two versions the greater counts."""

    at: int
    revenue_minor: int
    discount_minor: int
    paid_currency: str
    paid_minor: int


class _OrderTold:
    """One order, as told."""

    __slots__ = ("is_void", "refunds", "version")

    def __init__(self) -> None:
        self.version: _Version | None = None
        self.is_void = False
        self.refunds: dict[str, _RefundTold] = {}

    @property
    def net_minor(self) -> int:
        """Its latest version less its refunds: those in the currency it was paid in at its own rate."""
        if self.version is None or self.is_void or any(refund.is_whole for refund in self.refunds.values()):
            return 0
        _, revenue, _, currency, paid = self.version
        back = same = 0
        for refund in self.refunds.values():
            if paid and refund.paid_currency == currency:
                same += refund.paid_minor
            else:
                back += refund.amount_minor
        if same:
            back += (2 * revenue * min(same, paid) + paid) // (2 * paid)
        return max(0, revenue - back)


class Log:
    """The books: what the log says of one customer after another, each event once. One small record an order."""

    def __init__(self) -> None:
        self._orders: dict[tuple[bytes, str], _OrderTold] = {}
        self._seen: set[tuple[bytes, str, str]] = set()
        self.costs_minor: dict[str, int] = dict.fromkeys(_COSTS, 0)

    def tell(self, customer: bytes, event: logged.Logged) -> None:
        """One event of the log."""
        match event:
            case logged.OrderCompleted():
                order = self._order(customer, event.order_id)
                at, paid = int(event.occurred_at.timestamp()), (event.paid_currency or "", event.paid_minor or 0)
                version = _Version(at, event.revenue_minor, event.discount_minor, *paid)
                order.version = max(order.version or version, version)
            case logged.OrderRefunded():
                refunds = self._order(customer, event.order_id).refunds
                at, paid = int(event.occurred_at.timestamp()), (event.paid_currency or "", event.paid_minor or 0)
                refund = _RefundTold(at, event.amount_minor is None, event.amount_minor or 0, *paid)
                refunds[event.refund_id] = max(refunds.get(event.refund_id, refund), refund)
            case logged.OrderCancelled():
                self._order(customer, event.order_id).is_void = True
            case logged.CostRecorded() if self._is_new(customer, event):
                self.costs_minor[event.department] += event.amount_minor
            case logged.TicketEvent() if event.service_cost_minor and self._is_new(customer, event):
                self.costs_minor["service"] += event.service_cost_minor
            case _:
                pass

    @property
    def net_revenue_minor(self) -> int:
        """Of all orders."""
        return sum(order.net_minor for order in self._orders.values())

    def _order(self, customer: bytes, order_id: str) -> _OrderTold:
        return self._orders.setdefault((customer, order_id), _OrderTold())

    def _is_new(self, customer: bytes, event: logged.Event) -> bool:
        key = (customer, event.source, event.id)
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


class Books(NamedTuple):
    """The report."""

    customers: Customers
    lines: tuple[Line, ...]
    spend: tuple[Spend, ...]

    @property
    def adds_up(self) -> bool:
        """Whether no line has a difference."""
        return not any(line.difference_minor for line in self.lines)


def reconciled(customers: Customers, log: Log, controls: Controls) -> Books:
    """Customers, channels and books side by side."""
    spend = tuple(_spends(customers, controls))
    worth = customers.value
    spent = sum(each.spend_minor for each in spend)
    between = sum(each.since_minor + each.rounding_minor - each.unacquired_minor for each in spend)
    lines = (
        Line("net revenue", customers.net_revenue_minor, log.net_revenue_minor),
        Line("recorded by sales", worth.sales_cost_minor, log.costs_minor["sales"]),
        Line("recorded by marketing", worth.marketing_cost_minor, log.costs_minor["marketing"]),
        Line("recorded by service", worth.service_recorded_cost_minor, log.costs_minor["service"]),
        Line("spent on channels", worth.channel_cost_minor - between, spent),
        Line("value, by channel", worth.value_to_date_minor, sum(customers.value_by_channel.values())),
    )
    return Books(customers, lines, spend)


def _spends(customers: Customers, controls: Controls) -> Iterable[Spend]:
    for control in spending(controls):
        spend, parts = control.spend_minor, parts_of(control)
        here, spread = customers.spread.get((control.channel, control.cohort_month), (0, 0))
        since = portion(spend, here, parts) - spend if parts else 0
        yield Spend(
            control.channel, control.cohort_month, spend, spread, since,
            rounding_minor=spread - spend - since if parts else 0, unacquired_minor=0 if parts else spend,
        )  # fmt: skip
