"""A customer's value in words, for a terminal: each part with what it is made of, and each order "once"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.core.explain import REFERRAL
from pipeline.schemas.currencies import EXPONENTS

COSTS: Final = ("acquisition_cost_minor", "retention_cost_minor", "service_cost_minor")
PARTS: Final = {
    "margin_minor": "margin",
    "channel_cost_minor": "channels that won them",
    "commission_cost_minor": "affiliates' commission",
    "sales_cost_minor": "sales' costs",
    "discount_cost_minor": "discounts",
    "send_cost_minor": "e-mails",
    "marketing_cost_minor": "marketing's costs",
    "service_time_cost_minor": "time with them",
    "return_cost_minor": "returns",
    "service_recorded_cost_minor": "service's costs and tickets",
}
"""Each part of the value in words; all but the first are costs."""
_ENTRIES_SHOWN: Final = 4
_ORDERS_SHOWN: Final = 10
_ONCE: Final = ("discount_cost_minor", "commission_cost_minor")


def money(amount_minor: int, currency: str | None) -> str:
    """Minor units as people write them: 28002 USD is `280.02 USD`."""
    if currency is None:
        return str(amount_minor)
    digits = EXPONENTS.get(currency, 2)
    whole, rest = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole:,}{f'.{rest:0{digits}}' if digits else ''} {currency}"


def print_value(document: Mapping[str, Any], console: Console) -> None:
    """What each part of the value is made of, the latest entries first; then the latest orders."""
    value, entries = document["profile"]["value"], document["value_entries"]
    if not entries:
        return
    table = Table("part", "amount", "made of", title="Value to date, and what it is made of")
    table.columns[1].justify = "right"
    for part, words in PARTS.items():
        of = [entry for entry in entries if entry["part"] == part]
        if of:
            sign = 1 if part == "margin_minor" else -1
            total = sum(entry["amount_minor"] for entry in of)
            table.add_row(words, money(sign * total, value["currency"]), escape(_made_of(of, sign, value["currency"])))
    table.add_section()
    table.add_row("value to date", money(_total(entries), value["currency"]), "")
    brought = [entry for entry in entries if entry["part"] == REFERRAL]
    if brought:
        total, told = value["referral_value_minor"], _made_of(brought, 1, value["currency"])
        table.add_row("beside it, through referrals", money(total, value["currency"]), escape(told))
    console.print(table)
    _print_orders(document, console)


def _total(entries: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        (1 if entry["part"] == "margin_minor" else -1) * entry["amount_minor"]
        for entry in entries
        if entry["part"] in PARTS
    )


def _made_of(entries: Sequence[Mapping[str, Any]], sign: int, currency: str | None) -> str:
    told = [
        f"{money(sign * entry['amount_minor'], currency)} {entry['type']} {entry['order_id'] or entry['id']} "
        f"({str(entry['at'])[:10]})"
        for entry in reversed(entries[-_ENTRIES_SHOWN:])
    ]
    more = len(entries) - len(told)
    return "; ".join(told) + (f"; and {more} earlier" if more else "")


def _print_orders(document: Mapping[str, Any], console: Console) -> None:
    orders = orders_once(document["value_entries"], document["events"], document["profile"]["first_purchase_at"])
    if not orders:
        return
    currency = document["profile"]["value"]["currency"]
    title = f"Orders, once: the latest {min(len(orders), _ORDERS_SHOWN)} of {len(orders)}"
    table = Table("order", "day", "margin", "getting it cost", "left", title=title)
    for column in table.columns[2:]:
        column.justify = "right"
    for order in orders[: -_ORDERS_SHOWN - 1 : -1]:
        figures = (money(order[name], currency) for name in ("margin_minor", "cost_minor", "left_minor"))
        table.add_row(escape(order["order_id"]), str(order["at"])[:10], *figures)
    console.print(table)


def orders_once(
    entries: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], first_purchase_at: str | None
) -> list[dict[str, Any]]:
    """What each order left: margin, what getting it cost (discount, commission, costs that name it), and the rest.

    From the entries behind the value, so also of orders folded long ago; in the order in which they were first told.
    The first purchase bears what channels cost that won the customer.
    """
    orders: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "OrderCompleted":
            new = {"order_id": event["order_id"], "at": event["occurred_at"], "margin_minor": 0, "cost_minor": 0}
            order = orders.setdefault(event["order_id"], new)
            order["at"] = min(order["at"], event["occurred_at"])
    first = next((each for each in orders.values() if _second(each["at"]) == _second(first_purchase_at)), None)
    for entry in entries:
        order_of = orders.get(entry["order_id"] or "")
        if entry["part"] == "channel_cost_minor":
            if first is not None:
                first["cost_minor"] += entry["amount_minor"]
        elif order_of is None:
            continue
        elif entry["part"] == "margin_minor":
            order_of["margin_minor"] += entry["amount_minor"]
        elif entry["part"] in _ONCE or entry["type"] == "CostRecorded":
            order_of["cost_minor"] += entry["amount_minor"]
    for order in orders.values():
        order["left_minor"] = order["margin_minor"] - order["cost_minor"]
    return list(orders.values())


def _second(instant: object) -> str:
    """To the second: as fine as a profile has it."""
    return str(instant)[:19]
