"""The reference load behind every figure: who there is, and what they do. Drawn from a seed: the same list every time.

100,000 customers, some far busier than others (Zipf 1.1). Of what they do 60 % are e-mail events, 25 % orders and
refunds, 8 % mentions and reviews (sentiment given), 5 % tickets, 2 % consents. 1 % come twice, 1 % come three days
late, 0.1 % cannot be used.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

from pipeline import topics
from pipeline.topics import Topic

CUSTOMERS: Final = 100_000
ZIPF: Final = 1.1
MIX: Final[Mapping[str, int]] = {"email": 60, "order": 23, "refund": 2, "social": 8, "ticket": 5, "consent": 2}
_TWICE, _LATE, _UNUSABLE = 0.01, 0.01, 0.001
_LATE_BY: Final = timedelta(days=3)
_AGAIN_WITHIN: Final = 1_000
_SECONDS: Final = 3_000
"""What happens, happens within so many seconds before `until`."""


@dataclass(frozen=True, slots=True)
class Given:
    """A record to publish."""

    topic: Topic
    key: bytes
    value: bytes


def people(customers: int, at: datetime) -> Iterator[Given]:
    """Everybody becomes known; six in ten say yes to marketing and to being asked."""
    for number in range(customers):
        yield _given(topics.CONTACTS, number, _event("CustomerIdentified", number, number, at, email=_email(number)))
        if number % 10 < 6:
            for purpose in ("marketing", "feedback"):
                said = _event(
                    "ConsentChanged", f"{purpose}-{number}", number, at,
                    purpose=purpose, channel="email", state="granted",
                )  # fmt: skip
                yield _given(topics.EMAILS, number, said)


def events(
    count: int, until: datetime, *, customers: int = CUSTOMERS, seed: int = 1, mix: Mapping[str, int] = MIX
) -> Iterator[Given]:
    """`count` records of what they do, in the order in which they are published."""
    dice = random.Random(seed)
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, customers + 1)))
    busiest = list(range(customers))
    dice.shuffle(busiest)
    kinds, shares = list(mix), list(mix.values())
    open_tickets: dict[int, str] = {}
    recent: list[Given] = []
    start = until - timedelta(seconds=_SECONDS)
    for number in range(count):
        luck = dice.random()
        if luck < _TWICE and recent:
            yield dice.choice(recent)
            continue
        if luck > 1 - _UNUSABLE:
            yield Given(
                topics.PURCHASES, b"", b'{"type": "OrderCompleted", "id": "broken-%d", "revenue_minor": -1}' % number
            )
            continue
        customer = busiest[min(bisect_left(weights, dice.random() * weights[-1]), customers - 1)]
        at = start + timedelta(seconds=_SECONDS * number / count)
        if luck > 1 - _UNUSABLE - _LATE:
            at -= _LATE_BY
        kind = dice.choices(kinds, shares)[0]
        if kind == "ticket":
            given = _ticket(dice, number, customer, at, open_tickets)
        else:
            given = _DO[kind](dice, number, customer, at)
        if len(recent) < _AGAIN_WITHIN:
            recent.append(given)
        else:
            recent[number % _AGAIN_WITHIN] = given
        yield given


def _email(customer: int) -> str:
    return f"customer{customer}@example.com"


def _event(kind_of_event: str, number: object, customer: int, at: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "type": kind_of_event, "id": f"{kind_of_event}-{number}", "source": "bench", "occurred_at": at.isoformat(),
        "customer_id": f"customer-{customer}", **fields,
    }  # fmt: skip


def _given(topic: Topic, customer: int, event: dict[str, Any]) -> Given:
    return Given(topic, b"customer-%d" % customer, json.dumps(event).encode())


def _mail(dice: random.Random, number: int, customer: int, at: datetime) -> Given:
    kind = dice.choices(("EmailDelivered", "EmailOpened", "EmailClicked"), (60, 30, 10))[0]
    event = _event(kind, number, customer, at, email_id=f"newsletter-{number % 50}", campaign_id="spring")
    return _given(topics.EMAILS, customer, event)


def _order(dice: random.Random, number: int, customer: int, at: datetime) -> Given:
    items = [
        {"product_id": f"p-{dice.randrange(500)}", "category": "shoes", "quantity": 1, "amount_minor": 2_500}
        for _ in range(dice.randrange(1, 4))
    ]
    event = _event(
        "OrderCompleted", number, customer, at, email=_email(customer), order_id=f"o-{number}",
        revenue_minor=2_500 * len(items), currency="EUR", items=items,
    )  # fmt: skip
    return _given(topics.PURCHASES, customer, event)


def _refund(dice: random.Random, number: int, customer: int, at: datetime) -> Given:
    event = _event(
        "OrderRefunded", number, customer, at, order_id=f"o-{dice.randrange(max(1, number))}", refund_id=f"r-{number}",
        amount_minor=500, currency="EUR",
    )  # fmt: skip
    return _given(topics.PURCHASES, customer, event)


def _social(dice: random.Random, number: int, customer: int, at: datetime) -> Given:
    if dice.random() < 0.5:
        event = _event(
            "ReviewPosted", number, customer, at, review_id=f"v-{number}", rating=4, rating_max=5, sentiment=0.6
        )
    else:
        event = _event(
            "MentionPosted",
            number,
            customer,
            at,
            mention_id=f"m-{number}",
            platform="instagram",
            sentiment=0.4,
            reach=120,
        )
    return _given(topics.SOCIALS, customer, event)


def _ticket(dice: random.Random, number: int, customer: int, at: datetime, open_tickets: dict[int, str]) -> Given:
    """Their open ticket is solved, else they open one."""
    solved = open_tickets.pop(customer, None)
    if solved is not None:
        event = _event("TicketResolved", number, customer, at, ticket_id=solved, service_minutes=12)
        return _given(topics.COMPLAINTS, customer, event)
    open_tickets[customer] = f"t-{number}"
    kind = dice.choices(("complaint", "question"), (40, 60))[0]
    event = _event(
        "TicketOpened", number, customer, at, ticket_id=f"t-{number}", kind=kind, severity=3, category="delivery",
        sentiment=-0.4,
    )  # fmt: skip
    return _given(topics.COMPLAINTS, customer, event)


def _consent(dice: random.Random, number: int, customer: int, at: datetime) -> Given:
    state = dice.choices(("granted", "revoked"), (80, 20))[0]
    return _given(
        topics.EMAILS,
        customer,
        _event("ConsentChanged", number, customer, at, purpose="marketing", channel="email", state=state),
    )


_DO: Final = {
    "email": _mail,
    "order": _order,
    "refund": _refund,
    "social": _social,
    "consent": _consent,
}
