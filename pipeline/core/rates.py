"""Dated exchange rates: what an amount in another currency was worth in the shop's, on the day it was paid.

A rate holds from its day until the next one, at most 35 days: a month-end table works, a forgotten one is noticed.
Reckoned in decimals and rounded once, half to even, to whole minor units.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pipeline.schemas.currencies import EXPONENTS

HOLDS_FOR: Final = timedelta(days=35)
RATES_MAX: Final = 1_000_000
_PROBLEMS_MAX: Final = 50
_COLUMNS: Final = ("date", "currency", "rate")
_LOWEST: Final = Decimal("1e-9")
_HIGHEST: Final = Decimal("1e9")
_DECIMAL: Final = Context(prec=50, rounding=ROUND_HALF_EVEN)


class BadRates(Exception):
    """The table of rates cannot be used; the message lists every problem with its line."""


@dataclass(frozen=True, slots=True)
class Series:
    """One currency's rates, oldest first."""

    days: list[date] = field(default_factory=list)
    rates: list[Decimal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of another currency was worth, and since which day."""

    since: date
    rate: Decimal

    def convert(self, amount_minor: int, currency: str, shop_currency: str) -> int:
        """`amount_minor` of `currency`, in minor units of the shop's."""
        exponent = EXPONENTS[shop_currency] - EXPONENTS[currency]
        worth = _DECIMAL.multiply(Decimal(amount_minor), self.rate)
        return int(_DECIMAL.quantize(_DECIMAL.scaleb(worth, exponent), Decimal(1)))


@dataclass(frozen=True, slots=True)
class Rates:
    """Every rate known, by currency."""

    series: MappingProxyType[str, Series] = field(default_factory=lambda: MappingProxyType({}))

    def rate(self, currency: str, on: date) -> Rate | None:
        """The rate that held on that day, or None if there is none or it is too old."""
        series = self.series.get(currency)
        if series is None:
            return None
        index = bisect_right(series.days, on) - 1
        if index < 0 or on - series.days[index] > HOLDS_FOR:
            return None
        return Rate(series.days[index], series.rates[index])


def load_rates(file: Path | None) -> Rates:
    """The rates of a CSV file; none without a file. Raises BadRates."""
    if file is None:
        return Rates()
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRates(f"expected UTF-8, got another byte at {error.start}") from error
    return read_rates(text)


def read_rates(text: str) -> Rates:
    """The rates of CSV `date,currency,rate`: shop currency for one unit of `currency`.

    A day and currency given twice must agree. Raises BadRates with all problems.
    """
    table: dict[str, dict[date, Decimal]] = {}
    problems: list[str] = []
    reader = csv.DictReader(StringIO(text))
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise BadRates(f"line 1: expected the columns {', '.join(_COLUMNS)}, got none named {', '.join(missing)}")
    for number, row in enumerate(reader, 2):
        if number > RATES_MAX:
            problems.append(f"line {number}: expected at most {RATES_MAX} rates")
            break
        problem = _take(row, table)
        if problem is not None:
            problems.append(f"line {number}: {problem}")
            if len(problems) == _PROBLEMS_MAX:
                break
    if problems:
        raise BadRates("\n".join(problems))
    return Rates(
        MappingProxyType(
            {
                currency: Series(sorted(days), [days[day] for day in sorted(days)])
                for currency, days in sorted(table.items())
            }
        )
    )


def _take(row: dict[str, str | None], table: dict[str, dict[date, Decimal]]) -> str | None:
    """Add a row to `table`, or say what is wrong with it."""
    day_text, currency, rate_text = ((row[column] or "").strip() for column in _COLUMNS)
    if currency not in EXPONENTS:
        return f"currency: expected an ISO 4217 code, got {currency!r}"
    try:
        day = date.fromisoformat(day_text)
    except ValueError:
        return f"date: expected YYYY-MM-DD, got {day_text!r}"
    try:
        rate = Decimal(rate_text)
    except InvalidOperation:
        return f"rate: expected a decimal number, got {rate_text!r}"
    if not (rate.is_finite() and _LOWEST <= rate <= _HIGHEST):
        return f"rate: expected {_LOWEST} to {_HIGHEST}, got {rate_text}"
    if table.setdefault(currency, {}).setdefault(day, rate) != rate:
        return f"rate: expected the one given before for {currency} on {day}, {table[currency][day]}, got {rate_text}"
    return None
