"""What is kept of folded orders: which they were, the latest; their days, the latest one by one; and what they left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Final

from msgspec.structs import replace

from pipeline.core.days import DAY_SECONDS
from pipeline.core.history import WEEK_DAYS, sum_log_gap
from pipeline.core.marks import is_marked, shortened
from pipeline.core.profile import DAYS_MAX, FOLDED_MARKS_MAX, Ledger, Past, Rest
from pipeline.core.quarters import quarter_of

MICRO: Final = 1_000_000
_NO_REST: Final = Rest()
_MARK_BYTES: Final = 4
_QUARTERS_BACK: Final = 63
"""Quarters looked back at: almost sixteen years, in what one number of 64 bits holds."""
_MASK: Final = (1 << _QUARTERS_BACK) - 1


def is_folded(ledger: Ledger, order: int) -> bool:
    """Whether an order is among the latest that have folded, so that news of it comes too late."""
    return is_marked(ledger.folded_marks, _mark(order))


def with_mark(ledger: Ledger, order: int) -> bytes:
    """The marks of the latest folded orders, and of this one."""
    return (ledger.folded_marks + _mark(order))[-FOLDED_MARKS_MAX * _MARK_BYTES :]


def _mark(order: int) -> bytes:
    """Its short one: of 270 million new orders one is taken for one of 16 folded ones."""
    return shortened(order).to_bytes(_MARK_BYTES, "big")


def folded_days(ledger: Ledger) -> list[int]:
    """The latest purchase days among the folded orders, oldest first."""
    days: list[int] = []
    day = 0
    for gap in ledger.folded_days:
        day = day - gap if days else gap
        days.append(day)
    return days[::-1]


def as_gaps(days: Sequence[int]) -> tuple[int, ...]:
    """Days, oldest first, as the latest of them and the gaps before it: small numbers pack into a byte."""
    gaps = (later - earlier for earlier, later in pairwise(days))
    return (days[-1], *reversed(tuple(gaps))) if days else ()


def folded_brought_minor(ledger: Ledger) -> int:
    """What all folded orders left after discount and commission."""
    return ledger.folded_margin_minor - ledger.folded_discount_kept_minor - ledger.folded_commission_minor


def rest_of(ledger: Ledger) -> Rest:
    """What is out of the ordinary in the folded days."""
    return (ledger.past and ledger.past.rest) or _NO_REST


def with_day(ledger: Ledger, day: int, margin_minor: int) -> tuple[list[int], Past]:
    """The folded days and what they left, with an order of a day folded into them.

    A day older than all that are kept counts as one not seen before. An order that joins a day between the first and
    the last is taken to leave it as rich or poor as it was.
    """
    days, past, rest = folded_days(ledger), ledger.past or Past(), rest_of(ledger)
    if not days:
        return [day], Past(margin_minor, margin_minor)
    first, last, count = past.first_margin_minor, past.last_margin_minor, len(days) + rest.older_days
    if day in days:
        if day == days[0] and not rest.older_days:
            first += margin_minor
        if day == days[-1]:
            last += margin_minor
        return days, replace(past, first_margin_minor=first, last_margin_minor=last)
    between = margin_minor
    if day > days[-1]:
        between, last = last, margin_minor
    elif day < days[0] and not rest.older_days:
        between, first = first, margin_minor
    if count > 1 and between <= 0:
        rest = replace(rest, poor_days=rest.poor_days + 1, poor_minor=rest.poor_minor + between)
    days = sorted((*days, day))
    if len(days) > DAYS_MAX:
        gap = round(sum_log_gap(days[:2]) * MICRO)
        quarter, mask = _with_quarter(rest.older_quarter, rest.older_mask, quarter_of(days[0]))
        rest = replace(
            rest, older_days=rest.older_days + 1, gap_log_micro=rest.gap_log_micro + gap, older_quarter=quarter,
            older_mask=mask,
        )  # fmt: skip
        days = days[1:]
    return days, Past(first, last, None if rest == _NO_REST else rest)


def older_quarters(ledger: Ledger) -> list[int]:
    """The quarters in which they bought on days that are kept no more one by one."""
    rest = rest_of(ledger)
    return [rest.older_quarter - back for back in range(_QUARTERS_BACK) if rest.older_mask >> back & 1]


def _with_quarter(newest: int, mask: int, quarter: int) -> tuple[int, int]:
    if quarter > newest:
        mask, newest = mask << min(quarter - newest, _QUARTERS_BACK), quarter
    back = newest - quarter
    return newest, (mask | 1 << back if back < _QUARTERS_BACK else mask) & _MASK


def with_even_past(ledger: Ledger) -> Ledger:
    """A ledger from before it was kept what its folded days left: each is taken to have left as much.

    Of more days than are kept one by one, those before were as many as the orders that are left over, evenly apart.
    """
    days = folded_days(ledger)
    if ledger.past is not None or not days:
        return ledger
    each = folded_brought_minor(ledger) // ledger.folded_orders
    span = days[0] - ledger.folded_first_at // DAY_SECONDS
    older = max(1, ledger.folded_orders - len(days)) if len(days) == DAYS_MAX and span > 0 else 0
    apart = span / older if older else 0.0
    rest = Rest(older_days=older, gap_log_micro=round(older * log(apart / WEEK_DAYS) * MICRO)) if older else None
    return replace(ledger, past=Past(each, each, rest))
