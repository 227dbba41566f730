"""The waiting room of one partition, with records made by hand: what thirty days and many people would show."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.agents import identify, waiting
from pipeline.agents.identify import Identify
from pipeline.agents.ingest import Names
from pipeline.agents.waiting import PREFIX, WAITING_FOR, Waiting
from pipeline.engine.disk import StoreFailed
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.schemas import unidentified
from pipeline.schemas.unidentified import AliasSeen, Original, UnidentifiedEvent
from tests.pipeline.shop import at

NAMES = Names.of(lambda name: name)


def event(name: str, received_at: datetime, *, size: int = 10) -> UnidentifiedEvent:
    """An event that may not make a customer, as ingest hands it over."""
    original = Original(topic="emails.v1", partition=0, offset=1, timestamp=2, key=None, value=name.encode())
    return UnidentifiedEvent(
        event_id=name, logged=name.encode() + b"x" * size, address=None, text=None, received_at=received_at,
        aliases=("alias",), original=original,
    )  # fmt: skip


class Item:
    """A record of `unidentified-events`."""

    topic, partition, headers = "unidentified-events.v1", 0, ()

    def __init__(self, offset: int, alias: bytes, item: unidentified.Unidentified) -> None:
        self.offset, self.timestamp, self.key, self.value = offset, 0, alias, unidentified.encode(item)


class Partition:
    """Identify over a state of its own; can be taken over by another worker at any time."""

    def __init__(self) -> None:
        self.state = State()
        self.offset = 0
        self.take_over()

    def take_over(self) -> None:
        """Another worker: the state comes from the changelog, in any order; memory does not come at all."""
        state = State()
        for key, value in sorted(self.state.items(), reverse=True):
            state.restore(key, value)
        self.state = state
        self.identify = Identify(0, state, names=NAMES)

    def feed(self, alias: bytes, item: unidentified.Unidentified) -> list[tuple[str, bytes | None]]:
        """Process one record; what came of it: (topic, value)."""
        outbox = Outbox()
        batch = Batch(Item.topic, 0, [Item(self.offset, alias, item)], self.offset + 1, flush=False)
        assert self.identify.process(batch, self.state, outbox) == 1
        self.offset += 1
        return [(topic, value) for topic, value, *_ in outbox.messages]

    def feed_bytes(self, value: bytes) -> list[tuple[str, bytes | None]]:
        """The same of a value that may be anything."""
        item = Item(self.offset, b"a", AliasSeen(alias="a", customer_id="ann"))
        item.value = value
        outbox = Outbox()
        assert (
            self.identify.process(Batch(Item.topic, 0, [item], self.offset + 1, flush=False), self.state, outbox) == 1
        )
        self.offset += 1
        return [(topic, value) for topic, value, *_ in outbox.messages]

    def waits(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.state.items() if key.startswith(PREFIX)}


@pytest.mark.parametrize("worker", ["same", "another"])
def test_what_waited_for_more_than_thirty_days_is_given_up_and_younger_ones_of_the_same_alias_are_not(
    worker: str,
) -> None:
    partition = Partition()
    partition.feed(b"a", event("first", at(0)))
    partition.feed(b"b", event("other", at(1)))
    partition.feed(b"a", event("second", at(20)))
    assert partition.feed(b"c", event("at thirty days", at(0) + WAITING_FOR)) == []
    if worker == "another":
        partition.take_over()
    after = partition.feed(b"c", event("and a second", at(0) + WAITING_FOR + timedelta(seconds=1)))
    assert after == [("dead-letters.v1", b"first")]
    assert partition.feed(b"c", event("later", at(32))) == [("dead-letters.v1", b"other")]
    released = partition.feed(b"a", AliasSeen(alias="a", customer_id="ann"))
    assert [(topic, value[:6]) for topic, value in released if value] == [("customer-events.v1", b"second")]


def test_who_takes_a_partition_over_gives_up_the_same_in_the_same_order() -> None:
    """Memory follows from the state: whether the worker is new makes no difference."""
    stayed, moved = Partition(), Partition()
    for number in range(60):
        item = event(f"e{number}", at(0) + timedelta(hours=(number * 37) % 101))
        alias = b"alias%d" % (number % 7)
        assert stayed.feed(alias, item) == moved.feed(alias, item)
        moved.take_over()
        assert dict(stayed.state.items()) == dict(moved.state.items())
    last = event("last", at(200))
    given_up = stayed.feed(b"z", last)
    assert given_up == moved.feed(b"z", last)
    assert len(given_up) == 60
    assert len(stayed.waits()) == 1


def test_the_bound_on_bytes_holds_for_an_alias_and_for_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BYTES_MAX", 5_000)
    monkeypatch.setattr(waiting, "ALL_BYTES_MAX", 12_000)
    partition = Partition()
    assert partition.feed(b"a", event("too large to wait", at(0), size=5_000)) == [
        ("dead-letters.v1", b"too large to wait")
    ]
    given_up = []
    for number in range(60):
        given_up += partition.feed(b"a%d" % (number % 6), event(f"e{number}", at(number), size=1_000))
        assert all(len(value) <= 5_000 for value in partition.waits().values())
        assert sum(map(len, partition.waits().values())) <= 12_000
        kept = sum(value.count(b'"event_id"') for value in partition.waits().values())
        assert kept + len(given_up) == number + 1, "each event waits or is a dead letter"


def test_the_bound_on_people_gives_up_who_is_waited_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ALIASES_MAX", 3)
    partition = Partition()
    for number in (2, 0, 1):
        assert partition.feed(b"a%d" % number, event(f"e{number}", at(number))) == []
    assert partition.feed(b"a3", event("e3", at(3))) == [("dead-letters.v1", b"e0")]
    assert partition.feed(b"a4", event("e4", at(4))) == [("dead-letters.v1", b"e1")]


def test_the_room_counts_what_is_in_it() -> None:
    room, state = Waiting(State()), State()
    for number in range(300):
        list(room.add(b"a%d" % (number % 5), event(f"e{number}", at(number % 9)), state))
        if number % 3 == 0:
            room.release(b"a%d" % (number % 4), state)
        assert len(room) == sum(value.count(b'"event_id"') for _, value in state.items())
    assert len(room._longest) <= 2 * 5 + 101


def test_a_record_that_makes_identify_fail_half_way_is_a_letter_and_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ann is linked and what waited for her released before the second of them cannot be delivered."""
    partition, untouched = Partition(), Partition()
    for each in (partition, untouched):
        each.feed(b"a", event("first", at(0)))
        each.feed(b"a", event("second", at(1)))
        each.feed(b"b", event("another's", at(2)))
    delivers, seen = identify.deliver, AliasSeen(alias="a", customer_id="ann")

    def fails_at_the_second(customer_id: str, entry: Any, names: Names, outbox: Outbox) -> None:
        if entry.event_id == "second":
            raise KeyError("somebody's name")
        delivers(customer_id, entry, names, outbox)

    with monkeypatch.context() as struck:
        struck.setattr(identify, "deliver", fails_at_the_second)
        ((topic, letter),) = partition.feed(b"a", seen)
    assert (topic, letter) == ("dead-letters.v1", unidentified.encode(seen))
    assert dict(partition.state.items()) == dict(untouched.state.items())
    assert len(partition.identify._waiting) == 3
    assert partition.feed(b"a", seen) == untouched.feed(b"a", seen), "sent again by a version that can, it all comes"
    late = event("late", at(0) + 2 * WAITING_FOR)
    assert partition.feed(b"c", late) == untouched.feed(b"c", late) == [("dead-letters.v1", b"another's")]


def test_what_is_no_record_of_identify_is_a_letter_and_the_next_one_goes_on() -> None:
    partition = Partition()
    assert partition.feed_bytes(b"not ours") == [("dead-letters.v1", b"not ours")]
    assert partition.feed(b"a", event("waits", at(0))) == []


def test_a_disk_that_fails_is_no_fault_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition()

    def fails(key: bytes) -> None:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(State, "get", lambda state, key: fails(key))
    with pytest.raises(StoreFailed):
        partition.feed(b"a", event("waits", at(0)))
