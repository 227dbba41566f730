"""What publishers send wrong, through a real broker: refused with every reason, kept to the byte, and sent again.

Everything goes to one worker, in one stream with what is right. Each case is then looked for among the dead letters.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from pipeline import topics
from pipeline.inquiry import Found, customer_ids, scan
from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from tests.pipeline.conftest import opened
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at

MIB = 1024 * 1024
OURS = ("wafa_reason", "wafa_problems", "wafa_topic", "wafa_partition", "wafa_offset", "wafa_timestamp_ms")
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Bad:
    """A record to refuse: what it is, where it goes, and what must be said of it."""

    name: str
    value: bytes | None
    reason: str
    problems: tuple[str, ...] = ()
    """Each must begin one of the letter's problems."""
    source: str = "purchases.v1"
    key: bytes | None = b"key"
    headers: Headers = ()


def changed(**fields: Any) -> bytes:
    """An order with some fields other than they should be; None takes a field away."""
    whole = order("bad", 1, 1) | fields
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def binary(**attributes: bytes) -> Headers:
    """Headers of a CloudEvent in binary mode, with some attributes other than they should be; empty takes one away."""
    whole = {
        "ce_specversion": b"1.0", "ce_id": b"e1", "ce_source": b"/shop", "ce_type": b"OrderCompleted",
        "content-type": b"application/json",
    } | {name.replace("content_type", "content-type"): value for name, value in attributes.items()}  # fmt: skip
    return tuple((name, value) for name, value in whole.items() if value)


AHEAD = at(0) + timedelta(days=365 * 150)
BAD = [
    Bad("no JSON", b"not json", "not_json"),
    Bad("half of it", b'{"type": "OrderCompleted", "id": "1', "not_json"),
    Bad("a list", b"[1, 2]", "schema_violation"),
    Bad("NaN", changed(revenue_minor=None)[:-1] + b', "revenue_minor": NaN}', "schema_violation"),
    Bad("nested without end", b'{"a":' * 50_000, "not_json"),
    Bad(
        "wrong types and missing fields at once",
        changed(revenue_minor="12", occurred_at=None, currency=None, order_id=7), "schema_violation",
        ("revenue_minor", "occurred_at", "currency", "order_id"),
    ),
    Bad("a negative amount", changed(revenue_minor=-1), "schema_violation", ("revenue_minor",)),
    Bad("an absurd amount", changed(revenue_minor=10**13), "schema_violation", ("revenue_minor",)),
    Bad("half a cent", changed(revenue_minor=10.5), "schema_violation", ("revenue_minor",)),
    Bad("a currency of nowhere", changed(currency="ZZZ"), "unknown_currency", ("currency",)),
    Bad("a currency without a rate", changed(currency="EUR"), "no_rate", ("currency",)),
    Bad("far ahead", changed(occurred_at=AHEAD.isoformat()), "too_far_ahead", ("occurred_at",)),
    Bad("before there was anything", changed(occurred_at="1970-01-01T00:00:00Z"), "schema_violation", ("occurred_at",)),
    Bad("a date without a zone", changed(occurred_at="2024-01-01T00:00:00"), "schema_violation", ("occurred_at",)),
    Bad("nobody's", changed(customer_id=None), "no_alias"),
    Bad("of a type nobody knows", changed(type="OrderEaten"), "unknown_type", ("type",)),
    Bad("on the wrong topic", changed(), "wrong_topic", ("type",), source="emails.v1"),
    Bad("on the wrong topic, nobody's, below zero", changed(customer_id=None, revenue_minor=-1), "schema_violation",
        ("revenue_minor", "type", "customer_id, email"), source="emails.v1"),
    Bad("far ahead in a currency without a rate", changed(occurred_at=AHEAD.isoformat(), currency="EUR"),
        "too_far_ahead", ("occurred_at", "currency")),
    Bad("null", None, "empty_value"),
    Bad("null, without a key", None, "empty_value", key=None),
    Bad("no bytes", b"", "empty_value"),
    Bad("no UTF-8", b'{"type": "OrderCompleted", "id": "\xff\xfe"}', "invalid_utf8"),
    Bad("one byte more than a MiB", changed(note="x" * MIB)[: MIB - 2] + b'"}', "too_large", key=b"k"),
    Bad("a MiB that compresses well", changed(note="x" * (MIB + 40_000)), "too_large"),
    Bad(
        "with headers of all kinds", b"{", "not_json",
        headers=(("a", b"\x00\xff"), ("a", b"again"), ("empty", b""), ("null", None), ("wafa_reason", b"theirs")),
    ),
    Bad("CloudEvent without id and source", changed(), "schema_violation", ("ce_id", "ce_source"),
        headers=binary(ce_id=b"", ce_source=b"")),
    Bad("CloudEvent without id and with half a cent", changed(revenue_minor=10.5), "schema_violation",
        ("ce_id", "revenue_minor"), headers=binary(ce_id=b"")),
    Bad("CloudEvent of another version", changed(), "schema_violation", ("ce_specversion",),
        headers=binary(ce_specversion=b"2.0")),
    Bad("CloudEvent with an attribute that is no UTF-8", changed(), "invalid_utf8", ("ce_id",),
        headers=binary(ce_id=b"\xff")),
    Bad("CloudEvent of an unknown type", changed(), "unknown_type", ("type",), headers=binary(ce_type=b"shop.Eaten")),
    Bad("CloudEvent in XML", changed(), "schema_violation", ("content-type",),
        headers=binary(content_type=b"text/xml")),
    Bad("CloudEvent without data", b"[]", "schema_violation", headers=binary()),
    Bad("structured CloudEvent without anything", b'{"specversion": "1.0"}', "schema_violation",
        ("id", "source", "type")),
    Bad("Segment call without content", b'{"messageId": "m", "type": "track", "event": "Order Completed"}',
        "schema_violation", ("properties.order_id", "properties.currency", "properties.revenue")),
]  # fmt: skip


