"""Events that wait for their customer to become known: by alias, in one partition's state, bounded in every way.

What is given up is handed back with the reason. Everything kept in memory here follows from the state, so that a
partition taken over by another worker goes on to the same effect.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from pipeline.engine.processor import State
from pipeline.schemas.unidentified import UnidentifiedEvent

PREFIX: Final = b"waiting/"
EVENTS_MAX: Final = 20
"""Events that wait for one alias, at most: then the oldest is given up."""
BYTES_MAX: Final = 512 * 1024
"""What waits for one alias, at most, as stored: it is one record of the changelog, which takes no more than a MiB."""
ALIASES_MAX: Final = 50_000
"""Aliases waited for in one partition, at most: then the longest waited for is given up."""
ALL_BYTES_MAX: Final = 64 * 1024 * 1024
"""What waits in one partition, at most."""
WAITING_FOR: Final = timedelta(days=30)

GivenUp = tuple[UnidentifiedEvent, str]
"""An event that waited in vain, and why it waits no longer."""


class _Alias(NamedTuple):
    since: datetime
    """When the oldest of its events was received."""
    events: int
    size: int


_decode = msgspec.json.Decoder(list[UnidentifiedEvent]).decode
_encode = msgspec.json.Encoder().encode


class Waiting:
    """Who is waited for in one partition, and since when."""

    def __init__(self, state: State) -> None:
        self._aliases: dict[bytes, _Alias] = {}
        self._longest: list[tuple[datetime, bytes]] = []
        """A heap; an entry whose alias is waited for since another instant, or not any more, is void."""
        self._events = 0
        self._bytes = 0
        for key, value in state.items():
            if key.startswith(PREFIX):
                self._note(key[len(PREFIX) :], _decode(value), len(value))

    def __len__(self) -> int:
        return self._events

    def add(self, alias: bytes, event: UnidentifiedEvent, state: State) -> Iterator[GivenUp]:
        """Let an event wait; whatever has to make room for it is given up, the oldest first."""
        if len(_encode(event)) > BYTES_MAX:
            yield event, f"nobody is known by this alias, and more than {BYTES_MAX} bytes may not wait for them"
            return
        events = [*self._of(alias, state), event]
        sizes = [len(_encode(each)) + 1 for each in events]
        while len(events) > EVENTS_MAX or sum(sizes) > BYTES_MAX:
            sizes.pop(0)
            yield events.pop(0), f"more than {EVENTS_MAX} events, or {BYTES_MAX} bytes, wait for this person"
        self._store(alias, events, state)
        while len(self._aliases) > ALIASES_MAX or self._bytes > ALL_BYTES_MAX:
            longest, _ = self._longest_waited_for()
            for each in self.release(longest, state):
                yield each, f"more than {ALIASES_MAX} people, or {ALL_BYTES_MAX} bytes, are waited for"

    def release(self, alias: bytes, state: State) -> list[UnidentifiedEvent]:
        """Everything that waits for an alias, oldest first; it waits no longer."""
        events = self._of(alias, state)
        if events:
            self._store(alias, [], state)
        return events

    def give_up_stale(self, now: datetime, state: State) -> Iterator[GivenUp]:
        """Events that have waited for too long."""
        while self._aliases:
            alias, since = self._longest_waited_for()
            if now - since <= WAITING_FOR:
                return
            events = self._of(alias, state)
            for each in events:
                if now - each.received_at > WAITING_FOR:
                    yield each, f"nobody became known by this alias in {WAITING_FOR.days} days"
            self._store(alias, [each for each in events if now - each.received_at <= WAITING_FOR], state)

    def reread(self, alias: bytes, state: State) -> None:
        """Know of an alias what the state says, and nothing else."""
        self._forget(alias)
        if (value := state.get(PREFIX + alias)) is not None:
            self._note(alias, _decode(value), len(value))

    def _of(self, alias: bytes, state: State) -> list[UnidentifiedEvent]:
        return _decode(state.get(PREFIX + alias) or b"[]") if alias in self._aliases else []

    def _store(self, alias: bytes, events: list[UnidentifiedEvent], state: State) -> None:
        value = _encode(events)
        if events:
            state.put(PREFIX + alias, value)
        else:
            state.delete(PREFIX + alias)
        self._forget(alias)
        if events:
            self._note(alias, events, len(value))

    def _forget(self, alias: bytes) -> None:
        before = self._aliases.pop(alias, None)
        if before is not None:
            self._events -= before.events
            self._bytes -= before.size

    def _note(self, alias: bytes, events: list[UnidentifiedEvent], size: int) -> None:
        since = min(each.received_at for each in events)
        self._aliases[alias] = _Alias(since, len(events), size)
        self._events += len(events)
        self._bytes += size
        heapq.heappush(self._longest, (since, alias))
        if len(self._longest) > 2 * len(self._aliases) + 100:
            self._longest = [(each.since, alias) for alias, each in self._aliases.items()]
            heapq.heapify(self._longest)

    def _longest_waited_for(self) -> tuple[bytes, datetime]:
        while True:
            since, alias = self._longest[0]
            noted = self._aliases.get(alias)
            if noted is not None and noted.since == since:
                return alias, since
            heapq.heappop(self._longest)
