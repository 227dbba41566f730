"""What goals count, period by period: so far, and nothing where nobody has bought, said or been promised anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from pipeline.analysis.report.funnel import people
from pipeline.analysis.report.measures import DEPARTMENTS, Measure, net_revenue, profit
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.tally import MICRO
from pipeline.core.acquisition import WHOLE


class Counted(NamedTuple):
    """A share, as so much of so many."""

    part: float
    whole: float

    @property
    def share(self) -> float | None:
        """None of nothing."""
        return self.part / self.whole if self.whole else None


def _repeat(shop: Shop, number: int) -> Counted:
    row = shop.row(number)
    return Counted(row[Measure.REPEAT_ORDERS], row[Measure.ORDERS])


def retained(shop: Shop, number: int) -> Counted:
    """Of who bought in the period before, those who bought again in this one."""
    return Counted(shop.tally.retained[number], shop.tally.bought_before[number])


def _satisfied(shop: Shop, number: int) -> Counted:
    return Counted(shop.tally.score_micro["heard", number] / MICRO, people(shop, "heard", number))


def satisfied_apart(shop: Shop, number: int) -> tuple[Counted, Counted]:
    """The same of those whose complaint was open when the period began, and of all others."""
    micro, heard, complaining = (
        shop.tally.score_micro,
        people(shop, "heard", number),
        people(shop, "complaining", number),
    )
    of_all, of_these = micro["heard", number], micro["complaining", number]
    return Counted(of_these / MICRO, complaining), Counted((of_all - of_these) / MICRO, heard - complaining)


def _kept(shop: Shop, number: int) -> Counted:
    kept, broken = (
        sum(shop.tally.promises[outcome, department, number] for department in DEPARTMENTS)
        for outcome in ("kept", "broken")
    )
    return Counted(kept, kept + broken)


def won(shop: Shop, number: int) -> tuple[int, int]:
    """(spend, parts won) of the channels that were paid in a period."""
    paid = {channel for (channel, period), amount in shop.spend.items() if period == number and amount}
    return shop.spent(number), sum(shop.tally.people["persuaded", channel, number] for channel in sorted(paid))


def _cpa(shop: Shop, number: int) -> float | None:
    spend, parts = won(shop, number)
    return spend * WHOLE / parts if parts else None


def profit_per_buyer(shop: Shop, number: int) -> float | None:
    """Profit by buyers; None for nobody."""
    row = shop.row(number)
    return profit(row) / row[Measure.BUYERS] if row[Measure.BUYERS] else None


COUNTED: Final[dict[str, Callable[[Shop, int], Counted]]] = {
    "repeat_share": _repeat,
    "retention": retained,
    "satisfaction": _satisfied,
    "promises_kept": _kept,
}
ACTUAL: Final[dict[str, Callable[[Shop, int], float | None]]] = {
    "sales": lambda shop, number: float(net_revenue(shop.row(number))),
    "cpa": _cpa,
    "value_per_customer": profit_per_buyer,
    **{name: lambda shop, number, of=of: of(shop, number).share for name, of in COUNTED.items()},  # type: ignore[misc]  # mypy knows no type for a lambda's default
}
