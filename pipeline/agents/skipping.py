"""What was passed over since `step` failed on it: records by their offset, and customers at Ticks.

Marks in a partition's state, so that a rebuild passes over the same. A customer who fails a visit stays due and may
fail many Ticks in a row, so the mark says from which Tick on they were passed over, and at which they were visited
again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from pipeline.engine.processor import State

PREFIX: Final = b"__skipped__/"
_OFFSET: Final = PREFIX + b"offset/"
_CUSTOMER: Final = PREFIX + b"customer/"
SPANS_MAX: Final = 16
"""Spans of Ticks kept of a customer, at most: then the two oldest become one, visits between them included."""
_PROBLEM_BYTES: Final = 500

Span = tuple[datetime, datetime | None]
"""Passed over from this Tick on, until that one (None: until now)."""


class _Visits(msgspec.Struct, frozen=True):
    """A customer's mark: when they were passed over, and the latest problem."""

    problem: str
    spans: tuple[Span, ...]


_decode: Final = msgspec.json.Decoder(_Visits).decode
_encode: Final = msgspec.json.Encoder().encode


def mark_record(state: State, offset: int, problem: str) -> None:
    """The record at this offset was passed over."""
    state.put(record_key(offset), problem.encode()[:_PROBLEM_BYTES])


class Skipped:
    """The marks of one partition. What is marked goes to the state at once."""

    def __init__(self, state: State) -> None:
        self.offsets: dict[int, bytes] = {}
        self._visits: dict[bytes, _Visits] = {}
        for key, value in state.items():
            if key.startswith(_OFFSET):
                self.offsets[int(key[len(_OFFSET) :])] = value
            elif key.startswith(_CUSTOMER):
                self._visits[key[len(_CUSTOMER) :]] = _decode(value)

    def __bool__(self) -> bool:
        return bool(self._visits)

    def covers(self, customer: bytes, tick_at: datetime) -> bool:
        """Whether this customer was passed over at this Tick."""
        visits = self._visits.get(customer)
        return visits is not None and any(
            since <= tick_at and (until is None or tick_at < until) for since, until in visits.spans
        )

    def failed(self, customer: bytes, tick_at: datetime, problem: str, state: State) -> None:
        """A visit failed. While it goes on failing the mark says so already."""
        spans = () if customer not in self._visits else self._visits[customer].spans
        if spans and spans[-1][1] is None:
            return
        spans = (*spans, (tick_at, None))
        if len(spans) > SPANS_MAX:
            spans = ((spans[0][0], spans[1][1]), *spans[2:])
        self._put(customer, _Visits(problem.encode()[:_PROBLEM_BYTES].decode(errors="ignore"), spans), state)

    def visited(self, customer: bytes, tick_at: datetime, state: State) -> None:
        """A visit succeeded: whoever was passed over until now is so no longer."""
        visits = self._visits.get(customer)
        if visits is None or visits.spans[-1][1] is not None:
            return
        since, _ = visits.spans[-1]
        closed = () if since == tick_at else ((since, tick_at),)  # the same Tick, taken up again by a mended version
        self._put(customer, _Visits(visits.problem, (*visits.spans[:-1], *closed)), state)

    def _put(self, customer: bytes, visits: _Visits, state: State) -> None:
        if visits.spans:
            self._visits[customer] = visits
            state.put(_CUSTOMER + customer, _encode(visits))
        else:
            del self._visits[customer]
            state.delete(_CUSTOMER + customer)


def record_of(key: bytes) -> int | None:
    """The offset that an entry marks, if it marks one."""
    return int(key[len(_OFFSET) :]) if key.startswith(_OFFSET) else None


def customer_of(key: bytes) -> bytes | None:
    """The customer that an entry marks, if it marks one."""
    return key[len(_CUSTOMER) :] if key.startswith(_CUSTOMER) else None


def record_key(offset: int) -> bytes:
    """The key of a record's mark."""
    return _OFFSET + str(offset).encode()


def is_mark(key: bytes) -> bool:
    """Whether an entry of the state is a mark."""
    return key.startswith(PREFIX)
