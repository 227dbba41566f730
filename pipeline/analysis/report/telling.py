"""A partition's log, event by event, into the report's records.

Orders and refunds are kept by the ledger's own rules, one order a ledger and nothing folded; events are told from their
repetitions as the customer's profile tells them. So what is summed here is what the profiles hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.analysis.report.calendar import OUTSIDE, Calendar
from pipeline.analysis.report.life import (
    ANSWERS_MAX,
    REFERRALS_MAX,
    TOUCHES_MAX,
    WISHES_MAX,
    Life,
    OrderTold,
    Said,
    TicketTold,
    Wish,
    Word,
)
from pipeline.analysis.report.measures import Measure, nothing
from pipeline.core import cases, satisfaction
from pipeline.core import ledger as ledgers
from pipeline.core.apply import KNOWN_BY_OWN_ID
from pipeline.core.booking import order_entry, refund_entry
from pipeline.core.controls import INITIAL, Controls
from pipeline.core.costs import send_milli, service_time_milli
from pipeline.core.marks import MARK_BYTES, event_mark, is_marked, mark
from pipeline.core.moment import Moment
from pipeline.core.policy import ValueRules
from pipeline.core.profile import EVENT_MARKS_MAX, Dealings
from pipeline.core.referrals import is_of_oneself, rewarded
from pipeline.schemas import logged

PRODUCTS_MAX: Final = 100_000
"""Products whose category is kept."""
LOW_RATING: Final = 0.4
PROMOTES_FROM: Final = 0.9


class Lives:
    """The customers of one partition, fed with its log in order."""

    def __init__(self, calendar: Calendar, category_by_product: dict[str, str]) -> None:
        self.calendar, self.category_by_product = calendar, category_by_product
        self.controls: Controls = INITIAL
        """The policy in force at this place in the log; what else is in force says nothing here."""
        self.by_customer: dict[bytes, Life] = {}
        """The latest instant of any event."""

    def tell(self, customer: bytes, event: logged.Logged) -> None:
        """One event more."""
        tell = _TELL.get(type(event))
        if not isinstance(event, logged.Event) or tell is None:
            return
        life = self.by_customer.setdefault(customer, Life())
        at = int(event.occurred_at.timestamp())
        if type(event) not in KNOWN_BY_OWN_ID:
            this = event_mark(event.source, event.id)
            if is_marked(life.marks, this):
                return
            life.marks = (life.marks + this)[-EVENT_MARKS_MAX * MARK_BYTES :]
        life.first_at = min(life.first_at or at, at)
        if not (isinstance(event, logged.ReferralMade) and is_of_oneself(customer.decode(), event)):
            tell(self, life, event, at)

    # -- what handlers share ----------------------------------------------------------------------------------------

    def count(self, life: Life, at: int, measure: Measure, amount: int = 1) -> None:
        """Something spent or done."""
        place = self.calendar.place(at)
        life.spent.setdefault(place, nothing())[measure] += amount

    def said(self, life: Life, at: int) -> Said | None:
        """The customer's record of the period, None outside the report."""
        period = self.calendar.place(at).period
        return life.said.setdefault(period, Said()) if period != OUTSIDE else None

    def felt(self, life: Life, at: int, kind: satisfaction.Said, fraction: float) -> None:
        """How satisfied somebody said they were, 0 to 1."""
        said = self.said(life, at)
        if said is not None:
            said.dealings = satisfaction.with_said(said.dealings, kind, self.calendar.day(at), fraction)

    def wished(self, life: Life, at: int, wish: Wish) -> None:
        """What was said, of no order, that those who make the products want to know."""
        is_inside = self.calendar.place(at).period != OUTSIDE
        if is_inside and (wish in life.wishes or len(life.wishes) < WISHES_MAX):
            life.wishes[wish] = life.wishes.get(wish, 0) + 1

    def items(self, items: tuple[logged.Item, ...], *, is_refund: bool = False) -> tuple[tuple[str, str], ...]:
        """(product, category) of the lines, once each; their category is kept by product, as orders name it last."""
        kept: dict[tuple[str, str], None] = {}
        by_product = self.category_by_product
        for item in items:
            category = item.category or ""
            if category and (item.product_id in by_product or len(by_product) < PRODUCTS_MAX):
                if not (is_refund and item.product_id in by_product):
                    by_product[item.product_id] = category
                category = ""  # as the table has it
            kept[item.product_id, category] = None
        return tuple(kept)

    def moment(self, at: int) -> Moment:
        """The rules an order is kept by."""
        return Moment("", at, at, self.controls)

    @property
    def rules(self) -> ValueRules:
        """What things cost, at this place in the log."""
        return self.controls.policy.value

    def order(self, life: Life, order_id: str) -> OrderTold:
        """The order's record."""
        return life.orders.setdefault(mark(order_id), OrderTold())


