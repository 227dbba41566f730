"""What it costs to parse, admit and encode an event: microseconds of this process, on the reference mix of events.

    python bench/parse.py [--records 8000] [--rounds 9]

The best of the rounds is printed: what the code costs, not what else the machine was doing.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline import topics
from pipeline.core.door import Admitted, Shop, admit
from pipeline.core.rates import Rates
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Record
from pipeline.schemas.parse import Parsed, parse_batch

START = datetime(2026, 1, 5, tzinfo=UTC)
RECEIVED_AT = START + timedelta(days=30)


@dataclass
class Given:
    """A record as the consumer hands it over."""

    value: bytes
    topic: str
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = int(RECEIVED_AT.timestamp() * 1000)
    partition: int = 0
    offset: int = 0


def wafa(dice: random.Random, number: int) -> tuple[topics.Topic, dict[str, object]]:
    """One event of the reference mix, in Wafa's own JSON."""
    kind = dice.choices(("email", "order", "refund", "social", "ticket", "consent"), (60, 23, 2, 8, 5, 2))[0]
    customer = dice.randrange(100_000)
    at = START + timedelta(seconds=dice.randrange(86_400 * 30))
    event: dict[str, object] = {
        "id": f"{kind}-{number}", "source": "bench", "occurred_at": at.isoformat().replace("+00:00", "Z"),
        "customer_id": f"customer-{customer}",
    }  # fmt: skip
    if kind == "email":
        name = dice.choices(("EmailDelivered", "EmailOpened", "EmailClicked"), (60, 30, 10))[0]
        event |= {"type": name, "email_id": f"newsletter-{number % 50}", "campaign_id": "spring"}
        return topics.EMAILS, event
    if kind == "consent":
        return topics.EMAILS, event | {"type": "ConsentChanged", "purpose": "marketing", "channel": "email",
                                       "state": "granted"}  # fmt: skip
    if kind == "order":
        items = [
            {"product_id": f"p-{dice.randrange(500)}", "category": "shoes", "quantity": 1, "amount_minor": 2500}
            for _ in range(dice.randrange(1, 4))
        ]
        event |= {"type": "OrderCompleted", "order_id": f"o-{number}", "revenue_minor": 2500 * len(items),
                  "currency": "EUR", "items": items, "email": f"customer{customer}@example.com"}  # fmt: skip
        return topics.PURCHASES, event
    if kind == "refund":
        event |= {"type": "OrderRefunded", "order_id": f"o-{number}", "refund_id": f"r-{number}",
                  "amount_minor": 500, "currency": "EUR"}  # fmt: skip
        return topics.PURCHASES, event
    if kind == "social":
        return topics.SOCIALS, event | {"type": "MentionPosted", "mention_id": f"m-{number}", "platform": "instagram",
                                        "sentiment": 0.4, "reach": 120}  # fmt: skip
    return topics.COMPLAINTS, event | {"type": "TicketOpened", "ticket_id": f"t-{number}", "kind": "complaint",
                                       "severity": 3, "category": "delivery", "sentiment": -0.4}  # fmt: skip


def segment(number: int) -> bytes:
    """An order as Segment says it."""
    return json.dumps(
        {
            "type": "track", "event": "Order Completed", "messageId": f"m-{number}", "userId": f"customer-{number}",
            "timestamp": "2026-01-06T10:00:00.000Z",
            "context": {"library": {"name": "analytics.js"}, "traits": {"email": f"customer{number}@example.com"},
                        "campaign": {"name": "spring", "medium": "email"}},
            "properties": {"order_id": f"o-{number}", "revenue": 25.5, "currency": "EUR",
                           "products": [{"product_id": "p-1", "price": 25.5, "quantity": 1}]},
        }
    ).encode()  # fmt: skip


def best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of processor time of the quickest round."""
    times = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=8_000, help="records in the batch")
    arguments.add_argument("--rounds", type=int, default=9, help="the best of so many is printed")
    given = arguments.parse_args()
    dice = random.Random(7)
    batches: dict[str, list[Record]] = {}
    for number in range(given.records):
        topic, event = wafa(dice, number)
        batches.setdefault(topic.name, []).append(Given(json.dumps(event).encode(), topic.name))
    size = sum(len(record.value or b"") for batch in batches.values() for record in batch) / given.records
    shop = Shop("EUR", Rates())

    def parse() -> list[Parsed]:
        return [parsed for name, batch in batches.items() for parsed in parse_batch(batch, name)[0]]

    events = parse()
    assert len(events) == given.records

    def door() -> list[Admitted]:
        admitted = [admit(parsed.event, received_at=RECEIVED_AT, shop=shop) for parsed in events]
        return [each for each in admitted if isinstance(each, Admitted)]

    entries = [each.logged for each in door()]
    assert len(entries) == given.records
    calls: list[Record] = [Given(segment(number), topics.PURCHASES.name) for number in range(given.records)]
    print(f"{given.records} events, {size:.0f} bytes on average; microseconds an event:")
    for name, work in (
        ("parse, all checks", parse),
        ("admit", door),
        ("encode for the log", lambda: [logged.encode(entry) for entry in entries]),
        ("parse a Segment order with a campaign (two events)", lambda: parse_batch(calls, topics.PURCHASES.name)),
    ):
        print(f"  {best(given.rounds, work) / given.records * 1e6:6.2f}  {name}")


if __name__ == "__main__":
    main()
