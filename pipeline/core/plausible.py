"""What the numbers of a model can be in any shop. Beyond, formulas end in no number, or in orders by the million.

A model is refused for what it says of nobody, not for being odd.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Final

_POSITIVE: Final = 1e-9
_RATES: Final = {"r": (1e-6, 1e6), "alpha": (1e-6, 1e8), "a": (1e-6, 1e6), "b": (1e-6, 1e6)}
"""As wide as a fit may search: r and alpha are in the thousands where customers are alike, as subscribers are."""
ORDERS_A_WEEK_MAX: Final = 70.0
"""Of somebody unknown; a day's purchases count as one."""
MONEY_MAX: Final = 1e11
"""Minor units: what a purchase day leaves on average, or a cut between customers."""
REVENUE_RATE_MAX: Final = 1e6
_HORIZON_WEEKS_MAX: Final = 1_000.0
_DAY_MAX: Final = 200_000.0
"""Since 1970: the year 2517."""
_WEIGHTS: Final = (-1e9, 1e9)
"""Of the correction: large where a thing hardly varies."""
_ANY: Final = (-inf, inf)
BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    **{f"{part}.{name}": bounds for part in ("timing", "rhythm") for name, bounds in _RATES.items()},
    "spend.p": (1e-4, 1e6),
    "spend.q": (1.0 + _POSITIVE, 1e6),
    "spend.gamma": (_POSITIVE, 1e18),
    "spend.paying_fraction": (_POSITIVE, 1.0),
    "spend.poor_minor": (-MONEY_MAX, 0.0),
    "level": (1e-12, 0.999),
    "second_order_weeks": (0.0, 1e5),
    "value_weeks": (_POSITIVE, _HORIZON_WEEKS_MAX),
    "return_weeks": (_POSITIVE, _HORIZON_WEEKS_MAX),
    "discount": (0.0, 1.0),
    "revenue_rate": (0.0, REVENUE_RATE_MAX),
    "fitted_on": (0.0, _DAY_MAX),
    **{f"season.month_{month}": (_POSITIVE, 12.001) for month in range(1, 13)},
    "season.level": (_POSITIVE, 1e3),
    "season.level_on": (0.0, _DAY_MAX),
    "calibration.weeks": (_POSITIVE, _HORIZON_WEEKS_MAX),
    "calibration.most": (0.0, 1.0),
}


def implausible(numbers: Mapping[str, float]) -> str | None:
    """What of a model's numbers no shop can have, in words; None if every shop might."""
    for name, number in numbers.items():
        low, high = BOUNDS.get(name, _WEIGHTS if name.startswith("calibration.") else _ANY)
        if not (isfinite(number) and low <= number <= high):
            return f"{name}: expected {low:g} to {high:g}, got {number:g}"
    for part in ("timing", "rhythm"):
        r, alpha = (numbers.get(f"{part}.{name}", 1.0) for name in ("r", "alpha"))
        if r > alpha * ORDERS_A_WEEK_MAX:
            return f"{part}: expected at most {ORDERS_A_WEEK_MAX:g} orders a week on average, got {r / alpha:g}"
    p, q, gamma = (numbers.get(f"spend.{name}", usual) for name, usual in (("p", 1.0), ("q", 2.0), ("gamma", 1.0)))
    if p * gamma > MONEY_MAX * (q - 1.0):
        return f"spend: expected a mean margin of at most {MONEY_MAX:g}, got {p * gamma / (q - 1.0):g}"
    return None
