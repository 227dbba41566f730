"""What is known, read from Kafka itself: who a customer is, what happened, what was decided; and the latest triggers.

For people at a terminal: a question about a customer scans their partition, committed records only, to where it ends
now. Kafka is asked, not the views in Redis: it is what is so, and it needs no second process.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from pipeline import topics
from pipeline.admin import Admin
from pipeline.core import identity
from pipeline.core.explain import Entry, explained
from pipeline.core.why import why
from pipeline.engine.changelog import payload_of
from pipeline.kafka_clients import COMPLAINTS, librdkafka_config, reading_failed
from pipeline.schemas.explanations import Explanation
from pipeline.settings import Settings
from pipeline.topics import LINK_PREFIX, Topic, partition_of

_READ_RECORDS: Final = 5_000
_READ_SECONDS: Final = 0.02
"""How long to wait for that many: short, since the last records of a partition come alone."""
_SILENT_SECONDS: Final = 10.0
PREFIX_CHARS_MIN: Final = 4
"""So many characters of an id are enough to find who has it."""
_GROUP: Final = "wafa-reader-inquiry"
"""Required by the client, never joined."""
_FIRST_OFFSET: Final = 0
"""A log that has lost its beginning answers with its first record; to ask where it begins takes half a second."""


class NotAnswered(Exception):
    """Kafka did not answer in time."""


def silence(settings: Settings, topic: str) -> NotAnswered:
    """What to say when a topic gave no answer for too long."""
    why = COMPLAINTS.latest() or "no complaint either"
    return NotAnswered(f"{topic} at {settings.kafka_bootstrap_servers}: no answer for {_SILENT_SECONDS:.0f} s ({why})")


def need_topics(settings: Settings, *wanted: Topic) -> None:
    """Make sure that Kafka answers and has these topics. Raises BrokerUnreachable, within 10 s, or TopicsMissing."""
    with Admin(settings) as admin:
        admin.topic_states(wanted)


@dataclass(frozen=True, slots=True)
class Found:
    """A committed record, as it lies in Kafka."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def scan(settings: Settings, topic: Topic, partitions: list[int] | None = None) -> Iterator[Found]:
    """Every committed record of the topic (or of some partitions) that is there now, in order within each partition.

    Raises NotAnswered, RightMissing and KafkaException.
    """
    consumer = Consumer(
        {
            **librdkafka_config(settings),
            "group.id": _GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    name = settings.topic(topic.name)
    try:
        unread = set(range(settings.partitions(topic)) if partitions is None else partitions)
        consumer.assign([TopicPartition(name, number, _FIRST_OFFSET) for number in unread])
        heard_at = time.monotonic()
        while unread:
            for message in consumer.consume(_READ_RECORDS, _READ_SECONDS):
                heard_at = time.monotonic()
                error = message.error()
                if error is None:
                    yield _found(message)
                elif error.name() == "_PARTITION_EOF":
                    unread.discard(message.partition())
                elif not error.retriable() and error.name() != "_ALL_BROKERS_DOWN":
                    raise reading_failed(error, topic=name, group=_GROUP)
            if time.monotonic() - heard_at > _SILENT_SECONDS:
                raise silence(settings, name)
    finally:
        consumer.close()


def _found(message: Message) -> Found:
    partition, offset, headers = message.partition(), message.offset(), message.headers() or ()
    assert partition is not None
    assert offset is not None
    return Found(partition, offset, message.key(), message.value(), tuple(headers))  # type: ignore[arg-type]  # as read


def customer_ids(settings: Settings, text: str) -> list[str]:
    """Whom a person at a terminal means by an id, the start of one, or an alias (shop's id, e-mail, phone, handle)."""
    need_topics(settings, topics.IDENTITIES, topics.PROFILES, topics.CUSTOMER_EVENTS, topics.DECISIONS)
    key = settings.identity_key.get_secret_value().encode()
    wanted = {identity.alias_hash(kind, value, key).encode() for kind, value in identity.possible_aliases(text)}
    by_alias: dict[str, None] = {}
    by_id: dict[str, None] = {}
    for found in scan(settings, topics.IDENTITIES):
        if found.key is None or found.value is None or not found.key.startswith(LINK_PREFIX):
            continue
        customer_id = payload_of(found.value).decode()
        if found.key[len(LINK_PREFIX) :] in wanted:
            by_alias[customer_id] = None
        if len(text) >= PREFIX_CHARS_MIN and customer_id.startswith(text.lower()):
            by_id[customer_id] = None
    return list(by_alias or by_id)


def of_customer(settings: Settings, topic: Topic, customer_id: str) -> list[tuple[Found, dict[str, Any]]]:
    """A customer's records on a topic keyed by customer, oldest first, with their JSON."""
    key = customer_id.encode()
    partition = partition_of(key, settings.partitions(topic))
    return [
        (found, msgspec.json.decode(found.value))
        for found in scan(settings, topic, [partition])
        if found.key == key and found.value is not None
    ]


def explanation(settings: Settings, customer_id: str, question: str) -> dict[str, Any]:
    """Why something of one customer is as it is: their log lived again (`core.why`). JSON-ready, by the contract."""
    partition = partition_of(customer_id.encode(), settings.partitions(topics.CUSTOMER_EVENTS))
    records = ((found.key, found.value) for found in scan(settings, topics.CUSTOMER_EVENTS, [partition]))
    return Explanation.model_validate(why(question, customer_id, records)).model_dump(mode="json")


def customer_document(settings: Settings, customer_id: str) -> dict[str, Any]:
    """Profile, events and decisions of one customer, each with its place in Kafka, and what their value is made of."""
    shown = of_customer(settings, topics.PROFILES, customer_id)
    events, entries = _lived(settings, customer_id)
    return {
        "customer_id": customer_id,
        "profile": shown[-1][1] if shown else None,
        "value_entries": [{**entry._asdict(), "at": entry.at.isoformat()} for entry in entries],
        "events": events,
        "decisions": _placed(of_customer(settings, topics.DECISIONS, customer_id)),
    }


def _lived(settings: Settings, customer_id: str) -> tuple[list[dict[str, Any]], Sequence[Entry]]:
    """A customer's events, oldest first, and the entries behind their value: their log read and lived once."""
    key, topic = customer_id.encode(), topics.CUSTOMER_EVENTS
    events: list[tuple[Found, dict[str, Any]]] = []

    def records() -> Iterator[tuple[bytes | None, bytes | None]]:
        for found in scan(settings, topic, [partition_of(key, settings.partitions(topic))]):
            if found.key == key and found.value is not None:
                events.append((found, msgspec.json.decode(found.value)))
            yield found.key, found.value

    entries = explained(customer_id, records()).entries
    return _placed(events), entries


def _placed(records: Sequence[tuple[Found, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{"partition": found.partition, "offset": found.offset, **document} for found, document in records]


def follow_triggers(settings: Settings, *, limit: int, follow: bool, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """The latest triggers, oldest first; with `follow`, then each new one as it is committed, until told to stop."""
    need_topics(settings, topics.TRIGGERS)
    ends: dict[int, int] = dict.fromkeys(range(topics.TRIGGERS.partitions), OFFSET_BEGINNING)

    def found() -> Iterator[tuple[str, int, int, dict[str, Any]]]:
        for record in scan(settings, topics.TRIGGERS):
            ends[record.partition] = record.offset + 1
            if record.value is not None:
                document = msgspec.json.decode(record.value)
                yield str(document["decided_at"]), record.partition, record.offset, document

    latest = heapq.nlargest(max(1, limit), found(), key=lambda each: each[:3])  # one at least, to learn the ends
    yield from (each[3] for each in reversed(latest[:limit]))
    if follow:
        yield from _new_ones(settings, ends, stop)


def _new_ones(settings: Settings, ends: Mapping[int, int], stop: threading.Event) -> Iterator[dict[str, Any]]:
    consumer = Consumer(
        {
            **librdkafka_config(settings), "group.id": _GROUP, "enable.auto.commit": False,
            "isolation.level": "read_committed", "auto.offset.reset": "earliest",
        }
    )  # fmt: skip
    name = settings.topic(topics.TRIGGERS.name)
    try:
        consumer.assign([TopicPartition(name, number, end) for number, end in ends.items()])
        while not stop.is_set():
            for message in consumer.consume(500, 0.5):
                error, value = message.error(), message.value()
                if error is not None and not error.retriable():
                    raise reading_failed(error, topic=name, group=_GROUP)
                if error is None and value is not None:
                    yield msgspec.json.decode(value)
    finally:
        consumer.close()
