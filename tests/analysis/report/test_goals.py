"""Goals: what is, by arithmetic; what will be, by simulated shops whose bands must hold as often as they say."""

from __future__ import annotations

from collections import Counter
from datetime import date
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import metrics
from pipeline.analysis.report.ahead import drift, sales_ahead, share_ahead
from pipeline.analysis.report.calendar import Calendar, PeriodKind, date_at, month_days, number_of, periods_between
from pipeline.analysis.report.compose import composed
from pipeline.analysis.report.goals import goal_figures
from pipeline.analysis.report.measured import Counted
from pipeline.analysis.report.measures import Measure, nothing
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.table import Cell
from pipeline.analysis.report.tally import SHOP, Tally
from pipeline.core.controls import INITIAL
from pipeline.core.policy import DEFAULT, BadPolicy
from pipeline.local import cdnow
from pipeline.reporting import Asked, asked_periods
from pipeline.schemas import logged
from tests.analysis.report.shops import Told, shop_of
from tests.core.builders import cancelled, day, order, policy, resolved, said, ticket
from tests.core.test_acquisition import revised, touch

GOALS = policy(
    value__margin_permille=500,
    goals__sales__target_minor=10_000,
    goals__repeat_share__target_permille=500,
    goals__retention__target_permille=400,
    goals__cpa__target_minor=1_000,
    goals__value_per_customer__target_minor=3_000,
    goals__satisfaction__target_permille=800,
    goals__promises_kept__target_permille=900,
)
FEBRUARY = 31


def promised(who: str, name: str, on: float, delivered: float | None) -> list[Told]:
    """A delivery promised within two days."""
    told: list[Told] = [(who, said(logged.OrderPromised, on, order_id=name, promised_at=day(on + 2)))]
    if delivered is not None:
        told.append((who, said(logged.OrderDelivered, delivered, order_id=name)))
    return told


LIFE = [
    ("a", touch(1, "search")), ("a", order(2, "A", 8_000)), ("b", order(3, "B", 4_000)),
    *promised("a", "A", 2, 3), *promised("b", "B", 3, 9),
    ("a", order(FEBRUARY + 1, "A2", 6_000)), ("c", touch(FEBRUARY, "search")), ("c", order(FEBRUARY + 2, "C", 2_000)),
    ("a", said(logged.SurveyAnswered, FEBRUARY + 3, survey_id="s", kind="csat", score=4.0, score_max=5.0)),
    ("c", said(logged.ReviewPosted, FEBRUARY + 3, review_id="v", rating_fraction=0.5)),
    ("c", ticket(FEBRUARY + 3, "t", "question", promised_at=day(FEBRUARY + 4))),
    ("c", said(logged.TicketUpdated, FEBRUARY + 3.5, ticket_id="t", kind="question", status="pending")),
    *promised("c", "C", FEBRUARY + 2, None),
]  # fmt: skip


