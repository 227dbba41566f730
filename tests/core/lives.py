"""Lives to test with: purchase histories and whole customers' lives, drawn so that they shrink to the simplest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import floor, inf
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline.schemas import logged
from tests.core.builders import cancelled, consent, day, opened, order, policy, refund, resolved, said, ticket
from tests.driver import Driver

STEADY: Final = settings(
    derandomize=True, deadline=None, database=None, max_examples=40, suppress_health_check=list(HealthCheck)
)
"""The same examples on every run: a failure here is a failure everywhere."""

HASTY: Final = policy(
    lifecycle__at_risk_after_days=10,
    lifecycle__lapsed_after_days=30,
    guard_rails__messages_max=1,
    guard_rails__messages_window_days=5,
    guard_rails__complaint_cool_down_days=3,
    value__email_cost_per_thousand_minor=150,
    value__service_hour_cost_minor=2_400,
    value__return_cost_minor=35,
    needs__channel_life_days=20,
    needs__frequency_life_days=40,
    needs__response_tries_min=2,
    needs__shift_orders_min=2,
    rules__feedback_request__wait_days=3,
    rules__feedback_request__cool_down_days=6,
    rules__feedback_request__expires_after_days=9,
    rules__retention_offer__cool_down_days=12,
)
"""Limits so short that much happens in a short life."""

# -- purchase histories -----------------------------------------------------------------------------------------------

_ORDERS = st.sampled_from("ABCDE")
_DAYS = st.one_of(st.integers(0, 40), st.integers(0, 400))
_AMOUNTS = st.integers(0, 5_000)

PAID: Final = st.sampled_from((("", 1), ("", 1), ("EUR", 5), ("EUR", 6), ("EUR", 8), ("JPY", 900)))
"""A currency, and what a seventh of the shop's minor unit is of it on that day; empty for the shop's own."""


def paid_in(paid: tuple[str, int], amount_minor: int | None) -> dict[str, Any]:
    """What an event says of an amount that was paid in another currency."""
    currency, rate = paid
    if not currency:
        return {}
    return {"paid_currency": currency, "paid_minor": None if amount_minor is None else amount_minor * rate // 7 + 1}


purchase_events = st.one_of(
    st.builds(
        lambda on, order_id, amount, discount, paid: order(
            on, order_id, amount, discount_minor=discount, **paid_in(paid, amount)
        ),
        _DAYS, _ORDERS, _AMOUNTS, st.integers(0, 99), PAID,
    ),
    st.builds(order, _DAYS, _ORDERS, _AMOUNTS),
    st.builds(
        lambda on, order_id, refund_id, amount, paid: refund(on, order_id, refund_id, amount, **paid_in(paid, amount)),
        _DAYS, _ORDERS, st.sampled_from("RST"), st.none() | _AMOUNTS, PAID,
    ),
    st.builds(cancelled, _DAYS, _ORDERS),
)  # fmt: skip


def _once(event: Any) -> str:
    """An order is cancelled on one day, however often that is told."""
    return f"cancelled {event.order_id}" if isinstance(event, logged.OrderCancelled) else event.id


histories = st.lists(purchase_events, min_size=1, max_size=12, unique_by=_once)


def latest_refunds(history: Sequence[Any]) -> dict[str, list[logged.OrderRefunded]]:
    """By order its refunds, each as it was told last; of two words of one instant the one that gives back more."""
    back: dict[str, dict[str, logged.OrderRefunded]] = {}
    for event in history:
        if isinstance(event, logged.OrderRefunded):
            mine = back.setdefault(event.order_id, {})
            mine[event.refund_id] = max(event, mine.get(event.refund_id, event), key=_refund_told)
    return {order_id: list(refunds.values()) for order_id, refunds in back.items()}


def _refund_told(refund: logged.OrderRefunded) -> tuple[Any, ...]:
    amount = inf if refund.amount_minor is None else refund.amount_minor
    return refund.occurred_at, amount, refund.paid_currency or "", refund.paid_minor or 0


def order_told(told: logged.OrderCompleted) -> tuple[Any, ...]:
    """Of two versions of an order the one that counts has the greater."""
    return told.occurred_at, told.revenue_minor, told.discount_minor, told.paid_currency or "", told.paid_minor or 0


def naive_back(told: logged.OrderCompleted, refunds: Sequence[logged.OrderRefunded]) -> int:
    """What these take of an order: in the currency it was paid in that part of it, else as converted; at most all."""
    revenue, paid, other = told.revenue_minor, 0, 0
    for each in refunds:
        if each.amount_minor is None:
            return revenue
        if told.paid_minor and each.paid_currency == told.paid_currency:
            paid += each.paid_minor or 0
        else:
            other += each.amount_minor
    part = min(Fraction(paid, told.paid_minor), Fraction(1)) if told.paid_minor else Fraction(0)
    return min(revenue, floor(part * revenue + Fraction(1, 2)) + other)


def naive_value(history: Sequence[Any]) -> dict[str, Any]:
    """What a history amounts to, reckoned from all of it at once, order by order, by the words of the contract.

    The latest version of an order counts, dated from its earliest; a cancelled one does not; refunds by their latest
    versions, and together never more than the order.
    """
    orders: dict[str, list[logged.OrderCompleted]] = {}
    void, back = set(), latest_refunds(history)
    for event in history:
        match event:
            case logged.OrderCompleted():
                orders.setdefault(event.order_id, []).append(event)
            case logged.OrderCancelled():
                void.add(event.order_id)
    value: dict[str, Any] = {"orders": 0, "revenue": 0, "refunded": 0, "discount": 0, "bought": [], "given_back": []}
    for order_id, versions in orders.items():
        if order_id in void:
            continue
        latest = max(versions, key=order_told)
        value["orders"] += 1
        value["revenue"] += latest.revenue_minor
        value["discount"] += latest.discount_minor
        value["bought"].append((min(each.occurred_at for each in versions), latest.revenue_minor))
        value["refunded"] += naive_back(latest, back.get(order_id, []))
    value["bought"].sort()
    return value


# -- whole lives ------------------------------------------------------------------------------------------------------

Move = Callable[[float, int], Any]


def _tick(on: float, pick: int) -> logged.Tick:
    return logged.Tick(as_of=day(on))


_CHANNELS = ("email", None, "sms")
_ITEMS = tuple(logged.Item(product_id="p", category=name) for name in ("shoes", "socks", "hats", "tents"))
MOVES: Final[tuple[Move, ...]] = (
    _tick,
    _tick,
    lambda on, pick: order(on, f"order of day {on}", 1_000 * (pick + 1)),
    lambda on, pick: order(on, f"order {pick}", 1_000 * (pick + 1)),
    lambda on, pick: cancelled(on, f"order {pick}"),
    lambda on, pick: refund(on, f"order {pick}", f"refund of day {on}", None if pick == 0 else 300 * pick),
    lambda on, pick: said(logged.OrderDelivered, on, order_id=f"order {pick}"),
    lambda on, pick: consent(on, ("marketing", "feedback")[pick % 2], "granted", _CHANNELS[pick % 3]),
    lambda on, pick: consent(on, ("marketing", "feedback")[pick % 2], "granted", None),
    lambda on, pick: consent(on, ("marketing", "feedback")[pick % 2], "revoked", _CHANNELS[pick % 3]),
    lambda on, pick: said(logged.EmailUnsubscribed, on, email_id="m", list_id=None if pick == 0 else "news"),
    lambda on, pick: opened(on, f"m{pick}"),
    lambda on, pick: ticket(on, f"ticket {pick}", "complaint" if pick else "question"),
    lambda on, pick: resolved(on, f"ticket {pick}", "complaint" if pick else "question"),
    lambda on, pick: said(logged.CustomerIdentified, on, reachable_by=("email",)),
    lambda on, pick: said(logged.PreferenceStated, on, marketing_channel=("email", "sms")[pick % 2]),
    lambda on, pick: said(logged.ContactMade, on, department=("marketing", "sales", "service")[pick % 3]),
    lambda on, pick: said(logged.TouchRecorded, on, channel=("search", "email", "affiliate")[pick % 3]),
    lambda on, pick: said(
        logged.CostRecorded,
        on,
        department=("marketing", "sales", "service")[pick % 3],
        amount_minor=100 * pick - 100,
        currency="USD",
        order_id=f"order {pick}",
    ),
    lambda on, pick: said(
        logged.ReferralMade,
        on,
        referral_id=f"r{pick}",
        referred_customer_id=("d", None, "c")[pick % 3],
        reward_minor=(None, 150, 400)[int(on) % 3],
    ),
    lambda on, pick: said(logged.CustomerReferred, on, referrer_id=f"referrer {pick}", referral_id="r"),
    lambda on, pick: said(logged.ReferralCredited, on, path=(2**30 + pick,), amount_minor=500 * pick - 400),
    lambda on, pick: said(logged.EmailDelivered, on, email_id=f"m{pick}"),
    lambda on, pick: said(logged.MentionPosted, on, mention_id=f"p{on}", platform="forum", sentiment=(pick - 1) / 2),
    lambda on, pick: order(on, f"an order of lines of day {on}", 1_000, items=_ITEMS[pick % (1 + int(on) // 40) :]),
    lambda on, pick: said(
        logged.ContactMade, on, department="sales", channel=("sms", "phone")[pick % 2], is_inbound=pick < 3
    ),
    lambda on, pick: said(logged.OrderPromised, on, order_id=f"order {pick}", promised_at=day(on + 2 * pick)),
    lambda on, pick: said(logged.OrderShipped, on, order_id=f"order {pick}"),
    lambda on, pick: said(logged.SurveyAnswered, on, survey_id=f"s{on}", kind="nps", score=3.0 * pick, score_max=10.0),
    lambda on, pick: said(logged.ReviewPosted, on, review_id=f"r{on}", rating_fraction=pick / 4),
    lambda on, pick: ticket(on, f"ticket {pick}", "question", severity=1 + pick, promised_at=day(on + pick)),
    lambda on, pick: said(
        logged.TicketUpdated,
        on,
        ticket_id=f"ticket {pick}",
        status=("pending", "open", "solved", None)[pick],
        csat=("good", None, "bad", "good")[pick],
    ),
    lambda on, pick: said(logged.EmailDelivered, on, email_id=f"m{pick}", campaign_id="spring", need="shoes"),
    lambda on, pick: said(logged.EmailClicked, on, email_id=f"m{pick}", need=("shoes", None)[pick % 2]),
    lambda on, pick: said(logged.PreferenceStated, on, interests=("shoes",)),
    lambda on, pick: said(logged.PreferenceStated, on, contacts_per_month_max=pick),
    lambda on, pick: said(
        logged.ConsentChanged,
        on,
        purpose=("marketing", "feedback")[pick % 2],
        state="granted",
        channel=_CHANNELS[pick % 3],
        valid_until=day(on + 1 + 2 * pick),
    ),
)
_GAPS = (0, 0.25, 1, 2, 3, 5, 11, 25)
_LATE = (0, 0, 0, 0.5, 4)
_MOVES = st.tuples(st.sampled_from(MOVES), st.sampled_from(_GAPS), st.integers(0, 3), st.sampled_from(_LATE))
lives = st.lists(_MOVES, min_size=1, max_size=50).map(lambda moves: list(lived(moves)))


def lived(moves: Sequence[tuple[Move, float, int, float]]) -> Iterator[Any]:
    """The events and Ticks of a life, as they arrive; a few come late."""
    on = 0.0
    for move, gap, pick, late in moves:
        on += gap
        yield move(on if move is _tick else max(on - late, 0), pick)


def live(life: Sequence[Any], driver: Driver | None = None, customer_id: str = "c") -> Driver:
    """Live through it."""
    driver = driver or Driver(HASTY)
    for event in life:
        if isinstance(event, logged.Tick):
            driver.control(event)
        else:
            driver.feed(event, customer_id)
    return driver
