"""Real Kafka, real Valkey, and a feed between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from pipeline import topics
from pipeline.admin import Admin
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from pipeline.serving.views import SHOWN, Feed
from pipeline.settings import Settings, load
from pipeline.topics import Topic, partition_of

WAIT_SECONDS = 40.0


def until(claim: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> None:
    """Wait for a claim to come true; fails loudly when it does not in time."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        threading.Event().wait(0.02)


def settings_of(name: str, kafka: KafkaServer, valkey: ValkeyServer) -> Settings:
    """Names that only one test uses, with the topics that are shown."""
    name = name.replace("_", "-").replace("[", "-").replace("]", "").lower()[-60:].lstrip("-")
    settings = load(
        kafka_bootstrap_servers=kafka.bootstrap_servers, redis_url=valkey.url, topics_prefix=f"{name}.",
        redis_key_prefix=f"{name}:", worker_app_id=name, metrics_port=0,
    )  # fmt: skip
    with Admin(settings) as admin:
        admin.create_topics(SHOWN)
    return settings


@pytest.fixture
def settings(kafka: KafkaServer, valkey: ValkeyServer, request: pytest.FixtureRequest) -> Settings:
    return settings_of(request.node.name, kafka, valkey)


@contextmanager
def following(settings: Settings) -> Iterator[Feed]:
    """A feed at work on a thread of its own, as `wafa views` runs it."""
    feed, stop = Feed(settings), threading.Event()
    thread = threading.Thread(target=feed.run, args=(stop,))
    thread.start()
    try:
        yield feed
    finally:
        stop.set()
        thread.join(20)
        feed.close()
        assert not thread.is_alive()


class Publisher:
    """What the worker would have put out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Idempotent: on topics made a moment ago a first batch is often sent again, past the ones behind it.
        self._producer = Producer({**librdkafka_config(settings), "linger.ms": 5, "enable.idempotence": True})

    def send(self, topic: Topic, key: str, value: bytes | None, headers: dict[str, bytes] | None = None) -> None:
        """Queue one record, on the partition its key belongs to."""
        self._producer.produce(
            self._settings.topic(topic.name), key=key.encode(), value=value,
            partition=partition_of(key.encode(), topic.partitions), headers=list((headers or {}).items()),
        )  # fmt: skip

    def view(self, customer_id: str, offset: int, *, stage: str = "basic", lifecycle: str = "active") -> bytes:
        """Queue a profile's view as of an offset of its log; returns what was sent."""
        document = view_document(customer_id, offset, stage=stage, lifecycle=lifecycle)
        self.send(topics.PROFILES, customer_id, document)
        return document

    def trigger(self, customer_id: str, trigger_id: str) -> None:
        """Queue a trigger, as a CloudEvent in binary mode."""
        self.send(
            topics.TRIGGERS, customer_id, b'{"rule":"win_back","trigger_id":"%s"}' % trigger_id.encode(),
            {"ce_id": trigger_id.encode(), "ce_type": b"crm.win-back.v1", "ce_source": b"wafa",
             "ce_time": b"2026-01-01T00:00:00Z", "ce_subject": customer_id.encode(), "ce_specversion": b"1.0"},
        )  # fmt: skip

    def flush(self) -> None:
        """Wait until the broker has all of it."""
        assert self._producer.flush(20) == 0


@pytest.fixture
def publisher(settings: Settings) -> Publisher:
    return Publisher(settings)


def view_document(customer_id: str, offset: int, *, stage: str = "basic", lifecycle: str = "active") -> bytes:
    """The parts of a view that serving reads, and one that it only carries."""
    partition = partition_of(customer_id.encode(), topics.PROFILES.partitions)
    return b'{"customer_id":"%s","partition":%d,"offset":%d,"stage":"%s","lifecycle":"%s","value":{"net_minor":%d}}' % (
        customer_id.encode(),
        partition,
        offset,
        stage.encode(),
        lifecycle.encode(),
        offset * 100,
    )
