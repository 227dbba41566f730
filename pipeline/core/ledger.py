"""Revenue that refunds, cancellations, repetition and order of arrival cannot make wrong.

The ledger is a set: entries keyed by the marks of order ids, and of refund ids within an order. Its value is computed
from the set, so the same set in any order of arrival, any entry any number of times, is the same value. An entry folds
into totals when the refund window has passed since it occurred and 30 days since it arrived. What is not in the ledger
and of no order that is comes too late to be told from a repetition, and is refused, if it is dated at or before
`folded_through_at`, or whatever its date if it is of an order whose mark is among the latest folded ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from pipeline.core.days import DAY_SECONDS, day_of
from pipeline.core.folded import as_gaps, folded_days, is_folded, with_day, with_mark
from pipeline.core.marks import shortened
from pipeline.core.profile import DAYS_MAX, ENTRIES_MAX, LATE, Ledger, Order, Refund
from pipeline.core.worth import WHOLE, Worth, is_all_back, whole, worth
from pipeline.core.worth import given_back as given_back_of

_ARRIVAL_SECONDS: Final = 30 * DAY_SECONDS


class TooOld(Exception):
    """Of an order that has folded, or dated as if it had: maybe counted already, so not counted now."""


def _need_in_time(ledger: Ledger, order: int, at: int) -> None:
    if at <= ledger.folded_through_at or is_folded(ledger, order):
        raise TooOld


def find(ledger: Ledger, order: int) -> Order | None:
    """The order's entry, if it is there."""
    for entry in reversed(ledger.orders):  # what is asked for is mostly new
        if entry.order == order:
            return entry
    return None


def with_order(ledger: Ledger, entry: Order) -> Ledger:
    """The ledger with an order, or with a later version of it. Raises TooOld."""
    before, at = find(ledger, entry.order), entry.purchased_at
    if before is None or not before.known:
        _need_in_time(ledger, entry.order, at)
    if before is None:
        first_at = min(ledger.first_at or at, at)
        return replace(ledger, orders=(*ledger.orders, entry), first_at=first_at, last_at=max(ledger.last_at, at))
    if not before.known:
        return _spanned(put(ledger, _of_version(before, entry, at)))
    purchased_at = min(before.purchased_at, at)
    if version(entry) > version(before):
        return _spanned(put(ledger, _of_version(before, entry, purchased_at)))
    if purchased_at == before.purchased_at and entry.offer <= before.offer:
        return ledger
    same = replace(before, offer=max(before.offer, entry.offer))
    return _spanned(put(ledger, _of_version(before, same, purchased_at)))


def version(order: Order) -> tuple[int, int, int, int, str, int, int]:
    """Of two versions of an order the greater counts. No rate is in it: a policy makes no version."""
    told = order.version_at or order.purchased_at, order.version_milli
    paid = order.paid_currency, order.paid_minor
    return *told, order.revenue_minor, order.discount_minor, *paid, order.content_mark


def _of_version(before: Order, entry: Order, purchased_at: int) -> Order:
    """The entry with what a version says; what is known besides (delivered, asked, costs) stays."""
    version_at = entry.version_at or entry.purchased_at
    arrived_at = (before.arrived_at or before.purchased_at) if before.known else entry.arrived_at
    return replace(
        before, purchased_at=purchased_at, version_at=0 if version_at == purchased_at else version_at,
        revenue_minor=entry.revenue_minor, discount_minor=entry.discount_minor,
        arrived_at=arrived_at, margin_minor=entry.margin_minor,
        commission_minor=entry.commission_minor, content=entry.content, paid_currency=entry.paid_currency, known=1,
        categories=entry.categories, paid_minor=entry.paid_minor, offer=max(before.offer, entry.offer),
    )  # fmt: skip


def with_cancellation(ledger: Ledger, order: int, *, at: int, arrived_at: int) -> Ledger:
    """The ledger with an order void, whether it has come yet or not. Raises TooOld."""
    before = find(ledger, order)
    if before is None:
        _need_in_time(ledger, order, at)
        return replace(ledger, orders=(*ledger.orders, Order(order, arrived_at=arrived_at, version_at=at, cancelled=1)))
    if before.cancelled and (before.known or at <= before.version_at):
        return ledger
    return _spanned(put(ledger, replace(_heard_again(before, at, arrived_at), cancelled=1)))


