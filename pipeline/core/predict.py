"""What is expected of one customer: whether they come again, when, how often, and what it will be worth.

A pure function of the shop's fitted model, the customer's history and a day. The model is a frozen value that travels
in `ModelFitted`, as numbers by name; with the same numbers every replay predicts the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf, log
from typing import Final, Literal

import msgspec

from pipeline.core import rhythm as regular
from pipeline.core import timing as irregular
from pipeline.core.calibration import FEATURES, Calibration, calibrated, features
from pipeline.core.history import WEEK_DAYS, History
from pipeline.core.plausible import implausible
from pipeline.core.rhythm import REGULARITIES, Rhythm
from pipeline.core.season import MONTHS, NO_SEASON, Season, factor
from pipeline.core.spend import Spend, expected_margin
from pipeline.core.timing import Timing

HORIZON_DAYS: Final = (30, 90, 365)
OUTLOOKS_KEPT: Final = 65_536
"""Outlooks remembered, by model, frequency and tenure: by the day while it is short, then by the whole week."""
NEWCOMERS_KEPT: Final = 8_192
"""Outlooks of who has bought once, remembered by model and time since: of most nothing else counts."""
EXACT_WEEKS: Final = 8.0
"""So long every day of tenure counts for itself."""
FACTORS_KEPT: Final = 1_024
"""Days whose seasonal factors are remembered."""
BAND: Final = (0.1, 0.5, 0.9)
"""Of those who stay, one in ten is earlier than the band of the next order, one in ten later."""
YEARLY_DISCOUNT: Final = log(1.15) / 52.0
"""15 % a year, continuously, a week."""

Basis = Literal["own purchases", "the shop's average"]


class Model(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """All that was fitted to a shop (or to one cohort or channel of it). Times in weeks."""

    timing: Timing
    spend: Spend
    rhythm: Rhythm
    level: float
    """Of a customer's own gaps this fraction is rare enough to be news: set by the shop's budget of alarms."""
    fitted_on: int
    """The day (since 1970) up to which buying was learned from."""
    second_order_weeks: float
    """Silence after which somebody who bought once is overdue: by the shop's own curve."""
    season: Season = NO_SEASON
    calibration: Calibration | None = None
    value_weeks: float = 156.0
    """How far ahead value is reckoned."""
    discount: float = YEARLY_DISCOUNT
    return_weeks: float = HORIZON_DAYS[1] / WEEK_DAYS
    """The horizon of the chance of return."""
    revenue_rate: float = 2.5
    """The shop's revenue for each unit of margin."""


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What is expected of one customer from a day on."""

    basis: Basis
    """Whose behaviour it rests on: who has bought once is taken for the shop's average, and this says so."""
    p_alive: float
    p_return: float
    """Chance of a purchase within `return_weeks`; corrected by what came of earlier ones, where that was learned."""
    return_weeks: float
    orders: tuple[float, ...]
    """Expected purchase days within 30, 90 and 365 days."""
    margin_minor: tuple[float, ...]
    """Expected margin within the same."""
    value_minor: float
    """Expected margin of the next `value_weeks`, discounted."""
    next_order_weeks: tuple[float, float, float]
    """Weeks until the next order if they stay: early, median, late."""
    revenue_minor: tuple[float, ...] = ()
    """Expected revenue within the three horizons; left out where only purchases are known, not their worth."""


class Prospect(msgspec.Struct, frozen=True, gc=False):
    """The part of a prediction that a tier is told from: whether they come again, and what it will be worth."""

    p_alive: float
    p_return: float
    return_weeks: float
    margin_minor: float
    """Expected of a purchase day to come."""
    value_minor: float
    orders_if_alive: tuple[float, ...]
    """Within each horizon, and last those of the value's, discounted: of somebody who has not left, in any season."""


def prospect(model: Model, history: History, day: int) -> Prospect:
    """What is expected of a customer from the end of a day on, at the least."""
    if not history.frequency:
        return _newcomer(model, history.tenure(day))
    recency = history.recency
    return _prospect(model, history, recency, max(history.tenure(day), recency))


@lru_cache(maxsize=NEWCOMERS_KEPT)
def _newcomer(model: Model, tenure: float) -> Prospect:
    """The same of somebody who has bought once, so long ago."""
    return _prospect(model, History(0, 0), 0.0, tenure)


