"""CloudEvents 1.0 on Kafka, made by their own library: binary and structured end in the models of plain events.

Also the other way: our triggers are CloudEvents in binary mode, by the same library's reading.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from pipeline import topics
from pipeline.schemas.contracts import documents
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.parse import parse_batch
from pipeline.schemas.triggers import Trigger, trigger_headers
from tests.contracts.records import INBOUND, Given, Golden, event_of, golden, refusal_of

FORMAT = JSONFormat()
IN_THE_ENVELOPE = ("id", "source", "type", "occurred_at")
SHIPPED = golden("order-shipped")


def topic_of(contract: str) -> topics.Topic:
    return next(topic for topic in topics.SOURCES if topic.name == topics.SOURCE_OF_EVENT[contract])


def kebab(contract: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in contract).removeprefix("-")


def wrapped(value: dict[str, Any], **attributes: Any) -> CloudEvent:
    """A golden as a producer of CloudEvents says it: what the envelope can say is said there alone."""
    data = {name: each for name, each in value.items() if name not in IN_THE_ENVELOPE}
    return CloudEvent(
        attributes={
            "id": value["id"], "source": value["source"], "type": f"com.example.shop.{kebab(value['type'])}.v1",
            "time": datetime.fromisoformat(value["occurred_at"]), "specversion": "1.0",
            "datacontenttype": "application/json", **attributes,
        },
        data=data,
    )  # fmt: skip


def record(message: kafka.KafkaMessage) -> Given:
    key = message.key.encode() if isinstance(message.key, str) else message.key
    return Given(message.value, tuple(message.headers.items()), key)


@pytest.mark.parametrize("each", INBOUND, ids=lambda each: each.name)
@pytest.mark.parametrize("write", [kafka.to_binary, kafka.to_structured], ids=["binary", "structured"])
def test_a_cloudevent_is_read_as_the_plain_event(each: Golden, write: Any) -> None:
    topic = topic_of(each.contract)
    parsed, refused = parse_batch([record(write(wrapped(each.value), FORMAT))], topic.name)
    assert refused == []
    assert [one.event for one in parsed] == [event_of(each.value, topic)]


def test_structured_mode_is_known_without_headers_too() -> None:
    message = kafka.to_structured(wrapped(SHIPPED.value), FORMAT)
    assert event_of(message.value) == event_of(SHIPPED.value)


@pytest.mark.parametrize(
    "kind", ["OrderShipped", "order-shipped", "order_shipped", "com.example.OrderShipped", "crm.order-shipped.v1.2"]
)
def test_a_type_ends_in_an_events_name_and_may_have_a_version(kind: str) -> None:
    message = record(kafka.to_binary(wrapped(SHIPPED.value, type=kind), FORMAT))
    assert event_of(message.value, headers=message.headers) == event_of(SHIPPED.value)


def test_subject_is_the_customer_where_the_data_names_none() -> None:
    anonymous = {name: value for name, value in SHIPPED.value.items() if name != "customer_id"}
    message = record(kafka.to_binary(wrapped(anonymous, subject="C-7"), FORMAT))
    assert event_of(message.value, headers=message.headers).customer_id == "C-7"
    message = record(kafka.to_binary(wrapped(SHIPPED.value, subject="orders/100234"), FORMAT))
    assert event_of(message.value, headers=message.headers).customer_id == "C-104233"


def test_the_datas_own_time_beats_the_envelopes() -> None:
    event = wrapped(SHIPPED.value)
    data: dict[str, Any] = event.get_data()
    data["occurred_at"] = "2026-02-08T16:10:00Z"
    later = CloudEvent({**event.get_attributes(), "time": datetime(2026, 2, 9, tzinfo=UTC)}, data)
    message = record(kafka.to_structured(later, FORMAT))
    assert event_of(message.value, headers=message.headers) == event_of(SHIPPED.value)


def test_structured_data_may_be_base64() -> None:
    envelope = json.loads(kafka.to_structured(wrapped(SHIPPED.value), FORMAT).value)
    envelope["data_base64"] = "eyJjdXN0b21lcl9pZCI6IkMtMTA0MjMzIiwib3JkZXJfaWQiOiIxMDAyMzQifQ=="  # the data, by hand
    del envelope["data"]
    assert event_of(envelope) == event_of(SHIPPED.value)
    refused = refusal_of({**envelope, "data_base64": "no base64!"})
    assert refused.problems == ("data_base64: expected base64, got something else",)


def test_a_missing_attribute_is_named() -> None:
    message = kafka.to_binary(wrapped(SHIPPED.value), FORMAT)
    headers = [(name, value) for name, value in message.headers.items() if name not in ("ce_id", "ce_source")]
    assert refusal_of(message.value, headers=headers).problems == (
        "ce_id: expected a string, got nothing", "ce_source: expected a string, got nothing",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason", "problem"),
    [
        ({"ce_specversion": b"0.3"}, Reason.SCHEMA_VIOLATION, "ce_specversion: expected 1.0, got another"),
        ({"ce_type": b"com.example.order-lost.v1"}, Reason.UNKNOWN_TYPE,
         "type: expected one that ends in an event's name, got a string of 25"),
        ({"ce_type": b"com.example.order.lost"}, Reason.UNKNOWN_TYPE,
         "type: expected one that ends in an event's name, got 'com.example.order.lost'"),
        ({"ce_id": b"\xff"}, Reason.INVALID_UTF8, "ce_id: expected UTF-8, got other bytes"),
        ({"ce_time": b"now"}, Reason.SCHEMA_VIOLATION, "occurred_at: expected an RFC 3339 instant"),
        ({"content-type": b"application/avro"}, Reason.SCHEMA_VIOLATION,
         "content-type: expected application/json, got another"),
        ({"content-type": b"application/cloudevents-batch+json"}, Reason.SCHEMA_VIOLATION,
         "content-type: expected one event a record, got a batch"),
    ],
)  # fmt: skip
def test_an_envelope_that_is_wrong_is_refused(change: dict[str, bytes], reason: Reason, problem: str) -> None:
    message = kafka.to_binary(wrapped(SHIPPED.value), FORMAT)
    refused = refusal_of(message.value, headers=list({**message.headers, **change}.items()))
    assert refused.reason is reason
    assert refused.problems[0].startswith(problem)


@pytest.mark.parametrize("value", [b"null", b"[]", b'"x"', b"7"])
def test_data_that_is_no_object_is_refused(value: bytes) -> None:
    message = kafka.to_binary(wrapped(SHIPPED.value), FORMAT)
    problem = refusal_of(value, headers=list(message.headers.items())).problems[0]
    assert problem == "value: expected an object, got something else"


def test_a_binary_event_without_data_is_refused_not_taken_for_a_tombstone() -> None:
    message = kafka.to_binary(wrapped(SHIPPED.value), FORMAT)
    assert refusal_of(None, headers=list(message.headers.items())).reason is Reason.EMPTY_VALUE


def test_an_event_in_an_envelope_is_held_to_its_topic_like_any_other() -> None:
    message = record(kafka.to_binary(wrapped(SHIPPED.value), FORMAT))
    assert refusal_of(message.value, topics.EMAILS, message.headers).reason is Reason.WRONG_TOPIC


# -- what goes out ----------------------------------------------------------------------------------------------------


def test_a_trigger_is_a_cloudevent_in_binary_mode() -> None:
    trigger = Trigger.model_validate_json(golden("trigger").data)
    headers = dict(trigger_headers(trigger))
    event = kafka.from_binary(kafka.KafkaMessage(headers, None, golden("trigger").data), FORMAT)
    assert event.get_specversion() == "1.0"
    assert event.get_id() == trigger.trigger_id
    assert event.get_type() == "crm.retention-offer.v1"
    assert event.get_source() == "wafa"
    assert event.get_time() == trigger.decided_at
    assert event.get_subject() == trigger.customer_id
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == golden("trigger").value


def test_the_asyncapi_document_names_the_headers_a_trigger_has() -> None:
    trigger = Trigger.model_validate_json(golden("trigger").data)
    message = json.loads(documents()["asyncapi.json"])["components"]["messages"]["Trigger"]
    assert list(message["headers"]["properties"]) == [name for name, _ in trigger_headers(trigger)]
