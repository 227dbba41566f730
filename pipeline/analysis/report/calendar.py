"""Which period and month of the shop an instant is in. Days are whole days since 1970 in the shop's zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final, Literal, NamedTuple, get_args

from pipeline.core.days import day_of, running_month, zone_named

PeriodKind = Literal["week", "month", "quarter", "year"]
KINDS: Final[tuple[PeriodKind, ...]] = get_args(PeriodKind)
PERIODS_MAX: Final = 60
OUTSIDE: Final = -1
"""The place of what lies in none of the periods."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MONTHS_OF: Final = {"month": 1, "quarter": 3, "year": 12}


class TooManyPeriods(ValueError):
    """So long a time in so short periods."""


class Period(NamedTuple):
    """A period of the report, its first and last day; cut where the report begins or ends within it."""

    name: str
    first_day: int
    last_day: int
    is_cut: bool

    @property
    def days(self) -> int:
        """How many."""
        return self.last_day - self.first_day + 1


class Place(NamedTuple):
    """Where an instant lies."""

    period: int
    """Its number in the report, `OUTSIDE` for none."""
    month: int
    """Months since year 0."""


def kind_named(name: str) -> PeriodKind:
    """The kind of period of that name. Raises ValueError."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise ValueError(f"expected one of {', '.join(KINDS)}, got {name!r}")


def date_at(day: int) -> date:
    """The date of a day."""
    return date.fromordinal(day + _EPOCH)


def number_of(on: date) -> int:
    """The day of a date."""
    return on.toordinal() - _EPOCH


def month_name(month: int) -> str:
    """A month as YYYY-MM."""
    return f"{month // 12:04}-{month % 12 + 1:02}"


def month_named(name: str) -> int:
    """The month of a YYYY-MM."""
    year, month = name.split("-")
    return int(year) * 12 + int(month) - 1


def month_days(month: int) -> tuple[int, int]:
    """First and last day of a month."""
    after = month + 1
    return number_of(date(month // 12, month % 12 + 1, 1)), number_of(date(after // 12, after % 12 + 1, 1)) - 1


def natural(day: int, kind: PeriodKind) -> tuple[str, int, int]:
    """The whole week, month, quarter or year that a day is in: name, first and last day."""
    on = date_at(day)
    if kind == "week":
        first = on - timedelta(days=on.weekday())
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}", number_of(first), number_of(first) + 6
    size = _MONTHS_OF[kind]
    begin = (on.year * 12 + on.month - 1) // size * size
    first_day, last_day = month_days(begin)[0], month_days(begin + size - 1)[1]
    if kind == "month":
        return month_name(begin), first_day, last_day
    return (f"{on.year}-Q{(on.month + 2) // 3}" if kind == "quarter" else str(on.year)), first_day, last_day


def periods_between(first_day: int, last_day: int, kind: PeriodKind) -> tuple[Period, ...]:
    """The periods from one day to another, both included. Raises TooManyPeriods, and ValueError for none."""
    if last_day < first_day:
        raise ValueError(f"expected a period that ends on or after {date_at(first_day)}, got {date_at(last_day)}")
    found: list[Period] = []
    day = first_day
    while day <= last_day:
        name, begin, end = natural(day, kind)
        cut = begin < first_day or end > last_day
        found.append(Period(name, max(begin, first_day), min(end, last_day), cut))
        day = end + 1
        if len(found) > PERIODS_MAX:
            raise TooManyPeriods(f"expected at most {PERIODS_MAX} periods, got more; choose longer ones")
    return tuple(found)


class Calendar:
    """The report's periods, and where any instant lies in them."""

    def __init__(self, periods: tuple[Period, ...], kind: PeriodKind, zone: str) -> None:
        self.periods, self.kind, self.zone = periods, kind, zone
        self._places: dict[int, Place] = {}
        self._begins: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self.following: Final = {self.begin(self.begin(each.first_day) - 1): n for n, each in enumerate(periods)}
        """First day of a whole period, in the report or before it, to the number of the one after it."""

    def day(self, at: int) -> int:
        """The shop's day of an instant."""
        return day_of(at, self.zone)

    def place(self, at: int) -> Place:
        """Period and month of an instant."""
        return self.place_of_day(self.day(at))

    def place_of_day(self, day: int) -> Place:
        """Period and month of a day."""
        found = self._places.get(day)
        if found is None:
            numbers = (n for n, period in enumerate(self.periods) if period.first_day <= day <= period.last_day)
            found = self._places[day] = Place(next(numbers, OUTSIDE), running_month(day))
        return found

    def end(self, day: int) -> int:
        """The last instant of a day."""
        found = self._ends.get(day)
        if found is None:
            after = datetime.combine(date_at(day + 1), time(), zone_named(self.zone))
            found = self._ends[day] = int(after.timestamp()) - 1
        return found

    def begin(self, day: int) -> int:
        """The first day of the whole period that a day is in, wherever the report begins."""
        found = self._begins.get(day)
        if found is None:
            found = self._begins[day] = natural(day, self.kind)[1]
        return found

    @property
    def first_day(self) -> int:
        """Of the report."""
        return self.periods[0].first_day

    @property
    def last_day(self) -> int:
        """Of the report."""
        return self.periods[-1].last_day

    def of_month(self, amount: int, month: int, today: int) -> dict[int, int]:
        """A month's amount by period, each day alike (this month's, up to today); the parts are the amount."""
        first, last = month_days(month)
        return self.of_days(amount, first, min(last, today) if first <= today else last)

    def of_days(self, amount: int, first: int, last: int) -> dict[int, int]:
        """The amount of some days by period, each day alike; the parts are the amount."""
        days, found, told = last - first + 1, dict[int, int](), 0
        for number, day in enumerate(range(first, last + 1), 1):
            through = amount * number // days if number < days else amount
            period = self.place_of_day(day).period
            found[period] = found.get(period, 0) + through - told
            told = through
        return found