def goals(told: list[Told] = LIFE, *controls: Any, **asked: Any) -> dict[tuple[Cell, Cell], dict[str, Cell]]:
    """(period, goal) to its row."""
    shop = shop_of(told, *controls, **{"rules": GOALS, "last": date(2026, 2, 28), "now": 70, **asked})
    table = composed(shop).part("goals").table("goals_by_period")
    return {(row[0], row[1]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_each_goal_is_what_it_says() -> None:
    """Of c in February a review of 0.5 (on the 4th) and a promise broken (on the 5th: 0.1), weighed on the 28th."""
    rows = goals(LIFE, revised("search", 1_500, 1), revised("search", 700, 1, month="2026-02"))
    review, promise = 0.8 * 2 ** (-24 / 180), 0.3 * 2 ** (-23 / 180)
    c = (review * 0.5 + promise * 0.1) / (review + promise)
    february = {str(goal): row["actual"] for (period, goal), row in rows.items() if period == "2026-02"}
    assert february == {
        "sales": 8_000,
        "repeat_share": 0.5,  # A2, of A2 and C
        "retention": 0.5,  # a, of a and b
        "cpa": 700,  # c
        "value_per_customer": 1_650,  # (4,000 of margin - 700) by two buyers
        "satisfaction": pytest.approx((0.8 + c) / 2, abs=2e-6),  # of a it is 0.8
        "promises_kept": 0.5,  # the answer; c's parcel never came
    }
    assert rows["2026-01", "promises_kept"]["actual"] == 0.5
    assert rows["2026-02", "sales"]["forecast"] == 8_000, "of a period that is over, what was"
    assert (rows["2026-02", "sales"]["gap"], rows["2026-02", "cpa"]["gap"]) == (-2_000, 300), "of cpa less is better"
    assert rows["2026-02", "promises_kept"]["owner"] == "service"


def test_complaints_from_before_are_no_sign_of_who_is_still_to_be_heard() -> None:
    """Each month eight customers say 0.9 on its tenth day, and three complaints of December stay open: 0.68 a month.
    On the first of May those three alone are counted, and the month will be as the others were."""
    told: list[Told] = [(f"c{number}", order(-40, f"o{number}", 1_000)) for number in range(11)]
    told += [(f"c{number}", ticket(-20, f"t{number}")) for number in range(8, 11)]
    for first in (0, 31, 59, 90):
        survey = said(logged.SurveyAnswered, first + 9, survey_id="s", kind="csat", score=9.0, score_max=10.0)
        told += [(f"c{number}", survey) for number in range(8)]
    rows = goals(told, last=date(2026, 5, 31), now=120)
    april, may = rows["2026-04", "satisfaction"]["actual"], rows["2026-05 (not over)", "satisfaction"]
    assert april == pytest.approx((8 * 0.9 + 3 * 0.1) / 11, abs=1e-6)
    assert may["actual"] == pytest.approx(0.1)
    assert may["forecast"] == pytest.approx(april, abs=0.02)


def test_who_says_ten_of_ten_beside_complaints_that_stay_open_is_forecast_as_any_other() -> None:
    """Two complaints of February stay open, whose people say 9 of 10 in March, on the 8th; three others say 10 of 10.

    On the 12th the complaint weighs 0.8, the survey four days less than 1; of the three, ever more will say 10 of 10.
    """
    told: list[Told] = [(f"c{number}", order(1, f"o{number}")) for number in range(5)]
    told += [(f"c{number}", ticket(40, f"t{number}")) for number in (3, 4)]
    for number in range(5):
        score = 10.0 if number < 3 else 9.0
        survey = said(logged.SurveyAnswered, 66, survey_id="s", kind="csat", score=score, score_max=10.0)
        told.append((f"c{number}", survey))
    march = goals(told, first=date(2026, 3, 1), last=date(2026, 3, 31))["2026-03 (not over)", "satisfaction"]
    survey_weight = 2 ** (-4 / 180)
    theirs = (survey_weight * 0.9 + 0.8 * 0.1) / (survey_weight + 0.8)
    assert march["actual"] == pytest.approx((3 + 2 * theirs) / 5, abs=2e-6)
    ahead = 3 * 31 / 12
    assert march["forecast"] == pytest.approx((ahead + 2 * theirs) / (ahead + 2), abs=2e-6)


def test_a_share_of_fractions_that_add_up_to_a_bit_more_than_all_is_all() -> None:
    tenths = [Counted(0.1, 0.1)] * 3
    assert sum(each.part for each in tenths) > 0.3, "as floats add"
    assert share_ahead(Counted(0.0, 0.0), [Counted(sum(each.part for each in tenths), 0.3)], 10) == (1.0, 1.0, 1.0)


def test_what_nobody_has_said_or_done_is_no_figure() -> None:
    rows = goals([("a", order(2, "A", 8_000))])
    for goal in ("cpa", "satisfaction", "promises_kept"):
        assert rows["2026-01", goal]["actual"] is None
    assert rows["2026-02", "value_per_customer"]["actual"] is None


def test_goals_of_months_are_not_told_of_weeks() -> None:
    part = composed(shop_of(LIFE, rules=GOALS, kind="week")).part("goals")
    assert part.remarks == ("Goals are for a month each: use --period month.",)
    assert [table.rows for table in part.tables] == [(), ()]


def test_a_goal_that_cannot_be_is_refused_with_every_problem() -> None:
    with pytest.raises(BadPolicy) as refused:
        policy(goals__sales__target_minor=-1, goals__retention__target_permille=1_001)
    assert "goals.sales.target_minor" in str(refused.value)
    assert "goals.retention.target_permille: expected 0 to 1000, got 1001" in str(refused.value)
    with pytest.raises(BadPolicy, match=r"goals.cpa.owner: expected one of marketing, sales, service, shared"):
        policy(goals__cpa__owner="boss")


def moved(on: float, status: str) -> Told:
    """Their ticket's next status."""
    return "a", said(logged.TicketUpdated, on, ticket_id="t", kind=None, status=status)


def test_complaints_are_in_the_satisfaction_of_each_month_at_whose_end_they_are_open() -> None:
    """Ten buyers complain on 21 January and are not answered: 0.1 each. One had given 9 of 10 on the 6th."""
    told: list[Told] = [(f"c{n}", order(1, f"o{n}")) for n in range(10)]
    told += [(f"c{n}", ticket(20, f"t{n}", "complaint", severity=5)) for n in range(10)]
    told += [("c0", said(logged.SurveyAnswered, 5, survey_id="s", kind="csat", score=9.0, score_max=10.0))]
    rows = goals(told, last=date(2026, 3, 31), now=89)
    survey, complaint = 2 ** (-25 / 180), 0.8
    both = (survey * 0.9 + complaint * 0.1) / (survey + complaint)
    found = [row["actual"] for (_, goal), row in rows.items() if goal == "satisfaction"]
    assert found == pytest.approx([(9 * 0.1 + both) / 10, 0.1, 0.1], abs=2e-6)


def test_of_one_kind_the_later_weighs_more() -> None:
    """A survey of 0 on the first of January, and one of 10 of 10 on the last."""
    told: list[Told] = [("a", order(0, "A"))]
    for on, score in ((0.25, 0.0), (30, 10.0)):
        survey = said(logged.SurveyAnswered, on, survey_id=f"{on}", kind="csat", score=score, score_max=10.0)
        told.append(("a", survey))
    older = 2 ** (-30 / 180)
    assert goals(told)["2026-01", "satisfaction"]["actual"] == pytest.approx(1 / (1 + older), abs=2e-6)


@pytest.mark.parametrize(
    ("told", "january", "february"),
    [
        ([("a", ticket(5, "t")), ("a", resolved(6, "t"))], 0.7, None),  # a complaint solved in time
        ([("a", ticket(5, "t")), ("a", resolved(20, "t"))], 0.45, None),  # and late: after more than three days
        ([("a", ticket(20, "t")), ("a", resolved(40, "t"))], 0.1, 0.45),  # open when January ended
        ([("a", ticket(5, "t")), ("a", resolved(6, "t")), moved(40, "closed")], 0.7, None),
        ([("a", ticket(5, "t")), ("a", resolved(6, "t")), moved(40, "open"), ("a", resolved(41, "t"))], 0.7, 0.45),
        ([("a", ticket(5, "t", "question")), ("a", resolved(6, "t", "question"))], 0.8, None),
        ([("a", ticket(5, "t", "question")), ("a", resolved(9, "t", "question"))], 0.5, None),
        ([("a", ticket(5, "t")), ("a", said(logged.TicketUpdated, 40, ticket_id="t", csat="bad"))], 0.1, 0.0),
        ([("a", ticket(5, "t")), ("a", said(logged.TicketUpdated, 8, ticket_id="t", csat="good"))], 1.0, None),
        (promised("a", "A", 2, 3), 0.8, None),
        (promised("a", "A", 2, 9), 0.1, None),  # late
        (promised("a", "A", 28, 40), 0.1, None),  # due on the 31st
    ],
)
def test_what_became_of_tickets_and_promises_is_in_the_satisfaction_of_its_month(
    told: list[Told], january: float | None, february: float | None
) -> None:
    rows = goals([("a", order(1, "A")), *told])
    found = [rows[month, "satisfaction"]["actual"] for month in ("2026-01", "2026-02")]
    assert found == [january, february]


def test_of_several_days_promised_the_earliest_counts_and_a_cancelled_order_is_owed_no_more() -> None:
    late = [*promised("a", "A", 2, 3.5), ("a", said(logged.OrderPromised, 1, order_id="A", promised_at=day(3)))]
    void = [*promised("a", "V", 5, None), ("a", cancelled(6, "V"))]
    too_late = [*promised("a", "W", 5, None), ("a", cancelled(9, "W"))]
    for told, share in ((late, 0.0), (void, None), ([*void, *promised("a", "X", 5, 6)], 1.0), (too_late, 0.0)):
        assert goals([("a", order(1, "A")), *told])["2026-01", "promises_kept"]["actual"] == share


def test_an_answer_is_the_first_word_of_ours_and_a_ticket_told_twice_is_one() -> None:
    opening = ("a", ticket(2, "t", "complaint", promised_at=day(4), status="new"))
    told = [("a", order(1, "A")), opening, ("a", ticket(2.5, "t", "complaint", status="open"))]
    answer = ("a", said(logged.TicketUpdated, 3, ticket_id="t", status="pending"))
    late = ("a", said(logged.TicketResolved, 9, ticket_id="t"))
    assert goals([*told, answer, late])["2026-01", "promises_kept"]["actual"] == 1.0
    assert goals([*told, late])["2026-01", "promises_kept"]["actual"] == 0.0
    shop = shop_of([*told, answer, late], rules=GOALS)
    assert shop.tally.totals[Measure.TICKETS] == 1
    assert [sums[0] for wish, sums in shop.tally.wishes.items() if wish.kind == "complaint"] == [1]


def test_retention_of_a_whole_month_is_the_same_wherever_the_report_begins() -> None:
    """Of three who bought in January, on the 3rd, the 11th and the 29th, two came back in February."""
    told: list[Told] = [(who, order(on, who)) for who, on in (("a", 2), ("b", 10), ("c", 28))]
    told += [("a", order(FEBRUARY + 1, "A2")), ("c", order(FEBRUARY + 27, "C2")), ("d", order(FEBRUARY + 2, "D"))]
    for first in (date(2025, 6, 1), date(2026, 1, 1), date(2026, 1, 25), date(2026, 2, 1)):
        assert goals(told, first=first)["2026-02", "retention"]["actual"] == round(2 / 3, 6), first
    assert goals(told, last=date(2026, 2, 10))["2026-02 (part)", "retention"]["actual"] == round(1 / 3, 6), "a so far"


def test_a_part_of_a_period_is_held_to_no_target() -> None:
    """A month's target says nothing of ten days of it, and a report that ends within a month does not look beyond."""
    told: list[Told] = [("a", order(on, f"{on}", 100)) for on in range(46)]
    for first, last, part, days in (
        (date(2026, 1, 22), date(2026, 2, 28), "2026-01 (part)", 10),
        (date(2026, 1, 1), date(2026, 2, 10), "2026-02 (part)", 10),
        (date(2026, 1, 1), date(2026, 2, 20), "2026-02 (part, not over)", 15),
    ):
        shop = shop_of(told, rules=GOALS, first=first, last=last, now=45)
        found = composed(shop).part("goals")
        table = found.table("goals_by_period")
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0] == part]
        assert [row["actual"] for row in rows if row["goal"] == "sales"] == [100 * days]
        for row in rows:
            assert [row[figure] for figure in ("target", "forecast", "forecast_low", "forecast_high", "gap")] == [
                None
            ] * 5
        assert found.remarks == (
            f"{part}: a target is of a whole month; a part of one has none, and no forecast or gap.",
        )


