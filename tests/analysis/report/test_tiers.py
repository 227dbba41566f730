"""Tiers and what is expected, where profiles hold them: shares, returns, moves, and whose wishes come first."""

from __future__ import annotations

import io
from datetime import date, datetime

import pytest
from msgspec.structs import replace
from rich.console import Console

from pipeline.analysis.report.calendar import PeriodKind
from pipeline.analysis.report.table import Report
from pipeline.analysis.report.tally import Moments
from pipeline.analysis.report.tiers import tiers
from pipeline.core.population import EVERY, alike
from pipeline.schemas import logged
from pipeline.schemas.shop_costs import ShopCost
from pipeline.telling_report import print_report
from tests.analysis.report.shops import Told, report_of, shop_of
from tests.core.builders import day, order, policy, said, ticket
from tests.core.test_acquisition import revised, touch
from tests.core.test_forecast import fitted
from tests.core.test_population import SHOP, measured

RULES = policy(value__service_hour_cost_minor=6_000)
LINES = replace(
    SHOP, value=(20_000,) * 19, gap=(5_000,) * 19, serve=(300,) * 19,
    best_ahead_minor={alike(EVERY, EVERY): 60_000}, best_categories={},
)  # fmt: skip


def grown_and_small() -> list[Told]:
    """Grown bought little at first and then every week; small buys little; both and the poorest said something."""
    grown: list[Told] = [("grown", order(0, "first", 500))]
    grown += [("grown", order(33 + 4 * week, f"g{week}", 9_000)) for week in range(13)]
    grown += [("grown", ticket(80, "idea", "product_idea", category="colour"))]
    small: list[Told] = [("small", order(1, "s", 3_000)), ("small", ticket(2, "bad", category="late"))]
    small += [("small", said(logged.TicketUpdated, 3 + n, ticket_id="bad", service_minutes=9.0)) for n in range(2)]
    ticks: list[Told] = [("", logged.Tick(as_of=day(on))) for on in range(1, 89, 3)]
    return [("", fitted(0)), ("", measured(0, LINES)), *sorted([*grown, *small, *ticks], key=at)]


def at(each: Told) -> datetime:
    """When it happened, or what time it tells."""
    told: datetime = getattr(each[1], "occurred_at", None) or each[1].as_of
    return told


@pytest.fixture(scope="module")
def report() -> Report:
    """Of the first three months of 2026."""
    return report_of(grown_and_small(), rules=RULES)


def test_each_tier_has_its_share_of_customers_value_and_cost(report: Report) -> None:
    table = report.part("tiers").table("tiers")
    assert table.column("tier") == ["mvc", "mgc"]
    assert report.part("inputs").table("inputs_outputs_by_tier").column("tier") == ["mvc", "mgc"], "in one order"
    assert table.column("customers_share") == [0.5, 0.5]
    grown, small = 400 * (500 + 13 * 9_000) // 1000, 400 * 3_000 // 1000 - 2 * 900
    assert table.column("value_minor") == [grown, small]
    assert table.column("cost_minor") == [0, 1_800]
    assert table.column("returned") == [None, round(small / 1_800, 4)]


def test_a_tier_that_costs_more_than_it_brings_two_periods_running_is_named() -> None:
    """Served for 90.00 a month from orders that leave 4.00 each."""
    told: list[Told] = [("", fitted(0)), ("", measured(0, LINES)), ("", logged.Tick(as_of=day(1)))]
    for month in range(3):
        on = 31 * month + 2
        told.append(("a", order(on, f"{month}", 1_000)))
        told.append(("a", said(logged.ContactMade, on + 1, department="service", service_minutes=90.0)))
    remarks = report_of(told, rules=RULES, now=95).part("inputs").remarks
    assert any("costs more than it brings" in each for each in remarks), remarks
    table = report_of(told, rules=RULES, now=95).part("tiers").table("tiers")
    assert (table.column("value_minor"), table.column("value_share")) == ([3 * (400 - 9_000)], [None]), (
        "no share of a loss"
    )
    cheap = [each for each in told if not isinstance(each[1], logged.ContactMade)]
    assert report_of(cheap, rules=RULES, now=95).part("inputs").remarks == ()


