"""Topics, positions and lag, on a real broker."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from pipeline import topics
from pipeline.admin import Admin, BrokerUnreachable, Difference, TopicsMissing, create_topics, expected_config, lag
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.local.process import free_port
from pipeline.settings import Settings, load


class AnotherClient:
    """librdkafka's admin client: what the broker says to somebody else."""

    def __init__(self, settings: Settings) -> None:
        self.client = AdminClient(librdkafka_config(settings))

    def create(self, new: NewTopic) -> None:
        """Returns when every question about the topic finds it: the broker's answer comes a little earlier."""
        self.client.create_topics([new])[new.topic].result(10)
        deadline = time.monotonic() + 10
        while new.topic not in self.partitions():
            assert time.monotonic() < deadline

    def delete(self, name: str) -> None:
        self.client.delete_topics([name])[name].result(10)

    def partitions(self) -> dict[str, int]:
        return {name: len(topic.partitions) for name, topic in self.client.list_topics(timeout=10).topics.items()}

    def config(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, name)
        return {k: entry.value for k, entry in self.client.describe_configs([resource])[resource].result(10).items()}


def make(settings: Settings, topic: topics.Topic, *, partitions: int | None = None, **config: str) -> None:
    """One topic as somebody else might have made it."""
    new = NewTopic(
        settings.topic(topic.name), num_partitions=partitions or topic.partitions, replication_factor=1,
        config={**expected_config(topic, settings), **config},
    )  # fmt: skip
    AnotherClient(settings).create(new)


def produce(settings: Settings, topic: topics.Topic, *, partition: int, count: int) -> None:
    producer = Producer(librdkafka_config(settings))
    for _ in range(count):
        producer.produce(settings.topic(topic.name), value=b"{}", partition=partition)
    assert producer.flush(10) == 0


def test_created_topics_are_as_the_rows_say(settings: Settings) -> None:
    assert {outcome.outcome for outcome in create_topics(settings)} == {"created"}

    other = AnotherClient(settings)
    partitions = other.partitions()
    assert {t.name: t.partitions for t in topics.TOPICS} == {
        t.name: partitions[settings.topic(t.name)] for t in topics.TOPICS
    }
    config = other.config(settings.topic("customer-events.v1"))
    assert (config["retention.ms"], config["retention.bytes"]) == ("-1", "-1")


def test_creating_again_changes_nothing(settings: Settings) -> None:
    create_topics(settings)
    assert {outcome.outcome for outcome in create_topics(settings, fix=True)} == {"right"}


def test_every_difference_is_named_with_expected_and_got(settings: Settings) -> None:
    make(settings, topics.PROFILES, partitions=3)
    make(settings, topics.TRIGGERS, **{"retention.ms": "1000"})
    with Admin(settings) as admin:
        differences = admin.check_topics((topics.PROFILES, topics.TRIGGERS, topics.CONTROLS))
    assert differences == [
        Difference(settings.topic("profiles.v1"), "partitions", "8", "3", is_fixable=False),
        Difference(settings.topic("triggers.v1"), "retention.ms", str(30 * topics.DAY_MS), "1000", is_fixable=True),
        Difference(settings.topic("controls.v1"), "topic", "one", "none", is_fixable=False),
    ]


def test_settings_are_mended_only_when_asked_and_partitions_never(settings: Settings) -> None:
    make(settings, topics.PROFILES, partitions=3, **{"cleanup.policy": "delete"})
    make(settings, topics.CUSTOMER_EVENTS, **{"retention.bytes": "1000000"})
    wanted = (topics.PROFILES, topics.CUSTOMER_EVENTS)
    with Admin(settings) as admin:
        assert [outcome.outcome for outcome in admin.create_topics(wanted)] == ["differs", "differs"]
        assert len(admin.check_topics(wanted)) == 3

        profiles, events = admin.create_topics(wanted, fix=True)

        assert (profiles.outcome, [d.what for d in profiles.differences]) == ("differs", ["partitions"])
        assert (events.outcome, events.differences) == ("fixed", ())
        assert [d.what for d in admin.check_topics(wanted)] == ["partitions"]


