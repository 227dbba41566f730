"""A CSV of an existing customer base, as the events it stands for: one row a customer, or one row an order.

The header names the columns: an event's own field names, the common names of shop exports, or a map given by the
importer. Every row becomes who they are, what they consented to where it says so, and an order where it has one. Ids
are derived from the content, so that importing a file twice changes nothing. A row with a fault becomes no event.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import InboundEvent
from pipeline.schemas.explain import Unreadable, describe
from pipeline.schemas.parse import read_event
from pipeline.schemas.segment_fields import currency, minor, number

_WHO: Final = ("customer_id", "email", "phone", "handle")
_ABOUT: Final = (
    "kind", "name", "language", "time_zone", "country", "area", "postal_address", "job", "company",
)  # fmt: skip
_CONSENTS: Final = {"consent_email": "email", "consent_sms": "sms", "consent_phone": "phone", "consent_post": "post"}
_REST: Final = (
    "first_name", "last_name", "known_since", "consent_at", "order_id", "order_at", "order_amount", "order_currency",
)  # fmt: skip
FIELDS: Final = (*_WHO, *_ABOUT, *_CONSENTS, *_REST)
"""What a column may be."""

_SYNONYMS: Final = {
    "e_mail": "email", "email_address": "email", "id": "customer_id", "customer": "customer_id", "mobile": "phone",
    "phone_number": "phone", "country_code": "country", "default_address_country_code": "country", "city": "area",
    "default_address_city": "area", "region": "area", "address": "postal_address", "timezone": "time_zone",
    "default_address_phone": "phone", "default_address_company": "company", "locale": "language", "title": "job",
    "created_at": "known_since", "accepts_email_marketing": "consent_email", "accepts_marketing": "consent_email",
    "accepts_sms_marketing": "consent_sms", "order": "order_id", "order_date": "order_at",
    "order_total": "order_amount",
    "order_value": "order_amount", "currency": "order_currency",
}  # fmt: skip
"""Names of columns in the exports of common shops."""

_YES: Final = frozenset({"yes", "y", "true", "1", "granted", "subscribed"})
_NO: Final = frozenset({"no", "n", "false", "0", "denied", "revoked", "unsubscribed"})
_QUOTED: Final = re.compile(r'"[^"]*"')
_SPACED_OFFSET: Final = re.compile(r" ([+-]\d\d:?\d\d)$")
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_COLUMNS_MAX: Final = 200
_CELL_CHARS_MAX: Final = 2_000
_encode: Final = msgspec.json.Encoder().encode


class BadColumns(Exception):
    """The header cannot be read as customers; the message lists every problem."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one row stands for: events, or else everything that is wrong with it. `line` is where it ends."""

    line: int
    events: tuple[InboundEvent, ...]
    problems: tuple[str, ...]