_ITEMS_KEPT: Final = 4
_TICKET_WISHES: Final = ("complaint", "suggestion", "product_idea")


def _touched(lives: Lives, life: Life, event: logged.TouchRecorded, at: int) -> None:
    touch = (at, event.channel)
    life.first_touch = min(life.first_touch or touch, touch)
    life.touches.append(touch)
    if len(life.touches) > TOUCHES_MAX:
        life.touches.remove(min(life.touches))
    lives.count(life, at, Measure.TOUCHES)
    _reached(lives, life, at)


def _reached(lives: Lives, life: Life, at: int) -> None:
    said = lives.said(life, at)
    if said is not None:
        said.is_reached = True


def _stated(lives: Lives, life: Life, event: logged.PreferenceStated, at: int) -> None:
    for interest in event.interests:
        lives.wished(life, at, Wish("interest", "", "", interest))
    if event.reason_for_buying:
        lives.wished(life, at, Wish("reason for buying", "", "", event.reason_for_buying))


def _contacted(lives: Lives, life: Life, event: logged.ContactMade, at: int) -> None:
    lives.count(life, at, Measure[f"{event.department.upper()}_ACTIVITIES"])
    lives.count(life, at, Measure.SERVICE_TIME, service_time_milli(event.service_minutes, lives.rules))
    if event.department == "marketing":
        _reached(lives, life, at)


def _ordered(lives: Lives, life: Life, event: logged.OrderCompleted, at: int) -> None:
    order, entry = lives.order(life, event.order_id), order_entry(event, lives.moment(at))
    order.ledger = ledgers.with_order(order.ledger, entry)
    items, version = lives.items(event.items)[:_ITEMS_KEPT], ledgers.version(entry)
    if items and version > order.items_version:
        order.items, order.items_version = items, version


def _refunded(lives: Lives, life: Life, event: logged.OrderRefunded, at: int) -> None:
    order, entry = lives.order(life, event.order_id), refund_entry(event, lives.moment(at))
    order.ledger = ledgers.with_refund(order.ledger, entry)
    items, version = lives.items(event.items, is_refund=True), ledgers.refund_version(entry)
    order.refunded(Word(at, "refund", event.reason or "", items, entry.refund, version))


def _cancelled(lives: Lives, life: Life, event: logged.OrderCancelled, at: int) -> None:
    order = lives.order(life, event.order_id)
    order.ledger = ledgers.with_cancellation(order.ledger, mark(event.order_id), at=at, arrived_at=0)
    order.cancelled_at = min(order.cancelled_at or at, at)
    if event.reason:
        order.cancelled_for = max(order.cancelled_for, (at, event.reason))


def _promised(lives: Lives, life: Life, event: logged.OrderPromised, at: int) -> None:
    order = lives.order(life, event.order_id)
    promised_at = int(event.promised_at.timestamp())
    order.promised_at = min(order.promised_at or promised_at, promised_at)


def _delivered(lives: Lives, life: Life, event: logged.OrderDelivered, at: int) -> None:
    order = lives.order(life, event.order_id)
    order.delivered_at = min(order.delivered_at or at, at)


def _mailed(lives: Lives, life: Life, event: logged.EmailDelivered, at: int) -> None:
    lives.count(life, at, Measure.EMAILS)
    lives.count(life, at, Measure.SENDS, send_milli(lives.rules))
    _reached(lives, life, at)


def _answered(lives: Lives, life: Life, event: logged.EmailOpened | logged.EmailClicked, at: int) -> None:
    if event.is_machine:
        return  # a mail proxy or scanner: nobody answered
    key = mark(event.email_id)
    if key in life.answered or len(life.answered) < ANSWERS_MAX:
        life.answered[key] = min(life.answered.get(key, at), at)


def _mentioned(lives: Lives, life: Life, event: logged.MentionPosted, at: int) -> None:
    if event.sentiment is None:
        return
    lives.felt(life, at, satisfaction.Said.MENTION, (event.sentiment + 1) / 2)
    said = lives.said(life, at)
    if said is not None and event.sentiment > 0:
        said.is_promoting = True


