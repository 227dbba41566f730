"""A small shop's history to publish: people, consents, orders and what became of them, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.pipeline.shop import at


def event(event_type: str, number: object, occurred_at: datetime, **fields: Any) -> dict[str, Any]:
    """An event in Wafa's own JSON."""
    return {
        "type": event_type, "id": f"{event_type}-{number}", "source": "test", "occurred_at": occurred_at.isoformat(),
        **fields,
    }  # fmt: skip


def person(number: int, *, occurred_at: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Somebody becomes known, and says yes to marketing and feedback by e-mail."""
    when = occurred_at or at(0)
    who = {"customer_id": f"c{number}", "email": f"c{number}@example.org"}
    yield event("CustomerIdentified", number, when, **who, language="en")
    for purpose in ("marketing", "feedback"):
        yield event(
            "ConsentChanged", f"{number}-{purpose}", when + timedelta(minutes=1), **who,
            purpose=purpose, channel="email", state="granted",
        )  # fmt: skip


def order(number: object, customer: int, day: int, amount_minor: int = 3_000) -> dict[str, Any]:
    """An order."""
    return event(
        "OrderCompleted", number, at(day), customer_id=f"c{customer}", order_id=f"o{number}",
        revenue_minor=amount_minor, currency="USD",
    )  # fmt: skip  # fmt: skip


def weeks(customers: int, count: int, seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """`count` weeks of a shop: orders, refunds, deliveries, e-mails, tickets, mentions."""
    draw = random.Random(seed)
    yield [each for number in range(customers) for each in person(number)]
    for week in range(1, count):
        events: list[dict[str, Any]] = []
        for number in range(customers):
            day = 7 * week + draw.randrange(7)
            who = {"customer_id": f"c{number}"}
            name = f"{number}-{week}"
            if draw.random() < 0.25:
                events.append(order(name, number, day, draw.randrange(500, 20_000)))
                events.append(event("OrderDelivered", name, at(day + 1), **who, order_id=f"o{name}"))
                if draw.random() < 0.2:
                    events.append(
                        event(
                            "OrderRefunded", name, at(day + 2), **who, order_id=f"o{name}", refund_id=f"r{name}",
                            amount_minor=400, currency="USD",
                        )
                    )  # fmt: skip
            if draw.random() < 0.5:
                mail = {"email": f"c{number}@example.org", "email_id": f"m{name}"}
                events.append(event("EmailDelivered", name, at(day), **mail))
                if draw.random() < 0.4:
                    events.append(event("EmailOpened", name, at(day, 15), **mail))
            if draw.random() < 0.05:
                events.append(
                    event("TicketOpened", name, at(day), **who, ticket_id=f"t{name}", kind="complaint", severity=4)
                )
                events.append(event("TicketResolved", name, at(day + 3), **who, ticket_id=f"t{name}", kind="complaint"))
        draw.shuffle(events)
        yield events