def test_lag_is_records_behind_the_end_and_all_of_them_where_nothing_was_committed(settings: Settings) -> None:
    create_topics(settings)
    produce(settings, topics.PURCHASES, partition=0, count=10)
    produce(settings, topics.PURCHASES, partition=1, count=4)
    name = settings.topic("purchases.v1")
    group = Consumer({**librdkafka_config(settings), "group.id": settings.worker_app_id})
    group.commit(offsets=[TopicPartition(name, 0, 7)], asynchronous=False)
    group.close()

    with Admin(settings) as admin:
        assert admin.group_positions(settings.worker_app_id) == {(name, 0): 7}
        assert admin.group_positions("nobody-has-this-group") == {}
        assert admin.end_offsets([topics.PURCHASES]) == {(name, 0): 10, (name, 1): 4}
    found = {(each.topic, each.partition): each for each in lag(settings)}
    assert (found[name, 0].position, found[name, 0].end, found[name, 0].records) == (7, 10, 3)
    assert (found[name, 1].position, found[name, 1].end, found[name, 1].records) == (None, 4, 4)
    assert sum(each.records for each in found.values()) == 7


def test_missing_topics_are_named(settings: Settings) -> None:
    make(settings, topics.PROFILES)
    with Admin(settings) as admin, pytest.raises(TopicsMissing, match=settings.topic("triggers.v1")) as raised:
        admin.end_offsets([topics.PROFILES, topics.TRIGGERS])
    assert settings.topic("profiles.v1") not in str(raised.value)


@pytest.mark.parametrize("listener", ["nobody", "mute"])
def test_a_broker_that_is_away_is_an_error_in_time_that_names_it_and_leaves_no_thread(listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if listener == "mute" else free_port()
        settings = load(kafka_bootstrap_servers=f"127.0.0.1:{port}")
        before = threading.active_count()
        started_at = time.monotonic()
        with Admin(settings, timeout_seconds=1.0) as admin:
            for _ in range(3):
                with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}: no answer within 1 s"):
                    admin.end_offsets([topics.CONTACTS])
        assert time.monotonic() - started_at < 9
        assert threading.active_count() <= before


def test_an_open_connection_outlives_a_broker_restart_and_one_that_never_comes_leaves_no_socket_open(
    tmp_path: Path, jar_cache: Path
) -> None:
    with run_kafka(tmp_path, cache=jar_cache) as broker, warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        settings = load(kafka_bootstrap_servers=broker.bootstrap_servers)
        with Admin(settings, timeout_seconds=20.0) as admin:
            admin.create_topics((topics.CONTROLS,))
            broker.kill()
            broker.start()
            assert admin.end_offsets([topics.CONTROLS]) == {(settings.topic("controls.v1"), 0): 0}
        with Admin(settings, timeout_seconds=2.0) as admin:
            admin.end_offsets([topics.CONTROLS])
            broker.kill()
            with pytest.raises(BrokerUnreachable):
                admin.end_offsets([topics.CONTROLS])
        gc.collect()  # a socket may hang in a cycle with the error that told of it
    assert [str(each.message) for each in left_open] == []


def test_one_connection_answers_several_threads(settings: Settings) -> None:
    make(settings, topics.CONTROLS)
    answers: list[object] = []
    with Admin(settings) as admin:
        threads = [
            threading.Thread(target=lambda: answers.append(admin.end_offsets([topics.CONTROLS]))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert answers == [{(settings.topic("controls.v1"), 0): 0}] * 8


def test_a_topic_made_anew_has_another_id(settings: Settings, kafka: KafkaServer) -> None:
    make(settings, topics.CONTROLS)
    name = settings.topic("controls.v1")
    with Admin(settings) as admin:
        first = admin.topic_states([topics.CONTROLS])[name]
        AnotherClient(settings).delete(name)
        make(settings, topics.CONTROLS)
        second = admin.topic_states([topics.CONTROLS])[name]
    assert first.partitions == second.partitions == 1
    assert first.id != second.id
