"""What bad input gets: a reason, and problems that name field, expected and got, and quote nothing personal.

One record's fault is its own: its neighbours are read as if it were not there.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import topics
from pipeline.schemas.dead_letters import Reason, dead_letter, read_dead_letter, redrive_record
from pipeline.schemas.events import AMOUNT_MINOR_MAX, OrderCompleted
from pipeline.schemas.parse import Parsed, Refused, parse_batch
from tests.contracts.records import INBOUND, Given, Headers, data, event_of, golden, refusal_of

ORDER = golden("order-completed").value
SHIPPED = golden("order-shipped").value
CALL = {
    "type": "track", "event": "Order Completed", "messageId": "ajs-1", "userId": "C-104233",
    "timestamp": "2026-02-06T20:03:41Z", "properties": {"order_id": "100234", "revenue": 144.7, "currency": "EUR"},
}  # fmt: skip
BINARY = [("ce_id", b"1"), ("ce_source", b"shop"), ("ce_type", b"order-shipped"), ("ce_specversion", b"1.0")]


def text_of(value: dict[str, Any], old: str, new: str) -> bytes:
    """The value's JSON with one piece of text replaced, for what `json.dumps` would not write."""
    text = json.dumps(value)
    assert old in text
    return text.replace(old, new, 1).encode()


def with_more(value: dict[str, Any], more: str) -> bytes:
    return (json.dumps(value)[:-1] + f", {more}}}").encode()


