"""Events of one customer, valid by default: a test names the one thing it varies. Day 0 is 2026-01-01, noon, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.core.policy import DEFAULT, Policy, from_dict, to_dict
from pipeline.schemas import logged

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def day(number: float) -> datetime:
    """That many days after the start."""
    return START + timedelta(days=number)


def seconds(number: float) -> int:
    """The same as the core counts time."""
    return int(day(number).timestamp())


def said(kind: type, on: float, /, **fields: Any) -> Any:
    """An event of day `on`. Its id is made of all that is in it: what is equal is the same event."""
    content = " ".join(f"{name}={value}" for name, value in sorted(fields.items()))
    fields.setdefault("id", f"{kind.__name__} {on} {content}")
    return kind(source="shop", occurred_at=day(on), received_at=day(on), **fields)


def order(on: float, order_id: str = "A", amount_minor: int = 3_000, **fields: Any) -> logged.OrderCompleted:
    """An order."""
    return said(
        logged.OrderCompleted, on, order_id=order_id, revenue_minor=amount_minor, **{"currency": "USD", **fields}
    )


def refund(
    on: float, order_id: str = "A", refund_id: str = "R", amount_minor: int | None = None, **fields: Any
) -> logged.OrderRefunded:
    """A refund; without an amount, of whatever is left."""
    told = {"order_id": order_id, "refund_id": refund_id, "amount_minor": amount_minor, **fields}
    refunded: logged.OrderRefunded = said(logged.OrderRefunded, on, **told)
    return refunded


def cancelled(on: float, order_id: str = "A", **fields: Any) -> logged.OrderCancelled:
    """A cancellation."""
    void: logged.OrderCancelled = said(logged.OrderCancelled, on, order_id=order_id, **fields)
    return void


def consent(on: float, purpose: str = "marketing", state: str = "granted", channel: str | None = "email") -> Any:
    """A word on consent."""
    return said(logged.ConsentChanged, on, purpose=purpose, state=state, channel=channel)


def opened(on: float, email_id: str = "m") -> logged.EmailOpened:
    """An e-mail opened."""
    return said(logged.EmailOpened, on, email_id=email_id)


def ticket(on: float, ticket_id: str = "T", kind: str = "complaint", **fields: Any) -> logged.TicketOpened:
    """A ticket opened."""
    return said(logged.TicketOpened, on, ticket_id=ticket_id, kind=kind, **fields)


def resolved(on: float, ticket_id: str = "T", kind: str = "complaint") -> logged.TicketResolved:
    """A ticket solved."""
    return said(logged.TicketResolved, on, ticket_id=ticket_id, kind=kind)


def policy(**changes: Any) -> Policy:
    """The default policy with some values changed: `guard_rails__messages_max=1`."""
    document = to_dict(DEFAULT)
    for path, value in changes.items():
        *sections, name = path.split("__")
        place = document
        for section in sections:
            place = place[section]
        assert name in place, path
        place[name] = value
    return from_dict(document)


def adopted(changed: Policy, on: float) -> logged.PolicyAdopted:
    """The control that puts a policy into force."""
    return logged.PolicyAdopted(adopted_at=day(on), policy_hash=f"hash of day {on}", policy=to_dict(changed))
