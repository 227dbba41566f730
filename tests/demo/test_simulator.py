"""What is invented around the purchases: the same for the same seed, always marked, always readable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from pipeline import topics
from pipeline.local import cdnow
from pipeline.local.forms import UNUSABLE, Publication, Sender
from pipeline.local.simulator import Simulator, Week
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import Inbound, InboundEvent
from pipeline.schemas.parse import Refused, parse_batch


@dataclass(frozen=True)
class Received:
    """A record as the door sees it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_800_000_000_000


@pytest.fixture(scope="module")
def rows(wheel: Path) -> list[cdnow.Purchase]:
    return cdnow.read(wheel, "sample")


@pytest.fixture(scope="module")
def weeks(rows: list[cdnow.Purchase]) -> list[Week]:
    return list(Simulator(rows, seed=1997).weeks())


@pytest.fixture(scope="module")
def records(rows: list[cdnow.Purchase]) -> list[Publication]:
    return records_of(rows, 1997)


@pytest.fixture(scope="module")
def read(records: list[Publication]) -> tuple[list[InboundEvent], list[Refused]]:
    return parsed(records)


def records_of(rows: list[cdnow.Purchase], seed: int, customers_max: int | None = None) -> list[Publication]:
    sender = Sender(seed=seed)
    shop = Simulator(rows, seed=seed, customers_max=customers_max)
    return [record for week in shop.weeks() for record in sender.records_of(week)] + list(sender.left())


def parsed(records: list[Publication]) -> tuple[list[InboundEvent], list[Refused]]:
    events: list[InboundEvent] = []
    refused: list[Refused] = []
    for topic in topics.SOURCES:
        batch = [Received(each.key, each.value, each.headers) for each in records if each.topic == topic.name]
        good, bad = parse_batch(batch, topic.name)
        events += [item.event for item in good]
        refused += bad
    return events, refused


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(rows: list[cdnow.Purchase]) -> None:
    first = records_of(rows, 1, customers_max=200)
    assert records_of(rows, 1, customers_max=200) == first
    assert records_of(rows, 2, customers_max=200) != first


def test_every_week_is_in_order_and_within_its_seven_days(weeks: list[Week]) -> None:
    assert len(weeks) == 78
    assert weeks[-1].ends_at == datetime(1998, 7, 1, tzinfo=UTC)
    for week in weeks:
        told = [datetime.fromisoformat(event["occurred_at"]) for event in week.events]
        assert all(before <= after for before, after in pairwise(told))
        assert week.ends_at - timedelta(weeks=1) <= told[0]
        assert told[-1] < week.ends_at


def test_the_real_purchases_are_all_there_each_once_with_its_day_and_amount(
    rows: list[cdnow.Purchase], weeks: list[Week]
) -> None:
    orders = [event for week in weeks for event in week.events if event["type"] == "OrderCompleted"]
    wanted = Counter((f"cdnow-{row.customer}", row.bought_on.isoformat(), int(row.usd * 100)) for row in rows)
    told = Counter((order["customer_id"], order["occurred_at"][:10], order["revenue_minor"]) for order in orders)
    assert told == wanted
    assert len({order["order_id"] for order in orders}) == 6_919


def test_all_is_marked_as_simulated_but_the_purchases(read: tuple[list[InboundEvent], list[Refused]]) -> None:
    kinds = Counter((event.type == "OrderCompleted", event.simulated) for event in read[0])
    assert set(kinds) == {(True, False), (False, True)}


def test_every_record_can_be_read_but_the_unusable_ones(
    records: list[Publication], read: tuple[list[InboundEvent], list[Refused]]
) -> None:
    events, refused = read
    # One is sent every other week; of those, one alone passes the parser: its date is for the door to refuse.
    too_far_ahead = sum(event.occurred_at.year == 2150 for event in events)
    assert too_far_ahead == [UNUSABLE[number % len(UNUSABLE)] for number in range(39)].count(UNUSABLE[8])
    assert len(refused) + too_far_ahead == 39
    assert len(events) + len(refused) == len(records)
    assert {each.reason for each in refused} == {
        Reason.NOT_JSON, Reason.SCHEMA_VIOLATION, Reason.UNKNOWN_CURRENCY, Reason.UNKNOWN_TYPE, Reason.WRONG_TOPIC,
        Reason.INVALID_UTF8, Reason.EMPTY_VALUE, Reason.NO_ALIAS,
    }  # fmt: skip


def test_all_forms_are_used_and_nearly_every_kind_of_event(
    records: list[Publication], read: tuple[list[InboundEvent], list[Refused]]
) -> None:
    assert sum(b'"messageId"' in (record.value or b"") for record in records) > 100
    assert sum(b'"specversion"' in (record.value or b"") for record in records) > 100
    assert sum(any(name == "ce_id" for name, _ in record.headers) for record in records) > 100
    events, _ = read
    kinds: set[type[Inbound]] = set(get_args(InboundEvent))
    missing = {kind.__name__ for kind in kinds} - {event.type for event in events}
    assert missing == {"OrderCancelled"}, "a real purchase cannot be said not to have been"


def test_some_are_said_twice(records: list[Publication]) -> None:
    repeated = len(records) - len(set(records))
    assert 0.015 * len(records) < repeated < 0.03 * len(records)


def test_letters_go_to_who_agreed_but_for_a_few_mistakes(weeks: list[Week]) -> None:
    """Of the letters that are not due for want of consent one in 200 is sent: see the simulator's chances."""
    agreed: set[str] = set()
    named: Counter[str] = Counter()
    mistaken = sent = 0
    for event in (event for week in weeks for event in week.events):
        match event["type"]:
            case "CustomerIdentified":
                named[event["email"]] += 1
            case "ConsentChanged" if event["purpose"] == "marketing" and event["state"] == "granted":
                agreed.add(f"{event['customer_id']}@example.com")
            case "EmailUnsubscribed" | "EmailMarkedAsSpam" | "EmailBounced":
                agreed.discard(event["email"])
            case "EmailDelivered":
                sent += 1
                mistaken += event["email"] not in agreed
                assert event["email"] in named, "else nobody knows the address"
    assert sent > 10_000
    assert 0 < mistaken < 0.005 * sent


def test_addresses_are_nobodys(weeks: list[Week]) -> None:
    told = {event["email"] for week in weeks for event in week.events if "email" in event}
    assert len(told) > 2_357
    assert all(address.endswith("@example.com") for address in told)