# -- what will be -----------------------------------------------------------------------------------------------------


def shop_with_sales(
    by_day: dict[int, int], today: int, first: int = number_of(date(2026, 1, 1)),
    last: int = number_of(date(2026, 3, 31)),
) -> Shop:  # fmt: skip
    """A shop of which only daily sales are known."""
    periods = periods_between(first, last, "month")
    tally = Tally(Calendar(periods, "month", "UTC"), DEFAULT)
    for on, amount in sorted(by_day.items()):
        tally.sales_by_day[on] += amount
        row = tally.rows.setdefault((SHOP, "", tally.calendar.place_of_day(on).period), nothing())
        row[Measure.REVENUE] += amount
    return Shop(tally, INITIAL, today * 86_400, "USD")


def test_sales_of_a_steady_shop_are_forecast_exactly() -> None:
    first, today = number_of(date(2026, 1, 1)), number_of(date(2026, 3, 21))
    shop = shop_with_sales(dict.fromkeys(range(first, today + 1), 100), today)
    assert sales_ahead(shop, 2) == (3_100, 3_100, 3_100)
    assert sales_ahead(shop_with_sales({today: 100}, today), 2) is None, "a day's sales forecast nothing"


def test_unless_told_the_report_is_of_whole_periods_and_forecasts_the_one_there_is_now_to_its_end() -> None:
    """As of 15 March a shop that sells 1.00 a day has sold 15.00, and will have sold 31.00."""
    told: list[Told] = [("a", order(on, f"{on}", 100)) for on in range(74)]
    seen = number_of(date(2025, 12, 20)), number_of(date(2026, 3, 15))
    periods = asked_periods(Asked(), "month", seen)
    assert [each.name for each in periods] == ["2025-12", "2026-01", "2026-02", "2026-03"]
    assert (date_at(periods[0].first_day), date_at(periods[-1].last_day)) == (date(2025, 12, 1), date(2026, 3, 31))
    first, last = date_at(periods[0].first_day), date_at(periods[-1].last_day)
    march = goals(told, first=first, last=last, now=73)["2026-03 (not over)", "sales"]
    assert march["actual"] == 15 * 100
    assert [march[each] for each in ("forecast", "forecast_low", "forecast_high")] == [31 * 100] * 3
    assert march["gap"] == 31 * 100 - 10_000
    weeks = asked_periods(Asked(first_on=date(2026, 3, 12)), "week", seen)
    assert [(each.days, each.is_cut) for each in weeks] == [(4, True)], "15 March is a Sunday"
    days = asked_periods(Asked(last_on=date(2026, 3, 15)), "month", seen)
    assert days[-1].is_cut, "told so"


