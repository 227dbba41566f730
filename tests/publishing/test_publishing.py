"""From a file to its source topics, on a real broker: everything arrives, in order, and what does not is said."""

from __future__ import annotations

import io
import json
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from rich.console import Console

from pipeline import publishing, topics
from pipeline.admin import TopicsMissing
from pipeline.inquiry import Found, scan
from pipeline.publishing import NotPublished, Report, publish_file
from pipeline.schemas.parse import read_event
from pipeline.settings import load
from tests.pipeline.history import order, person
from tests.pipeline.shop import Shop


def quiet(width: int = 200) -> Console:
    return Console(file=io.StringIO(), width=width)


def publish(shop: Shop, file: Path | str, console: Console | None = None, **columns: str) -> Report:
    return publish_file(shop.settings, str(file), topic=None, columns=columns, console=console or quiet())


def written(folder: Path, events: list[dict[str, Any]], name: str = "events.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return file


def records(shop: Shop, topic: topics.Topic) -> list[Found]:
    return list(scan(shop.settings, topic))


def test_everything_arrives_once_and_each_persons_events_in_the_files_order(shop: Shop, tmp_path: Path) -> None:
    orders = [order(number, number % 97, 1 + number // 97) for number in range(5_000)]
    report = publish(shop, written(tmp_path, [*person(1), *orders]))
    assert (report.lines, report.published, report.refused_count, report.failed_count) == (5_003, 5_003, 0, 0)
    found = records(shop, topics.PURCHASES)
    assert Counter(json.loads(each.value or b"")["id"] for each in found) == Counter(each["id"] for each in orders)
    places: dict[bytes | None, set[int]] = {}
    numbers: dict[bytes | None, list[int]] = {}
    for each in found:
        places.setdefault(each.key, set()).add(each.partition)
        numbers.setdefault(each.key, []).append(int(json.loads(each.value or b"")["order_id"].removeprefix("o")))
    assert set(places) == {f"c{number}".encode() for number in range(97)}
    for key, partitions in places.items():
        assert partitions == {topics.partition_of(key or b"", topics.PURCHASES.partitions)}
    assert all(each == sorted(each) for each in numbers.values())
    assert len(records(shop, topics.CONTACTS)) == 1
    assert len(records(shop, topics.EMAILS)) == 2


def test_refused_lines_are_shown_and_kept_out_and_the_rest_goes_on(shop: Shop, tmp_path: Path) -> None:
    file = written(tmp_path, [order(1, 1, 1), {"type": "OrderCompleted"}, order(2, 1, 2)])
    file.write_bytes(file.read_bytes() + b"\xff\n")
    console = quiet()
    report = publish(shop, file, console)
    assert (report.published, report.refused_count) == (2, 2)
    assert [number for number, _ in report.refused] == [2, 4]
    said = console.file.getvalue().splitlines()
    assert said[0].startswith("line 2: id: expected a value, got nothing; source: expected a value, got nothing")
    assert said[1:] == ["line 4: value: expected UTF-8, got another byte at 0"]
    assert len(records(shop, topics.PURCHASES)) == 2


def test_a_million_bad_lines_are_counted_and_a_thousand_kept(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "REFUSED_KEPT_MAX", 10)
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"x\n" * 2_000)
    console = quiet()
    report = publish(shop, file, console)
    assert (report.lines, report.refused_count, len(report.refused)) == (2_000, 2_000, 10)
    assert len(console.file.getvalue().splitlines()) == 11


def test_a_customer_list_published_again_is_the_same_events(shop: Shop, tmp_path: Path) -> None:
    text = "Kontakt;name;consent_email\nann@example.org;Ann;yes\nbob@example.org;Bob;no\n"
    for name in ("customers.csv", "renamed.csv"):
        file = tmp_path / name
        file.write_text(text)
        assert publish(shop, file, email="Kontakt").published == 4
    for topic in (topics.CONTACTS, topics.EMAILS):
        ids = Counter(read_event(each.value or b"").id for each in records(shop, topic))
        assert sorted(ids.values()) == [2, 2]
    sources = {read_event(each.value or b"").source for each in records(shop, topics.CONTACTS)}
    assert sources == {"customers-csv"}


def is_too_large(shop: Shop, topic: str) -> bool:
    """Whether the broker refuses a record of 40,000 bytes now. A changed limit holds soon, not at once."""
    told: list[KafkaError | None] = []
    shop.producer.produce(topic, secrets.token_hex(20_000), b"probe", on_delivery=lambda error, _: told.append(error))
    assert shop.producer.flush(30) == 0
    return told[0] is not None and told[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_what_the_broker_does_not_take_is_a_failure_with_its_line(shop: Shop, tmp_path: Path) -> None:
    name = shop.settings.topic(topics.PURCHASES.name)
    limit = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[limit])
    admin = AdminClient({"bootstrap.servers": shop.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(10)
    shop.wait(lambda: is_too_large(shop, name), "the broker goes by its new limit")
    big = {**order(2, 1, 2), "note": secrets.token_hex(20_000)}
    report = publish(shop, written(tmp_path, [*person(1), big]))
    assert report.failed_count == 1
    assert report.failure is not None
    assert report.failure.startswith("line 4: MSG_SIZE_TOO_LARGE")
    assert report.published == 3
    assert [each for each in records(shop, topics.PURCHASES) if each.key != b"probe"] == []


@pytest.mark.parametrize(
    ("file", "topic", "columns", "said"),
    [
        ("nowhere.jsonl", None, {}, "nowhere.jsonl: No such file or directory"),
        (".", None, {}, "Is a directory"),
        ("list.csv", "contacts.v1", {}, "--topic: for JSON lines only"),
        ("list.csv", "kontakte.v1", {}, "--topic: expected one of contacts.v1, purchases.v1"),
        ("list.csv", None, {"birthday": "Born"}, "got 'birthday'"),
        ("list.csv", None, {"email": "Mail"}, "header: expected a column 'Mail' (for email), got none"),
    ],
)
def test_what_cannot_work_is_said_and_nothing_sent(
    shop: Shop, tmp_path: Path, file: str, topic: str | None, columns: dict[str, str], said: str
) -> None:
    (tmp_path / "list.csv").write_text("name,phone\nAnn,+98 21 555\n")
    with pytest.raises(NotPublished) as caught:
        publish_file(shop.settings, str(tmp_path / file), topic=topic, columns=columns, console=quiet())
    assert said in str(caught.value)
    assert records(shop, topics.CONTACTS) == []


def test_topics_that_are_missing_are_not_made_by_publishing(shop: Shop, tmp_path: Path) -> None:
    elsewhere = load(kafka_bootstrap_servers=shop.bootstrap, topics_prefix="nobodys.")
    with pytest.raises(TopicsMissing, match="wafa topics create"):
        publish_file(elsewhere, str(written(tmp_path, [order(1, 1, 1)])), topic=None, columns={}, console=quiet())
    assert "nobodys.purchases.v1" not in AdminClient({"bootstrap.servers": shop.bootstrap}).list_topics(None, 10).topics
