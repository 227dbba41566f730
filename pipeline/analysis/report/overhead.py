"""What the shop spent on no customer: activities of channels and departments, and costs that name no channel.

What names a channel is its spend (`ChannelCostRevised`, where a file may stand in its place): not counted here again.
"""

from __future__ import annotations

from pipeline.analysis.report.calendar import number_of
from pipeline.analysis.report.measures import Measure, nothing
from pipeline.analysis.report.tally import CHANNEL, OVERHEAD, Tally
from pipeline.core.shop_costs import spans
from pipeline.schemas.shop_costs import ShopCost


def take_cost(tally: Tally, cost: ShopCost, today: int) -> None:
    """Sum one cost more: of the days it was stated for, come or not; else of its month, this month's up to today."""
    department, calendar = cost.department.upper(), tally.calendar
    period = calendar.place(int(cost.occurred_at.timestamp())).period
    for what, which in ((OVERHEAD, ""), (CHANNEL, cost.channel)):
        if which is not None:
            row = tally.rows.setdefault((what, which, period), nothing())
            row[Measure[f"{department}_ACTIVITIES"]] += cost.activity_count
    if cost.channel is None:
        is_dated = cost.period_start_on is not None or cost.period_end_on is not None
        for first_on, last_on, part in spans(cost, calendar.zone):
            first, last = number_of(first_on), number_of(last_on)
            if not is_dated and first <= today:
                last = min(last, today)
            for number, amount in calendar.of_days(part, first, last).items():
                tally.rows.setdefault((OVERHEAD, "", number), nothing())[Measure[department]] += amount