@dataclass
class Aftermath:
    """The shop after all of it: where each case went, and every dead letter by its place of origin."""

    shop: Shop
    sent: dict[str, Message] = field(default_factory=dict)
    letters: dict[tuple[str, int, int], Found] = field(default_factory=dict)

    def letter_of(self, name: str) -> Found:
        """The dead letter of a case."""
        message = self.sent[name]
        source = message.topic().removeprefix(self.shop.prefix)
        return self.letters[source, message.partition(), message.offset()]


def said(letter: Found) -> dict[str, str]:
    """What a dead letter's last headers say."""
    assert tuple(name for name, _ in letter.headers[-len(OURS) :]) == OURS
    return {name: value.decode() for name, value in letter.headers[-len(OURS) :]}


def read_letters(shop: Shop) -> dict[tuple[str, int, int], Found]:
    found = {}
    for letter in scan(shop.settings, topics.DEAD_LETTERS):
        ours = said(letter)
        found[ours["wafa_topic"], int(ours["wafa_partition"]), int(ours["wafa_offset"])] = letter
    return found


@pytest.fixture(scope="module")
def aftermath(running: Shop) -> Aftermath:
    found = Aftermath(running)
    producer = Producer(
        {"bootstrap.servers": running.bootstrap, "message.max.bytes": 8 * MIB, "compression.type": "zstd"}
    )
    running.publish([*person(1), order("before", 1, 1)])

    def sent(name: str) -> Any:
        def delivered(error: object, message: Message) -> None:
            assert error is None, f"{name}: {error}"
            found.sent[name] = message

        return delivered

    for case in BAD:
        producer.produce(
            running.settings.topic(case.source), case.value, case.key, headers=list(case.headers) or None,
            on_delivery=sent(case.name),
        )  # fmt: skip
        assert producer.flush(20) == 0
    running.publish([order("after", 1, 2)])
    running.wait_until_done()
    found.letters = read_letters(running)
    return found


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_input_becomes_a_dead_letter_that_says_where_and_why(aftermath: Aftermath, case: Bad) -> None:
    letter, message = said(aftermath.letter_of(case.name)), aftermath.sent[case.name]
    assert letter["wafa_reason"] == case.reason
    problems = json.loads(letter["wafa_problems"])
    assert problems
    for expected in case.problems:
        assert any(problem.startswith(expected) for problem in problems), problems
    assert letter["wafa_topic"] == case.source
    assert letter["wafa_timestamp_ms"] == str(message.timestamp()[1])


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_input_keeps_its_bytes_and_headers(aftermath: Aftermath, case: Bad) -> None:
    letter = aftermath.letter_of(case.name)
    assert (letter.key, letter.value) == (case.key, case.value)
    assert letter.headers[: -len(OURS)] == case.headers


