"""What the shop wanted, what is, and what will be: goals from the policy against each period, with a forecast's band.

A forecast is of the whole period: what is so far, and for the days left what the shop has done lately. It needs some
weeks of history; a band holds nine periods in ten if the shop goes on as it did. A target is of a whole period: what
the report cuts off one has none, and so neither forecast nor gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.analysis.report.ahead import FORECAST, Band
from pipeline.analysis.report.measured import ACTUAL
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, Report, table
from pipeline.core.policy import GOALS, Policy

FIGURES_SHOWN: Final = ("target", "actual", "forecast", "forecast_low", "forecast_high", "gap")
_LESS_IS_BETTER: Final = ("cpa",)


def goals(shop: Shop) -> Part:
    """The part: the periods of the report, where they are those of the goals."""
    rules, wanted = shop.policy.goals, goals_set(shop.policy)
    if not wanted:
        return _part((), (), ("No goal is set: see `[goals]` in the policy.",))
    if not _are_the_goals_periods(shop):
        return _part((), (), (f"Goals are for a {rules.period} each: use --period {rules.period}.",))
    begun = sum(period.first_day <= shop.today for period in shop.calendar.periods)  # no goal is missed beforehand
    rows = [_row(shop, name, number) for number in range(begun) for name in wanted]
    latest = rows[-2 * len(wanted) :]
    cut = [shop.name(number) for number in range(begun) if shop.calendar.periods[number].is_cut]
    remarks = [
        f"{name}: a target is of a whole {rules.period}; a part of one has none, and no forecast or gap."
        for name in cut
    ]
    return _part(latest, rows, remarks)


def _part(latest: Sequence[Sequence[Cell]], rows: Sequence[Sequence[Cell]], remarks: Sequence[str]) -> Part:
    columns = " ".join(("period goal owner unit", *FIGURES_SHOWN))
    shown_max = 2 * len(GOALS) if latest else 0  # where there is none, a remark says why
    return Part(
        "goals",
        "Goals",
        (
            table("goals", "Goals: the last two periods", columns, latest, shown_max=shown_max),
            table("goals_by_period", "Goals, every period", columns, rows, shown_max=0),
        ),
        tuple(remarks),
    )


def _are_the_goals_periods(shop: Shop) -> bool:
    return shop.calendar.kind == shop.policy.goals.period


def goals_set(policy: Policy) -> list[str]:
    """The goals that have a target."""
    return [name for name in GOALS if _target(policy, name)]


def _target(policy: Policy, name: str) -> float:
    goal = getattr(policy.goals, name)
    permille = getattr(goal, "target_permille", None)
    return float(goal.target_minor) if permille is None else permille / 1000


def _row(shop: Shop, name: str, number: int) -> list[Cell]:
    goal, actual = getattr(shop.policy.goals, name), ACTUAL[name](shop, number)
    unit = "money" if hasattr(goal, "target_minor") else "share"
    figures: tuple[float | None, ...] = (None, actual, None, None, None, None)
    if not shop.calendar.periods[number].is_cut:
        figures = _whole(shop, name, number, actual)
    return [shop.name(number), name, goal.owner, unit, *(_rounded(each, unit) for each in figures)]


def _whole(shop: Shop, name: str, number: int, actual: float | None) -> tuple[float | None, ...]:
    """The figures of a whole period, in their order."""
    target, is_over = _target(shop.policy, name), shop.is_over(shop.calendar.periods[number])
    band: Band | None = None if is_over else FORECAST[name](shop, number)
    expected = band[0] if band else actual if is_over else None
    gap = None if expected is None else (expected - target) * (-1 if name in _LESS_IS_BETTER else 1)
    return target, actual, expected, *(band[1:] if band else (None, None)), gap


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