def _heard_again(entry: Order, at: int, arrived_at: int) -> Order:
    """An order's entry with another word of it: until the order itself comes, it waits from the latest on."""
    if entry.known:
        return entry
    return replace(entry, version_at=max(entry.version_at, at), arrived_at=max(entry.arrived_at, arrived_at))


def with_delivery(ledger: Ledger, order: int, *, at: int, arrived_at: int) -> Ledger:
    """The ledger with the order delivered, at the earliest instant said, whether it has come yet or not."""
    before = find(ledger, order)
    if before is None:
        if at <= ledger.folded_through_at or is_folded(ledger, order):
            return ledger
        entry = Order(order, arrived_at=arrived_at, version_at=at, delivered_at=at)
        return replace(ledger, orders=(*ledger.orders, entry))
    after = _heard_again(before, at, arrived_at)
    if not before.delivered_at or at < before.delivered_at:
        after = replace(after, delivered_at=at)
    return ledger if after == before else put(ledger, after)


def with_lateness(ledger: Ledger, late: frozenset[int]) -> Ledger:
    """The ledger with the orders of these short marks noted to have come late."""
    if not any(shortened(order.order) in late for order in ledger.orders):
        return ledger
    orders = [
        replace(order, noted=order.noted | LATE) if shortened(order.order) in late else order for order in ledger.orders
    ]
    return replace(ledger, orders=tuple(orders))


def with_cost(ledger: Ledger, order: int, *, at: int, amount_minor: int, arrived_at: int) -> Ledger:
    """The ledger with what was spent on an order noted beside it, whether it has come yet or not."""
    before = find(ledger, order)
    if before is not None:
        after = _heard_again(before, at, arrived_at)
        return put(ledger, replace(after, cost_minor=before.cost_minor + amount_minor))
    if at <= ledger.folded_through_at or is_folded(ledger, order):
        return ledger
    entry = Order(order, arrived_at=arrived_at, version_at=at, cost_minor=amount_minor)
    return replace(ledger, orders=(*ledger.orders, entry))


def with_refund(ledger: Ledger, entry: Refund) -> Ledger:
    """The ledger with a refund, or with a later version of it, its order there or still to come. Raises TooOld."""
    for before in ledger.refunds:
        if (before.order, before.refund) == (entry.order, entry.refund):
            if refund_version(entry) <= refund_version(before):
                return ledger
            return replace(ledger, refunds=tuple(entry if each is before else each for each in ledger.refunds))
    order = find(ledger, entry.order)
    if order is None or not order.known:  # all that went back of an order that is there is there too
        _need_in_time(ledger, entry.order, entry.refunded_at)
    return replace(ledger, refunds=(*ledger.refunds, entry))


def refund_version(refund: Refund) -> tuple[int, int, bool, int, str, int, int]:
    """Of two versions of a refund the greater counts: the later; of one instant all of the order, else the greater."""
    paid = refund.paid_currency, refund.paid_minor
    told = refund.refunded_at, refund.version_milli
    return *told, refund.amount_minor == WHOLE, refund.amount_minor, *paid, refund.content_mark


def given_back(ledger: Ledger, order: Order) -> list[tuple[int, int]]:
    """(when, how much) of each refund of an order, the earliest first: together never more than the order was."""
    if not ledger.refunds:
        return []
    return [(refund.refunded_at, amount) for refund, amount in given_back_of(order, ledger.refunds)]


def is_given_back(ledger: Ledger, order: int) -> bool:
    """Whether anything of an order has been, the order here or still to come."""
    return bool(ledger.refunds) and order in [refund.order for refund in ledger.refunds]


def refunded_minor(ledger: Ledger, order: Order) -> int:
    """What has gone back of an order: never more than it was."""
    return sum(amount for _, amount in given_back(ledger, order))


def is_void(ledger: Ledger, order: Order) -> bool:
    """Cancelled, or nothing of it is left."""
    if order.cancelled or not is_given_back(ledger, order.order):
        return bool(order.cancelled)
    return is_all_back(order, given_back_of(order, ledger.refunds))


def purchases(ledger: Ledger) -> list[Order]:
    """Orders that count as purchases: known and not cancelled."""
    return [order for order in ledger.orders if order.known and not order.cancelled]


def standing(ledger: Ledger) -> list[Order]:
    """The purchases of which something is left, as far as they may still change."""
    if not ledger.refunds:
        return purchases(ledger)
    back = {refund.order for refund in ledger.refunds}
    return [order for order in purchases(ledger) if order.order not in back or not is_void(ledger, order)]


