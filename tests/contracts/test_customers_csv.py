"""A shop's export of its customers and orders, read as the events it stands for; faults by line."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.schemas import events
from pipeline.schemas.customers_csv import FIELDS, BadColumns, Row, read_customers

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
EXPORT = """\
Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address City,Default Address Country Code,Phone,\
Accepts SMS Marketing,Total Spent,Note,Created At
C-104233,Maya,Haddad,m.haddad@example.com,yes,Berlin,DE,+49 30 901820,no,144.70,"Likes linen, not cotton",2026-02-03
C-104234,Jo,Lenz,jo.lenz@example.com,no,Potsdam,DE,,,49.90,,2026-02-05 09:30:00 +0100
C-104235,,,arif@example.com,,Wien,AT,,,0,,
"""
ORDERS = """\
Order Number;E-Mail;Bestellt am;Summe;Waehrung
100234;m.haddad@example.com;2026-02-06T20:03:41Z;144.70;EUR
100236;m.haddad@example.com;2026-02-20 08:00;5400;JPY
100237;jo.lenz@example.com;2026-02-21;12.345;KWD
"""
MAP = {"order_id": "Order Number", "order_at": "Bestellt am", "order_amount": "Summe", "order_currency": "Waehrung"}


def read(text: str, **more: Any) -> list[Row]:
    given = {"source": "shop-export", "as_of": AS_OF, **more}
    return list(read_customers(io.StringIO(text, newline=""), **given))


def with_delimiter(text: str, delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(csv.reader(io.StringIO(text)))
    return out.getvalue()


def events_in(rows: list[Row]) -> list[dict[str, Any]]:
    assert [row.problems for row in rows if row.problems] == []
    told = [event.model_dump(exclude_unset=True, exclude={"id", "source"}) for row in rows for event in row.events]
    return [{name: value for name, value in each.items() if value is not None} for each in told]


def test_a_shops_customers_are_who_they_are_and_what_they_agreed_to() -> None:
    maya = {"customer_id": "C-104233", "email": "m.haddad@example.com", "phone": "+49 30 901820",
            "occurred_at": datetime(2026, 2, 3, tzinfo=UTC)}  # fmt: skip
    jo = {
        "customer_id": "C-104234",
        "email": "jo.lenz@example.com",
        "occurred_at": datetime(2026, 2, 5, 8, 30, tzinfo=UTC),
    }
    arif = {"customer_id": "C-104235", "email": "arif@example.com", "occurred_at": AS_OF}
    marketing = {"type": "ConsentChanged", "purpose": "marketing"}
    assert events_in(read(EXPORT)) == [
        {"type": "CustomerIdentified", **maya, "name": "Maya Haddad", "area": "Berlin", "country": "DE"},
        {**marketing, **maya, "channel": "email", "state": "granted"},
        {**marketing, **maya, "channel": "sms", "state": "denied"},
        {"type": "CustomerIdentified", **jo, "name": "Jo Lenz", "area": "Potsdam", "country": "DE"},
        {**marketing, **jo, "channel": "email", "state": "denied"},
        {"type": "CustomerIdentified", **arif, "area": "Wien", "country": "AT"},
    ]


def test_a_map_names_columns_that_are_not_known_and_amounts_are_in_their_currency() -> None:
    orders = [event for event in events_in(read(ORDERS, columns=MAP)) if event["type"] == "OrderCompleted"]
    assert [(order["order_id"], order["revenue_minor"], order["currency"]) for order in orders] == [
        ("100234", 14470, "EUR"), ("100236", 5400, "JPY"), ("100237", 12345, "KWD"),
    ]  # fmt: skip
    assert [order["occurred_at"] for order in orders] == [
        datetime(2026, 2, 6, 20, 3, 41, tzinfo=UTC), datetime(2026, 2, 20, 8, tzinfo=UTC),
        datetime(2026, 2, 21, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
def test_delimiter_byte_order_mark_and_line_ends_change_nothing(delimiter: str, mark: str, ending: str) -> None:
    text = mark + with_delimiter(EXPORT, delimiter).replace("\r\n", ending)
    assert [row.events for row in read(text)] == [row.events for row in read(EXPORT)]


def test_a_delimiter_within_a_quoted_title_is_none() -> None:
    (row,) = read('"Last, first and other names";Email;Country\n"Haddad, Maya";m.haddad@example.com;de\n')
    assert [event.model_dump()["country"] for event in row.events] == ["DE"]


def test_the_same_file_twice_is_the_same_events() -> None:
    first, second = read(EXPORT), read(EXPORT, as_of=datetime(2026, 4, 1, tzinfo=UTC))
    ids = [event.id for row in first for event in row.events]
    assert ids == [event.id for row in second for event in row.events]
    assert len(set(ids)) == len(ids)
    assert all(len(each) <= 100 for each in ids)


def test_a_row_that_changed_is_a_new_event_and_the_others_stay() -> None:
    before, after = read(EXPORT), read(EXPORT.replace("Potsdam", "Leipzig"))
    changed = [
        index for index, row in enumerate(before) if [e.id for e in row.events] != [e.id for e in after[index].events]
    ]
    assert changed == [1]


def test_another_source_makes_other_events() -> None:
    assert {e.id for row in read(EXPORT) for e in row.events}.isdisjoint(
        e.id for row in read(EXPORT, source="other-shop") for e in row.events
    )


def test_a_column_by_its_own_name_beats_a_synonym_and_the_first_of_two_beats_the_second() -> None:
    (row,) = read("Mobile,Phone,City,Region,Email\n111111,222222,Berlin,Brandenburg,a@example.com\n")
    identified = row.events[0]
    assert isinstance(identified, events.CustomerIdentified)
    assert (identified.phone, identified.area) == ("222222", "Berlin")


def test_a_mapped_column_is_not_read_as_what_its_title_says_too() -> None:
    """Shopify's order export has the order's number in a column called Name."""
    text = "Name,Email,Total,Created at,Currency\n#1001,m.haddad@example.com,144.70,2026-02-06 20:03:41 +0100,EUR\n"
    (row,) = read(text, columns={"order_id": "Name", "order_amount": "Total", "order_at": "Created at"})
    identified, order = row.events
    assert isinstance(identified, events.CustomerIdentified)
    assert isinstance(order, events.OrderCompleted)
    assert identified.name is None
    assert (order.order_id, order.occurred_at) == ("#1001", datetime(2026, 2, 6, 19, 3, 41, tzinfo=UTC))


def test_orders_that_name_no_currency_are_in_the_shops() -> None:
    text = "email,order_id,order_at,order_amount\na@example.com,1,2026-02-06,5400\n"
    (row,) = read(text, shop_currency="JPY")
    assert isinstance(row.events[1], events.OrderCompleted)
    assert row.events[1].revenue_minor == 5400
    assert read(text)[0].problems == ("row.order_currency: expected a string, got nothing",)


FAULTS = {
    "no such address": ("no-address,,,,,", "email: expected a string that should match pattern"),
    "not yes, not no": ("a@example.com,perhaps,,,,", "consent_email: expected yes or no, got a string of 7"),
    "a day that is none": ("a@example.com,,31.12.2025,,,",
                           "known_since: expected YYYY-MM-DD or an RFC 3339 instant, got a string of 10"),
    "a country by name": ("a@example.com,,,Germany,,", "country: expected a string that should match pattern"),
    "an amount with a comma": ('a@example.com,,2026-01-01,,1,"144,70"', "row.order_amount: expected a decimal number"),
    "an order without an amount": ("a@example.com,,2026-01-01,,1,", "order_amount: expected with an order, got noth"),
    "less than nothing": ("a@example.com,,2026-01-01,,1,-5", "revenue_minor: expected greater than or equal to 0"),
    "nobody": (",yes,,,,", "customer_id, email, phone, handle: expected at least one, got none"),
    "too many cells": ("a@example.com,yes,,DE,,,Haddad", "row: expected 6 cells, as in the header, got 7"),
    "a novel": (f"a@example.com,,,{'x' * 2001},,", "country: expected at most 2000 characters, got 2001"),
    "a quote amiss": ('"a@example.com"x,,,,,', "row: expected CSV, got "),
    "a cell without end": (f"a@example.com,,,{'x' * 200_000},,", "row: expected CSV, got "),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_with_a_fault_is_told_by_its_line_and_the_next_is_read(name: str) -> None:
    line, problem = FAULTS[name]
    header = "Email,Accepts Marketing,Known since,Country,Order ID,Order amount"
    header = (
        header if "order" not in problem and "revenue" not in problem else header.replace("Known since", "Order date")
    )
    good = "m.haddad@example.com,yes,,DE,,"
    rows = read(f"{header}\n{good}\n{line}\n{good}\n", shop_currency="EUR")
    assert [row.line for row in rows] == [2, 3, 4]
    assert rows[1].events == ()
    assert rows[1].problems[0].startswith(problem)
    assert not any("a@example.com" in text or "Germany" in text or "Haddad" in text for text in rows[1].problems)
    assert rows[2].events == rows[0].events != ()


def test_a_row_of_several_lines_is_told_by_its_last_and_empty_rows_are_nothing() -> None:
    rows = read('email,postal_address\n\n,\na@example.com,"Karl-Marx-Allee 34\n10178 Berlin"\nnobody,\n')
    assert [(row.line, bool(row.problems)) for row in rows] == [(5, False), (6, True)]


def test_a_quote_that_never_ends_is_a_fault_and_the_reading_ends() -> None:
    rows = read('email,name\na@example.com,A\nb@example.com,"Bea\nc@example.com,C\n')
    assert [(row.line, bool(row.events)) for row in rows] == [(2, True), (4, False)]
    assert rows[1].problems[0].startswith("row: expected CSV, got ")


@pytest.mark.parametrize("text", ["", "\n", "Colour,Size\nred,XL\n", "\ufeff"])
def test_a_header_that_names_nobody_is_refused_before_any_row(text: str) -> None:
    with pytest.raises(BadColumns, match="expected a column for one of customer_id, email, phone, handle, got none"):
        read(text)


def test_every_problem_of_a_map_is_said_at_once() -> None:
    with pytest.raises(BadColumns) as bad:
        read("Colour\nred\n", columns={"email": "Mail", "size": "Colour"})
    said = str(bad.value).splitlines()
    assert said[0].startswith(f"columns: expected a field ({', '.join(FIELDS)}), got 'size'")
    assert said[1] == "header: expected a column 'Mail' (for email), got none"


def test_a_header_of_absurd_width_is_refused() -> None:
    with pytest.raises(BadColumns, match="expected at most 200 columns, got 5001"):
        read(",".join(["email", *map(str, range(5000))]) + "\n")
