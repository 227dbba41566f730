"""What a file says, before anything is sent: lines, refusals and the events of a customer list."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.core.door import Shop
from pipeline.core.rates import Rates
from pipeline.reading import (
    CSV_LINE_BYTES_MAX,
    CSV_ROW_LINES_MAX,
    LineReader,
    Ready,
    events_of_customers,
    events_of_lines,
)
from pipeline.schemas.customers_csv import BadColumns
from pipeline.schemas.parse import read_event
from pipeline.topics import MAX_RECORD_BYTES, SOURCE_OF_EVENT

SHOP = Shop("USD", Rates())
WRITTEN_AT = datetime(2024, 6, 1, tzinfo=UTC)
SHIPPED = {
    "type": "OrderShipped", "id": "e1", "source": "shop", "occurred_at": "2024-01-01T00:00:00Z", "order_id": "o1",
    "customer_id": "c1",
}  # fmt: skip


class Dribble(io.RawIOBase):
    """A stream that gives at most so many bytes at a time, as a pipe may."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = next(self._parts, b"")
        buffer[: len(part)] = part
        return len(part)


def in_parts(data: bytes, size: int) -> io.BufferedReader:
    return io.BufferedReader(Dribble(data[at : at + size] for at in range(0, len(data), size)))


def json_lines(data: bytes, topic: str | None = None) -> list[Ready]:
    return list(events_of_lines(LineReader(io.BytesIO(data), MAX_RECORD_BYTES), SHOP, topic))


def customers(data: bytes, **columns: str) -> list[Ready]:
    reader = LineReader(io.BytesIO(data), CSV_LINE_BYTES_MAX)
    return list(events_of_customers(reader, SHOP, columns, WRITTEN_AT))


def line(**changes: Any) -> bytes:
    fields = {**SHIPPED, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_lines_are_the_same_however_the_stream_is_cut(size: int) -> None:
    data = b"\xef\xbb\xbfone\r\n\n  \ntwo\nthree is longer than ten\nfour"
    runs = LineReader(in_parts(data, size), 10).runs()
    found = [(each.offset, each.value) for run in runs for each in run]
    assert found == [(1, b"one\r"), (4, b"two"), (5, None), (6, b"four")]


def test_a_stream_that_never_ends_its_line_fits_into_memory() -> None:
    part = b"x" * 65_536
    stream = io.BufferedReader(Dribble(part for _ in range(4_096)))  # 256 MiB
    tracemalloc.start()
    try:
        (refused,) = events_of_lines(LineReader(stream, MAX_RECORD_BYTES), SHOP, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (refused.line, refused.events) == (1, ())
    assert refused.problem == "expected at most 1,048,576 bytes, got more"
    assert peak < 8 * 1024 * 1024


def test_a_line_goes_out_byte_for_byte_to_its_events_source_under_its_strongest_alias() -> None:
    value = line(email="A@Example.org", extra="\u00e9")
    (ready,) = json_lines(b"  " + value + b" \r\n")
    assert ready == Ready(1, (("purchases.v1", b"c1", value),))
    (ready,) = json_lines(line(customer_id=None, email="A@Example.org"))
    assert ready.events[0][1] == b"a@example.org"
    (ready,) = json_lines(line(customer_id="0", phone="+98 21 555"))
    assert ready.events[0][1] == b"+9821555", "0 is nobody's id"


def test_segment_calls_and_cloudevents_go_where_their_events_belong() -> None:
    segment = {
        "type": "track", "event": "Order Completed", "messageId": "m1", "userId": "u1",
        "timestamp": "2024-01-01T00:00:00Z",
        "properties": {"order_id": "o1", "total": 12.5, "revenue": 12.5, "currency": "USD"},
    }  # fmt: skip
    cloud = {
        "specversion": "1.0", "id": "1", "source": "/desk", "type": "com.example.ticket-opened.v1", "subject": "u2",
        "time": "2024-01-01T00:00:00Z", "data": {"ticket_id": "t1", "kind": "question"},
    }  # fmt: skip
    data = b"\n".join(json.dumps(each).encode() for each in (segment, cloud))
    first, second = json_lines(data)
    assert [each[:2] for each in first.events] == [("purchases.v1", b"u1")]
    assert [each[:2] for each in second.events] == [("complaints.v1", b"u2")]


def test_a_channels_cost_goes_by_channel_and_a_mention_by_nobody_has_no_key() -> None:
    common = {"id": "1", "source": "s", "occurred_at": "2024-01-01T00:00:00Z"}
    cost = {
        **common, "type": "CostRecorded", "department": "marketing", "amount_minor": 5, "currency": "USD",
        "channel": "ads",
    }  # fmt: skip
    mention = {**common, "type": "MentionPosted", "mention_id": "m", "platform": "x"}
    ready = json_lines(b"\n".join(json.dumps(each).encode() for each in (cost, mention)))
    assert [each.events[0][:2] for each in ready] == [("costs.v1", b"ads"), ("socials.v1", None)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"not json", "value: expected JSON, got"),
        (b'{"type": "OrderShipped"', "value: expected JSON, got"),
        (b"\xff\xfe{}", "value: expected UTF-8, got another byte at 0"),
        (b"null", "value: expected an object, got null"),
        (b"[1]", "value: expected an object, got a list of 1"),
        (line(type="Nonsense"), "type: expected the name of an event, got 'Nonsense'"),
        (line(order_id=7), "order_id: expected a valid string, got an integer"),
        (line(occurred_at=None), "occurred_at: expected a value, got nothing"),
        (line(customer_id=None), "customer_id, email, phone, handle: expected at least one, got none"),
        (line(occurred_at="2150-01-01T00:00:00Z"), "occurred_at: expected at most 0:05:00 after its arrival"),
        (
            line(type="OrderCompleted", revenue_minor=5, currency="EUR"),
            "currency: expected one with a rate for 2024-01-01, got EUR",
        ),
    ],
)
def test_what_a_worker_would_refuse_is_said_with_field_expected_and_got(value: bytes, said: str) -> None:
    before, refused, after = json_lines(b"\n".join((line(), value, line())))
    assert before.problem is None
    assert after.problem is None
    assert (refused.line, refused.events) == (2, ())
    assert refused.problem is not None
    assert said in refused.problem