@pytest.mark.parametrize(("kind", "count"), [("week", 13), ("month", 13), ("quarter", 9), ("year", 6)])
@pytest.mark.parametrize(
    "last", [date(2024, 2, 29), date(2024, 12, 31), date(2025, 12, 31), date(2026, 3, 1), date(2026, 12, 31)]
)
def test_unless_told_as_many_periods_are_looked_back_on_whatever_the_day(
    kind: PeriodKind, count: int, last: date
) -> None:
    """That of the last moment, and twelve weeks or months, eight quarters or five years: leap days change nothing."""
    assert len(asked_periods(Asked(), kind, (0, number_of(last)))) == count
    assert len(asked_periods(Asked(last_on=last), kind, (0, number_of(last) + 99))) == count
    (alone,) = asked_periods(Asked(), kind, (number_of(last), number_of(last)))
    assert alone.last_day >= number_of(last), "none before the first event"


def test_the_band_of_sales_holds_about_nine_months_in_ten() -> None:
    """Shops that sell 20 orders a day on average, of very unlike amounts."""
    chance = np.random.default_rng(5)
    first, today, last = (number_of(date(2026, *on)) for on in ((1, 1), (3, 12), (3, 31)))
    held = 0
    for _ in range(300):
        orders = chance.poisson(20, last - first + 1)
        sales = [int(chance.gamma(2, 2_000, count).sum()) for count in orders]
        shop = shop_with_sales(dict(zip(range(first, today + 1), sales, strict=False)), today)
        found = sales_ahead(shop, 2)
        assert found is not None
        total = sum(sales[number_of(date(2026, 3, 1)) - first :])
        held += found[1] <= total <= found[2]
    assert 0.84 <= held / 300 <= 0.96


