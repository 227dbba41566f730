"""What the shop wanted, what is, and what will be: goals from the policy against each period, with a forecast's band.

A forecast is of the whole period: what is so far, and for the days left what the shop has done lately. It needs some
weeks of history; a band holds nine periods in ten if the shop goes on as it did.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from statistics import fmean, stdev
from typing import Final, NamedTuple

from pipeline.analysis.report.funnel import people
from pipeline.analysis.report.measures import Measure, net_revenue, profit
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, Report, table
from pipeline.core.acquisition import WHOLE, cpa_from
from pipeline.core.policy import GOALS

_Z: Final = 1.6448536269514722
"""Of the standard normal distribution 90 % lie between minus this and this."""
_WEEKS: Final = 8
"""Weeks of sales that the rest of a period is forecast from."""
_TRIED_WEEKS: Final = 26
"""Weeks in which the same forecast might have been made, and is looked at for how far off it was."""
_PAST: Final = 6
"""Earlier whole periods that a forecast looks at."""
_PAST_MIN: Final = 3
_PRIOR_MAX: Final = 50.0
"""What earlier periods say of a share weighs at most so many orders or people."""
FIGURES_SHOWN: Final = ("target", "actual", "forecast", "forecast_low", "forecast_high", "gap")
_LESS_IS_BETTER: Final = ("cpa",)

Band = tuple[float, float, float]
"""What is expected, and between what it lies in nine periods of ten."""


class Counted(NamedTuple):
    """A share, as so much of so many."""

    part: float
    whole: float

    @property
    def share(self) -> float | None:
        """None of nothing."""
        return self.part / self.whole if self.whole else None


def goals(shop: Shop) -> Part:
    """The part: the periods of the report, where they are those of the goals."""
    title, rules = "Goals", shop.policy.goals
    wanted = [name for name in GOALS if _target(shop, name)]
    if not wanted:
        return Part("goals", title, remarks=("No goal is set: see `[goals]` in the policy.",))
    if not _are_the_goals_periods(shop):
        return Part("goals", title, remarks=(f"Goals are for a {rules.period} each: use --period {rules.period}.",))
    rows = [_row(shop, name, number) for number in range(len(shop.calendar.periods)) for name in wanted]
    latest = rows[-2 * len(wanted) :] if len(shop.calendar.periods) > 1 else rows
    columns = " ".join(("period goal owner unit", *FIGURES_SHOWN))
    return Part(
        "goals",
        title,
        (
            table("goals", "Goals: the last two periods", columns, latest, shown_max=2 * len(GOALS)),
            table("goals_by_period", "Goals, every period", columns, rows, shown_max=0),
        ),
    )


def _are_the_goals_periods(shop: Shop) -> bool:
    return shop.calendar.kind == shop.policy.goals.period


def _target(shop: Shop, name: str) -> float:
    goal = getattr(shop.policy.goals, name)
    permille = getattr(goal, "target_permille", None)
    return float(goal.target_minor) if permille is None else permille / 1000


def _row(shop: Shop, name: str, number: int) -> list[Cell]:
    goal, target, actual = getattr(shop.policy.goals, name), _target(shop, name), ACTUAL[name](shop, number)
    unit = "money" if hasattr(goal, "target_minor") else "share"
    period = shop.calendar.periods[number]
    band: Band | None = None
    if not shop.is_over(period) and period.first_day <= shop.today:
        band = FORECAST[name](shop, number)
    expected = band[0] if band else actual if shop.is_over(period) else None
    gap = None if expected is None else (expected - target) * (-1 if name in _LESS_IS_BETTER else 1)
    figures = (target, actual, expected, *(band[1:] if band else (None, None)), gap)
    return [shop.name(number), name, goal.owner, unit, *(_rounded(each, unit) for each in figures)]


def _rounded(value: float | None, unit: str) -> Cell:
    if value is None:
        return None
    return round(value) if unit == "money" else round(value, 6)


def goal_figures(report: Report) -> dict[str, float]:
    """The period there is now, else the last, for metrics: `goal.owner.unit.figure` to its value."""
    part = report.part("goals")
    rows = part.tables[0].rows if part.tables else ()
    return {
        f"{goal}.{owner}.{unit}.{figure}": float(value)
        for period, goal, owner, unit, *values in rows
        if period == rows[-1][0]
        for figure, value in zip(FIGURES_SHOWN, values, strict=True)
        if isinstance(value, int | float)
    }


# -- what is ----------------------------------------------------------------------------------------------------------


def _repeat(shop: Shop, number: int) -> Counted:
    row = shop.row(number)
    return Counted(row[Measure.REPEAT_ORDERS], row[Measure.ORDERS])


def _retained(shop: Shop, number: int) -> Counted:
    return Counted(shop.tally.retained[number], shop.row(number - 1)[Measure.BUYERS] if number else 0)


def _satisfied(shop: Shop, number: int) -> Counted:
    return Counted(shop.tally.score_milli[number] / 1000, people(shop, "heard", number))


def _kept(shop: Shop, number: int) -> Counted:
    kept = shop.tally.promises["kept", number]
    return Counted(kept, kept + shop.tally.promises["broken", number])


def _won(shop: Shop, number: int) -> tuple[int, int]:
    """(spend, parts won) of the channels that were paid in a period."""
    paid = {channel for (channel, period), amount in shop.spend.items() if period == number and amount}
    return shop.spent(number), sum(shop.tally.people["persuaded", channel, number] for channel in sorted(paid))


def _cpa(shop: Shop, number: int) -> float | None:
    spend, parts = _won(shop, number)
    return spend * WHOLE / parts if parts else None


def _profit_per_buyer(shop: Shop, number: int) -> float | None:
    row = shop.row(number)
    return profit(row) / row[Measure.BUYERS] if row[Measure.BUYERS] else None


_COUNTED: Final[dict[str, Callable[[Shop, int], Counted]]] = {
    "repeat_share": _repeat,
    "retention": _retained,
    "satisfaction": _satisfied,
    "promises_kept": _kept,
}
ACTUAL: Final[dict[str, Callable[[Shop, int], float | None]]] = {
    "sales": lambda shop, number: float(net_revenue(shop.row(number))),
    "cpa": _cpa,
    "value_per_customer": _profit_per_buyer,
    **{name: lambda shop, number, of=of: of(shop, number).share for name, of in _COUNTED.items()},  # type: ignore[misc]
}


# -- what will be -----------------------------------------------------------------------------------------------------


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
    error = _Z * max(_error_by_weeks(weeks, days_left), _error_so_far(shop, days_left))
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


def share_ahead(so_far: Counted, past: Counted, whole_ahead: float) -> Band | None:
    """A share of a period of which `whole_ahead` orders or people are still to come: they do as those seen did."""
    weight = min(1.0, _PRIOR_MAX / past.whole) if past.whole else 0.0
    part, known = so_far.part + past.part * weight, so_far.whole + past.whole * weight
    whole = so_far.whole + whole_ahead
    if not known or not whole:
        return None
    chance = part / known
    expected = (so_far.part + whole_ahead * chance) / whole
    error = _Z * sqrt(whole_ahead * chance * (1 - chance) * (1 + whole_ahead / known)) / whole
    return expected, max(0.0, expected - error), min(1.0, expected + error)


def _share_ahead(shop: Shop, number: int, of: Callable[[Shop, int], Counted]) -> Band | None:
    counted, elapsed = of(shop, number), _elapsed(shop, number)
    past = [of(shop, each) for each in _past(shop, number)]
    before = Counted(sum(each.part for each in past), sum(each.whole for each in past))
    usual = before.whole / len(past) if past else counted.whole / elapsed
    return share_ahead(counted, before, max(0.0, usual * (1 - elapsed)))


def _retention_ahead(shop: Shop, number: int) -> Band | None:
    """Those who bought before and have not yet bought again still may, as in the periods before, for the days left."""
    now, past = _retained(shop, number), [_retained(shop, each) for each in _past(shop, number) if each]
    whole = sum(each.whole for each in past)
    if not now.whole or not whole:
        return None
    usual, left = sum(each.part for each in past) / whole, 1 - _elapsed(shop, number)
    chance = usual * left / max(1e-9, 1 - usual * (1 - left))
    waiting = now.whole - now.part
    expected = (now.part + waiting * chance) / now.whole
    error = _Z * sqrt(waiting * chance * (1 - chance) * (1 + waiting / whole)) / now.whole
    return expected, max(0.0, expected - error), min(1.0, expected + error)


def _cpa_ahead(shop: Shop, number: int) -> Band | None:
    """What winning one costs, drawn to what it did in the periods before where few were won."""
    before = [_won(shop, each) for each in _past(shop, number)]
    spend, parts = sum(each[0] for each in before), sum(each[1] for each in before)
    if not parts or not spend:
        return None
    cost = cpa_from(_won(shop, number), (spend, parts), shop.policy.value.cpa_prior_customers)
    return float(cost.estimate_minor), float(cost.low_minor), float(cost.high_minor)


def _profit_ahead(shop: Shop, number: int) -> Band | None:
    """For the part over what is, for the rest the mean of earlier periods, which differed as the band says."""
    past = [each for each in (_profit_per_buyer(shop, before) for before in _past(shop, number)) if each is not None]
    actual = _profit_per_buyer(shop, number)
    if len(past) < _PAST_MIN:
        return None
    left = 1.0 if actual is None else 1 - _elapsed(shop, number)
    expected = (actual or 0.0) * (1 - left) + fmean(past) * left
    error = _Z * stdev(past) * left
    return expected, expected - error, expected + error


FORECAST: Final[dict[str, Callable[[Shop, int], Band | None]]] = {
    "sales": sales_ahead,
    "cpa": _cpa_ahead,
    "value_per_customer": _profit_ahead,
    **{name: lambda shop, number, of=of: _share_ahead(shop, number, of) for name, of in _COUNTED.items()},  # type: ignore[misc]
    "retention": _retention_ahead,
}
