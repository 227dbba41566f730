"""The books: what the log itself says of one customer after another, each event once, all of it kept and none folded.

They know no profile: which version of an order counts, what was given back, what was told twice and which touches came
before the first purchase is found here from the events alone. Only prices are the shop's one rule: what an order is
worth at its rates (`worth`), what an e-mail or an hour costs (`costs`), how touches share (`acquisition`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.core import acquisition, booking
from pipeline.core.acquisition import ChannelCost
from pipeline.core.controls import INITIAL, Controls, adopt
from pipeline.core.costs import MILLI, send_milli, service_time_milli
from pipeline.core.marks import mark
from pipeline.core.moment import Moment
from pipeline.core.money import rounded
from pipeline.core.profile import Order, Refund
from pipeline.core.referrals import is_of_oneself
from pipeline.core.value import Value
from pipeline.core.worth import NOTHING, Worth, worth
from pipeline.schemas import logged

_EIGHT_BYTES: Final = "Q"


class _OrderTold:
    """One order, as told."""

    __slots__ = ("entry", "first_at", "is_void", "refunds", "version")

    def __init__(self) -> None:
        self.version: tuple[int, int, int, int, str, int, int] | None = None
        self.entry = Order(0)
        """At its rates: of the version that counts."""
        self.first_at = 0
        """The earliest date that any version gives."""
        self.is_void = False
        self.refunds: dict[str, Refund] = {}

    def tell(self, entry: Order) -> None:
        """One version of it; the latest counts, of two at one instant the greater."""
        at = entry.purchased_at
        paid = entry.paid_currency, entry.paid_minor
        told = at, entry.version_milli
        version = (*told, entry.revenue_minor, entry.discount_minor, *paid, entry.content_mark)
        self.first_at = min(self.first_at or at, at)
        if self.version is None or version > self.version:
            self.version, self.entry = version, entry

    @property
    def stands(self) -> bool:
        """Whether it is a purchase."""
        return self.version is not None and not self.is_void

    def give_back(self, refund_id: str, told: Refund) -> None:
        """One version of a refund; the latest counts, of two at one instant the whole order or else the greater."""
        before = self.refunds.get(refund_id)
        if before is None or _version(told) > _version(before):
            self.refunds[refund_id] = told

    @property
    def net_minor(self) -> int:
        """Its latest version less its refunds: those in the currency it was paid in at its own rate."""
        if not self.stands or any(refund.amount_minor < 0 for refund in self.refunds.values()):
            return 0
        revenue, paid = self.entry.revenue_minor, self.entry.paid_minor
        back = same = 0
        for refund in self.refunds.values():
            if paid and refund.paid_currency == self.entry.paid_currency:
                same += refund.paid_minor
            else:
                back += refund.amount_minor
        if same:
            back += (2 * revenue * min(same, paid) + paid) // (2 * paid)
        return max(0, revenue - back)

    @property
    def worth(self) -> Worth:
        """What it is worth after refunds."""
        return worth(self.entry, [*self.refunds.values()]) if self.stands else NOTHING


def _version(refund: Refund) -> tuple[int, int, bool, int, str, int, int]:
    paid = refund.paid_currency, refund.paid_minor
    told = refund.refunded_at, refund.version_milli
    return *told, refund.amount_minor < 0, refund.amount_minor, *paid, refund.content_mark


class _Told:
    """One customer, as told."""

    __slots__ = ("costs_minor", "orders", "rewards_minor", "seen", "sends_milli", "service_time_milli", "touches")

    def __init__(self) -> None:
        self.orders: dict[str, _OrderTold] = {}
        self.touches: set[tuple[int, str]] = set()
        self.rewards_minor: dict[str, int] = {}
        """By referral."""
        self.costs_minor = {"sales": 0, "marketing": 0, "service": 0}
        self.sends_milli = self.service_time_milli = 0
        self.seen = array(_EIGHT_BYTES)
        """Marks of all events, in order: an e-mail takes eight bytes."""

    def is_new(self, event: logged.Event) -> bool:
        """Whether it has not been told before, however long ago."""
        this = mark(f"{event.source}\0{event.id}")
        place = bisect_left(self.seen, this)
        if place < len(self.seen) and self.seen[place] == this:
            return False
        self.seen.insert(place, this)
        return True

    def reward(self, referral_id: str, amount_minor: int) -> None:
        """What they were given for a referral: told again, the most counts."""
        self.rewards_minor[referral_id] = max(self.rewards_minor.get(referral_id, 0), amount_minor)

    def order(self, order_id: str) -> _OrderTold:
        """The order, whatever of it is told first."""
        return self.orders.setdefault(order_id, _OrderTold())


class Account(NamedTuple):
    """One customer by the books."""

    value: Value
    net_revenue_minor: int
    cohort_month: str | None
    channel_costs: tuple[ChannelCost, ...]


class Log:
    """The books of one partition, its log told in order. A small record an order, eight bytes for any other event."""

    def __init__(self) -> None:
        self.controls: Controls = INITIAL
        """What is in force at this place in the log."""
        self._customers: dict[bytes, _Told] = {}

    def tell(self, customer: bytes, event: logged.Logged) -> None:
        """One event of the log, or a control."""
        if isinstance(event, logged.Control):
            self.controls = adopt(self.controls, event)
            return
        told = self._customers.setdefault(customer, _Told())
        match event:
            case logged.OrderCompleted():
                told.order(event.order_id).tell(booking.order_entry(event, self._now(event)))
            case logged.OrderRefunded():
                refund = booking.refund_entry(event, self._now(event))
                told.order(event.order_id).give_back(event.refund_id, refund)
            case logged.OrderCancelled():
                told.order(event.order_id).is_void = True
            case logged.ReferralMade() if not is_of_oneself(customer.decode(), event):
                told.reward(event.referral_id, event.reward_minor or 0)
            case logged.TouchRecorded():
                told.touches.add((int(event.occurred_at.timestamp()), event.channel))
            case _:
                self._tell_cost(told, event)

    def _now(self, event: logged.Event) -> Moment:
        at = int(event.occurred_at.timestamp())
        return Moment("", at, at, self.controls)

    def _tell_cost(self, told: _Told, event: logged.Event) -> None:
        """What an event cost that is known by its own id."""
        rules = self.controls.policy.value
        match event:
            case logged.CostRecorded() if told.is_new(event):
                told.costs_minor[event.department] += event.amount_minor
            case logged.EmailDelivered() if told.is_new(event):
                told.sends_milli += send_milli(rules)
            case logged.ContactMade() if told.is_new(event):
                told.service_time_milli += service_time_milli(event.service_minutes, rules)
            case logged.TicketEvent() if told.is_new(event):
                told.service_time_milli += service_time_milli(event.service_minutes, rules)
                told.costs_minor["service"] += event.service_cost_minor
            case _:
                pass

    def accounts(self) -> Iterator[Account]:
        """Every customer's account, by all that was told."""
        for told in self._customers.values():
            yield _account(told, self.controls)


def _account(told: _Told, controls: Controls) -> Account:
    orders = told.orders.values()
    first_at = min((each.first_at for each in orders if each.stands), default=0)
    month = acquisition.month_of_first(first_at, controls.policy.shop.time_zone)
    shares = acquisition.shares_in(first_at, sorted(told.touches), controls.policy.value)
    costs = acquisition.costs_of(shares, month, controls)
    of_orders = sum([each.worth for each in orders], start=NOTHING)
    value = Value(
        margin_minor=of_orders.margin_minor,
        channel_cost_minor=sum(each.cost_minor for each in costs),
        commission_cost_minor=of_orders.commission_minor,
        sales_cost_minor=told.costs_minor["sales"],
        discount_cost_minor=of_orders.discount_minor,
        send_cost_minor=rounded(told.sends_milli, MILLI),
        marketing_cost_minor=told.costs_minor["marketing"] + sum(told.rewards_minor.values()),
        service_time_cost_minor=rounded(told.service_time_milli, MILLI),
        return_cost_minor=of_orders.returns_minor,
        service_recorded_cost_minor=told.costs_minor["service"],
    )
    return Account(value, sum(each.net_minor for each in orders), month, costs)