def _reviewed(lives: Lives, life: Life, event: logged.ReviewPosted, at: int) -> None:
    lives.felt(life, at, satisfaction.Said.REVIEW, event.rating_fraction)
    if event.rating_fraction > LOW_RATING:
        return
    if event.order_id and not event.product_id:
        lives.order(life, event.order_id).said += (Word(at, "low rating", ""),)
        return
    wish = Wish("low rating", event.product_id or "", "", "")
    lives.wished(life, at, wish)
    life.low_rating = max(life.low_rating or (at, wish), (at, wish))


def _referred(lives: Lives, life: Life, event: logged.ReferralMade, at: int) -> None:
    key = mark(event.referral_id)
    life.rewards, more = rewarded(life.rewards, key, event.reward_minor or 0)
    lives.count(life, at, Measure.MARKETING, more)
    lives.count(life, at, Measure.REWARDS, more)
    if key in life.referrals or len(life.referrals) < REFERRALS_MAX:
        life.referrals[key] = min(life.referrals.get(key, at), at)


def _came_by_friend(lives: Lives, life: Life, event: logged.CustomerReferred, at: int) -> None:
    life.referred_at = min(life.referred_at or at, at)


def _surveyed(lives: Lives, life: Life, event: logged.SurveyAnswered, at: int) -> None:
    fraction = event.score / event.score_max if event.score_max else 0.0
    lives.felt(life, at, satisfaction.Said.SURVEY, fraction)
    said = lives.said(life, at)
    if said is not None and event.kind == "nps" and fraction >= PROMOTES_FROM:
        said.is_promoting = True


def _ticket(lives: Lives, life: Life, event: logged.TicketEvent, at: int) -> None:
    lives.count(life, at, Measure.SERVICE, event.service_cost_minor)
    lives.count(life, at, Measure.SERVICE_TIME, service_time_milli(event.service_minutes, lives.rules))
    ticket = _told(life, event, at)
    if isinstance(event, logged.TicketOpened) and not ticket.is_opened:
        ticket.is_opened = True
        lives.count(life, at, Measure.TICKETS)
    if event.kind is not None:
        wish = event.kind.replace("_", " ") if event.kind in _TICKET_WISHES else ""
        ticket.called = max(ticket.called, (at, wish))
    if event.product_id:
        ticket.of_product = max(ticket.of_product, (at, event.product_id))
    if event.order_id:
        ticket.of_order = max(ticket.of_order, (at, mark(event.order_id)))
    if event.category:
        ticket.with_reason = max(ticket.with_reason, (at, event.category))


def _told(life: Life, event: logged.TicketEvent, at: int) -> TicketTold:
    """The ticket with one event more: the profiles' rule, one ticket a time and none settled."""
    key = mark(event.ticket_id)
    ticket = life.tickets.get(key)
    before = Dealings() if ticket is None else Dealings(cases=(ticket.case,))
    (case,) = cases.with_ticket(before, event, at).cases
    if ticket is None:
        ticket = life.tickets[key] = TicketTold(case, at)
    ticket.case, ticket.heard_at = case, min(ticket.heard_at, at)
    return ticket


def _cost(lives: Lives, life: Life, event: logged.CostRecorded, at: int) -> None:
    lives.count(life, at, Measure[event.department.upper()], event.amount_minor)
    lives.count(life, at, Measure[f"{event.department.upper()}_ACTIVITIES"], event.activity_count)


def _seen(lives: Lives, life: Life, event: logged.Event, at: int) -> None:
    """Nothing but that they are there."""


_TELL: Final[dict[type, Callable[[Lives, Life, Any, int], None]]] = {
    logged.CustomerIdentified: _seen,
    logged.TouchRecorded: _touched,
    logged.PreferenceStated: _stated,
    logged.ContactMade: _contacted,
    logged.OrderCompleted: _ordered,
    logged.OrderRefunded: _refunded,
    logged.OrderCancelled: _cancelled,
    logged.OrderPromised: _promised,
    logged.OrderShipped: _seen,
    logged.OrderDelivered: _delivered,
    logged.EmailDelivered: _mailed,
    logged.EmailOpened: _answered,
    logged.EmailClicked: _answered,
    logged.EmailBounced: _seen,
    logged.EmailUnsubscribed: _seen,
    logged.EmailMarkedAsSpam: _seen,
    logged.ConsentChanged: _seen,
    logged.MentionPosted: _mentioned,
    logged.ReviewPosted: _reviewed,
    logged.ReferralMade: _referred,
    logged.CustomerReferred: _came_by_friend,
    logged.ReferralCredited: _seen,
    logged.SurveyAnswered: _surveyed,
    logged.TicketOpened: _ticket,
    logged.TicketUpdated: _ticket,
    logged.TicketResolved: _ticket,
    logged.CostRecorded: _cost,
}
