"""How the demonstration's events are sent: in the forms Wafa takes, now and then twice or late, a few in none.

Most go in Wafa's own JSON. Some orders go as Segment calls, some tickets and deliveries as CloudEvents, so that every
form is at work. What publishers do wrong in real life is done here on purpose, by a fixed share.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from pipeline import topics
from pipeline.local.simulator import Event, Week

DUPLICATES_FRACTION: Final = 0.02
LATE_FRACTION: Final = 0.01
_LATE_WEEKS_MAX: Final = 3
_CLOUDEVENTS_FRACTION: Final = 0.25
_SEGMENT_EVERY: Final = 20
"""The orders of one customer in so many are told by Segment."""
MAY_BE_LATE: Final = frozenset(("EmailOpened", "EmailClicked", "OrderDelivered", "ReviewPosted", "SurveyAnswered"))

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Publication:
    """A record to be sent. `topic` is a source, without its prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


_BY_WEB: Final = b'"source":"web","simulated":true,'
_HEAD: Final = _BY_WEB + b'"occurred_at":"1997-02-03T10:00:00Z","customer_id":"cdnow-00004"'
UNUSABLE: Final = (
    Publication("purchases.v1", b"u", b"order 4711 for 29.33, see attachment"),
    Publication("purchases.v1", b"u", b'{"type":"OrderCompleted","id":"u1",' + _HEAD + b"}"),
    Publication(
        "purchases.v1", b"u",
        b'{"type":"OrderCompleted","id":"u2","order_id":"u2","revenue_minor":-500,"currency":"USD",' + _HEAD + b"}",
    ),
    Publication(
        "purchases.v1", b"u",
        b'{"type":"OrderCompleted","id":"u3","order_id":"u3","revenue_minor":500,"currency":"XYZ",' + _HEAD + b"}",
    ),
    Publication("emails.v1", b"u", b'{"type":"EmailAdmired","id":"u4","email_id":"m",' + _HEAD + b"}"),
    Publication("contacts.v1", b"u", b'{"type":"EmailOpened","id":"u5","email_id":"m",' + _HEAD + b"}"),
    Publication("contacts.v1", b"u", b'{"type":"CustomerIdentified","id":"u9","name":"Ren\xe9",' + _HEAD + b"}"),
    Publication("complaints.v1", b"u", None),
    Publication(
        "emails.v1", b"u",
        b'{"type":"EmailOpened","id":"u6","email_id":"m",'
        + _BY_WEB + b'"occurred_at":"2150-01-01T00:00:00Z","customer_id":"cdnow-00004"}',
    ),
    Publication(
        "emails.v1", b"u",
        b'{"type":"EmailOpened","id":"u7","email_id":"m",' + _BY_WEB + b'"occurred_at":"1997-02-03T10:00:00Z"}',
    ),
    Publication(
        "complaints.v1", b"u", b'{"type":"TicketOpened","id":"u8","ticket_id":"u8","severity":9,' + _HEAD + b"}"
    ),
)  # fmt: skip
"""Records nobody can use, each for a reason of its own. One is sent every other week."""


class Sender:
    """Turns the shop's weeks into records, in the order of sending. The same seed gives the same bytes."""

    def __init__(self, *, seed: int) -> None:
        self._random = random.Random(f"{seed}/forms")
        self._late: dict[int, list[Publication]] = defaultdict(list)

    def records_of(self, week: Week) -> list[Publication]:
        """The records of one week: its events, what comes late from earlier ones, repetitions, and the unusable."""
        draw = self._random
        sent: list[Publication] = []
        for event in week.events:
            record = self._formed(event)
            if event["type"] in MAY_BE_LATE and draw.random() < LATE_FRACTION:
                self._late[week.number + draw.randrange(1, _LATE_WEEKS_MAX + 1)].append(record)
                continue
            sent.append(record)
        sent.extend(self._late.pop(week.number, ()))
        sent.extend([record for record in sent if draw.random() < DUPLICATES_FRACTION])
        if week.number % 2 == 0:
            sent.append(UNUSABLE[week.number // 2 % len(UNUSABLE)])
        return sent

    def left(self) -> Iterator[Publication]:
        """What was to come late and has not come yet, once the last week is over."""
        for week in sorted(self._late):
            yield from self._late[week]
        self._late.clear()

    def _formed(self, event: Event) -> Publication:
        kind = event["type"]
        topic = topics.SOURCE_OF_EVENT[kind]
        key = str(event.get("customer_id") or event.get("email") or event.get("channel") or event["id"]).encode()
        if kind == "OrderCompleted" and int(event["order_id"].partition("-")[0]) % _SEGMENT_EVERY == 0:
            return Publication(topic, key, _encode(_segment_order(event)))
        if kind.startswith("Ticket") and self._random.random() < _CLOUDEVENTS_FRACTION:
            return Publication(topic, key, _encode(_structured(event)), (("content-type", _STRUCTURED),))
        if kind == "OrderDelivered" and self._random.random() < _CLOUDEVENTS_FRACTION:
            return Publication(topic, key, *_binary(event))
        return Publication(topic, key, _encode(event))


_STRUCTURED: Final = b"application/cloudevents+json; charset=UTF-8"
_ENVELOPE: Final = ("type", "id", "source", "occurred_at")


def _segment_order(event: Event) -> Event:
    """A real purchase as Segment's `Order Completed`."""
    return {
        "type": "track", "event": "Order Completed", "messageId": event["id"], "userId": event["customer_id"],
        "timestamp": event["occurred_at"], "context": {"library": {"name": "cdnow"}},
        "properties": {
            "order_id": event["order_id"], "revenue": Decimal(event["revenue_minor"]) / 100, "currency": "USD",
            "products": [{"product_id": item["product_id"], "quantity": item["quantity"]} for item in event["items"]],
        },
    }  # fmt: skip


def _structured(event: Event) -> Event:
    """A CloudEvent whose value holds envelope and data."""
    return {
        "specversion": "1.0", "id": event["id"], "source": event["source"], "type": f"com.example.{event['type']}.v1",
        "time": event["occurred_at"], "datacontenttype": "application/json",
        "data": {name: value for name, value in event.items() if name not in _ENVELOPE},
    }  # fmt: skip


def _binary(event: Event) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """A CloudEvent whose envelope is in the headers: value and headers."""
    headers = {
        "ce_specversion": "1.0", "ce_id": event["id"], "ce_source": event["source"],
        "ce_type": f"com.example.{event['type']}.v1", "ce_time": event["occurred_at"],
        "content-type": "application/json",
    }  # fmt: skip
    data = {name: value for name, value in event.items() if name not in _ENVELOPE}
    return _encode(data), tuple((name, text.encode()) for name, text in headers.items())