NOT_EVENTS = {
    "null": (None, Reason.EMPTY_VALUE, "value: expected an event, got null"),
    "no bytes": (b"", Reason.EMPTY_VALUE, "value: expected an event, got no bytes"),
    "not JSON": (b"order 100234 completed", Reason.NOT_JSON, "value: expected JSON, got: expected"),
    "cut off": (data(ORDER)[:-9], Reason.NOT_JSON, "value: expected JSON, got: EOF while parsing"),
    "two values": (data(ORDER) + data(ORDER), Reason.NOT_JSON, "value: expected JSON, got: trailing characters"),
    "single quotes": (str(ORDER).encode(), Reason.NOT_JSON, "value: expected JSON, got: key must be a string"),
    "invalid UTF-8": (text_of(ORDER, "curtains", "curt").replace(b"curt", b"curt\xff"), Reason.INVALID_UTF8,
                      "value: expected UTF-8, got another byte at "),
    "UTF-16": (json.dumps(ORDER).encode("utf-16"), Reason.INVALID_UTF8, "value: expected UTF-8, got another byte at 0"),
    "lone surrogate": (with_more(ORDER, '"note": "\\ud800"'), Reason.NOT_JSON, "value: expected JSON, got: "),
    "NaN": (text_of(ORDER, "14470", "NaN"), Reason.SCHEMA_VIOLATION,
            "revenue_minor: expected a valid integer, got a number"),
    "NaN, ignored": (with_more(ORDER, '"weight": NaN'), Reason.NOT_JSON, "value: expected JSON, got: NaN or Infinity"),
    "Infinity, ignored": (with_more(ORDER, '"weight": -Infinity'), Reason.NOT_JSON,
                          "value: expected JSON, got: NaN or Infinity"),
    "deep list": (b"[" * 100_000, Reason.NOT_JSON, "value: expected JSON, got: recursion limit exceeded"),
    "deep object": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, Reason.NOT_JSON,
                    "value: expected JSON, got: recursion limit exceeded"),
    "deep, ignored": (with_more(ORDER, '"a": ' + "[" * 900 + "]" * 900), Reason.NOT_JSON,
                      "value: expected JSON, got: recursion limit exceeded"),
    "empty object": (b"{}", Reason.SCHEMA_VIOLATION, "type: expected the name of an event, got nothing"),
    "list": (data([ORDER]), Reason.SCHEMA_VIOLATION, "value: expected an object, got a list of 1"),
    "text": (b'"OrderCompleted"', Reason.SCHEMA_VIOLATION, "value: expected an object, got a string of 14"),
    "number": (b"14470", Reason.SCHEMA_VIOLATION, "value: expected an object, got an integer"),
    "JSON null": (b"null", Reason.SCHEMA_VIOLATION, "value: expected an object, got null"),
    "unknown event": (data({**ORDER, "type": "OrderCompletd"}), Reason.UNKNOWN_TYPE,
                      "type: expected the name of an event, got 'OrderCompletd'"),
    "type is a list": (data({**ORDER, "type": ["OrderCompleted"]}), Reason.SCHEMA_VIOLATION,
                       "type: expected the name of an event, got a list of 1"),
    "a call without messageId": (data({**CALL, "messageId": None}).replace(b'"messageId"', b'"message_id"'),
                                 Reason.SCHEMA_VIOLATION, "messageId: expected a string of 1 to 100, got nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_EVENTS)
def test_what_is_no_event_is_refused_with_its_reason(name: str) -> None:
    value, reason, problem = NOT_EVENTS[name]
    refused = refusal_of(value)
    assert refused.reason is reason
    assert refused.problems[0].startswith(problem)


INSTANT = "an RFC 3339 instant with an offset, such as 2026-02-06T20:03:41Z"
FIELDS = {
    "negative": ({"revenue_minor": -100}, Reason.SCHEMA_VIOLATION,
                 "revenue_minor: expected greater than or equal to 0, got -100"),
    "absurd": ({"revenue_minor": AMOUNT_MINOR_MAX + 1}, Reason.SCHEMA_VIOLATION,
               "revenue_minor: expected less than or equal to 1000000000000, got 1000000000001"),
    "huge": ({"revenue_minor": 10**400}, Reason.SCHEMA_VIOLATION,
             "revenue_minor: expected less than or equal to 1000000000000, got an integer"),
    "fraction": ({"revenue_minor": 144.7}, Reason.SCHEMA_VIOLATION,
                 "revenue_minor: expected a valid integer, got a number"),
    "a fraction that is whole": ({"revenue_minor": 100.0}, Reason.SCHEMA_VIOLATION,
                                 "revenue_minor: expected a valid integer, got a number"),
    "text for a number": ({"revenue_minor": "14470"}, Reason.SCHEMA_VIOLATION,
                          "revenue_minor: expected a valid integer, got a string of 5"),
    "true for a number": ({"revenue_minor": True}, Reason.SCHEMA_VIOLATION,
                          "revenue_minor: expected a valid integer, got true"),
    "null for a number": ({"revenue_minor": None}, Reason.SCHEMA_VIOLATION,
                          "revenue_minor: expected a valid integer, got null"),
    "unknown currency": ({"currency": "BTC"}, Reason.UNKNOWN_CURRENCY,
                         "currency: expected an ISO 4217 currency such as EUR, got a string of 3"),
    "currency in small letters": ({"currency": "eur"}, Reason.UNKNOWN_CURRENCY,
                                  "currency: expected an ISO 4217 currency such as EUR, got a string of 3"),
    "the metal gold": ({"currency": "XAU"}, Reason.UNKNOWN_CURRENCY,
                       "currency: expected an ISO 4217 currency such as EUR, got a string of 3"),
    "currency is a number": ({"currency": 978}, Reason.SCHEMA_VIOLATION,
                             "currency: expected an ISO 4217 currency such as EUR, got an integer"),
    "date far ahead": ({"occurred_at": "2999-01-01T00:00:00Z"}, Reason.TOO_FAR_AHEAD,
                       "occurred_at: expected less than or equal to 2200-01-01T00:00:00Z, got a string of 20"),
    "a default for a date": ({"occurred_at": "1970-01-01T00:00:00Z"}, Reason.SCHEMA_VIOLATION,
                             "occurred_at: expected greater than or equal to 1990-01-01T00:00:00Z, got a string of 20"),
    "no offset": ({"occurred_at": "2026-02-06T20:03:41"}, Reason.SCHEMA_VIOLATION,
                  f"occurred_at: expected {INSTANT}, got a string of 19"),
    "a day": ({"occurred_at": "2026-02-06"}, Reason.SCHEMA_VIOLATION, f"occurred_at: expected {INSTANT}"),
    "no day there is": ({"occurred_at": "2026-02-30T20:03:41Z"}, Reason.SCHEMA_VIOLATION,
                        "occurred_at: expected a valid datetime or date, day value is outside expected range"),
    "epoch seconds": ({"occurred_at": 1770408221}, Reason.SCHEMA_VIOLATION,
                      f"occurred_at: expected {INSTANT}, got an integer"),
    "no items but an object": ({"items": {}}, Reason.SCHEMA_VIOLATION, "items: expected a list, got an object"),
    "a line that is none": ({"items": ["ROD-160"]}, Reason.SCHEMA_VIOLATION,
                            "items[0]: expected an object, got a string of 7"),
    "deep in a list": ({"items": [ORDER["items"][0], {"product_id": "P", "quantity": 0}]}, Reason.SCHEMA_VIOLATION,
                       "items[1].quantity: expected greater than or equal to 1, got 0"),
    "an address that is none": ({"email": "Maya Haddad <m.haddad@example.com>"}, Reason.SCHEMA_VIOLATION,
                                "email: expected a string that should match pattern '^[^@"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_wrong_is_named_with_what_was_expected(name: str) -> None:
    change, reason, problem = FIELDS[name]
    refused = refusal_of({**ORDER, **change})
    assert refused.reason is reason
    assert len(refused.problems) == 1
    assert refused.problems[0].startswith(problem)


ODD_INSTANTS = (
    "1764547200", "1764547200000", "1764547200.5", "-1", "1e9", "2025-12-01_00:00:00Z", "2025-12-01 00:00:00Z",
    "2025-12-01T00:00Z", "20251201T000000Z", "2025-W49-1T00:00:00Z", "2025-12-01T00:00:00+0100",
    " 2025-12-01T00:00:00Z", "2025-12-01T00:00:00Z\n", "",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD_INSTANTS)
def test_an_instant_is_as_the_schema_promises_or_refused_in_every_form(odd: str) -> None:
    promised = OrderCompleted.model_json_schema()["properties"]["occurred_at"]
    assert promised["format"] == "date-time"
    assert not re.search(promised["pattern"], odd) or odd.endswith("\n")  # Python's `$` is before a last newline, too
    problem = f"expected {INSTANT}, got a string of {len(odd)}"
    assert refusal_of({**ORDER, "occurred_at": odd}).problems == (f"occurred_at: {problem}",)
    assert refusal_of({**CALL, "timestamp": odd}).problems == (f"timestamp: {problem}",)
    timed = [*BINARY, ("ce_time", odd.encode())]
    without = {name: value for name, value in SHIPPED.items() if name != "occurred_at"}
    assert refusal_of(without, headers=timed).problems == (f"occurred_at: {problem}",)


@pytest.mark.parametrize(
    "written", ["2026-02-06T20:03:41Z", "2026-02-06t21:03:41.000+01:00", "2026-02-06T15:03:41-05:00"]
)
def test_an_instant_may_be_written_in_any_way_of_rfc_3339(written: str) -> None:
    assert event_of({**ORDER, "occurred_at": written}).occurred_at == datetime(2026, 2, 6, 20, 3, 41, tzinfo=UTC)
    assert event_of({**CALL, "timestamp": written}).occurred_at == datetime(2026, 2, 6, 20, 3, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("odd", "problem"),
    [("1735689600", "a day such as 2026-02-06"), ("2026-02-01T00:00:00Z", "a day such as 2026-02-06"),
     ("20260201", "a day such as 2026-02-06"), ("0001-01-01", "greater than or equal to 1990-01-01"),
     ("2999-01-01", "less than or equal to 2200-01-01")],
)  # fmt: skip
def test_a_day_is_a_day_of_these_times(odd: str, problem: str) -> None:
    cost = {**golden("cost-recorded").value, "period_end_on": None}
    problems = refusal_of({**cost, "period_start_on": odd}, topics.COSTS).problems
    assert problems == (f"period_start_on: expected {problem}, got a string of {len(odd)}",)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    refused = refusal_of({**ORDER, "revenue_minor": -1, "currency": "BTC", "order_id": ""})
    assert refused.reason is Reason.SCHEMA_VIOLATION
    assert [problem.partition(":")[0] for problem in refused.problems] == ["order_id", "revenue_minor", "currency"]


ON_PURCHASES = "type: expected an event of this topic, got OrderCompleted (belongs on purchases.v1)"
NOBODYS = "customer_id, email, phone, handle: expected at least one, got none"
WHOSE = ("customer_id", "email", "phone", "handle")


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name not in names}


def test_a_wrong_field_hides_neither_the_wrong_topic_nor_that_it_is_nobodys() -> None:
    negative = "revenue_minor: expected greater than or equal to 0, got -1"
    refused = refusal_of({**ORDER, "revenue_minor": -1}, topics.EMAILS)
    assert (refused.reason, refused.problems) == (Reason.SCHEMA_VIOLATION, (negative, ON_PURCHASES))
    refused = refusal_of({**without(ORDER, *WHOSE), "revenue_minor": -1}, topics.EMAILS)
    assert refused.problems == (negative, ON_PURCHASES, NOBODYS)


def test_the_wrong_topic_does_not_hide_that_it_is_nobodys_and_that_fields_contradict_each_other() -> None:
    refused = refusal_of(without(ORDER, *WHOSE), topics.EMAILS)
    assert (refused.reason, refused.problems) == (Reason.WRONG_TOPIC, (ON_PURCHASES, NOBODYS))
    review = {**without(golden("review-posted").value, *WHOSE), "rating": 6, "rating_min": 1, "rating_max": 5}
    refused = refusal_of(review, topics.EMAILS)
    assert [problem.partition(":")[0] for problem in refused.problems] == ["type", ", ".join(WHOSE), "rating"]


def test_what_hangs_on_a_field_that_is_wrong_is_not_guessed() -> None:
    """Whose it is, and whether the rating fits its scale, nobody can tell from what is wrong itself."""
    refused = refusal_of({**without(ORDER, *WHOSE), "email": "Maya"})
    assert [problem.partition(":")[0] for problem in refused.problems] == ["email"]
    review = {**golden("review-posted").value, "rating": 50, "rating_max": "100"}
    refused = refusal_of(review, topics.SOCIALS)
    assert [problem.partition(":")[0] for problem in refused.problems] == ["rating_max"]


@pytest.mark.parametrize("each", INBOUND, ids=lambda each: each.name)
def test_one_wrong_field_is_the_only_one_told(each: Any) -> None:
    topic = next(topic for topic in topics.SOURCES if topic.name == topics.SOURCE_OF_EVENT[each.contract])
    for field in each.value.keys() & each.becomes.keys():
        problems = refusal_of({**each.value, field: {"x": 1}}, topic).problems
        assert {problem.partition(":")[0].partition("[")[0] for problem in problems} == {field}


def test_a_wrong_envelope_does_not_hide_what_is_wrong_with_its_data() -> None:
    headers = [("ce_id", b"\xff"), ("ce_type", b"OrderCompleted"), ("ce_specversion", b"2.0")]
    refused = refusal_of({**without(ORDER, *WHOSE), "revenue_minor": -1}, topics.EMAILS, headers)
    assert (refused.reason, refused.problems) == (
        Reason.INVALID_UTF8,
        (
            "ce_id: expected UTF-8, got other bytes", "ce_source: expected a string, got nothing",
            "ce_specversion: expected 1.0, got another", "revenue_minor: expected greater than or equal to 0, got -1",
            ON_PURCHASES, NOBODYS,
        ),
    )  # fmt: skip
    structured = {"specversion": "1.0", "id": 7, "type": "order-completed", "data": {**ORDER, "currency": "BTC"}}
    assert refusal_of(structured).problems == (
        "id: expected a string, got an integer", "source: expected a string, got nothing",
        "currency: expected an ISO 4217 currency such as EUR, got a string of 3",
    )  # fmt: skip
    assert refusal_of([], headers=[*BINARY[1:3], ("ce_type", b"eaten")]).problems == (
        "ce_id: expected a string, got nothing", "ce_specversion: expected a string, got nothing",
        "value: expected an object, got something else", "type: expected one that ends in an event's name, got 'eaten'",
    )  # fmt: skip


def test_everything_that_is_wrong_with_a_call_is_said_at_once() -> None:
    given = {"order_id": [], "total": "a lot", "currency": "BTC", "tax": "some", "products": [
        {"product_id": "P", "price": "dear"}, {"product_id": "Q", "price": 1, "quantity": "many"}]}  # fmt: skip
    refused = refusal_of({**CALL, "messageId": "", "timestamp": "yesterday", "userId": None, "properties": given})
    assert refused.reason is Reason.SCHEMA_VIOLATION
    assert sorted(problem.partition(":")[0] for problem in refused.problems) == sorted(
        [
            "messageId", "timestamp", "properties.order_id", "properties.total", "properties.currency",
            "properties.tax", "properties.products[0].price", "properties.products[1].quantity", ", ".join(WHOSE),
        ]
    )  # fmt: skip
    order = {**CALL["properties"], "revenue": -1}
    late = refusal_of({**CALL, "timestamp": "yesterday", "properties": order})
    assert [problem.partition(":")[0] for problem in late.problems] == ["timestamp", "revenue_minor"]
    none = refusal_of({**CALL, "timestamp": "yesterday", "properties": None})
    assert [problem.partition(":")[0] for problem in none.problems] == [
        "timestamp", "properties.currency", "properties.order_id", "properties.revenue",
    ]  # fmt: skip
    unknown = refusal_of({**CALL, "timestamp": "yesterday", "event": "Cart Viewed"})
    assert [problem.partition(":")[0] for problem in unknown.problems] == ["timestamp", "event"]


def test_a_review_of_an_odd_scale_is_not_held_against_a_scale_made_up() -> None:
    review = {**CALL, "event": "Product Reviewed", "properties": {"rating": 4, "rating_max": "five"}}
    assert refusal_of(review).problems == ("properties.rating_max: expected a decimal number, got a string of 4",)


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    refused = refusal_of({**ORDER, "items": [{"product_id": "P", "quantity": 0}] * 90})
    assert len(refused.problems) == 21
    assert refused.problems[-1] == "and 70 more"


def test_an_unknown_zone_is_refused_though_the_schema_cannot_say_so() -> None:
    identified = {**golden("customer-identified").value, "time_zone": "Europe/Atlantis"}
    assert refusal_of(identified, topics.CONTACTS).problems == (
        "time_zone: expected the name of an IANA time zone, such as Asia/Tehran, got a string of 15",
    )


@pytest.mark.parametrize("each", INBOUND, ids=lambda each: each.name)
def test_an_event_on_another_sources_topic_is_refused(each: Any) -> None:
    right = topics.SOURCE_OF_EVENT[each.contract]
    for topic in topics.SOURCES:
        if topic.name != right:
            refused = refusal_of(each.value, topic)
            assert refused.reason is Reason.WRONG_TOPIC
            assert refused.problems == (
                f"type: expected an event of this topic, got {each.contract} (belongs on {right})",
            )


@pytest.mark.parametrize(
    ("key", "headers", "padding"),
    [(b"", [], 1), (b"k" * 300_000, [], 1 - 300_000), (b"k" * 600_000, [], 1 - 600_000),
     (b"", [("trace", b"t" * 1000)], 1 - 1005)],
    ids=["value", "value and key", "key", "value and headers"],
)  # fmt: skip
def test_a_record_of_more_than_a_mebibyte_is_refused_and_one_byte_less_is_not(
    key: bytes, headers: Headers, padding: int
) -> None:
    size = topics.MAX_RECORD_BYTES + padding
    note = "x" * (size - len(with_more(SHIPPED, '"note": ""')))
    over, exact = (Given(with_more(SHIPPED, f'"note": "{text}"'), headers, key) for text in (note, note[1:]))
    parsed, refused = parse_batch([over, exact], topics.PURCHASES.name)
    assert [each.index for each in parsed] == [1]
    assert [(each.index, each.reason) for each in refused] == [(0, Reason.TOO_LARGE)]
    assert refused[0].problems == ("record: expected at most 1048576 bytes, got 1048577",)


def test_a_field_said_twice_counts_as_last_said_in_every_form() -> None:
    """As most readers of JSON do; and the same whichever way it comes."""
    assert event_of(with_more(SHIPPED, '"id": "second"')).id == "second"
    assert event_of(with_more(SHIPPED, '"type": "OrderDelivered"')).type == "OrderDelivered"
    assert event_of(with_more(SHIPPED, '"order_id": "second"'), headers=BINARY).order_id == "second"
    assert event_of(with_more(CALL, '"messageId": "second"')).id == "second"


def test_big_numbers_in_fields_nobody_reads_do_no_harm() -> None:
    assert event_of(with_more(SHIPPED, '"weight": 1e999999999999999999999, "n": ' + "9" * 400)).order_id == "100234"


PERSONAL = "Maya Haddad, Karl-Marx-Allee 34"


@pytest.mark.parametrize("field", sorted({field for each in INBOUND for field in each.becomes} - {"type"}))
def test_no_problem_quotes_what_stands_in_a_field(field: str) -> None:
    for each in INBOUND:
        if field in each.value:
            topic = next(topic for topic in topics.SOURCES if topic.name == topics.SOURCE_OF_EVENT[each.contract])
            for wrong in (PERSONAL * 1000, [PERSONAL], {PERSONAL: PERSONAL}):
                problems = " ".join(refusal_of({**each.value, field: wrong}, topic).problems)
                assert "Maya" not in problems
                assert "Allee" not in problems


def test_a_person_in_the_wrong_place_is_not_quoted_either() -> None:
    for value in ({"type": "maya.haddad@example.com"}, {**CALL, "event": "maya.haddad@example.com"},
                  {**CALL, "event": "Vorhänge für Maya"}, {**CALL, "timestamp": PERSONAL},
                  {**CALL, "properties": {"order_id": "1", "revenue": PERSONAL, "currency": PERSONAL}}):  # fmt: skip
        problems = " ".join(refusal_of(value).problems).lower()
        assert "maya" not in problems
        assert "allee" not in problems


# -- anything at all --------------------------------------------------------------------------------------------------

GOOD = Given(data(SHIPPED))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    sorted({field for each in INBOUND for field in each.value} | CALL.keys() | {"specversion", "data"})
)
EVENT_LIKE = st.dictionaries(KEYS, JSON, max_size=5).flatmap(
    lambda changes: st.sampled_from([each.value for each in INBOUND] + [CALL]).map(lambda value: {**value, **changes})
)
CALL_LIKE = st.dictionaries(
    st.sampled_from(["userId", "traits", "context", "properties", "event", "type", "timestamp", "sentAt"]),
    JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(
        ["order_id", "revenue", "total", "currency", "products", "campaign", "consent", "email", "phone"], JSON)),
    max_size=4,
).map(lambda changes: {**CALL, **changes})  # fmt: skip
HEADERS = st.lists(
    st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_source", "ce_specversion", "content-type", "ce_time", "x"]),
              st.none() | st.binary(max_size=8)
              | st.sampled_from([b"1.0", b"order-shipped", b"application/cloudevents+json"])),
    max_size=5,
)  # fmt: skip
VALUES = st.none() | st.binary(max_size=200) | (JSON | EVENT_LIKE | CALL_LIKE).map(data)