def test_the_worker_goes_on_and_what_is_right_between_it_has_its_effect(aftermath: Aftermath) -> None:
    shop = aftermath.shop
    assert len(aftermath.letters) == len(BAD)
    worker = shop.processes[0]
    assert worker.popen.poll() is None
    assert worker.get("/readyz") == (200, '{"ok": true, "reasons": []}')
    shop.check_against_core()
    (customer,) = customer_ids(shop.settings, "c1")
    log = [value for key, value in shop.entries() if key == customer.encode()]
    assert sum(b'"OrderCompleted"' in value for value in log) == 2
    refused = Counter(case.reason for case in BAD)
    for reason, count in refused.items():
        assert worker.metric(f'wafa_dead_letters_total{{reason="{reason}"') == count, reason


def test_nothing_of_what_was_refused_is_in_the_log_of_the_worker(aftermath: Aftermath) -> None:
    assert "c1@example.org" not in aftermath.shop.processes[0].log()
    assert "Traceback" not in aftermath.shop.processes[0].log()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", "none"])
def test_publishers_may_compress_as_they_like(running: Shop, codec: str) -> None:
    producer = Producer({"bootstrap.servers": running.bootstrap, "compression.type": codec, "linger.ms": 50})
    name = f"from-{codec}"
    for number in range(300):
        document = order(f"{codec}{number}", 0, 1) | {"customer_id": name}
        producer.produce(running.settings.topic("purchases.v1"), json.dumps(document).encode(), b"one batch")
    assert producer.flush(20) == 0
    running.wait_until_done()
    (customer,) = customer_ids(running.settings, name)
    log = [key for key, _ in running.entries() if key == customer.encode()]
    assert len(log) == 300


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_record_that_grows_beyond_what_can_be_kept_is_named_and_stops_nothing(running: Shop, codec: str) -> None:
    """The broker's limit is on what it stores: 12 MiB of one letter pass it, compressed."""
    producer = Producer(
        {"bootstrap.servers": running.bootstrap, "message.max.bytes": 64 * MIB, "compression.type": codec}
    )
    places: list[Message] = []
    producer.produce(
        running.settings.topic("purchases.v1"), changed(note="x" * (12 * MIB)), f"huge {codec}",
        on_delivery=lambda error, message: places.append(message),
    )  # fmt: skip
    assert producer.flush(30) == 0
    running.publish([order(f"after {codec}", 1, 3)])
    running.wait_until_done()
    (message,) = places
    letter = read_letters(running)["purchases.v1", message.partition(), message.offset()]
    assert letter.value is None
    assert said(letter)["wafa_reason"] == "too_large"
    problems = json.loads(said(letter)["wafa_problems"])
    assert any(f"purchases.v1[{message.partition()}]@{message.offset()}" in problem for problem in problems), problems


def test_a_header_without_a_value_may_come_with_an_event_that_must_wait(running: Shop) -> None:
    opened_by_nobody = event("EmailOpened", "null-header", at(3), email="later@example.org", email_id="m")
    running.publish_raw("emails.v1", json.dumps(opened_by_nobody).encode(), headers={"trace": None})
    running.publish([event("CustomerIdentified", "later", at(4), email="later@example.org")])
    running.wait_until_done()
    (customer,) = customer_ids(running.settings, "later@example.org")
    assert sum(key == customer.encode() for key, _ in running.entries()) == 2


