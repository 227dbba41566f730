"""Input deleted before it was read: told by a command, and passed over by one, where somebody has decided so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from pipeline import topics
from pipeline.__main__ import app
from tests.pipeline.history import order, person
from tests.pipeline.shop import Shop, at


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in shop.environment().items():
        if name.startswith("WAFA_"):
            monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(app, ["lost", *arguments])


def delete_to_the_end(shop: Shop, topic: topics.Topic) -> None:
    client = AdminClient({"bootstrap.servers": shop.bootstrap, "log_level": 0})
    everything = [TopicPartition(shop.settings.topic(topic.name), each, -1) for each in range(topic.partitions)]
    for deleted in client.delete_records(everything).values():
        deleted.result(30)


def test_a_task_goes_on_at_what_is_left_once_somebody_has_accepted_that_the_rest_is_lost(shop: Shop, run: Any) -> None:
    worker = shop.start()
    shop.publish(each for number in range(20) for each in person(number))
    shop.publish(order(f"read {number}", number, 1) for number in range(20))
    shop.tick(at(2))
    shop.wait_until_done()
    assert run().output == "Nothing is lost.\n"
    assert worker.end() == 0
    shop.publish(order(f"lost {number}", number, 2) for number in range(20))
    delete_to_the_end(shop, topics.PURCHASES)

    worker = shop.start()
    shop.wait(lambda: "PositionOutsideLog" in str(worker.reasons("/readyz")), "it says so", 60)
    told = run()
    assert told.exit_code == 1
    gone = sum(
        int(last) - int(first) + 1
        for first, last in (line.split()[2:5:2] for line in told.output.splitlines() if "were deleted" in line)
    )
    assert gone >= 20, f"the marks of transactions among them: {told.output}"
    refused = run("--accept")
    assert refused.exit_code == 1
    assert "stop them first" in refused.output
    assert worker.end() == 0

    accepted = run("--accept")
    assert accepted.exit_code == 0, accepted.output
    assert accepted.output.count("goes on at") == told.output.count("were deleted")
    assert run().output == "Nothing is lost.\n"
    shop.start()
    shop.publish(order(f"new {number}", number, 3) for number in range(20))
    shop.tick(at(4))
    shop.wait_until_done()
    events = [json.loads(value) for _, value in shop.entries()]
    assert {each["order_id"].split()[0] for each in events if each["type"] == "OrderCompleted"} == {"oread", "onew"}


def test_what_is_kept_for_ever_is_never_passed_over(shop: Shop, run: Any) -> None:
    worker = shop.start()
    shop.tick(at(1))
    shop.wait_until_done()
    assert worker.end() == 0
    shop.tick(at(2))
    delete_to_the_end(shop, topics.CONTROLS)
    accepted = run("--accept")
    assert accepted.exit_code == 1
    assert "controls.v1[0]: records" in accepted.output
    assert "kept for ever" in accepted.output
    assert run().output == accepted.output
