"""What departments brought about, beside what they cost: each thing is one department's, as the log tells it.

Marketing: people and customers by channels' touches, and answers to its e-mails. Sales: orders that were kept, their
margin, and deliveries in time. Service: tickets solved, and answers in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pipeline.analysis.report.measures import Measure, Row, add, cost_of, nothing
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Table, mean, share, table
from pipeline.analysis.report.tally import OF_NO_CHANNEL
from pipeline.core.acquisition import WHOLE

Output = Callable[[Shop, Sequence[int], Row], Cell]
"""What was brought about in some periods, and their row."""
_COLUMNS: Final = "department output unit result cost_each_minor"


def output_tables(shop: Shop) -> tuple[Table, Table]:
    """In the whole time, and by period."""
    every = range(len(shop.calendar.periods))
    by_period = [[shop.name(number), *row] for number in every for row in _outputs(shop, [number])]
    return (
        table("department_outputs", "What departments brought about in this time", _COLUMNS, _outputs(shop, every)),
        table(
            "department_outputs_by_period", "The same by period", f"period {_COLUMNS}", by_period, shown_max=0
        ),
    )  # fmt: skip


def _outputs(shop: Shop, periods: Sequence[int]) -> Iterable[list[Cell]]:
    row = nothing()
    for number in periods:
        add(row, shop.row(number))
    for department, name, unit, of in _OUTPUTS:
        result = of(shop, periods, row)
        is_counted = unit == "count" and isinstance(result, int | float)
        cost_each = mean(cost_of(row, department), float(result or 0)) if is_counted else None
        yield [department, name, unit, result, cost_each]


def _of_channels(shop: Shop, step: str, periods: Sequence[int]) -> int:
    people = shop.tally.people
    return sum(
        count
        for (of, channel, number), count in people.items()
        if of == step and channel and channel not in OF_NO_CHANNEL and number in periods
    )


def _measured(measure: Measure) -> Output:
    return lambda shop, periods, row: row[measure]


def _in_time(department: str) -> Output:
    def of(shop: Shop, periods: Sequence[int], row: Row) -> Cell:
        kept, broken = (
            sum(shop.tally.promises[outcome, department, number] for number in periods)
            for outcome in ("kept", "broken")
        )
        return share(kept, kept + broken)

    return of


_OUTPUTS: Final[tuple[tuple[str, str, str, Output], ...]] = (
    ("marketing", "newly known, by a channel", "count",
     lambda shop, periods, row: _of_channels(shop, "newcomers", periods)),
    ("marketing", "customers won by channels", "count",
     lambda shop, periods, row: round(_of_channels(shop, "persuaded", periods) / WHOLE, 2)),
    ("marketing", "e-mails answered", "count", _measured(Measure.ANSWERED)),
    ("sales", "orders kept", "count", _measured(Measure.KEPT)),
    ("sales", "margin", "money", _measured(Measure.MARGIN)),
    ("sales", "deliveries in time", "share", _in_time("sales")),
    ("service", "tickets solved", "count", _measured(Measure.SOLVED)),
    ("service", "answers in time", "share", _in_time("service")),
)  # fmt: skip
