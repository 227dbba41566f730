"""How a worker starts, or says why it does not, and how it ends."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from pipeline import topics
from pipeline.admin import Admin
from tests.pipeline.history import order, person, weeks
from tests.pipeline.shop import Shop, at


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_told_to_end_in_the_middle_of_work_it_commits_what_is_in_hand_and_ends_well(
    shop: Shop, number: signal.Signals
) -> None:
    worker = shop.start(WAFA_WORKER_BATCH_RECORDS_MAX="20")
    shop.publish(each for number in range(100) for each in person(number))
    shop.publish(order(number, number % 100, 1) for number in range(2_000))
    shop.wait(lambda: worker.metric("wafa_events_total{") > 100, "it is at work")
    begun = time.monotonic()
    assert worker.end(number) == 0
    assert time.monotonic() - begun < 10
    assert "Traceback" not in worker.log()
    shop.start()
    shop.tick(at(3))
    shop.wait_until_done()
    shop.check()


def test_it_leaves_its_group_at_once_and_the_next_one_takes_over_and_repeats_nothing(shop: Shop) -> None:
    """Had it not left, the next one would wait for its session to end: a minute."""
    slow = {"WAFA_KAFKA_SESSION_TIMEOUT_SECONDS": "60", "WAFA_KAFKA_HEARTBEAT_SECONDS": "1"}
    first = shop.start(**slow)
    for week, events in enumerate(weeks(20, 4)):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    before = (shop.entries(), shop.decisions(), shop.triggers(), shop.state())
    assert first.end() == 0
    second = shop.start(**slow)
    shop.wait(lambda: second.get("/readyz")[0] == 200, "ready", 30)
    assert (shop.entries(), shop.decisions(), shop.triggers(), shop.state()) == before
    shop.publish([order("one more", 1, 40)])
    shop.wait_until_done()
    assert len(shop.entries()) == len(before[0]) + 1
    shop.check()


def test_told_to_end_while_it_still_starts_it_does(shop: Shop) -> None:
    worker = shop.start()
    shop.wait(lambda: worker.get("/livez")[0] == 200, "it answers")
    assert worker.end() in (0, -signal.SIGTERM)


def test_without_topics_it_says_what_is_missing_and_what_makes_it(shop: Shop) -> None:
    elsewhere = Shop(shop.bootstrap, shop.redis_url, shop.folder)
    try:
        worker = elsewhere.start()
        assert worker.popen.wait(30) == 1
        assert "wafa topics create" in worker.log()
        assert elsewhere.settings.topic(topics.CUSTOMER_EVENTS.name) in worker.log()
        assert "Traceback" not in worker.log()
    finally:
        elsewhere.stop()


def test_with_a_topic_of_another_partition_count_it_does_not_start(shop: Shop) -> None:
    elsewhere = Shop(shop.bootstrap, shop.redis_url, shop.folder)
    try:
        with Admin(elsewhere.settings) as admin:
            wrong = topics.Topic(topics.DECISIONS.name, "", "", partitions=3, cleanup="delete")
            admin.create_topics((wrong,))
            admin.create_topics()
        worker = elsewhere.start()
        assert worker.popen.wait(30) == 1
        assert "expected 8, got 3" in worker.log()
    finally:
        elsewhere.stop()


@pytest.mark.parametrize("command", ["worker", "views"])
def test_with_its_port_taken_it_says_so_in_a_sentence(shop: Shop, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = shop.start(command, WAFA_METRICS_PORT=str(port))
        assert process.popen.wait(30) == 1
    assert f"127.0.0.1:{port}" in process.log()
    assert "WAFA_METRICS_PORT" in process.log()
    assert "Traceback" not in process.log()


@pytest.mark.parametrize("command", ["worker"])
def test_without_a_broker_it_says_so_and_ends(shop: Shop, command: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{nobody.getsockname()[1]}"
        process = shop.start(command, WAFA_KAFKA_BOOTSTRAP_SERVERS=server)
        assert process.popen.wait(60) == 3
    assert server in process.log()
    assert "Traceback" not in process.log()


def test_with_settings_that_cannot_work_it_lists_every_problem_and_starts_nothing(shop: Shop) -> None:
    process = shop.start(WAFA_SHOP_CURRENCY="dollars", WAFA_WORKER_LINGER_SECONDS="-1", WAFA_REDIS_URL="http://x")
    assert process.popen.wait(30) == 2
    said = process.log()
    assert "WAFA_SHOP_CURRENCY" in said
    assert "WAFA_WORKER_LINGER_SECONDS" in said
    assert process.get("/livez")[0] == 0
