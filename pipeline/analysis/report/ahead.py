"""What the rest of a period will bring, as the shop has done lately; a band holds nine periods in ten if it goes on so.

Bands are from chance and from how earlier periods differed beyond it: a shop is never as steady as coins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import fmean, pvariance, stdev
from typing import Final

from pipeline.analysis.report.measured import COUNTED, Counted, profit_per_buyer, retained, satisfied_apart, won
from pipeline.analysis.report.measures import net_revenue
from pipeline.analysis.report.shop import Shop
from pipeline.core.acquisition import cpa_from
from pipeline.core.normal import NINE_IN_TEN

_T: Final = {3: 2.920, 4: 2.353, 5: 2.132, 6: 2.015}
"""The same of Student's t, by how many values the deviation is from."""
_WEEKS: Final = 8
"""Weeks of sales that the rest of a period is forecast from."""
_TRIED_WEEKS: Final = 26
"""Weeks in which the same forecast might have been made, and is looked at for how far off it was."""
_PAST: Final = 6
"""Earlier whole periods that a forecast looks at."""
_PAST_MIN: Final = 3
_PRIOR_MAX: Final = 50.0
"""What earlier periods say of a share weighs at most so many orders or people."""

Band = tuple[float, float, float]
"""What is expected, and between what it lies in nine periods of ten."""


def _elapsed(shop: Shop, number: int) -> float:
    """How much of a period is over, today included."""
    period = shop.calendar.periods[number]
    return min(1.0, (shop.today - period.first_day + 1) / period.days)


def _past(shop: Shop, number: int) -> list[int]:
    return [each for each in shop.whole_periods() if each < number][-_PAST:]


def sales_ahead(shop: Shop, number: int) -> Band | None:
    """So far, and for each day left what a day of the last eight weeks brought.

    The band is from how weeks differed, or from how far the same forecast, made in each of the last 26 weeks, was off,
    if that is more: a shop that grows, shrinks or has seasons is further off than its weeks tell.
    """
    days_left = shop.calendar.periods[number].last_day - shop.today
    so_far, weeks = float(net_revenue(shop.row(number))), _weeks(shop, shop.today)
    if len(weeks) < _PAST_MIN:
        return None
    expected = so_far + fmean(weeks) * days_left / 7
    error = NINE_IN_TEN * max(_error_by_weeks(weeks, days_left), _error_so_far(shop, days_left))
    return expected, expected - error, expected + error


def _weeks(shop: Shop, last_day: int) -> list[int]:
    """The sales of the last eight weeks up to a day, as far back as there were any."""
    sales = shop.tally.sales_by_day
    ends = range(last_day, last_day - 7 * _WEEKS, -7)
    return [sum(sales[day] for day in range(end - 6, end + 1)) for end in ends if end - 6 >= shop.first_sale_day]


def _error_by_weeks(weeks: list[int], days: int) -> float:
    left = days / 7
    return stdev(weeks) * sqrt(left + left * left / len(weeks))


def _error_so_far(shop: Shop, days: int) -> float:
    """How far off the forecast of so many days was, as a root of mean squares."""
    missed = []
    for week in range(_TRIED_WEEKS):
        made_on = shop.today - days - 7 * week
        weeks = _weeks(shop, made_on)
        if len(weeks) >= _PAST_MIN:
            came = sum(shop.tally.sales_by_day[day] for day in range(made_on + 1, made_on + days + 1))
            missed.append(came - fmean(weeks) * days / 7)
    return sqrt(fmean(each * each for each in missed)) if missed else 0.0


def share_ahead(so_far: Counted, past: Sequence[Counted], whole_ahead: float) -> Band | None:
    """A share of a period of which `whole_ahead` orders or people are still to come: they do as those seen did."""
    before = Counted(sum(each.part for each in past), sum(each.whole for each in past))
    weight = min(1.0, _PRIOR_MAX / before.whole) if before.whole else 0.0
    part, known = so_far.part + before.part * weight, so_far.whole + before.whole * weight
    whole = so_far.whole + whole_ahead
    if not known or not whole:
        return None
    chance = _held(part / known)
    expected = (so_far.part + whole_ahead * chance) / whole
    by_chance = whole_ahead * chance * (1 - chance) * (1 + whole_ahead / known)
    return _within(expected, NINE_IN_TEN * sqrt(by_chance + (whole_ahead * drift(past)) ** 2) / whole)


def _held(chance: float) -> float:
    """Within 0 and 1, where adding up fractions may have left it a bit above or below."""
    return max(0.0, min(1.0, chance))


def _within(share: float, error: float) -> Band:
    return share, max(0.0, share - error), min(1.0, share + error)