def test_large_events_of_one_unknown_person_do_not_stop_the_line(running: Shop) -> None:
    """20 may wait for an alias, and each may have nearly a MiB: more than a record of the changelog may hold."""
    alias = {"email": "large@example.org", "email_id": "m"}
    for number in range(6):
        noise = random.Random(number).randbytes(340_000).hex()  # as much as it says: nothing compresses it
        opened_by_nobody = event("EmailOpened", f"large{number}", at(3), **alias, unknown_field=noise)
        running.publish_raw("emails.v1", json.dumps(opened_by_nobody).encode())
    running.publish([event("CustomerIdentified", "large", at(4), email="large@example.org")])
    running.wait_until_done()
    (customer,) = customer_ids(running.settings, "large@example.org")
    released = sum(key == customer.encode() for key, _ in running.entries()) - 1
    refused = [letter for letter in read_letters(running).values() if b'"EmailOpened-large' in (letter.value or b"")]
    assert {said(letter)["wafa_reason"] for letter in refused} <= {"nobody_known"}
    assert released + len(refused) == 6


def test_a_letter_larger_than_its_topic_takes_is_passed_over_and_those_behind_it_are_sent(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """A source takes 1 MiB and 64 KiB. Compressed, 1.5 MiB of one letter are a few hundred bytes to the broker."""
    with opened(kafka, valkey, tmp_path, WAFA_WORKER_FUSE_REFUSED_FRACTION="1") as shop:
        worker = shop.start()
        producer = Producer(
            {"bootstrap.servers": shop.bootstrap, "message.max.bytes": 8 * MIB, "compression.type": "zstd"}
        )
        source = shop.settings.topic("purchases.v1")
        for value in (changed(note="x" * (3 * MIB // 2)), changed(note="x" * (MIB + 40_000)), b"no JSON"):
            producer.produce(source, value, b"one partition")
            assert producer.flush(20) == 0
        shop.wait_until_done()
        assert sorted(letter[2]["wafa_reason"] for letter in shop.dead_letters()) == ["not_json", *["too_large"] * 2]
        worker.end()

        for words, sent in (
            (("redrive", "--dry-run"), "2 letters would be sent again."),
            (("redrive",), "2 letters sent again."),
            (("redrive",), "0 letters sent again."),
        ):
            driven = shop.wafa(*words)
            assert driven.returncode == 0, driven.stderr
            assert sent in driven.stdout
            said = "1 more are larger than their topic takes when not compressed" in " ".join(driven.stdout.split())
            assert said is (sent[0] == "2"), driven.stdout
        assert [len(each.value or b"") // MIB for each in scan(shop.settings, topics.PURCHASES)] == [1, 1, 0, 1, 0]


def test_what_was_mended_is_sent_again_once_and_as_it_came(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with opened(kafka, valkey, tmp_path, WAFA_WORKER_FUSE_REFUSED_FRACTION="1") as shop:
        worker = shop.start()
        shop.publish(person(1))
        headers = {"trace": b"\x01\x02"}
        euros = json.dumps(order("eur", 1, 1) | {"currency": "EUR"}).encode()
        shop.publish_raw("purchases.v1", euros, key=b"\xffkey", headers=headers)
        shop.publish_raw("purchases.v1", b"never any good", key=None)
        shop.wait_until_done()
        assert sorted(letter[2]["wafa_reason"] for letter in shop.dead_letters()) == ["no_rate", "not_json"]
        worker.end()

        looked = shop.wafa("redrive", "--dry-run")
        assert looked.returncode == 0
        assert "2 letters would be sent again" in looked.stdout
        for expected in ("1 letters sent", "0 letters sent"):
            driven = shop.wafa("redrive", "--reason", "no_rate")
            assert driven.returncode == 0, driven.stderr
            assert expected in driven.stdout
        came = [each for each in scan(shop.settings, topics.PURCHASES) if each.value == euros]
        assert len(came) == 2
        assert {(each.key, each.headers) for each in came} == {(b"\xffkey", tuple(headers.items()))}

        rates = tmp_path / "rates.csv"
        rates.write_text(f"date,currency,rate\n{at(0):%Y-%m-%d},EUR,1.25\n")
        shop.start(WAFA_SHOP_RATES_FILE=str(rates))
        shop.wait_until_done()
        (customer,) = customer_ids(shop.settings, "c1")
        bought = [value for key, value in shop.entries() if key == customer.encode() and b'"OrderCompleted"' in value]
        assert len(bought) == 1
        assert b"3750" in bought[0], "30.00 EUR at 1.25"
        assert len(shop.dead_letters()) == 2, "nothing was refused anew"
        shop.check_against_core()
