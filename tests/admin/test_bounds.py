"""Where a partition begins and ends, asked of a client that does not know it yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from pipeline import kafka_clients
from pipeline.kafka_clients import bounds
from pipeline.local.kafka import KafkaServer


@pytest.fixture
def place(kafka: KafkaServer, tmp_path: Path) -> TopicPartition:
    """The second partition of a topic that has one."""
    topic, admin = f"bounds-{tmp_path.name}", AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    return TopicPartition(topic, 1)


@pytest.fixture
def consumer(kafka: KafkaServer) -> Consumer:
    """One that reads nothing."""
    return Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "bounds", "log_level": 0})


def test_it_is_asked_again_until_it_is_known(kafka: KafkaServer, place: TopicPartition, consumer: Consumer) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    with pytest.raises(KafkaException):
        consumer.get_watermark_offsets(place, timeout=5, cached=False)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(bounds, consumer, place, timeout_seconds=5)
        admin.create_partitions([NewPartitions(place.topic, 2)])[place.topic].result(30)
        assert asked.result(30) == (0, 0)


def test_what_is_not_there_is_said_in_the_end(
    place: TopicPartition, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_clients, "_KNOWN_SECONDS", 0.3)
    with pytest.raises(KafkaException, match="Unknown partition"):
        bounds(consumer, place, timeout_seconds=5)
