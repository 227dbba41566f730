"""Counts by quarter, as a customer's needs keep them: exact in any order of arrival, and forgotten by the quarter.

A quarter is 91 days, counted from 1970 on. Of each count the running quarter and the three before are kept apart; what
was bought earlier is one number, what was said and done is forgotten.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pipeline.core.profile import QUARTERS_KEPT, Category, Heard, Needs

QUARTER_DAYS: Final = 91

Series = tuple[int, ...]


def quarter_of(day: int) -> int:
    """The quarter a day lies in."""
    return day // QUARTER_DAYS


def counted(series: Series, place: int, value: int = 1) -> Series:
    """The series with so much more in the quarter at this place; 0 is the newest."""
    missing = place + 1 - len(series)
    if missing > 0:
        series += (0,) * missing
    return (*series[:place], series[place] + value, *series[place + 1 :])


def rolled(needs: Needs, quarter: int) -> Needs:
    """The needs with this quarter as the newest one; as they are if it has begun already."""
    by = quarter - needs.quarter
    if by <= 0:
        return needs
    if not needs.quarter:
        return replace(needs, quarter=quarter)
    settled, gone = _moved(needs.settled, by)
    with_offer, offers_gone = _moved(needs.with_offer, by)
    heard = (
        Heard(
            each.channel,
            _moved(each.tried, by)[0],
            _moved(each.answered, by)[0],
            _moved(each.asked, by)[0],
            each.last_day,
        )
        for each in needs.heard
    )
    return replace(
        needs,
        quarter=quarter,
        heard=tuple(each for each in heard if each.tried or each.answered or each.asked),
        categories=tuple(_category_moved(each, by) for each in needs.categories),
        settled=settled,
        settled_older=needs.settled_older + gone,
        with_offer=with_offer,
        settled_discounted=needs.settled_discounted + offers_gone,
    )


def _moved(series: Series, by: int) -> tuple[Series, int]:
    """The series so many quarters later, and what of it is no longer in a quarter that is kept."""
    if not series:
        return (), 0
    kept = series[: max(QUARTERS_KEPT - by, 0)]
    if not any(kept):
        return (), sum(series)
    return (0,) * by + kept, sum(series) - sum(kept)


def _category_moved(category: Category, by: int) -> Category:
    series, gone = _moved(category.quarters, by)
    return Category(category.name, series, category.older + gone)