def totals(ledger: Ledger) -> tuple[int, int, int, int]:
    """(orders, revenue, refunded, discounts), folded ones included; revenue before refunds, in minor units."""
    orders, revenue = ledger.folded_orders, ledger.folded_revenue_minor
    refunded, discount = ledger.folded_refunded_minor, ledger.folded_discount_minor
    for order in purchases(ledger):
        orders += 1
        revenue += order.revenue_minor
        discount += order.discount_minor
        refunded += refunded_minor(ledger, order)
    return orders, revenue, refunded, discount


def worth_of(ledger: Ledger) -> Worth:
    """What all orders are worth, folded ones included."""
    back = {refund.order for refund in ledger.refunds}
    live = [worth(order, ledger.refunds) if order.order in back else whole(order) for order in purchases(ledger)]
    return sum(live, start=folded_worth(ledger))


def folded_worth(ledger: Ledger) -> Worth:
    """What those are worth that cannot change any more."""
    return Worth(
        ledger.folded_revenue_minor, ledger.folded_refunded_minor, ledger.folded_discount_kept_minor,
        ledger.folded_margin_minor, ledger.folded_commission_minor, ledger.folded_returns_minor,
    )  # fmt: skip


def folded_beside(ledger: Ledger, of: Worth) -> Worth:
    """The same with what others are worth."""
    return Worth(
        ledger.folded_revenue_minor + of.revenue_minor, ledger.folded_refunded_minor + of.refunded_minor,
        ledger.folded_discount_kept_minor + of.discount_minor, ledger.folded_margin_minor + of.margin_minor,
        ledger.folded_commission_minor + of.commission_minor, ledger.folded_returns_minor + of.returns_minor,
    )  # fmt: skip


def first_and_last(ledger: Ledger) -> tuple[int, int]:
    """Instants of the first and the last purchase, 0 and 0 without any."""
    return ledger.first_at, ledger.last_at


def _spanned(ledger: Ledger) -> Ledger:
    """The ledger with its first and last purchase reckoned anew, after one has changed."""
    first, last = ledger.folded_first_at, ledger.folded_last_at
    for order in purchases(ledger):
        first = min(first or order.purchased_at, order.purchased_at)
        last = max(last, order.purchased_at)
    return replace(ledger, first_at=first, last_at=last)


def all_days(ledger: Ledger, zone: str) -> list[int]:
    """The distinct purchase days that are kept one by one, oldest first."""
    days = {day_of(order.purchased_at, zone) for order in purchases(ledger)}
    return sorted(days.union(folded_days(ledger)))


def purchase_days(ledger: Ledger, zone: str) -> list[int]:
    """The latest of them, at most 32."""
    return all_days(ledger, zone)[-DAYS_MAX:]


def history(ledger: Ledger, zone: str) -> list[tuple[int, int]]:
    """(instant, day) of the purchases, oldest first; of folded ones the latest days, exact to the day but the last.

    Such a day is told by its first and its last instant, so that no silence seems longer than it was.
    """
    days = folded_days(ledger)
    past = [(at, day) for day in days[:-1] for at in (day * DAY_SECONDS, (day + 1) * DAY_SECONDS - 1)]
    if days:
        past.append((ledger.folded_last_at, days[-1]))
    past += [(each.purchased_at, day_of(each.purchased_at, zone)) for each in purchases(ledger)]
    return sorted(past, key=lambda each: (each[1], each[0]))  # west of Greenwich a day of UTC begins on the one before


def is_too_long(ledger: Ledger) -> bool:
    """Whether it has more entries than are kept unfolded."""
    return len(ledger.orders) + len(ledger.refunds) > ENTRIES_MAX


def folded(ledger: Ledger, *, as_of: int, window_days: int, first_tick_at: int, zone: str) -> Ledger:
    """The ledger with everything folded that can no longer change, and the oldest beyond 64 entries."""
    settled = as_of - window_days * DAY_SECONDS
    arrived = as_of - _ARRIVAL_SECONDS
    ripe_at = min(settled, arrived)
    if 0 < first_tick_at <= arrived:
        for order in sorted(_ripe(ledger.orders, ripe_at, arrived), key=lambda each: (_told_last(each), each.order)):
            ledger = _fold(ledger, order, zone)
    while is_too_long(ledger):
        if not ledger.orders:
            orphans = ledger.orphans + len(ledger.refunds) - ENTRIES_MAX
            return replace(ledger, refunds=ledger.refunds[-ENTRIES_MAX:], orphans=orphans)
        ledger = replace(_fold(ledger, _oldest(ledger.orders), zone), folded_early=ledger.folded_early + 1)
    if first_tick_at and ledger.refunds:
        ledger = _without_stale_orphans(ledger, settled, arrived, first_tick_at)
    return ledger