def test_a_topic_given_holds_for_all_and_others_events_are_refused() -> None:
    (ready,) = json_lines(line(), topic="purchases.v1")
    assert ready.events[0][0] == "purchases.v1"
    (refused,) = json_lines(line(), topic="emails.v1")
    assert refused.problem == "type: expected an event of this topic, got OrderShipped (belongs on purchases.v1)"


@pytest.mark.parametrize("spare", [0, 1])
def test_key_and_value_together_may_have_a_mebibyte(spare: int) -> None:
    padding = MAX_RECORD_BYTES - len(line(padding="")) - len(b"c1") + spare
    value = line(padding="x" * padding)
    (ready,) = json_lines(value)
    assert len(value) + len(b"c1") == MAX_RECORD_BYTES + spare
    assert ready.problem == (None if spare == 0 else "expected at most 1,048,576 bytes, got more")


HEADER = b"email,name,order_id,order_at,order_amount\n"


def test_a_row_becomes_the_events_it_stands_for_each_to_its_source() -> None:
    (ready,) = customers(
        b"email,name,consent_email,order_id,order_at,order_amount\nann@example.org,Ann,yes,o1,2024-02-01,12.50\n"
    )
    events = [read_event(value) for _, _, value in ready.events]
    assert [event.type for event in events] == ["CustomerIdentified", "ConsentChanged", "OrderCompleted"]
    assert [topic for topic, _, _ in ready.events] == [SOURCE_OF_EVENT[event.type] for event in events]
    assert {key for _, key, _ in ready.events} == {b"ann@example.org"}
    order = events[2]
    assert order.type == "OrderCompleted"
    assert (order.revenue_minor, order.currency, order.occurred_at) == (1250, "USD", datetime(2024, 2, 1, tzinfo=UTC))


def test_the_same_list_gives_the_same_ids_whenever_it_was_written() -> None:
    data = b"email,name\nann@example.org,Ann\n"
    reader = LineReader(io.BytesIO(data), CSV_LINE_BYTES_MAX)
    (later,) = events_of_customers(reader, SHOP, {}, datetime(2025, 1, 1, tzinfo=UTC))
    (first,) = customers(data)
    ids = [[read_event(value).id for _, _, value in each.events] for each in (first, later)]
    assert ids[0] == ids[1]


def test_a_bad_row_is_told_by_its_line_and_the_others_are_taken() -> None:
    rows = customers(
        HEADER
        + b"ann@example.org,Ann,,,\n"
        + b"\n"
        + b"b\xe9@example.org,Bob,,,\n"
        + b'"carl@example.org","Carl\nof two lines",,,\n'
        + b"dora,Dora,,,\n"
        + b"eve@example.org,"
        + b"x" * CSV_LINE_BYTES_MAX
        + b",,,\n"
        + b"finn@example.org,Finn,o1,2024-02-01,\n"
        + b"gus@example.org,Gus,,,"
    )
    found = [(each.line, each.problem) for each in rows]
    assert found == [
        (2, None),
        (4, "expected UTF-8, got another byte at 1"),
        (6, None),
        (7, "email: expected a string that should match pattern '^[^@\\s]+@[^@\\s]+$', got a string of 4"),
        (8, "expected at most 100,000 bytes, got more"),
        (9, "order_amount: expected with an order, got nothing"),
        (10, None),
    ]
    assert all(bool(each.events) is (each.problem is None) for each in rows)


def test_a_quote_left_open_swallows_no_customers_in_silence() -> None:
    lost = b"".join(b"c%d@example.org,C\n" % number for number in range(3 * CSV_ROW_LINES_MAX))
    rows = customers(b'email,name\nann@example.org,Ann\nbob@example.org,"Bob\n' + lost)
    assert [each.line for each in rows if each.problem is None] == [2]
    first, second = (each for each in rows if each.problem is not None)
    assert first.line == 3
    assert "a quote left open?" in (first.problem or "")
    assert second.line == 3 + CSV_ROW_LINES_MAX + 1
    assert "nothing from here to the end of the file was read" in (second.problem or "")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"name\nAnn\n", b"e\xe9mail\n", b"x" * (CSV_LINE_BYTES_MAX + 1) + b"\nann@example.org\n"]
)
def test_a_header_that_names_nobody_is_refused_whole(data: bytes) -> None:
    with pytest.raises(BadColumns, match="header"):
        customers(data)


def test_a_map_finds_columns_under_names_of_their_own() -> None:
    (ready,) = customers(b"Kontakt;Wer\nann@example.org;Ann\n", email="Kontakt", name="Wer")
    event = read_event(ready.events[0][2])
    assert event.type == "CustomerIdentified"
    assert (event.email, event.name) == ("ann@example.org", "Ann")