def test_on_real_purchases_the_band_of_a_months_sales_holds_as_often_as_it_says(wheel: Path) -> None:
    """CDNOW's 23,570 customers of early 1997, whose purchases fall and rise: twelve months, each told on three days."""
    daily: Counter[int] = Counter()
    for each in cdnow.read(wheel, "master"):
        daily[number_of(each.bought_on)] += int(each.usd * 100)
    held = 0
    for month in range(1997 * 12 + 5, 1998 * 12 + 5):  # June 1997 to May 1998
        first, last = month_days(month)
        for today in (first + 4, first + 9, first + 19):
            sales = {on: amount for on, amount in daily.items() if on <= today}
            shop = shop_with_sales(sales, today, first=number_of(date(1997, 1, 1)), last=last)
            found = sales_ahead(shop, len(shop.calendar.periods) - 1)
            assert found is not None
            held += found[1] <= sum(daily[on] for on in range(first, last + 1)) <= found[2]
    assert held / 36 >= 0.85, held


def test_the_band_of_a_share_holds_about_nine_times_in_ten() -> None:
    chance = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        rate = chance.uniform(0.2, 0.8)
        past, now, ahead = chance.binomial(50, rate), chance.binomial(40, rate), chance.binomial(60, rate)
        found = share_ahead(Counted(now, 40), [Counted(past, 50)], 60)
        assert found is not None
        held += found[1] <= (now + ahead) / 100 <= found[2]
    assert 0.84 <= held / 400 <= 0.96