def _is_told_whole(parsed: list[Parsed], refused: list[Refused], records: int) -> bool:
    """Every record is accepted or refused, none both."""
    accepted, rest = {each.index for each in parsed}, {each.index for each in refused}
    return accepted | rest == set(range(records)) and not accepted & rest and len(rest) == len(refused)


@settings(max_examples=300, deadline=None)
@given(value=VALUES, headers=HEADERS | st.just([]), topic=st.sampled_from(topics.SOURCES))
def test_nothing_is_ever_raised_and_every_refusal_says_why(value: bytes | None, headers: Headers, topic: Any) -> None:
    parsed, refused = parse_batch([Given(value, headers)], topic.name)
    assert _is_told_whole(parsed, refused, 1)
    for each in refused:
        assert isinstance(each.reason, Reason)
        assert each.problems
        assert all(problem.isprintable() for problem in each.problems)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, max_size=6), places=st.sets(st.integers(0, 5)))
def test_a_refused_record_changes_nothing_of_its_neighbours(values: list[bytes | None], places: set[int]) -> None:
    records = [Given(value) for value in values]
    for place in sorted(places):
        records.insert(place, GOOD)
    parsed, refused = parse_batch(records, topics.PURCHASES.name)
    assert _is_told_whole(parsed, refused, len(records))
    alone = [parse_batch([record], topics.PURCHASES.name) for record in records]
    assert [each.event for each in parsed] == [each.event for one, _ in alone for each in one]
    assert [(each.reason, each.problems) for each in refused] == [
        (each.reason, each.problems) for _, one in alone for each in one
    ]


