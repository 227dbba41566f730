"""Orders and refunds as the ledger keeps them, at the rates in force; and what is odd about them, for a dead letter."""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

import msgspec

from pipeline.core import ledger as ledgers
from pipeline.core import lines, worth
from pipeline.core.categories import UNKNOWN
from pipeline.core.marks import mark
from pipeline.core.moment import Moment, Note
from pipeline.core.money import portion
from pipeline.core.profile import CONTENT_BITS, Ledger, Order, Refund
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason

_encode: Final = msgspec.msgpack.Encoder().encode


def order_entry(event: logged.OrderCompleted, now: Moment) -> Order:
    """The ledger's entry of an order, at the rates in force."""
    rules, revenue = now.policy.value, event.revenue_minor
    commission, content = 0, _milli(event) << CONTENT_BITS
    if event.commission_minor is not None:
        commission = event.commission_minor
    elif event.affiliate_id is not None:
        commission = portion(revenue, rules.affiliate_commission_permille, 1000)
    if event.items or event.affiliate_id is not None or event.commission_minor is not None or event.paid_currency:
        content |= _content(
            event.items, event.affiliate_id, event.commission_minor, event.paid_currency, event.paid_minor
        )
    weights = lines.weights(event.items) if event.items and rules.margin_permille_by_category else {}
    kinds = lines.as_kinds(weights, rules) if weights else ()
    margin = worth.margin_minor(weights, revenue + event.discount_minor, rules)
    paid = event.paid_currency or ""
    return Order(
        mark(event.order_id), now.at, 0, revenue, event.discount_minor, now.arrived_at, known=1, margin_minor=margin,
        commission_minor=commission, content=(content, *kinds) if kinds else content, paid_currency=paid,
        categories=UNKNOWN if any(item.category for item in event.items) else 0,
        paid_minor=(event.paid_minor or 0) if paid else 0, offer=int(event.coupon is not None),
    )  # fmt: skip


def _content(*said: Any) -> int:
    return crc32(_encode(said)) % (1 << CONTENT_BITS) or 1


def _milli(event: logged.Event) -> int:
    """The thousandths of the second it happened in: of two words of one second the later counts."""
    return event.occurred_at.microsecond // 1000


def refund_entry(event: logged.OrderRefunded, now: Moment) -> Refund:
    """The ledger's entry of a refund, at the rates in force."""
    amount, content = event.amount_minor, _milli(event) << CONTENT_BITS
    if event.items:
        content |= _content(event.items)
    named = lines.as_named(event.items) if event.items and amount is not None else ()
    return Refund(
        mark(event.refund_id), mark(event.order_id), now.at, worth.WHOLE if amount is None else amount,
        now.arrived_at, handling_minor=now.policy.value.return_cost_minor,
        content=(content, *named) if named else content,
        paid_currency=event.paid_currency or "" if amount is not None else "", paid_minor=event.paid_minor or 0,
    )  # fmt: skip


def doubt_order(before: Ledger, after: Ledger, entry: Order, now: Moment) -> None:
    """Note what is odd about an order that was there already, or whose refunds were."""
    known, paid = ledgers.find(before, entry.order), entry.paid_currency
    told = [known.paid_currency] if known is not None and known.known else _refunded_in(before, entry.order)
    other = next((each for each in told if each != paid), None)
    if other is not None:
        _note_currencies(other, paid, now)
    _note_excess(after, entry.order, now)
    _note_other_lines(after, entry.order, now)


def _refunded_in(ledger: Ledger, order: int) -> list[str]:
    """The currencies that refunds of an order say how much in."""
    return [each.paid_currency for each in ledger.refunds if each.order == order and each.amount_minor != worth.WHOLE]


def _note_currencies(one: str, other: str, now: Moment) -> None:
    names = " and ".join(each or "the shop's own" for each in (one, other))
    now.notes.append(Note(Reason.ORDER_IN_TWO_CURRENCIES, f"currency: expected one for an order, got {names}; counted"))


def _note_excess(ledger: Ledger, key: int, now: Moment) -> None:
    order = ledgers.find(ledger, key)
    assert order is not None, "just put there"
    if not order.known:
        return
    excess = worth.excess(order, ledger.refunds)
    if excess.minor:
        at_most = f"{excess.order_minor} {excess.currency}".rstrip()
        problem = f"amount_minor: expected refunds of at most {at_most} in all, got {excess.minor} more; not counted"
        now.notes.append(Note(Reason.REFUND_ABOVE_ORDER, problem))


def _note_other_lines(ledger: Ledger, key: int, now: Moment) -> None:
    order = ledgers.find(ledger, key)
    assert order is not None, "just put there"
    beyond = worth.other_lines_minor(order, ledger.refunds)
    if beyond:
        problem = f"items: expected lines of the order, and no more than it had, got {beyond} more; counted as unnamed"
        now.notes.append(Note(Reason.REFUND_OF_OTHER_LINES, problem))


def doubt_refund(ledger: Ledger, order: Order, entry: Refund, now: Moment) -> None:
    """Note what is odd about a refund whose order is there."""
    if order.known and entry.amount_minor != worth.WHOLE and order.paid_currency != entry.paid_currency:
        _note_currencies(order.paid_currency, entry.paid_currency, now)
    _note_excess(ledger, order.order, now)
    if entry.named:
        _note_other_lines(ledger, order.order, now)