def test_tiers_and_what_is_no_customers_are_the_shop_to_the_minor_unit() -> None:
    """A fair for 9.00, a billboard that won nobody for 500.00; search, whose January won one of February besides."""
    told: list[Told] = [
        ("", fitted(0)),
        ("", measured(0, LINES)),
        ("a", touch(1, "search")),
        ("a", order(2, "A", 5_000)),
    ]
    told += [("b", touch(33, "search")), ("b", order(34, "B", 40_000)), ("", logged.Tick(as_of=day(80)))]
    spent = [revised("billboard", 50_000, 0), revised("search", 1_001, 1), revised("search", 700, 1, month="2026-02")]
    fair = ShopCost(department="sales", amount_minor=900, currency="USD", occurred_at=day(2), activity="stand")
    found = report_of(told, *spent, rules=RULES, costs=[fair]).part("inputs")
    by_tier, by_period = found.table("inputs_outputs_by_tier"), found.table("inputs_outputs")
    assert by_tier.rows[-1] == ("of no customer", 1, 50_900, 0, -50_900)
    for figure in ("net_revenue_minor", "profit_minor"):
        assert sum(by_tier.column(figure)) == sum(by_period.column(figure))
    spent_by_all = found.table("departments").column("cost_minor")
    assert sum(by_tier.column("cost_minor")) == sum(spent_by_all) == 50_900 + 1_001 + 700


def test_moves_from_growable_to_valuable_are_told_first(report: Report) -> None:
    moves = report.part("tiers").table("tier_moves")
    assert ("2026-02", "mgc to mvc", 1) in moves.rows
    assert all("unknown" not in str(row[1]) for row in moves.rows)


@pytest.mark.parametrize(
    ("first", "last", "kind", "periods"),
    [
        (date(2026, 2, 10), date(2026, 3, 31), "month", ["2026-02 (part)"]),  # it begins before February's end
        (date(2026, 1, 1), date(2026, 2, 27), "month", []),  # and ends before it: not known by then
        (date(2026, 1, 1), date(2026, 3, 31), "quarter", ["2026-Q1 (not over)"]),
    ],
)
def test_a_move_stands_in_the_period_in_which_its_month_ends(
    first: date, last: date, kind: PeriodKind, periods: list[str]
) -> None:
    """Grown was growable at January's end, and is valuable at February's."""
    moves = report_of(grown_and_small(), rules=RULES, first=first, last=last, kind=kind).part("tiers")
    assert moves.table("tier_moves").column("period") == periods


def test_of_the_month_there_is_now_a_move_is_known_so_far() -> None:
    """On the 21st of February, in a report to its end and in one to that day."""
    told = [*grown_and_small()[:2], *(each for each in grown_and_small()[2:] if at(each) < day(51))]
    for last in (date(2026, 2, 28), date(2026, 2, 21)):
        found = report_of(told, rules=RULES, last=last, now=51).part("tiers").table("tier_moves")
        assert found.column("move") == ["mgc to mvc"]


def test_in_which_week_a_tier_changed_is_not_told_for_it_is_not_known() -> None:
    part = report_of(grown_and_small(), rules=RULES, first=date(2026, 1, 26), kind="week").part("tiers")
    assert part.table("tiers").rows
    assert part.table("tier_moves").rows == ()
    assert part.remarks == ("Moves are known from month's end to month's end: use --period month.",)


def test_of_many_moves_a_terminal_shows_the_latest_and_growable_to_valuable_among_them() -> None:
    """Six rows of nine: all of March, then what February begins with."""
    shop = shop_of([("a", order(1, "A"))])
    shop.tally.by_tier = {"mvc": Moments()}
    for period in range(3):
        for before, after in (("bz", "mgc"), ("mgc", "mvc"), ("rest", "mgc")):
            shop.tally.tier_moves[before, after, period] = period + 1
    moves = tiers(shop).table("tier_moves")
    assert len(moves.rows) == 9
    assert moves.shown == (
        ("2026-03 (not over)", "mgc to mvc", 3), ("2026-03 (not over)", "bz to mgc", 3),
        ("2026-03 (not over)", "rest to mgc", 3),
        ("2026-02", "mgc to mvc", 2), ("2026-02", "bz to mgc", 2), ("2026-02", "rest to mgc", 2),
    )  # fmt: skip
    out = io.StringIO()
    print_report(Report("", "", "", "USD", (tiers(shop),)), Console(file=out, width=160))
    assert out.getvalue().count("mgc to mvc") == 2


def test_the_most_valuable_customers_wishes_come_first(report: Report) -> None:
    table = report.part("needs").table("needs")
    assert [(row[0], row[3], row[6]) for row in table.rows] == [("product idea", "colour", 1), ("complaint", "late", 0)]


def test_what_is_still_expected_stands_beside_what_is(report: Report) -> None:
    table = report.part("cohorts").table("value_at_risk")
    predicted = table.column("predicted_minor")
    assert all(isinstance(each, int) and each > 0 for each in predicted)
    assert not any("no prediction" in remark for remark in report.part("cohorts").remarks)
    by_tier = report.part("inputs").table("inputs_outputs_by_tier")
    assert set(by_tier.column("tier")) == {"mvc", "mgc"}