def _told_last(order: Order) -> int:
    """The date of the version that counts: until the ledger is folded through it, it may be told again and be known."""
    return order.version_at or order.purchased_at


def _ripe(orders: Sequence[Order], ripe_at: int, arrived: int) -> list[Order]:
    """Those told last, and first arrived, so long ago that they fold."""
    return [
        order
        for order in orders
        if (order.version_at or order.purchased_at) <= ripe_at and order.arrived_at <= arrived  # `_told_last`
    ]


def _oldest(orders: Sequence[Order]) -> Order:
    """The earliest by its last version; of several at one instant, the one of the lowest mark."""
    dates = [order.version_at or order.purchased_at for order in orders]  # `_told_last`, without 64 calls
    earliest = min(dates)
    if dates.count(earliest) > 1:
        return min((order for order in orders if _told_last(order) == earliest), key=lambda each: each.order)
    return orders[dates.index(earliest)]


def _fold(ledger: Ledger, order: Order, zone: str) -> Ledger:
    place = ledger.orders.index(order)
    orders = ledger.orders[:place] + ledger.orders[place + 1 :]
    through = max(ledger.folded_through_at, _told_last(order))
    if not order.known:  # its refunds wait on
        return replace(ledger, orders=orders, folded_through_after=through - ledger.folded_last_at)
    refunds = ledger.refunds
    if refunds:
        refunds = tuple(refund for refund in refunds if refund.order != order.order)
    marks = with_mark(ledger, order.order)
    if order.cancelled:
        after = through - ledger.folded_last_at
        return replace(ledger, orders=orders, refunds=refunds, folded_through_after=after, folded_marks=marks)
    kept = worth(order, ledger.refunds)
    last_at = max(ledger.folded_last_at, order.purchased_at)
    days, past = with_day(ledger, day_of(order.purchased_at, zone), kept.brought_minor)
    return replace(
        ledger,
        orders=orders,
        refunds=refunds,
        folded_orders=ledger.folded_orders + 1,
        folded_revenue_minor=ledger.folded_revenue_minor + order.revenue_minor,
        folded_refunded_minor=ledger.folded_refunded_minor + kept.refunded_minor,
        folded_discount_minor=ledger.folded_discount_minor + order.discount_minor,
        folded_through_after=through - last_at,
        folded_marks=marks,
        folded_first_at=min(ledger.folded_first_at or order.purchased_at, order.purchased_at),
        folded_last_at=last_at,
        folded_days=as_gaps(days),
        past=past,
        folded_margin_minor=ledger.folded_margin_minor + kept.margin_minor,
        folded_discount_kept_minor=ledger.folded_discount_kept_minor + kept.discount_minor,
        folded_commission_minor=ledger.folded_commission_minor + kept.commission_minor,
        folded_returns_minor=ledger.folded_returns_minor + kept.returns_minor,
    )


def _without_stale_orphans(ledger: Ledger, settled: int, arrived: int, first_tick_at: int) -> Ledger:
    stale = [
        refund
        for refund in ledger.refunds
        if refund.refunded_at <= settled and max(refund.arrived_at, refund.refunded_at, first_tick_at) <= arrived
    ]
    if not stale:
        return ledger
    here = {order.order for order in ledger.orders}
    kept = tuple(refund for refund in ledger.refunds if refund.order in here or refund not in stale)
    if len(kept) == len(ledger.refunds):
        return ledger
    return replace(ledger, refunds=kept, orphans=ledger.orphans + len(ledger.refunds) - len(kept))


def put(ledger: Ledger, entry: Order) -> Ledger:
    """The ledger with an order's entry in the place of the one it had."""
    if ledger.orders[-1].order == entry.order:  # as mostly: what changes is what came last
        return replace(ledger, orders=(*ledger.orders[:-1], entry))
    return replace(ledger, orders=tuple(entry if order.order == entry.order else order for order in ledger.orders))
