"""The shop as the parts of the report see it: the sums, the calendar, what channels cost, and the moment of it all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pipeline.analysis.report.calendar import OUTSIDE, Calendar, Period, month_named
from pipeline.analysis.report.measures import Measure, Row, add, nothing
from pipeline.analysis.report.tally import OVERHEAD, SHOP, Tally
from pipeline.core.acquisition import parts_of
from pipeline.core.controls import Controls, spending
from pipeline.core.days import running_month
from pipeline.core.policy import Policy

NOT_OVER: Final = "not over"
"""In the name of a period that has not ended."""


@dataclass(frozen=True)
class Shop:
    """Everybody, summed."""

    tally: Tally
    controls: Controls
    as_of: int
    currency: str

    @property
    def calendar(self) -> Calendar:
        """The report's periods."""
        return self.tally.calendar

    @property
    def policy(self) -> Policy:
        """In force."""
        return self.controls.policy

    @property
    def today(self) -> int:
        """The day of `as_of`."""
        return self.calendar.day(self.as_of)

    @property
    def this_month(self) -> int:
        """The month of `as_of`."""
        return running_month(self.today)

    def is_over(self, period: Period) -> bool:
        """Whether its last day has passed."""
        return period.last_day < self.today

    def whole_periods(self) -> list[int]:
        """The numbers of the periods that are over and not cut."""
        return [n for n, each in enumerate(self.calendar.periods) if self.is_over(each) and not each.is_cut]

    @cached_property
    def spend_by_month(self) -> dict[tuple[str, int], int]:
        """(channel, month) to what it was told to have cost."""
        return {(each.channel, month_named(each.cohort_month)): each.spend_minor for each in spending(self.controls)}

    @cached_property
    def spend(self) -> dict[tuple[str, int], int]:
        """(channel, period) to the same."""
        found: dict[tuple[str, int], int] = {}
        for (channel, month), amount in self.spend_by_month.items():
            for period, part in self.calendar.of_month(amount, month, self.today).items():
                found[channel, period] = found.get((channel, period), 0) + part
        return found

    @cached_property
    def unacquired(self) -> Counter[str]:
        """Channel to what it cost in months in which it won nobody: it is in no customer's value."""
        found: Counter[str] = Counter()
        for each in spending(self.controls):
            if not parts_of(each):
                found[each.channel] += each.spend_minor
        return found

    @cached_property
    def first_sale_day(self) -> int:
        """The day of the first sale of all; today, without any."""
        return min(self.tally.sales_by_day, default=self.today)

    def spent(self, period: int) -> int:
        """What all channels cost in a period."""
        return sum(amount for (_, number), amount in self.spend.items() if number == period)

    def spent_on(self, channel: str) -> int:
        """What a channel cost in the report's time."""
        return sum(amount for (name, number), amount in self.spend.items() if name == channel and number != OUTSIDE)

    def row(self, period: int) -> Row:
        """A period's row: customers' (with what channels cost in it in place of their shares of it) and overhead."""
        row = list(self.tally.row(SHOP, "", period))
        row[Measure.CHANNELS] = self.spent(period)
        add(row, self.tally.row(OVERHEAD, "", period))
        return row

    def whole(self) -> Row:
        """All periods together; who bought is counted once a period."""
        total = nothing()
        for number in range(len(self.calendar.periods)):
            add(total, self.row(number))
        return total

    def name(self, number: int) -> str:
        """A period's name, with words where it is cut or not over."""
        period = self.calendar.periods[number]
        marks = [mark for mark, has in (("part", period.is_cut), (NOT_OVER, not self.is_over(period))) if has]
        return f"{period.name} ({', '.join(marks)})" if marks else period.name