def _prospect(model: Model, history: History, recency: float, tenure: float) -> Prospect:
    x, timing = history.frequency, model.timing
    alive = irregular.p_alive(timing, x, recency, tenure)
    ahead = _ahead(model, x, tenure)
    margin = margin_of(model.spend, history)
    weeks = model.return_weeks if model.calibration is None else model.calibration.weeks
    chance = alive * irregular.p_return_if_alive(timing, x, tenure, weeks)
    if model.calibration is not None and x > 0:
        seen = features(timing, model.rhythm, weeks, history.gaps, tenure - recency)
        chance = calibrated(model.calibration, seen, chance)
    return Prospect(alive, chance, weeks, margin, alive * ahead[-1] * margin, ahead)


def margin_of(spend: Spend, history: History) -> float:
    """Margin expected of a purchase day to come."""
    if not history.frequency:
        return spend.mean_minor
    return expected_margin(spend, history.spend_days, history.mean_margin_minor, history.poor_days, history.poor_minor)


def predict(model: Model, history: History, day: int) -> Prediction:
    """The prediction for a customer at the end of a day (whole days since 1970)."""
    x, tenure = history.frequency, max(history.tenure(day), history.recency)
    expected = prospect(model, history, day)
    alive, margin = expected.p_alive, expected.margin_minor
    soon, later, year = _factors(model.season, day)
    ahead = expected.orders_if_alive
    orders = (alive * ahead[0] * soon, alive * ahead[1] * later, alive * ahead[2] * year)
    early, median, late = BAND
    quantile = irregular.next_order_quantile
    return Prediction(
        basis="own purchases" if x else "the shop's average",
        p_alive=alive,
        p_return=expected.p_return,
        return_weeks=expected.return_weeks,
        orders=orders,
        margin_minor=(orders[0] * margin, orders[1] * margin, orders[2] * margin),
        value_minor=expected.value_minor,
        next_order_weeks=(
            quantile(model.timing, x, tenure, early),
            quantile(model.timing, x, tenure, median),
            quantile(model.timing, x, tenure, late),
        ),
    )


def overdue_after(model: Model, history: History, longest_weeks: float) -> float:
    """Weeks of silence after which a customer is overdue: reckoned once, at each purchase.

    By their own rhythm, the shop's level and the longest silence that may pass. Who bought once has no rhythm yet: the
    shop's own curve of second orders.
    """
    if history.frequency == 0:
        return model.second_order_weeks
    return regular.deadline(model.rhythm, history.gaps, model.level, longest_weeks)


def _ahead(model: Model, frequency: int, tenure: float) -> tuple[float, ...]:
    """Orders within each horizon, and those of the value's horizon discounted, of somebody who has not left.

    Of a tenure between whole weeks the part between: right to four thousandths once it is `EXACT_WEEKS`.
    """
    timing, of_value = model.timing, (model.value_weeks, model.discount)
    if tenure < EXACT_WEEKS:
        return _outlook(timing, frequency, tenure, *of_value)
    week = int(tenure)
    part, low = tenure - week, _outlook(timing, frequency, float(week), *of_value)
    if not part:
        return low
    high = _outlook(timing, frequency, week + 1.0, *of_value)
    return tuple([before + (after - before) * part for before, after in zip(low, high, strict=True)])


@lru_cache(maxsize=OUTLOOKS_KEPT)
def _outlook(timing: Timing, frequency: int, tenure: float, value_weeks: float, discount: float) -> tuple[float, ...]:
    ahead = tuple(irregular.orders_if_alive(timing, frequency, tenure, days / WEEK_DAYS) for days in HORIZON_DAYS)
    return (*ahead, irregular.discounted_orders_if_alive(timing, frequency, tenure, value_weeks, discount))


@lru_cache(maxsize=FACTORS_KEPT)
def _factors(season: Season, day: int) -> tuple[float, ...]:
    """The season's factor over each horizon."""
    return tuple(factor(season, day, days / WEEK_DAYS) for days in HORIZON_DAYS)


