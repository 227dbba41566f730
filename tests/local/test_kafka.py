"""A real Kafka: data and port last over a stop and over a kill; jars are those expected; failures speak."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.local.jars import BadJars
from pipeline.local.kafka import KAFKA_VERSION, check_jars, cluster_id, expected_jars, resolve_kafka, run_kafka
from pipeline.local.process import ServerFailed
from tests.local.processes import alive, comes_true

REPOSITORY = Path(__file__).resolve().parents[2]
PARENT = """
import sys, time
from pathlib import Path
from pipeline.local.kafka import run_kafka
with run_kafka(Path(sys.argv[1]), cache=Path(sys.argv[2])) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def own_kafka(tmp_path, jar_cache):
    with run_kafka(tmp_path / "own", cache=jar_cache) as server:
        yield server


def create(server, topic):
    admin = AdminClient({"bootstrap.servers": server.bootstrap_servers})
    for created in admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)]).values():
        created.result(timeout=30)


def produce(server, topic, value):
    """Held by the broker when this returns."""
    failures = []
    producer = Producer({"bootstrap.servers": server.bootstrap_servers, "acks": "all"})
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert failures == [None]


def consume(server, topic, *, count):
    """The first `count` values."""
    consumer = Consumer(
        {"bootstrap.servers": server.bootstrap_servers, "group.id": "tests-local", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    values, deadline = [], time.monotonic() + 30
    while len(values) < count and time.monotonic() < deadline:
        record = consumer.poll(0.5)
        if record is not None and not record.error():
            values.append(record.value())
    consumer.close()
    return values


def test_what_is_produced_is_consumed(kafka):
    create(kafka, "tests.local")
    produce(kafka, "tests.local", b"order")
    assert consume(kafka, "tests.local", count=1) == [b"order"]


def test_data_and_port_last_over_a_restart_and_over_a_kill(own_kafka):
    address = own_kafka.bootstrap_servers
    create(own_kafka, "orders")
    produce(own_kafka, "orders", b"first")
    own_kafka.restart()
    produce(own_kafka, "orders", b"second")
    own_kafka.kill()
    assert not own_kafka.running
    own_kafka.start()
    assert own_kafka.bootstrap_servers == address
    assert consume(own_kafka, "orders", count=2) == [b"first", b"second"]


def test_a_folder_opened_again_has_its_data(tmp_path, jar_cache):
    with run_kafka(tmp_path, cache=jar_cache) as server:
        create(server, "orders")
        produce(server, "orders", b"first")
    with run_kafka(tmp_path, cache=jar_cache, fast_start=False) as server:
        assert consume(server, "orders", count=1) == [b"first"]


def test_a_broker_does_not_outlive_a_killed_parent(tmp_path, jar_cache):
    command = [sys.executable, "-c", PARENT, str(tmp_path), str(jar_cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        broker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert comes_true(lambda: not alive(broker), seconds=15)


def test_a_busy_port_is_an_error_that_names_it(kafka, tmp_path, jar_cache):
    with (
        pytest.raises(ServerFailed, match=f"expected port {kafka.port}.*to be free"),
        run_kafka(tmp_path, cache=jar_cache, port=kafka.port),
    ):
        pass


def test_a_bad_setting_is_an_error_with_what_kafka_said(tmp_path, jar_cache):
    with (
        pytest.raises(ServerFailed, match=r"log\.retention\.ms"),
        run_kafka(tmp_path, cache=jar_cache, settings={"log.retention.ms": "a week"}),
    ):
        pass


def test_a_cluster_id_is_never_taken_for_an_option():
    drawn = [cluster_id() for _ in range(2000)]  # one in 64 would begin with a dash
    assert [text for text in drawn if text.startswith("-")] == []
    assert {len(text) for text in drawn} == {22}


@pytest.fixture
def jars(tmp_path, jar_cache):
    """A copy of the jars, to be spoilt."""
    resolve_kafka(jar_cache)
    folder = f"kafka-{KAFKA_VERSION}"
    return Path(shutil.copytree(jar_cache / folder, tmp_path / folder))


SOME_JAR = "org/lz4/lz4-java/1.8.0/lz4-java-1.8.0.jar"


def test_a_changed_jar_is_refused_by_name_with_expected_and_got(jars):
    with (jars / SOME_JAR).open("ab") as jar:
        jar.write(b"more")
    with pytest.raises(BadJars, match=f"{SOME_JAR}: expected sha256 {expected_jars()[SOME_JAR]}, got [0-9a-f]{{64}}"):
        resolve_kafka(jars.parent)


def test_a_jar_too_many_is_refused_by_name(jars):
    shutil.copy(jars / SOME_JAR, jars / "stray.jar")
    with pytest.raises(BadJars, match=r"stray\.jar: expected no such file"):
        resolve_kafka(jars.parent)


def test_a_missing_jar_is_told_by_name(jars):
    (jars / SOME_JAR).unlink()
    with pytest.raises(BadJars, match=f"{SOME_JAR}: .*got no file"):
        check_jars(jars)


def test_jars_that_are_there_need_no_network(jars, monkeypatch):
    def no_network(*_, **__):
        pytest.fail("opened a socket")

    monkeypatch.setattr("socket.socket", no_network)
    assert len(resolve_kafka(jars.parent)) == len(expected_jars())
