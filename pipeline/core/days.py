"""Which day it is in the shop.

Inside the core an instant is a whole number of seconds since 1970, UTC, and a day a whole number of days since 1970 in
the shop's zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, reset_tzpath

HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
"""Of day 0."""
DAYS_KEPT: Final = 4_096
"""Days of which date and month are remembered."""
INSTANTS_KEPT: Final = 1_024
"""Instants remembered as they are shown."""
_QUARTER_SECONDS: Final = 900
REMEMBERED_MAX: Final = 65_536
"""Instants remembered with their day, and as many quarters of an hour with the zone's offset.

Those in busy ledgers are asked for at every purchase.
"""


reset_tzpath(())  # zone data from the pinned `tzdata` wheel alone: a replay on another machine gives the same days


def zone_named(name: str) -> ZoneInfo:
    """The time zone. Raises ZoneInfoNotFoundError, ValueError or OSError for a name that is none."""
    return ZoneInfo(name)


@lru_cache(maxsize=REMEMBERED_MAX)
def day_of(at: int, zone: str) -> int:
    """The calendar day of an instant in the zone."""
    return (at + _offset_seconds(at // _QUARTER_SECONDS, zone)) // DAY_SECONDS


def hour_of(at: int, zone: str) -> int:
    """The hour of the day, 0 to 23, of an instant in the zone."""
    return (at + _offset_seconds(at // _QUARTER_SECONDS, zone)) % DAY_SECONDS // 3_600


@lru_cache(maxsize=REMEMBERED_MAX)
def _offset_seconds(quarter: int, zone: str) -> int:
    """The zone's offset in a quarter of an hour: no zone has changed its clock inside one since 1970."""
    offset = datetime.fromtimestamp(quarter * _QUARTER_SECONDS, UTC).astimezone(zone_named(zone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


@lru_cache(maxsize=DAYS_KEPT)
def date_of(day: int) -> str:
    """A day as YYYY-MM-DD."""
    return date.fromordinal(day + EPOCH_ORDINAL).isoformat()


@lru_cache(maxsize=INSTANTS_KEPT)
def instant(at: int) -> datetime:
    """An instant for eyes and wires."""
    return datetime.fromtimestamp(at, UTC)


def instant_or_none(at: int) -> datetime | None:
    """The same where 0 stands for never, and is shown as nothing."""
    return datetime.fromtimestamp(at, UTC) if at else None


@lru_cache(maxsize=DAYS_KEPT)
def running_month(day: int) -> int:
    """A day's month, counted on from the year 0: no two months share a number."""
    found = date.fromordinal(day + EPOCH_ORDINAL)
    return found.year * 12 + found.month - 1


def month_of_year(day: int) -> int:
    """A day's month of the year: 0 is January, every year's."""
    return running_month(day) % 12