def to_parameters(model: Model) -> dict[str, float]:
    """The model as numbers by name, for `ModelFitted`."""
    numbers = {f"timing.{name}": getattr(model.timing, name) for name in ("r", "alpha", "a", "b")}
    numbers |= {f"spend.{name}": getattr(model.spend, name) for name in _OF_SPEND}
    numbers |= {f"rhythm.{name}": getattr(model.rhythm.timing, name) for name in ("r", "alpha", "a", "b")}
    numbers |= {f"rhythm.share_{k}": share for k, share in zip(REGULARITIES, model.rhythm.shares, strict=True)}
    numbers |= {f"season.month_{month + 1}": each for month, each in enumerate(model.season.months)}
    numbers |= {name: getattr(model, name) for name in _PLAIN}
    numbers["fitted_on"] = float(model.fitted_on)
    numbers["season.level"] = model.season.level
    numbers["season.level_on"] = float(model.season.level_on)
    if model.calibration is not None:
        numbers["calibration.weeks"] = model.calibration.weeks
        numbers["calibration.intercept"] = model.calibration.intercept
        named = zip(FEATURES, model.calibration.weights, strict=True)
        numbers |= {f"calibration.{name}": weight for name, weight in named}
        numbers["calibration.most"] = model.calibration.most
        if model.calibration.lift < inf:  # the wire has no infinity
            numbers["calibration.lift"] = model.calibration.lift
    return numbers


_OF_SPEND: Final = ("p", "q", "gamma", "paying_fraction", "poor_minor")
_PLAIN: Final = ("level", "second_order_weeks", "value_weeks", "discount", "return_weeks", "revenue_rate")


def from_parameters(numbers: Mapping[str, float]) -> Model:
    """The model that the numbers name. Raises KeyError for one that is missing, ValueError for one that cannot be."""
    problem = implausible(numbers)
    if problem is not None:
        raise ValueError(problem)

    def of(part: str, *names: str) -> list[float]:
        return [numbers[f"{part}.{name}"] for name in names]

    calibration = None
    if "calibration.weeks" in numbers:
        weeks, intercept, *weights = of("calibration", "weeks", "intercept", *FEATURES)
        bounds = numbers.get("calibration.most", 1.0), numbers.get("calibration.lift", inf)
        calibration = Calibration(weeks, intercept, tuple(weights), *bounds)
    first, second, third = of("rhythm", *(f"share_{k}" for k in REGULARITIES))
    months = tuple(of("season", *(f"month_{month + 1}" for month in range(MONTHS))))
    season = Season(months, numbers["season.level"], int(numbers.get("season.level_on", numbers["fitted_on"])))
    model = Model(
        timing=_timing(of("timing", "r", "alpha", "a", "b")),
        spend=_spend(numbers),
        rhythm=Rhythm(_timing(of("rhythm", "r", "alpha", "a", "b")), (first, second, third)),
        season=NO_SEASON if season == NO_SEASON else season,
        calibration=calibration,
        fitted_on=int(numbers["fitted_on"]),
        **{name: numbers[name] for name in _PLAIN},
    )
    for asked in _ASKED:
        ahead = _ahead(model, asked.frequency, asked.recency)
        rate = (model.timing.r + asked.frequency) / (model.timing.alpha + asked.recency)
        most = [rate * weeks for weeks in (*[days / WEEK_DAYS for days in HORIZON_DAYS], model.value_weeks)]
        if not all(0.0 <= orders <= limit * _ROUGHLY for orders, limit in zip(ahead, most, strict=True)):
            raise ValueError(
                f"orders of somebody who came again {asked.frequency} times: expected no more than as many as"
                f" if nobody left, {most}, got {ahead}"
            )
    return model


def not_of_a_shop(model: Model) -> str | None:
    """Why the model's numbers would be taken for none where they arrive, in words; None if they would not."""
    try:
        from_parameters(to_parameters(model))
    except ValueError as problem:
        return str(problem)
    return None


_ROUGHLY: Final = 1.001
"""Expected orders are right to some ten-thousandths."""
_ASKED: Final = (History(0, 0), History(0, 1, 1), History(0, 7, 1), History(0, 60, 2), History(0, 100, 100))
"""Whom a model is asked about before it counts: formulas give out first where least time has passed."""


def _spend(numbers: Mapping[str, float]) -> Spend:
    """In a model from before they were counted, all days leave something."""
    p, q, gamma = (numbers[f"spend.{name}"] for name in ("p", "q", "gamma"))
    return Spend(p, q, gamma, numbers.get("spend.paying_fraction", 1.0), numbers.get("spend.poor_minor", 0.0))


def _timing(numbers: list[float]) -> Timing:
    r, alpha, a, b = numbers
    return Timing(r, alpha, a, b)
