"""A customer's orders as their log told them, with the events behind each: what RFM and needs are reckoned from."""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.core import ledger as ledgers
from pipeline.core.categories import is_with_offer
from pipeline.core.days import DAY_SECONDS, instant
from pipeline.core.explain_moves import COUNTED, cause_of
from pipeline.core.lived import Moment
from pipeline.core.marks import mark
from pipeline.schemas import logged

_OF_ORDERS = (logged.OrderCompleted, logged.OrderRefunded, logged.OrderCancelled)


class OrderNow(NamedTuple):
    """An order as its ledger last had it."""

    purchased_at: int
    revenue_minor: int
    has_offer: bool
    given_back: tuple[tuple[int, int], ...]
    """(when, how much) of each refund."""
    is_void: bool
    """Nothing of it is left."""


class OrdersTold:
    """Gathers orders, moment by moment. What is told of one that the ledger no longer has is as it was."""

    def __init__(self) -> None:
        self._orders: dict[str, OrderNow] = {}
        self._categories: dict[str, tuple[str, ...]] = {}
        self._causes: dict[str, list[dict[str, Any]]] = {}

    def see(self, moment: Moment) -> None:
        """What this moment told of an order."""
        event, after = moment.event, moment.after
        if moment.outcome not in COUNTED or after is None or not isinstance(event, _OF_ORDERS):
            return
        name = event.order_id
        self._causes.setdefault(name, []).append(cause_of(moment))
        if isinstance(event, logged.OrderCompleted):
            named = dict.fromkeys(item.category for item in event.items if item.category)
            self._categories[name] = tuple(named) or self._categories.get(name, ())
        entry = ledgers.find(after.ledger, mark(name))
        if entry is None or not entry.known:
            return
        if entry.cancelled:
            self._orders.pop(name, None)
            return
        self._orders[name] = OrderNow(
            entry.purchased_at, entry.revenue_minor, is_with_offer(entry),
            tuple(ledgers.given_back(after.ledger, entry)), ledgers.is_void(after.ledger, entry),
        )  # fmt: skip

    def money(self, as_of: int, since: int) -> list[dict[str, Any]]:
        """Purchases and refunds from an instant on, the oldest first: what was paid, and below zero what went back."""
        moves = [
            (at, name, amount)
            for name, order in self._orders.items()
            for at, amount in (
                (order.purchased_at, order.revenue_minor),
                *((at, -amount) for at, amount in order.given_back),
            )
            if at >= since
        ]
        return [
            {
                "order_id": name, "at": instant(at), "age_days": (as_of - at) // DAY_SECONDS, "amount_minor": amount,
                "events": self._causes[name],
            }
            for at, name, amount in sorted(moves)
        ]  # fmt: skip

    def standing(self, as_of: int) -> list[dict[str, Any]]:
        """The orders of which something is left, the oldest first."""
        found = sorted((order.purchased_at, name) for name, order in self._orders.items() if not order.is_void)
        return [
            {
                "order_id": name, "at": instant(at), "age_days": (as_of - at) // DAY_SECONDS,
                "categories": self._categories.get(name, ()), "has_discount": self._orders[name].has_offer,
                "events": self._causes[name],
            }
            for at, name in found
        ]  # fmt: skip
