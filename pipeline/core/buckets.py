"""Rolling figures: how much of what happened on which day, for windows of 7, 30, 90 and 365 days.

For each measure one series of numbers, the newest day first, then the gap in days to the one before, and so on: as it
is where the day's value is 1, as most are; below zero with the value behind it where it is another. Small numbers pack
into a byte each, and empty days take none. Days are kept for 90 days, then merged into weeks, each whole, for 40 weeks:
so the figures over 365 days are exact to a week. Older ones are gone from here; lifetime totals stand elsewhere. A late
event counts on its own day while that is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import pairwise
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


Series = tuple[int, ...]
Buckets = tuple[Series, ...]

WINDOWS: Final = (7, 30, 90, 365)
_DAYS_KEPT: Final = 90
_WEEKS_KEPT: Final = 40
_MONDAY: Final = 4  # day 4 since 1970 was a Monday
_SHORTEST: Final = tuple(bisect_right(WINDOWS, age) for age in range(WINDOWS[-1]))
"""By age in days: the place of the shortest window that a day lies in."""
_MEASURES: Final = len(Measure)


def add(buckets: Buckets, day: int, measure: int, value: int, today: int) -> Buckets:
    """The buckets with `value` more of `measure` on `day`. A day no longer kept changes nothing."""
    if value == 0:
        return buckets
    if day < _first_day(today):
        day = _week(day)
        if day < _first_week(today):
            return buckets
    missing = measure + 1 - len(buckets)
    if missing > 0:
        buckets += ((),) * missing
    series = buckets[measure]
    last = abs(series[0]) if series else 0
    if day > last:  # a new day
        gap = day - last
        after = (*_told(day, value), *((gap if series[0] > 0 else -gap, *series[1:]) if series else ()))
    elif day == last and (more := value + _newest_value(series)):  # the newest day again
        after = (*_told(day, more), *series[1 if series[0] > 0 else 2 :])
    else:
        days = dict(_days(series))
        days[day] = days.get(day, 0) + value
        after = _series(days)
    kept = list(buckets)
    kept[measure] = after
    return tuple(kept)


def ages(since: int, today: int) -> bool:
    """Whether what was kept on one day is kept otherwise on another: weeks have passed out of the days."""
    return _first_day(since) != _first_day(today)


def aged(buckets: Buckets, today: int) -> Buckets:
    """The buckets as they are kept on `today`: weeks whose days are past 90 merged, those past 40 weeks gone."""
    return tuple(_aged(series, _first_day(today), _first_week(today)) for series in buckets)


def _aged(series: Series, first_day: int, first_week: int) -> Series:
    days: dict[int, int] = {}
    for day, value in _days(series):
        kept = day if day >= first_day else _week(day)
        if kept >= first_week:
            days[kept] = days.get(kept, 0) + value
    return _series(days)


def from_pairs(series: Series) -> Series:
    """The series of one that has a value behind every day, as it was kept before."""
    days, day = {}, 2 * series[0] if series else 0  # the first step, a day and no gap, leads to it
    for gap, value in zip(series[::2], series[1::2], strict=True):
        day -= gap
        days[day] = value
    return _series(days)


def newest(buckets: Buckets, measure: int) -> int:
    """The latest day, or week's first, with anything of a measure; 0: none is kept."""
    return abs(buckets[measure][0]) if measure < len(buckets) and buckets[measure] else 0


def figures(buckets: Buckets, today: int) -> dict[int, list[int]]:
    """By window length in days: the sum of each measure over the days up to and with `today`."""
    sums, longest = [[0] * _MEASURES for _ in WINDOWS], WINDOWS[-1]
    for measure, series in enumerate(buckets):
        if series:
            age, numbers = today - 2 * abs(series[0]), iter(series)  # `_days`, without a generator
            for gap in numbers:
                age += abs(gap)
                value = 1 if gap > 0 else next(numbers)
                if 0 <= age < longest:
                    sums[_SHORTEST[age]][measure] += value
            for shorter, longer in pairwise(sums):  # a longer window holds the shorter one
                longer[measure] += shorter[measure]
    return dict(zip(WINDOWS, sums, strict=True))


def total(buckets: Buckets, measure: int, first: int, last: int) -> int:
    """The sum of one measure from a day to another."""
    if measure >= len(buckets):
        return 0
    return sum(value for day, value in _days(buckets[measure]) if first <= day <= last)


def reaches(buckets: Buckets, measure: int, least: int, since: int) -> bool:
    """Whether one measure comes to so much from a day on. Looks no further back than it must."""
    if measure < len(buckets):
        for day, value in _days(buckets[measure]):
            if day < since:
                break
            least -= value
            if least <= 0:
                return True
    return False


def days_with(buckets: Buckets, measure: int) -> list[int]:
    """The days that have some of `measure`, the newest first; of days merged into weeks, the week's first."""
    return [day for day, _ in _days(buckets[measure])] if measure < len(buckets) else []


def _newest_value(series: Series) -> int:
    return 1 if series[0] > 0 else series[1]


def _days(series: Series) -> Iterator[tuple[int, int]]:
    """(day, value) of a series, the newest first."""
    day, numbers = 2 * abs(series[0]) if series else 0, iter(series)  # the first step, a day and no gap, leads to it
    for gap in numbers:
        day -= abs(gap)
        yield day, 1 if gap > 0 else next(numbers)


def _series(days: dict[int, int]) -> Series:
    """The series of values by day."""
    newest_first: Iterable[int] = sorted((day for day, value in days.items() if value), reverse=True)
    numbers: list[int] = []
    before = 0
    for day in newest_first:
        numbers += _told(before - day if numbers else day, days[day])
        before = day
    return tuple(numbers)


def _told(gap: int, value: int) -> Series:
    return (gap,) if value == 1 else (-gap, value)


def _week(day: int) -> int:
    return day - (day - _MONDAY) % 7


def _first_day(today: int) -> int:
    """The first that is kept by itself: a Monday, for weeks are merged whole."""
    return _week(today - _DAYS_KEPT)


def _first_week(today: int) -> int:
    return _first_day(today) - 7 * _WEEKS_KEPT
