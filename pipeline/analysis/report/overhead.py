"""What the shop spent on no customer: activities of channels and departments, and costs that name no channel.

What names a channel is its spend (`ChannelCostRevised`, where a file may stand in its place): not counted here again.
"""

from __future__ import annotations

from pipeline.analysis.report.calendar import month_named
from pipeline.analysis.report.measures import Measure, nothing
from pipeline.analysis.report.tally import CHANNEL, OVERHEAD, Tally
from pipeline.core.shop_costs import by_month
from pipeline.schemas.shop_costs import ShopCost


def take_cost(tally: Tally, cost: ShopCost, today: int) -> None:
    """Sum one cost more; a part that is for days to come is of these."""
    department, calendar = cost.department.upper(), tally.calendar
    period = calendar.place(int(cost.occurred_at.timestamp())).period
    for what, which in ((OVERHEAD, ""), (CHANNEL, cost.channel)):
        if which is not None:
            row = tally.rows.setdefault((what, which, period), nothing())
            row[Measure[f"{department}_ACTIVITIES"]] += cost.activity_count
    if cost.channel is None:
        for month, part in by_month(cost, calendar.zone):
            for number, amount in calendar.of_month(part, month_named(month), today).items():
                tally.rows.setdefault((OVERHEAD, "", number), nothing())[Measure[department]] += amount
