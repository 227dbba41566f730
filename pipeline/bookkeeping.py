"""The books of the whole shop, read from Kafka: every customer's state, and their log up to where that state stands."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table

from pipeline import states, topics
from pipeline.core import controls as core_controls
from pipeline.core.acquisition import WHOLE
from pipeline.core.audit import NO_CHANNEL, Audit, Customers, Sums, audited, booked
from pipeline.core.books import Log
from pipeline.core.value import Value
from pipeline.inquiry import need_topics
from pipeline.settings import Settings
from pipeline.telling_value import PARTS, money


def read_books(settings: Settings) -> Audit:
    """The books as they stand now: a partition's customers and its log, then the next.

    Holds one partition's packed customers, and of its log a small record an order and eight bytes for any other event.
    Raises as reading Kafka does.
    """
    need_topics(settings, topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS)
    customers, books, controls = Customers(), Sums(), core_controls.INITIAL
    for partition in states.partitions(settings):
        for _, profile in partition.customers():
            customers.add(profile, partition.controls)
        log = Log()
        for key, event in states.lived(settings, partition):
            log.tell(key, event)
        booked(books, log)
        controls = core_controls.newest(controls, log.controls)
    return audited(customers, books, controls)


def document(books: Audit) -> dict[str, Any]:
    """The report for machines."""
    customers = books.customers
    return {
        "customers": customers.count,
        "adds_up": books.adds_up,
        "value_to_date_minor": customers.value.value_to_date_minor,
        "parts": asdict(customers.value),
        "by_channel": [
            {"channel": channel or None, "customers": round(parts / WHOLE, 6),
             "value_minor": customers.value_by_channel[channel]}
            for channel, parts in sorted(customers.parts_by_channel.items())
        ],
        "lines": [{**line._asdict(), "difference_minor": line.difference_minor} for line in books.lines],
        "spend": [each._asdict() for each in books.spend],
        "refunds_let_go": customers.refunds_let_go,
    }  # fmt: skip


def print_books(books: Audit, console: Console, currency: str) -> None:
    """The report for eyes."""
    customers = books.customers
    _print_parts(customers.value, customers.count, console, currency)
    table = _table("channel", "people", "value to date", title="The same value, by who won them")
    for channel, parts in sorted(customers.parts_by_channel.items()):
        name = "(no purchase, or no touch before it)" if channel == NO_CHANNEL else channel
        table.add_row(name, f"{parts / WHOLE:,.2f}", money(customers.value_by_channel[channel], currency))
    console.print(table)
    table = _table("", "customers", "books", "difference", title="Customers against the books")
    for line in books.lines:
        figures = (line.customers_minor, line.books_minor, line.difference_minor)
        table.add_row(line.name, *(money(each, currency) for each in figures))
    console.print(table)
    if books.spend:
        names = ("spent", "spread over customers", "customers since", "rounding", "nobody won")
        table = _table("channel, month", *names, title="What channels spent, and where it is")
        for spend in books.spend:
            table.add_row(f"{spend.channel}, {spend.cohort_month}", *(money(each, currency) for each in spend[2:]))
        console.print(table)
    if customers.refunds_let_go:
        console.print(f"{customers.refunds_let_go:,} refunds of orders that never came are in none of these figures.")


def _print_parts(value: Value, count: int, console: Console, currency: str) -> None:
    table = _table("part", "amount", title=f"Value to date of {count:,} people, buyers or not")
    for part, words in PARTS.items():
        amount = getattr(value, part)
        table.add_row(words, money(amount if part == "margin_minor" else -amount, currency))
    table.add_section()
    table.add_row("value to date", money(value.value_to_date_minor, currency))
    console.print(table)


def _table(*columns: str, title: str) -> Table:
    table = Table(*columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