def test_a_share_is_forecast_as_seen_so_far_and_before() -> None:
    """10 of 20 so far, 40 of 50 before: 5/7 of the 20 to come."""
    expected, low, high = share_ahead(Counted(10, 20), [Counted(40, 50)], 20) or (0, 0, 0)
    error = 1.6448536269514722 * sqrt(20 * (5 / 7) * (2 / 7) * (1 + 20 / 70)) / 40
    assert (expected, low, high) == pytest.approx(((10 + 20 * 5 / 7) / 40, expected - error, expected + error))
    assert share_ahead(Counted(0, 0), [], 10) is None


def test_drift_is_what_periods_differ_by_beyond_chance() -> None:
    """Shares of .2, .4 and .6 of a thousand: a variance of .04, less .00021 of chance; and Student's t for three."""
    unlike = [Counted(200, 1_000), Counted(400, 1_000), Counted(600, 1_000)]
    by_chance = (0.2 * 0.8 + 0.4 * 0.6 + 0.6 * 0.4) / 3 / 1_000
    assert drift(unlike) == pytest.approx(sqrt(0.04 - by_chance) * 2.920 / 1.6448536269514722)
    assert drift([Counted(50, 100), Counted(51, 100), Counted(49, 100)]) == 0.0
    assert drift(unlike[:2]) == 0.0


# -- as metrics -------------------------------------------------------------------------------------------------------


def test_goals_of_the_latest_period_are_metrics_and_those_of_an_earlier_report_are_gone() -> None:
    shop = shop_of(LIFE, rules=GOALS, last=date(2026, 2, 28), now=70)
    metrics.show_goals({"old.shared.money.target": 1.0})
    metrics.show_goals(goal_figures(composed(shop)))
    text = metrics.goals_text()
    assert 'wafa_goal_amount_minor{figure="actual",goal="sales",owner="sales"} 8000.0' in text
    assert 'wafa_goal_fraction{figure="target",goal="promises_kept",owner="service"} 0.9' in text
    assert 'goal="old"' not in text
    assert "wafa_events_total" not in text


def test_a_report_that_looks_ahead_gives_the_period_there_is_now_as_metrics() -> None:
    now, ahead = (
        goal_figures(composed(shop_of(LIFE, rules=GOALS, last=last, now=45)))
        for last in (date(2026, 2, 28), date(2026, 4, 30))
    )
    assert now["sales.sales.money.actual"] > 0
    assert ahead == now