def drift(past: Sequence[Counted]) -> float:
    """How much earlier periods' shares differed beyond chance, as a deviation; 0 before three periods."""
    seen = [each for each in past if each.whole]
    if len(seen) < _PAST_MIN:
        return 0.0
    shares = [each.part / each.whole for each in seen]
    by_chance = fmean(share * (1 - share) / each.whole for share, each in zip(shares, seen, strict=True))
    more = pvariance(shares) * len(shares) / (len(shares) - 1) - by_chance
    return sqrt(max(0.0, more)) * _T[len(shares)] / NINE_IN_TEN


def _share_ahead(shop: Shop, number: int, of: Callable[[Shop, int], Counted]) -> Band | None:
    counted, elapsed = of(shop, number), _elapsed(shop, number)
    past = [of(shop, each) for each in _past(shop, number)]
    usual = fmean(each.whole for each in past) if past else counted.whole / elapsed
    return share_ahead(counted, past, max(0.0, usual * (1 - elapsed)))


def _satisfaction_ahead(shop: Shop, number: int) -> Band | None:
    """Who complains from before is counted from the first day on, and says nothing of who is still to be heard.

    So the others are forecast by themselves, and the complaints end as those of earlier periods did.
    """
    (open_now, others), elapsed = satisfied_apart(shop, number), _elapsed(shop, number)
    past = [satisfied_apart(shop, each) for each in _past(shop, number)]
    usual = fmean(each.whole for _, each in past) if past else others.whole / elapsed
    to_come = max(0.0, usual * (1 - elapsed))
    band = share_ahead(others, [each for _, each in past], to_come)
    if band is None:
        return None
    parts, people = (sum(getattr(each, name) for each, _ in past) for name in ("part", "whole"))
    ended = open_now.whole * parts / people if people else open_now.part
    theirs, ahead = open_now.part * elapsed + ended * (1 - elapsed), others.whole + to_come
    expected, low, high = ((theirs + share * ahead) / (open_now.whole + ahead) for share in band)
    return expected, low, high


def _retention_ahead(shop: Shop, number: int) -> Band | None:
    """Those who bought before and have not yet bought again still may, as in the periods before, for the days left."""
    now, past = retained(shop, number), [retained(shop, each) for each in _past(shop, number)]
    whole = sum(each.whole for each in past)
    if not now.whole or not whole:
        return None
    usual, left = sum(each.part for each in past) / whole, 1 - _elapsed(shop, number)
    chance = usual * left / max(1e-9, 1 - usual * (1 - left))
    waiting = now.whole - now.part
    by_chance = waiting * chance * (1 - chance) * (1 + waiting / whole)
    error = NINE_IN_TEN * sqrt(by_chance + (now.whole * left * drift(past)) ** 2) / now.whole
    return _within((now.part + waiting * chance) / now.whole, error)


def _cpa_ahead(shop: Shop, number: int) -> Band | None:
    """What winning one costs, drawn to what it did in the periods before where few were won."""
    before = [won(shop, each) for each in _past(shop, number)]
    spend, parts = sum(each[0] for each in before), sum(each[1] for each in before)
    if not parts or not spend:
        return None
    cost = cpa_from(won(shop, number), (spend, parts), shop.policy.value.cpa_prior_customers)
    return float(cost.estimate_minor), float(cost.low_minor), float(cost.high_minor)


def _profit_ahead(shop: Shop, number: int) -> Band | None:
    """For the part over what is, for the rest the mean of earlier periods, which differed as the band says.

    In a period's first half it tells little: who buys in it buys again before it is over.
    """
    past = [each for each in (profit_per_buyer(shop, before) for before in _past(shop, number)) if each is not None]
    actual = profit_per_buyer(shop, number)
    if len(past) < _PAST_MIN:
        return None
    left = 1.0 if actual is None else 1 - _elapsed(shop, number)
    expected = (actual or 0.0) * (1 - left) + fmean(past) * left
    error = _T[len(past)] * stdev(past) * sqrt(1 + 1 / len(past)) * min(1.0, 2 * left)
    return expected, expected - error, expected + error


FORECAST: Final[dict[str, Callable[[Shop, int], Band | None]]] = {
    "sales": sales_ahead,
    "cpa": _cpa_ahead,
    "value_per_customer": _profit_ahead,
    **{name: lambda shop, number, of=of: _share_ahead(shop, number, of) for name, of in COUNTED.items()},  # type: ignore[misc]  # mypy knows no type for a lambda's default
    "retention": _retention_ahead,
    "satisfaction": _satisfaction_ahead,
}
