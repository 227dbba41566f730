"""Inputs against outputs: what departments and channels do and cost, beside revenue, profit and value."""

from __future__ import annotations

from pipeline.analysis.report.channels import FLAG, FLAGGED_AFTER, channel_row
from pipeline.analysis.report.funnel import people
from pipeline.analysis.report.measures import (
    DEPARTMENTS,
    Measure,
    Row,
    activities_of,
    add,
    brought,
    cost,
    cost_of,
    net_revenue,
    nothing,
    profit,
    value_of,
)
from pipeline.analysis.report.outputs import output_tables
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell, Part, mean, share, table, with_total
from pipeline.analysis.report.tally import CHANNEL, NO_TIER, TIER, WHOLE_TIME
from pipeline.analysis.report.tiers import tier_rank
from pipeline.analysis.report.words import amount
from pipeline.core.acquisition import WHOLE
from pipeline.core.audit import lines_of


def inputs(shop: Shop) -> Part:
    """The part."""
    whole = shop.whole()
    tables = [
        table(
            "departments",
            "Departments in this time",
            "department activities cost_minor cost_share",
            [
                [each, activities_of(whole, each), cost_of(whole, each), share(cost_of(whole, each), cost(whole))]
                for each in DEPARTMENTS
            ],
        ),
        *output_tables(shop),
        with_total(
            table(
                "inputs_outputs",
                "Costs against revenue and profit",
                "period net_revenue_minor margin_minor marketing_minor sales_minor service_minor profit_minor buyers "
                "profit_per_buyer_minor",
                _by_period(shop),
                shown_max=3,
            ),
            *_in_outs(whole, people(shop, "buyers", WHOLE_TIME)),
        ),
        table(
            "inputs_outputs_by_channel",
            "Channels: what was spent and done, and what orders brought by the touches before them",
            "channel touches activities spend_minor orders_attributed net_revenue_minor brought_minor",
            _by_channel(shop),
            shown_max=0,
        ),
    ]
    remarks = []
    has_tiers = shop.tally.keys(TIER) not in ([], [NO_TIER])
    tables.append(
        table(
            "inputs_outputs_by_tier",
            "The same by tier, and what is of no customer",
            "tier activities cost_minor net_revenue_minor profit_minor",
            _by_tier(shop) if has_tiers else [],
            shown_max=12 if has_tiers else 0,
        )
    )
    if not has_tiers:
        remarks.append("By tier: nobody has a tier yet (`wafa fit`).")
    else:
        remarks += [
            f"{tier.upper()} {FLAG}: profit was below zero in the last two whole periods."
            for tier in shop.tally.keys(TIER)
            if tier != NO_TIER and costs_more_than_it_brings(shop, tier)
        ]
    lines = adds_up(shop)
    title = "What was promised, to date: consent (marketing), delivery (sales), answers (service)"
    tables.append(table("promises", title, "department kept broken open kept_share", _promises(shop)))
    unacquired = shop.unacquired.total()
    if unacquired:
        told = amount(unacquired, shop.currency)
        remarks.append(
            f"To date channels spent {told} that won nobody: a cost of its time, and in no customer's value."
        )
    columns = "line report_minor customers_minor difference_minor"
    tables.append(table("adds_up", "Against the customers' values", columns, lines, shown_max=0))
    wrong = [str(line[0]) for line in lines if line[3]]
    if wrong:
        remarks.append(f"Does not add up with the customers' values: {', '.join(wrong)}; see `wafa books`.")
    return Part("inputs", "Inputs against outputs", tuple(tables), tuple(remarks))


def costs_more_than_it_brings(shop: Shop, tier: str) -> bool:
    """Whether a tier's customers brought less than they cost in each of the last two whole periods."""
    last = shop.whole_periods()[-FLAGGED_AFTER:]
    return len(last) == FLAGGED_AFTER and all(profit(shop.tally.row(TIER, tier, number)) < 0 for number in last)


def _by_period(shop: Shop) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for number in range(len(shop.calendar.periods)):
        row = shop.row(number)
        rows.append([shop.name(number), *_in_outs(row, row[Measure.BUYERS])])
    return rows


def _in_outs(row: Row, buyers: int) -> list[Cell]:
    costs = [cost_of(row, department) for department in DEPARTMENTS]
    return [net_revenue(row), row[Measure.MARGIN], *costs, profit(row), buyers, mean(profit(row), buyers)]


def _by_channel(shop: Shop) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for name in sorted({*shop.tally.keys(CHANNEL), *(channel for channel, _ in shop.spend)}):
        row = channel_row(shop, name)
        orders = shop.tally.attributed.get((shop.policy.value.attribution, name), [0])[0] / WHOLE
        done = sum(activities_of(row, department) for department in DEPARTMENTS) - row[Measure.TOUCHES]
        rows.append(
            [name, row[Measure.TOUCHES], done, shop.spent_on(name), round(orders, 2), net_revenue(row), brought(row)]
        )
    return rows


def _by_tier(shop: Shop) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    rest = shop.whole()
    for tier in sorted(shop.tally.keys(TIER), key=tier_rank):
        row = nothing()
        for number in range(len(shop.calendar.periods)):
            add(row, shop.tally.row(TIER, tier, number))
        rest = [left - part for left, part in zip(rest, row, strict=True)]
        rows.append([tier or "none", *_inputs_outputs(row)])
    of_nobody = _inputs_outputs(rest)
    return [*rows, ["of no customer", *of_nobody]] if any(of_nobody) else rows


def _inputs_outputs(row: Row) -> list[Cell]:
    done = sum(activities_of(row, department) for department in DEPARTMENTS)
    return [done, cost(row), net_revenue(row), profit(row)]


def _promises(shop: Shop) -> list[list[Cell]]:
    return [
        [department, owed.kept, owed.broken, owed.open, share(owed.kept, owed.kept + owed.broken)]
        for department, owed in sorted(shop.tally.owed.items())
        if owed.made
    ]


def adds_up(shop: Shop) -> list[list[Cell]]:
    """Each sum of the report over all time, beside the same sum over the customers' values."""
    ours = value_of(shop.tally.totals)
    return [[*line, line.difference_minor] for line in lines_of(ours, shop.tally.value)]