@settings(max_examples=100, deadline=None)
@given(
    value=st.none() | st.binary(max_size=60),
    key=st.none() | st.binary(max_size=20),
    headers=st.lists(
        st.tuples(st.text(max_size=8) | st.just("wafa_reason"), st.none() | st.binary(max_size=8)), max_size=4
    ),
    problems=st.lists(st.text(max_size=700), max_size=30),
)
def test_a_dead_letter_keeps_everything_and_gives_it_back(
    value: bytes | None, key: bytes | None, headers: Headers, problems: list[str]
) -> None:
    record = Given(value, tuple(headers), key)
    letter = dead_letter(record, topics.EMAILS.name, Reason.NOT_JSON, problems)
    assert redrive_record(letter) == (topics.EMAILS.name, key, value, tuple(headers))
    said = read_dead_letter(letter)
    assert (said.reason, said.topic, said.partition, said.offset) == (Reason.NOT_JSON, "emails.v1", 1, 90_211)
    assert said.received_at.timestamp() * 1000 == record.timestamp
    assert len(dict(letter.headers[-6:])["wafa_problems"]) <= 4096
    kept = [problem for problem in said.problems if not problem.startswith("and ")]
    assert [problem[:400] for problem in kept] == [problem[:400] for problem in problems[: len(kept)]]