def read_customers(
    lines: Iterable[str],
    *,
    source: str,
    as_of: datetime,
    shop_currency: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """The rows of a CSV (comma, semicolon or tab), one by one.

    `source` names the import and is its events' source. `as_of` dates what has no date of its own; `shop_currency` is
    that of orders that name none. `columns` maps a field to the title of its column, for titles unknown here. Dates are
    RFC 3339, or `YYYY-MM-DD[ HH:MM[:SS]]` in UTC unless an offset follows; amounts are decimal numbers with a point.
    Raises BadColumns.
    """
    source_lines = iter(lines)
    header = next(source_lines, "").lstrip("\ufeff")
    delimiter = max(",;\t", key=_QUOTED.sub("", header).count)
    titles = next(csv.reader([header], delimiter=delimiter), [])
    fields = _fields(titles, columns or {})
    by = _Import(source, as_of, shop_currency)
    for line, cells in _cells(source_lines, delimiter):
        if isinstance(cells, csv.Error):
            yield Row(line, (), (f"row: expected CSV, got {cells}",))
        elif any(cell.strip() for cell in cells[len(titles) :]):
            yield Row(line, (), (f"row: expected {len(titles)} cells, as in the header, got {len(cells)}",))
        elif any(cell.strip() for cell in cells):
            yield _row(line, cells, fields, by)


def _cells(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The rows below the header, each with the line it ends in. One that is no CSV is told, and the next is read."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num + 1, error
        else:
            yield reader.line_num + 1, cells


@dataclass(frozen=True, slots=True)
class _Import:
    source: str
    as_of: datetime
    shop_currency: str | None


def _fields(titles: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Which column each field stands in."""
    problems = [
        f"columns: expected a field ({', '.join(FIELDS)}), got {name!r}" for name in columns if name not in FIELDS
    ]
    if len(titles) > _COLUMNS_MAX:
        problems.append(f"header: expected at most {_COLUMNS_MAX} columns, got {len(titles)}")
    place = {_plain(title): index for index, title in reversed(list(enumerate(titles)))}
    found: dict[str, int] = {}
    for name, title in columns.items():
        if _plain(title) in place:
            found[name] = place[_plain(title)]
        else:
            problems.append(f"header: expected a column {title!r} (for {name}), got none")
    taken = frozenset(found.values())
    for title, index in sorted(place.items(), key=lambda item: (item[0] not in FIELDS, item[1])):
        name = _SYNONYMS.get(title, title)
        if name in FIELDS and index not in taken:
            found.setdefault(name, index)
    if not any(name in found for name in _WHO):
        problems.append(f"header: expected a column for one of {', '.join(_WHO)}, got none")
    if problems:
        raise BadColumns("\n".join(problems))
    return found


def _plain(title: str) -> str:
    return _NOT_A_NAME.sub("_", title.strip().lower()).strip("_")


def _row(line: int, cells: Sequence[str], fields: Mapping[str, int], by: _Import) -> Row:
    given = {
        name: cells[index].strip() for name, index in fields.items() if index < len(cells) and cells[index].strip()
    }
    long = [name for name, cell in given.items() if len(cell) > _CELL_CHARS_MAX]
    problems = [f"{name}: expected at most {_CELL_CHARS_MAX} characters, got {len(given[name])}" for name in long]
    events: list[InboundEvent] = []
    for tell in () if problems else (_identified, _consents, _order):
        try:
            events.extend([read_event(_encode(event)) for event in tell(given, by)])
        except Unreadable as why:
            problems.extend(problem for problem in why.problems if problem not in problems)
    return Row(line, (), tuple(problems)) if problems else Row(line, tuple(events), ())


def _identified(given: Mapping[str, str], by: _Import) -> Iterator[dict[str, Any]]:
    about = {name: given[name] for name in _ABOUT if name in given}
    both = " ".join(given[name] for name in ("first_name", "last_name") if name in given)
    if both:
        about.setdefault("name", both)
    if "language" in about:
        about["language"] = about["language"].replace("_", "-")
    if "country" in about:
        about["country"] = about["country"].upper()
    at = _instant(given, "known_since") or _instant(given, "order_at") or by.as_of
    yield _event("CustomerIdentified", at, about, given, by)


def _consents(given: Mapping[str, str], by: _Import) -> Iterator[dict[str, Any]]:
    at = _instant(given, "consent_at") or _instant(given, "known_since") or by.as_of
    for name, channel in _CONSENTS.items():
        if name in given:
            answer = given[name].lower()
            if answer not in _YES | _NO:
                raise Unreadable(Reason.SCHEMA_VIOLATION, f"{name}: expected yes or no, got {describe(answer)}")
            state = "granted" if answer in _YES else "denied"
            yield _event("ConsentChanged", at, {"purpose": "marketing", "channel": channel, "state": state}, given, by)


def _order(given: Mapping[str, str], by: _Import) -> Iterator[dict[str, Any]]:
    if not any(name in given for name in ("order_id", "order_amount")):
        return
    missing = [name for name in ("order_id", "order_at", "order_amount") if name not in given]
    if missing:
        raise Unreadable(Reason.SCHEMA_VIOLATION, *(f"{name}: expected with an order, got nothing" for name in missing))
    paid_in = by.shop_currency if "order_currency" not in given else None
    paid_in = paid_in or currency(given, "row", "order_currency")
    amount = number(given, "row", "order_amount")
    at = _instant(given, "order_at")
    assert amount is not None
    assert at is not None
    order = {"order_id": given["order_id"], "revenue_minor": minor(amount, paid_in), "currency": paid_in}
    yield _event("OrderCompleted", at, order, given, by)


def _event(kind: str, at: datetime, fields: dict[str, Any], given: Mapping[str, str], by: _Import) -> dict[str, Any]:
    """An event with an id derived from what it says: the same row, the same event."""
    event = {**fields, "type": kind, "source": by.source, **{name: given[name] for name in _WHO if name in given}}
    dated = {**event, "occurred_at": at.isoformat()} if at != by.as_of else event
    said = repr(sorted(dated.items())).encode()
    return {**event, "id": f"csv/{blake2b(said, digest_size=16).hexdigest()}", "occurred_at": at.isoformat()}


def _instant(given: Mapping[str, str], name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(_SPACED_OFFSET.sub(r"\1", text))
    except ValueError:
        problem = f"{name}: expected YYYY-MM-DD or an RFC 3339 instant, got {describe(text)}"
        raise Unreadable(Reason.SCHEMA_VIOLATION, problem) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
