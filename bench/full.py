"""The whole path, from source topic to committed trigger, in one worker: events a second, and a trigger's delay."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from bench import load
from bench.load import Given
from bench.shop import Shop, now
from pipeline import topics
from pipeline.kafka_clients import librdkafka_config

_LAST_SECONDS = 10.0
_POLL_RECORDS = 1_000


def throughput(
    shop: Shop, count: int, customers: int, *, mix: Mapping[str, int] = load.MIX, roles: tuple[str, ...] = ("all",)
) -> dict[str, float]:
    """Let a worker (one for each role) work off `count` records that wait; everybody is known already."""
    at = now() - timedelta(hours=1)
    began_ms = _ms()
    shop.start(roles)
    known, _ = shop.publish(load.people(customers, at - timedelta(days=1)))
    shop.use_policy_that_sends_at_once()
    shop.tick(at)
    shop.wait_until_done()
    took = _span_seconds(shop, began_ms)
    shop.wait_until_shown(customers)
    shop.stop()
    figures = {"newcomers_events_per_second": known / took}
    published, _ = shop.publish(load.events(count, now(), customers=customers, mix=mix))
    began_ms = _ms()
    shop.start(roles)
    shop.wait_until_done()
    took = _span_seconds(shop, began_ms)
    resident = shop.worker_resident_bytes()
    shop.stop()
    triggers = sum(1 for _ in shop.records(topics.TRIGGERS))
    return {
        **figures,
        "events": published,
        "seconds": took,
        "events_per_second": published / took,
        "triggers": triggers,
        "worker_resident_bytes": resident,
    }


def _span_seconds(shop: Shop, since_ms: int) -> float:
    """From the first transaction at the door to the one that took the customers' last event, by the broker's clock.

    Not to the last transaction of all: those after it put views out that had waited for a quiet moment.
    """
    began_ms = shop.commits(topics.POSITIONS, since_ms)[0].at_ms
    last = shop.last_offsets(topics.CUSTOMER_EVENTS)
    took: dict[int, int] = {}
    for at_ms, partition, position in shop.commits(topics.CUSTOMER_STATE, since_ms):
        if position > last[partition]:
            took.setdefault(partition, at_ms)
    return (max(took.values()) - began_ms) / 1000


def latency(shop: Shop, per_second: int, seconds: float, customers: int) -> dict[str, float]:
    """Offer a steady stream; from the broker's receipt of an order to a committed reader's receipt of its trigger.

    `customers` are those that are known: events of nobody known would wait for their person.
    """
    shop.start()
    shop.wait_until_ready()
    shop.wait_until_done()
    seen: dict[str, float] = {}
    stop = threading.Event()
    ends = shop.admin.end_offsets((topics.TRIGGERS,))
    reader = threading.Thread(target=_read_triggers, args=(shop, ends, seen, stop))
    reader.start()
    received, offered = _offer(shop, list(_fresh(int(per_second * seconds), customers)), per_second)
    shop.wait_until_done()
    deadline = time.monotonic() + _LAST_SECONDS
    wanted = [message.value() for message in shop.records(topics.TRIGGERS)]
    causes = {json.loads(value or b"{}")["cause_event_id"] for value in wanted} & set(received)
    while not causes <= set(seen) and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    reader.join()
    shop.stop()
    took = sorted(seen[cause] - received[cause] for cause in causes if cause in seen)
    if len(took) < len(causes):
        raise AssertionError(f"{len(causes) - len(took)} triggers were committed and never seen")
    half = statistics.quantiles(took, n=100, method="inclusive")
    return {
        "events_per_second": per_second, "offered_per_second": offered, "triggers": len(took),
        "p50_seconds": half[49], "p95_seconds": half[94], "p99_seconds": half[98], "max_seconds": took[-1],
    }  # fmt: skip


def _offer(shop: Shop, fresh: Sequence[tuple[Given, str | None]], per_second: int) -> tuple[dict[str, float], float]:
    """Publish at a steady pace; when the broker received each order, by its event's id, and the pace that was held."""
    producer = Producer(
        {**librdkafka_config(shop.settings), "log_level": 0, "linger.ms": 1, "partitioner": "murmur2_random"}
    )
    received: dict[str, float] = {}

    def delivered(event_id: str | None, error: KafkaError | None, message: Message) -> None:
        if event_id is not None and error is None:
            received[event_id] = message.timestamp()[1] / 1000

    started = time.monotonic()
    for number, (given, event_id) in enumerate(fresh):
        ahead = started + number / per_second - time.monotonic()
        if ahead > 0:
            producer.poll(0)
            time.sleep(ahead)
        elif number % _POLL_RECORDS == 0:
            producer.poll(0)
        producer.produce(
            shop.settings.topic(given.topic.name), given.value, given.key,
            on_delivery=partial(delivered, event_id),
        )  # fmt: skip
    held = len(fresh) / (time.monotonic() - started)
    producer.flush(30)
    return received, held


def _fresh(count: int, customers: int) -> Iterator[tuple[Given, str | None]]:
    """The reference load as of now, under ids of its own, without repetitions and late comers; an order's event id."""
    at: datetime = now()
    for given in load.events(count, at, customers=customers, seed=at.microsecond + 2):
        document = json.loads(given.value)
        if "occurred_at" not in document or document["id"].startswith("broken"):
            continue
        for name in ("id", "order_id", "ticket_id", "refund_id"):
            if name in document:
                document[name] = f"{at:%H%M%S}-{document[name]}"
        document["occurred_at"] = at.isoformat()
        event_id = document["id"] if given.topic is topics.PURCHASES else None
        yield Given(given.topic, given.key, json.dumps(document).encode()), event_id


def _read_triggers(shop: Shop, ends: dict[tuple[str, int], int], seen: dict[str, float], stop: threading.Event) -> None:
    consumer = Consumer(
        {
            **librdkafka_config(shop.settings), "group.id": "bench-triggers", "enable.auto.commit": False,
            "isolation.level": "read_committed", "fetch.wait.max.ms": 10,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(*place, end) for place, end in ends.items()])
    while not stop.is_set():
        for message in consumer.consume(1_000, 0.01):
            if message.error() is None:
                seen.setdefault(json.loads(message.value() or b"{}")["cause_event_id"], time.time())
    consumer.close()


def _ms() -> int:
    return int(time.time() * 1000)
