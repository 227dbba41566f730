"""Rolling figures: how much of what happened on which day, for windows of 7, 30, 90 and 365 days.

Eight bytes a non-empty (day, measure), sorted, in one string: day (16 bits), measure (4), value (44, offset so that it
may be negative). Days are kept for 90 days, then merged into weeks, for 40 weeks: so the figures over 365 days are
exact to a week. Older ones are gone from here; lifetime totals stand elsewhere. A late event counts on its own day
while that is kept.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from sys import byteorder
from typing import Final


class Measure(IntEnum):
    """What is counted by day."""

    ORDERS = 0
    REVENUE_MINOR = 1
    REFUNDED_MINOR = 2
    EMAILS_DELIVERED = 3
    EMAILS_OPENED = 4
    EMAILS_CLICKED = 5
    MENTIONS = 6
    SENTIMENT_MILLI = 7
    SENTIMENTS = 8
    COMPLAINTS = 9
    CONTACTS = 10
    REVIEWS = 11


WINDOWS: Final = (7, 30, 90, 365)
_DAYS_KEPT: Final = 90
_WEEKS_KEPT: Final = 40
_VALUE_BITS: Final = 44
_KEY_SHIFT: Final = _VALUE_BITS
_ZERO: Final = 1 << (_VALUE_BITS - 1)
_MASK: Final = (1 << _VALUE_BITS) - 1
_MONDAY: Final = 4  # day 4 since 1970 was a Monday


def add(buckets: bytes, day: int, measure: int, value: int, today: int) -> bytes:
    """The buckets with `value` more of `measure` on `day`. A day no longer kept changes nothing."""
    if value == 0:
        return buckets
    if day < today - _DAYS_KEPT:
        day = _week(day)
        if day < _oldest(today):
            return buckets
    key = day << 4 | measure
    place = len(buckets)
    while place:
        entry = int.from_bytes(buckets[place - 8 : place], "big")
        found = entry >> _KEY_SHIFT
        if found == key:
            left = entry + value
            kept = left.to_bytes(8, "big") if left & _MASK != _ZERO else b""
            return buckets[: place - 8] + kept + buckets[place:]
        if found < key:
            break
        place -= 8
    return buckets[:place] + (key << _KEY_SHIFT | (_ZERO + value)).to_bytes(8, "big") + buckets[place:]


def aged(buckets: bytes, today: int) -> bytes:
    """The buckets as they are kept on `today`: days past 90 merged into weeks, weeks past 40 gone."""
    if not buckets:
        return buckets
    first = int.from_bytes(buckets[:8], "big") >> (_KEY_SHIFT + 4)
    cut = today - _DAYS_KEPT
    if first >= cut:
        return buckets
    oldest = _oldest(today)
    merged: dict[int, int] = {}
    place = 0
    while place < len(buckets):
        entry = int.from_bytes(buckets[place : place + 8], "big")
        key = entry >> _KEY_SHIFT
        day = key >> 4
        if day >= cut:
            break
        week = _week(day)
        if week >= oldest:
            week_key = week << 4 | key & 15
            merged[week_key] = merged.get(week_key, 0) + (entry & _MASK) - _ZERO
        place += 8
    head = b"".join(
        (key << _KEY_SHIFT | (_ZERO + merged[key])).to_bytes(8, "big") for key in sorted(merged) if merged[key]
    )
    # A week that reaches past the cut starts before it, so the head stays sorted before the tail.
    return head + buckets[place:]


def figures(buckets: bytes, today: int) -> dict[int, list[int]]:
    """By window length in days: the sum of each measure over the days up to and with `today`."""
    sums = {window: [0] * len(Measure) for window in WINDOWS}
    entries = array("Q", buckets)
    if byteorder == "little":
        entries.byteswap()
    for entry in reversed(entries):
        day = entry >> (_KEY_SHIFT + 4)
        age = today - day
        if age >= WINDOWS[-1] or age < 0:
            continue
        measure, value = entry >> _KEY_SHIFT & 15, (entry & _MASK) - _ZERO
        for window in WINDOWS:
            if age < window:
                sums[window][measure] += value
    return sums


def _week(day: int) -> int:
    return day - (day - _MONDAY) % 7


def _oldest(today: int) -> int:
    return _week(today - _DAYS_KEPT) - 7 * _WEEKS_KEPT
