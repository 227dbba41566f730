"""Each part of the report on a shop so small that its figures are reckoned by hand."""

from __future__ import annotations

import re
from datetime import date
from itertools import permutations
from typing import Any

import pytest

from pipeline.analysis.report.table import Cell, Report
from pipeline.analysis.report.tally import Moments
from pipeline.analysis.report.words import row_in_words, with_something
from pipeline.schemas import logged
from pipeline.schemas.shop_costs import ShopCost
from tests.analysis.report.shops import Told, report_of
from tests.core.builders import cancelled, day, opened, order, policy, refund, resolved, said, ticket
from tests.core.test_acquisition import revised, touch
from tests.core.test_value import spent

RULES = policy(value__margin_permille=500, value__attribution="linear", value__email_cost_per_thousand_minor=10_000)
JANUARY, FEBRUARY, MARCH = 0, 31, 59
"""Days on which the months begin."""


def known(who: str, on: float) -> Told:
    """Somebody becomes known."""
    return who, said(logged.CustomerIdentified, on, reachable_by=("email",))


def survey(who: str, on: float, score: float, kind: str = "csat") -> Told:
    """A score out of ten."""
    return who, said(logged.SurveyAnswered, on, survey_id=f"{who} {on}", kind=kind, score=score, score_max=10.0)


def cells(report: Report, part: str, table: str, **wanted: Cell) -> dict[str, Cell]:
    """The one row of a table with these cells."""
    found = report.part(part).table(table)
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    (row,) = [row for row in rows if wanted.items() <= row.items()]
    return row


def report(told: list[Told], *controls: Any, **asked: Any) -> Report:
    """Of January to March 2026, as of the last day."""
    return report_of(sorted(told, key=lambda each: each[1].occurred_at), *controls, **{"rules": RULES, **asked})


# -- the funnel -------------------------------------------------------------------------------------------------------

PEOPLE = [
    ("early", touch(-40, "search")),  # known in November, and bought then: no prospect of this time
    ("early", order(-39, "E", 1_000)),
    ("waits", touch(-20, "search")),  # a prospect when January begins, and still one at the end
    ("turns", touch(-10, "ad")),  # a prospect when January begins, persuaded in February
    ("turns", order(FEBRUARY + 3, "T", 2_000)),
    ("quick", touch(JANUARY + 5, "search")),
    ("quick", order(JANUARY + 6, "Q", 3_000)),
    survey("quick", JANUARY + 9, 9.0),
    survey("quick", JANUARY + 10, 8.0),
    survey("turns", FEBRUARY + 9, 2.0),
    ("early", order(MARCH + 1, "E2", 1_000)),
    ("early", said(logged.ReferralMade, MARCH + 2, referral_id="r")),
    ("early", said(logged.EmailDelivered, MARCH + 3, email_id="m")),
]


def test_the_funnel_counts_people_once_and_leaves_the_unknown_out() -> None:
    """Each share stands beside whom it is of: it is of no step before."""
    funnel = report(PEOPLE).part("funnel").table("funnel")
    assert funnel.columns == ("step", "people", "base_share", "base_people", "base")
    assert funnel.rows == (
        ("reached (marketing)", 2, None, None, ""),  # quick by search, early by e-mail
        ("persuaded (sales)", 2, round(2 / 3, 9), 3, "prospects and newly known"),  # turns, quick; and waits
        ("satisfied (service)", 1, 0.5, 2, "with evidence"),  # quick; and turns
        ("promoting (word of mouth)", 1, round(1 / 3, 9), 3, "buyers (a promoter need not be one)"),  # early
    )


def test_who_complains_or_waits_for_a_parcel_is_not_satisfied_and_one_good_sign_alone_says_too_little() -> None:
    """As profiles have it: a promise kept weighs .3, what is thought of anybody .5 at .5, so (.25 + .24) / .8 = .61."""
    told = [(who, order(1, who)) for who in "abcd"] + [("a", ticket(85, "t", "complaint", severity=5))]
    told += [(who, said(logged.OrderPromised, 80, order_id=who, promised_at=day(88))) for who in "bc"]
    told += [("b", said(logged.OrderDelivered, 88, order_id="b")), survey("d", 88, 9.0), survey("d", 89, 10.0)]
    found = report(told).part("funnel")
    assert cells(report(told), "funnel", "funnel", step="satisfied (service)")["people"] == 1  # d
    (row,) = [row for row in found.table("funnel_by_period").rows if str(row[0]).startswith("2026-03")]
    march = dict(zip(found.table("funnel_by_period").columns, row, strict=True))
    assert (march["heard"], march["satisfied"]) == (4, 1)
    assert cells(report(told), "funnel", "satisfaction", level="satisfied")["customers"] == 1, "and so the profiles say"
    (remark,) = found.remarks
    assert remark.startswith("Satisfaction is of the 4 customers of whom there is evidence")


def test_what_prospects_felt_is_in_no_period_before_the_one_they_bought_in() -> None:
    """A complaint is solved before the first order, a survey answered after it."""
    told = [known("a", 1), ("a", ticket(4, "t")), ("a", resolved(5, "t")), survey("a", JANUARY + 9, 9.0)]
    told += [("a", order(FEBRUARY + 3, "A", 1_000)), survey("a", FEBRUARY + 9, 9.0)]
    assert report(told).part("funnel").table("funnel_by_period").column("heard") == [0, 1, 0]
    for last, heard in ((31, 0), (40, 1)):
        row = cells(report(told, last=day(last - 1).date()), "funnel", "funnel", step="satisfied (service)")
        assert row["base_people"] == heard


def test_prospects_are_carried_from_period_to_period_until_they_buy() -> None:
    table = report(PEOPLE).part("funnel").table("funnel_by_period")
    assert table.column("prospects") == [2, 2, 1]
    assert table.column("newcomers") == [1, 0, 0]
    assert table.column("persuaded") == [1, 1, 0]
    assert table.column("conversion") == [round(1 / 3, 9), 0.5, 0.0]
    assert table.column("buyers") == [1, 1, 1]


def test_prospects_and_first_orders_are_told_by_the_channel_that_touched_them_first() -> None:
    """Later touches, and those after the first order, change nothing: a person has one first channel."""
    told = [*PEOPLE, ("turns", touch(FEBRUARY + 1, "search")), ("waits", touch(2, "ad")), known("nobody", 3)]
    told += [("late", order(4, "L", 500)), ("late", touch(5, "search"))]
    table = report(told).part("funnel").table("funnel_by_first_channel")
    assert table.rows == (
        ("ad", 0, 1, 1, 1.0),  # turns
        ("none known", 2, 0, 1, 0.5),  # nobody, and late, who bought before anything touched them
        ("search", 1, 1, 1, 0.5),  # quick is new and bought; waits waits. Early bought before this time
    )
    by_period = report(told).part("funnel").table("funnel_by_period")
    assert by_period.column("prospects")[0] == sum(table.column("prospects"))
    for figure in ("newcomers", "persuaded"):
        assert sum(by_period.column(figure)) == sum(table.column(figure)), "the channels add up to the shop"


def test_a_touch_that_is_kept_no_more_was_the_first_all_the_same() -> None:
    told = [("a", touch(1, "search")), *(("a", touch(2 + n / 300, "ad")) for n in range(300)), ("a", order(9, "A"))]
    assert report(told).part("funnel").table("funnel_by_first_channel").column("channel") == ["search"]


def test_a_recommendation_of_nine_in_ten_promotes_and_a_mark_for_service_does_not() -> None:
    told = [known("a", 1), known("b", 1), survey("a", 2, 9.0, "nps"), survey("b", 2, 10.0, "csat")]
    assert cells(report(told), "funnel", "funnel", step="promoting (word of mouth)")["people"] == 1


def test_a_referral_told_again_promotes_once_on_its_earliest_date() -> None:
    """As publishers are asked to, once the friend is known; whichever date comes first."""
    one, other = (("a", said(logged.ReferralMade, on, referral_id="r")) for on in (JANUARY + 5, FEBRUARY + 5))
    for told in ([one, other], [other, one]):
        periods = report_of([known("a", 1), *told], rules=RULES).part("funnel").table("funnel_by_period")
        assert periods.column("promoting") == [1, 0, 0]


# -- channels ---------------------------------------------------------------------------------------------------------

WON = [
    ("a", touch(1, "search")), ("a", order(2, "A1", 10_000)), ("a", order(FEBRUARY + 5, "A2", 10_000)),
    ("b", touch(1, "search")), ("b", touch(2, "ad")), ("b", order(3, "B1", 4_000)),
    ("c", order(4, "C1", 2_000)),
]  # fmt: skip


def test_cost_of_winning_is_spend_by_shares_won_drawn_to_all_channels() -> None:
    """Search won 1.5 for 90.00, ad 0.5 for 10.00: 50.00 each; twenty more at that: (9,000 + 100,000) / 21.5."""
    found = report(WON, revised("search", 9_000, 2), revised("ad", 1_000, 1))
    search = cells(found, "channels", "channels", channel="search")
    assert (search["won"], search["spend_minor"], search["cpa_minor"]) == (1.5, 9_000, round(109_000 / 21.5))
    assert search["cpa_low_minor"] < search["cpa_minor"] < search["cpa_high_minor"]
    assert cells(found, "channels", "channels", channel="none known")["cpa_minor"] is None


def test_what_a_channel_brought_is_by_the_touches_before_each_order() -> None:
    """Half is margin. A2 is 33 days after the touch: within the window, so search has A1, A2 and half of B1."""
    found = report(WON)
    assert cells(found, "channels", "channels", channel="search")["brought_minor"] == 5_000 + 5_000 + 1_000
    assert cells(found, "channels", "channels", channel="none known")["brought_minor"] == 1_000
    orders = found.part("channels").table("attribution")
    assert orders.column("channel") == ["ad", "none known", "search"]
    assert orders.column("first") == [0, 1, 3]
    assert orders.column("last") == [1, 1, 2]
    assert orders.column("linear") == [0.5, 1, 2.5]
    window = policy(value__attribution_window_days=30)
    assert cells(report(WON, rules=window), "channels", "attribution", channel="search")["first"] == 2


def test_payback_is_when_what_customers_left_has_reached_the_cost_of_winning_one() -> None:
    """One customer of January: 50.00 of margin then, 50.00 in February. 60.00 is back a month later."""
    told = [each for each in WON if each[0] == "a"]
    for spend, months, paid in ((4_000, 0, 2.5), (6_000, 1, round(10 / 6, 9)), (20_000, None, 0.5)):
        row = cells(report(told, revised("search", spend, 1)), "channels", "channels", channel="search")
        assert (row["payback_months"], row["paid_back"]) == (months, paid)


def test_who_came_in_a_month_that_a_channel_cost_nothing_in_pays_nothing_back() -> None:
    """Of January's 150.00 its one customer has left 50.00; what one of February leaves is owed to no spend."""
    told = [("a", touch(1, "search")), ("a", order(2, "A", 10_000))]
    told += [("b", touch(FEBRUARY + 1, "search")), ("b", order(FEBRUARY + 2, "B", 90_000))]
    spent_nothing = revised("search", 0, 1, month="2026-02")
    for spend in ((revised("search", 15_000, 1),), (revised("search", 15_000, 1), spent_nothing)):
        row = cells(report(told, *spend), "channels", "channels", channel="search")
        assert (row["payback_months"], row["paid_back"]) == (None, round(50 / 150, 9))


def test_a_channel_is_flagged_when_it_cost_more_than_it_brought_two_whole_periods_running() -> None:
    """In April January to March are over; search brings 50.00 in February and nothing in March."""
    flag = "costs more than it brings"
    told = [*WON, ("d", touch(MARCH, "other")), ("d", order(MARCH + 1, "D", 100))]
    for february, march, flagged in ((5_001, 1, True), (5_000, 1, False), (5_001, 0, False)):
        spent = [revised("search", february, 1, month="2026-02"), revised("search", march, 1, month="2026-03")]
        row = cells(report(told, *spent, now=95), "channels", "channels", channel="search")
        assert (row["verdict"] == flag) is flagged, (february, march)


def test_a_customer_whom_three_channels_won_alike_is_one_in_all() -> None:
    """A third each, told as 0.33; the value, half of 200.00, is of one customer and not of 0.99."""
    told = [("a", touch(1, "search")), ("a", touch(2, "ad")), ("a", touch(3, "mail")), ("a", order(4, "A", 20_000))]
    part = report(told).part("channels")
    by_channel, by_value = part.table("channels"), part.table("value_by_channel")
    assert by_value.column("won") == [round(1 / 3, 2)] * 3
    assert by_channel.total[by_channel.columns.index("won")] == 1
    assert by_value.total[:4] == ("in all", 1, 10_000, 10_000)


def test_who_came_by_a_friend_and_by_no_channel_is_word_of_mouth() -> None:
    told = [
        ("a", order(1, "A", 1_000)),
        ("a", said(logged.ReferralMade, 2, referral_id="r", referred_customer_id="b")),
        ("b", order(3, "B", 3_000)),
    ]
    found = report(told)
    alone = "word of mouth alone"
    assert cells(found, "channels", "channels", channel=alone)["won"] == 1
    assert cells(found, "channels", "channels", channel=alone)["spend_minor"] is None
    assert cells(found, "channels", "value_by_channel", channel=alone)["value_minor"] == 1_500


def test_who_was_touched_besides_a_friends_word_is_word_of_mouth_alone_in_no_table() -> None:
    """Won by search in September; an order of January has no touch in the 90 days before it: 25.00 of margin."""
    told = [("z", said(logged.ReferralMade, -101, referral_id="r", referred_customer_id="a"))]
    told += [("a", touch(-100, "search")), ("a", order(-99, "A", 1_000)), ("a", order(20, "B", 5_000))]
    part = report(told).part("channels")
    table = part.table("channels")
    assert (table.column("channel"), table.column("brought_minor")) == (["none known"], [2_500])
    assert part.table("attribution").rows == (("none known", 1, 1, 1, 1),)
    (by_channel_too,) = [row for row in part.table("word_of_mouth").rows if row[0] == "by a channel too"]
    assert by_channel_too[4] == 2_500


def test_word_of_mouth_is_all_who_came_by_a_friend_and_its_spend_is_what_friends_were_given() -> None:
    """Of two whom a sent, one had clicked an advertisement too; a third never bought. Half is margin."""
    told: list[Told] = [("a", order(1, "A", 1_000)), ("c", touch(1, "search"))]
    for who in "bcd":
        friend = {"referral_id": who, "referred_customer_id": who}
        told.append(("a", said(logged.ReferralMade, 2, **friend, reward_minor=5_000, currency="USD")))
    told += [("b", order(3, "B", 3_000)), ("c", order(4, "C", 90_000)), ("c", order(FEBRUARY + 4, "C2", 10_000))]
    table = report(told).part("channels").table("word_of_mouth")
    assert table.columns == (
        "touched", "won_by_friend", "reward_minor", "reward_each_minor", "brought_minor", "customers", "value_minor",
        "value_per_customer_minor",
    )  # fmt: skip
    assert table.rows == (
        ("by no channel", 1, None, None, 1_500, 1, 1_500, 1_500),
        ("by a channel too", 1, None, None, 50_000, 1, 50_000, 50_000),
        ("in all", 2, 15_000, 7_500, 51_500, 2, 51_500, 25_750),
    )
    assert report(told, first=date(2026, 2, 1)).part("channels").table("word_of_mouth").rows[-1] == (
        "in all", 0, 0, None, 5_000, 2, 51_500, 25_750,
    )  # fmt: skip


# -- inputs and outputs -----------------------------------------------------------------------------------------------


def test_departments_bear_what_they_spent_and_profit_is_what_is_left() -> None:
    told = [
        ("a", order(1, "A", 10_000, discount_minor=600, commission_minor=300)),
        ("a", spent(2, "sales", 200)), ("a", spent(2, "marketing", 100)), ("a", spent(2, "service", 50)),
        ("a", said(logged.EmailDelivered, 3, email_id="m")),  # 10.00 a thousand: a cent
        ("a", said(logged.ContactMade, 4, department="sales")),
    ]  # fmt: skip
    found = report(told, revised("search", 700, 0))
    costs = {row[0]: row[2] for row in found.part("inputs").table("departments").rows}
    assert costs == {"marketing": 700 + 600 + 100 + 10, "sales": 300 + 200, "service": 50}
    row = cells(found, "inputs", "inputs_outputs", period="2026-01")
    assert (row["net_revenue_minor"], row["margin_minor"]) == (10_000, 5_300)
    assert row["profit_minor"] == 5_300 - 1_410 - 500 - 50 == row["profit_per_buyer_minor"]


def test_each_department_is_held_to_what_it_brought_about() -> None:
    """In January, with 6.00 of marketing, 2.00 of sales and nothing of service; half of a price is margin."""
    told: list[Told] = [
        ("a", touch(1, "search")), ("a", order(2, "A", 10_000)), known("b", 3), ("b", order(4, "B", 4_000)),
        ("b", refund(9, "B", "R")), ("b", order(5, "V", 700)), ("b", cancelled(6, "V")),
        ("a", spent(7, "marketing", 598)), ("a", spent(7, "sales", 200)),
        ("a", said(logged.EmailDelivered, 8, email_id="m")), ("a", said(logged.EmailDelivered, 9, email_id="n")),
        ("a", opened(10, "m")), ("a", opened(11, "m")), ("a", said(logged.EmailClicked, 11, email_id="m")),
        ("a", ticket(12, "t", "question", promised_at=day(14))), ("a", resolved(13, "t", "question")),
        ("b", ticket(12, "u", "question", promised_at=day(14))),
        ("a", said(logged.OrderPromised, 2, order_id="A", promised_at=day(5))),
        ("a", said(logged.OrderDelivered, 4, order_id="A")),
    ]  # fmt: skip
    rules = policy(value__margin_permille=500, value__email_cost_per_thousand_minor=1_000)
    found = report(told, rules=rules).part("inputs")
    assert found.table("department_outputs").rows == (
        ("marketing", "newly known, by a channel", "count", 1, 600),  # a; b was touched by none
        ("marketing", "customers won by channels", "count", 1.0, 600),
        ("marketing", "e-mails answered", "count", 1, 600),  # m, twice opened and clicked
        ("sales", "orders kept", "count", 1, 200),  # A: of B nothing is left
        ("sales", "margin", "money", 5_000, None),
        ("sales", "deliveries in time", "share", 1.0, None),
        ("service", "tickets solved", "count", 1, 0),
        ("service", "answers in time", "share", 0.5, None),  # t, of t and u
    )
    by_period = found.table("department_outputs_by_period").rows
    assert [row[1:] for row in by_period if row[0] == "2026-01"] == list(found.table("department_outputs").rows)
    assert [row[4] for row in by_period if row[0] == "2026-02"] == [0, 0.0, 0, 0, 0, None, 0, None]


def test_an_e_mail_that_a_machine_opened_or_clicked_is_not_answered() -> None:
    """Of three, a scanner went through two, and a person opened one of these as well."""
    told: list[Told] = [("a", said(logged.EmailDelivered, 1, email_id=each)) for each in "mno"]
    for each in "mn":
        told += [
            ("a", said(kind, 2, email_id=each, is_machine=True)) for kind in (logged.EmailOpened, logged.EmailClicked)
        ]
    told.append(("a", opened(3, "n")))
    found = report(told).part("inputs").table("department_outputs")
    assert found.rows[2] == ("marketing", "e-mails answered", "count", 1, 30)  # of three sent at 10.00 a thousand


def test_a_ticket_counts_as_solved_in_the_period_it_was_solved_in_closed_later_or_not() -> None:
    told = [("a", ticket(JANUARY + 20, "t", "question")), ("a", resolved(JANUARY + 21, "t", "question"))]
    told.append(("a", said(logged.TicketUpdated, FEBRUARY + 4, ticket_id="t", kind=None, status="closed")))
    rows = report(told).part("inputs").table("department_outputs_by_period").rows
    assert [row[4] for row in rows if row[2] == "tickets solved"] == [1, 0, 0]


def test_a_cost_for_stated_days_is_of_these_days_and_of_no_other_week() -> None:
    """70.00 for 26 to 31 January, which is the end of one week; without days it would be of all of January."""
    fair = ShopCost(
        department="sales", amount_minor=7_000, currency="USD", occurred_at=day(25),
        period_start_on=date(2026, 1, 26), period_end_on=date(2026, 1, 31),
    )  # fmt: skip
    told = [("a", order(1, "A"))]
    by_week = report(told, costs=[fair], kind="week", first=date(2025, 12, 29), last=date(2026, 2, 8))
    weeks = by_week.part("inputs").table("inputs_outputs")
    column = weeks.columns.index("sales_minor")
    assert [row[column] for row in weeks.rows] == [0, 0, 0, 0, 7_000, 0]
    half = report(told, costs=[fair], first=date(2026, 1, 1), last=date(2026, 1, 28))
    (sales,) = [row for row in half.part("inputs").table("departments").rows if row[0] == "sales"]
    assert sales[2] == 3_500, "three of six days"


def test_what_was_spent_on_no_channel_is_its_departments_and_what_was_done_for_one_is_shown() -> None:
    """A fair over the turn of the month (two days of January, one of February), and four posts of an influencer."""
    fair = ShopCost(
        department="sales", amount_minor=900, currency="USD", occurred_at=day(2), period_start_on=date(2026, 1, 30),
        period_end_on=date(2026, 2, 1), campaign_id="fair", activity="stand",
    )  # fmt: skip
    posts = ShopCost(
        department="marketing", amount_minor=500, currency="USD", occurred_at=day(3), channel="influencer",
        activity="post", activity_count=4,
    )  # fmt: skip
    found = report([("a", order(1, "A", 10_000))], revised("influencer", 500, 0), costs=[fair, posts])
    table = found.part("inputs").table("inputs_outputs")
    assert table.column("sales_minor") == [600, 300, 0]
    assert table.column("marketing_minor") == [500, 0, 0], "told by its revision, and not twice"
    assert cells(found, "inputs", "departments", department="marketing")["activities"] == 4
    assert cells(found, "inputs", "inputs_outputs_by_channel", channel="influencer")["activities"] == 4
    assert all(line[3] == 0 for line in found.part("inputs").table("adds_up").rows), "it is in no customer's value"


def test_spend_that_won_nobody_has_its_place_beside_the_values_it_is_in_none_of() -> None:
    """40.00 of margin, 10.00 on search that won its buyer, 500.00 on a billboard: 30.00 of value, a loss of 470.00."""
    told = [("a", touch(1, "search")), ("a", order(2, "A", 8_000))]
    found = report(told, revised("billboard", 50_000, 0), revised("search", 1_000, 1))
    assert cells(found, "inputs", "inputs_outputs", period="2026-01")["profit_minor"] == 4_000 - 51_000
    table = found.part("channels").table("value_by_channel")
    assert table.columns == ("channel", "won", "value_minor", "value_per_customer_minor", "unacquired_minor")
    assert table.rows == (("search", 1.0, 3_000, 3_000, None), ("billboard", 0.0, 0, None, 50_000))
    assert "To date channels spent 500.00 that won nobody: a cost of its time, and in no customer's value." in (
        found.part("inputs").remarks
    )


def test_a_refund_counts_on_its_own_day_and_a_cancelled_order_never() -> None:
    told = [
        ("a", order(1, "A", 10_000)), ("a", refund(FEBRUARY + 1, "A", "R", 4_000)),
        ("a", order(2, "V", 500)), ("a", cancelled(3, "V")),
    ]  # fmt: skip
    table = report(told).part("inputs").table("inputs_outputs")
    assert table.column("net_revenue_minor") == [10_000, -4_000, 0]
    assert table.column("margin_minor") == [5_000, -2_000, 0]


def test_what_each_department_promised_is_told_with_how_much_of_it_was_kept() -> None:
    told = [("a", order(1, "A")), ("a", order(2, "B")), ("a", order(80, "C"))]
    told += [
        ("a", said(logged.OrderPromised, on, order_id=name, promised_at=day(due)))
        for name, on, due in (("A", 1, 4), ("B", 2, 5), ("C", 80, 120))
    ]
    told += [("a", said(logged.OrderDelivered, 3, order_id="A")), ("a", said(logged.OrderDelivered, 6, order_id="B"))]
    told += [("a", ticket(10, "t", "question", promised_at=day(11)))]
    table = report(told).part("inputs").table("promises")
    assert table.rows == (("sales", 1, 1, 1, 0.5), ("service", 0, 1, 0, 0.0))


def test_a_delivery_promised_counts_by_period_as_it_counts_to_date() -> None:
    """A came though cancelled on the day promised, B in time before it was cancelled, C was cancelled too late."""
    told: list[Told] = []
    for name, came_on, cancelled_on in (("A", 6, 5), ("B", 3, 4), ("C", None, 6)):
        told += [("a", order(1, name)), ("a", said(logged.OrderPromised, 1, order_id=name, promised_at=day(5)))]
        told += [("a", said(logged.OrderDelivered, came_on, order_id=name))] if came_on else []
        told.append(("a", cancelled(cancelled_on, name)))
    found = report(told).part("inputs")
    assert found.table("promises").rows == (("sales", 1, 1, 0, 0.5),)
    assert found.table("department_outputs").rows[5][1:4] == ("deliveries in time", "share", 0.5)


def test_satisfaction_is_told_by_kind_of_evidence_with_its_interval_and_its_age() -> None:
    """Surveys of 1.0 and 0.8 by one, 0.3 by another: 0.7; the review 0.5. Ages on day 89: 9, 29 and 79; 19."""
    told = [(who, order(1, who)) for who in "abc"]
    told += [survey("a", 80, 10.0), survey("a", 60, 8.0), survey("b", 10, 3.0)]
    told += [("b", said(logged.ReviewPosted, 70, review_id="r", rating_fraction=0.5)), survey("prospect", 80, 0.0)]
    found = report(told)
    surveys = cells(found, "funnel", "satisfaction_evidence", evidence="survey")
    # by customers: (1.8, 2) and (0.3, 1); 1.8 - 0.7 * 2 = 0.4, 0.3 - 0.7 = -0.4
    error = 1.6448536269514722 * (2 * (0.4**2 + 0.4**2)) ** 0.5 / 3
    assert (surveys["customers_heard"], surveys["pieces"], surveys["age_days"]) == (2, 3, 29)
    assert surveys["score"] == pytest.approx(0.7)
    assert surveys["score_low"] == pytest.approx(0.7 - error, abs=1e-6)
    assert surveys["score_high"] == 1.0, "0.7 + error is more, and no mean is"
    review = cells(found, "funnel", "satisfaction_evidence", evidence="review")
    assert (review["customers_heard"], review["score"], review["score_low"], review["age_days"]) == (1, 0.5, None, 19)


def test_the_shops_satisfaction_is_the_mean_of_its_customers_own() -> None:
    """One survey each, today: (0.25 + 1.0) / 1.5 and (0.25 + 0.4) / 1.5, by a prior of half a survey that says 0.5."""
    told = [(who, order(1, who)) for who in "abc"] + [survey("a", 89, 10.0), survey("b", 89, 4.0)]
    row = cells(report(told), "funnel", "satisfaction_evidence", evidence="all")
    one, other = 1.25 / 1.5, 0.65 / 1.5
    mean, error = (one + other) / 2, 1.6448536269514722 * abs(one - other) / 2
    assert (row["customers_heard"], row["pieces"], row["age_days"]) == (2, 2, 0)
    assert row["score"] == pytest.approx(mean, abs=1e-6)
    assert row["score_low"] == pytest.approx(mean - error, abs=1e-6)


def test_what_is_too_old_to_tell_satisfaction_is_in_no_kind() -> None:
    """A survey weighs less than a tenth after 3.4 half-lives of 180 days, some 600 days."""
    told = [("a", order(1, "A")), survey("a", 1, 10.0)]
    found = report(told, now=700)
    assert found.part("funnel").table("satisfaction_evidence").rows == ()
    assert cells(found, "funnel", "satisfaction", level="unknown")["customers"] == 1


def test_customers_are_counted_by_how_satisfied_they_are_and_the_silent_are_unknown() -> None:
    told = [(who, order(1, who)) for who in "abc"] + [survey("a", 80, 10.0), survey("b", 80, 0.0)]
    table = report(told).part("funnel").table("satisfaction")
    assert dict(zip(table.column("level"), table.column("customers"), strict=True)) == {
        "unknown": 1, "dissatisfied": 1, "satisfied": 1,
    }  # fmt: skip


# -- who comes back ---------------------------------------------------------------------------------------------------


def test_a_cohort_is_followed_month_by_month_and_what_is_to_come_is_left_open() -> None:
    told = [("a", order(1, "A")), ("a", order(FEBRUARY + 1, "A2")), ("b", order(2, "B")), ("b", order(MARCH + 1, "B2"))]
    told += [("c", order(FEBRUARY + 2, "C"))]
    table = report(told).part("cohorts").table("retention")
    assert [row[:6] for row in table.rows] == [
        ("2026-01", 2, 1.0, 0.5, 0.5, None),
        ("2026-02", 1, 1.0, 0.0, None, None),
    ]


def test_the_month_that_is_not_over_is_told_as_such_in_a_cohort() -> None:
    """On 2 March: half of January's customers came back in February, and one of forty in March so far."""
    told = [(f"c{n}", order(n % 28, f"a{n}")) for n in range(40)]
    told += [(f"c{n}", order(35 + n % 20, f"b{n}")) for n in range(20)] + [("c0", order(59.5, "x"))]
    found = report(told, now=60, last=date(2026, 3, 31))
    table = found.part("cohorts").table("retention")
    assert cells(found, "cohorts", "retention", cohort_month="2026-01")["running_month"] == 2
    told_of = dict(zip(table.columns, row_in_words(table, table.rows[0], "USD"), strict=True))
    assert [told_of[f"month_{age}"] for age in range(4)] == ["100.0%", "50.0%", "2.5% so far", "-"]
    assert "running_month" not in [table.columns[place] for place in with_something(table, table.rows)]


def test_value_at_risk_is_that_of_who_went_silent() -> None:
    told = [("gone", order(1, "A", 3_000)), ("here", order(MARCH + 20, "B", 1_000))]
    found = report(told)
    assert cells(found, "cohorts", "value_at_risk", lifecycle="at_risk")["value_minor"] == 1_500
    assert "75% of the value to date is with customers at risk or lapsed." in found.part("cohorts").remarks


def test_of_value_at_risk_a_share_is_told_of_customers_above_zero_alone() -> None:
    """15.00 is with who went silent and 5.00 with who is here; a third cost 10.00 more than they left."""
    told = [("gone", order(1, "A", 3_000)), ("here", order(MARCH + 20, "B", 1_000))]
    told += [("dear", order(MARCH + 20, "C", 1_000)), ("dear", spent(MARCH + 21, "service", 1_500))]
    remark = "75% of the value to date, of customers above zero, is with customers at risk or lapsed."
    assert remark in report(told).part("cohorts").remarks
    told += [("gone", spent(2, "service", 2_000))]
    assert not any("at risk or lapsed" in each for each in report(told).part("cohorts").remarks)


# -- tiers and needs --------------------------------------------------------------------------------------------------


def test_a_return_is_value_by_cost_and_its_interval_that_of_a_ratio_of_means() -> None:
    """Costs 1, 2, 3 with values 2, 3, 7: 2 to 1; residuals 0, -1, 1, so an error of sqrt(2 * 3 / 2) / 6."""
    moments = Moments()
    for value, cost in ((2, 1), (3, 2), (7, 3)):
        moments.take(value, cost, 0)
    error = 1.6448536269514722 * 3**0.5 / 6
    assert moments.ratio() == (2.0, pytest.approx(2 - error, abs=1e-4), pytest.approx(2 + error, abs=1e-4))
    nobody = Moments()
    assert nobody.ratio() == (None, None, None)


def test_needs_are_told_by_product_and_category_in_the_order_of_what_who_said_it_is_worth() -> None:
    shoes = logged.Item(product_id="boot", category="shoes", amount_minor=1)
    told = [
        ("rich", order(1, "R", 90_000, items=(shoes,))), ("poor", order(1, "P", 1_000)),
        ("rich", ticket(2, "t1", "product_idea", order_id="R", category="size")),
        ("poor", ticket(2, "t2", "complaint", product_id="boot", category="delivery")),
        ("poor", ticket(3, "t3", "complaint", product_id="boot", category="delivery")),
        ("poor", resolved(4, "t3")),
        ("rich", said(logged.ReviewPosted, 5, review_id="v", rating_fraction=0.25, product_id="boot")),
        ("rich", said(logged.ReviewPosted, 6, review_id="w", rating_fraction=0.75, product_id="boot")),
        ("rich", said(logged.OrderRefunded, 7, order_id="R", refund_id="x", amount_minor=10, reason="too_small")),
        ("poor", said(logged.PreferenceStated, 8, interests=("hats",))),
        ("poor", ticket(9, "t4", "question", category="hours")),
    ]  # fmt: skip
    table = report(told).part("needs").table("needs")
    assert [row[:6] for row in table.rows] == [
        ("low rating", "shoes", "boot", "", 1, 1),
        ("product idea", "shoes", "boot", "size", 1, 1),
        ("refund", "shoes", "boot", "too_small", 1, 1),
        ("complaint", "shoes", "boot", "delivery", 2, 1),
        ("interest", "", "", "hats", 1, 1),
    ]


def test_losses_tell_what_was_said_last_before_the_silence() -> None:
    told = [("a", order(1, "A")), ("b", order(1, "B")), ("a", ticket(2, "t", "complaint", category="delivery"))]
    told += [("a", said(logged.OrderRefunded, 3, order_id="A", refund_id="x", amount_minor=10, reason="damaged"))]
    losses = report(told).part("needs").table("losses")
    assert losses.rows == (("nothing", "", "", "", 1), ("refund", "", "", "damaged", 1))


BOOT = logged.Item(product_id="boot", category="shoes", amount_minor=1)
HAT = logged.Item(product_id="hat", category="hats", amount_minor=1)


def test_losses_are_told_by_product_and_category_as_what_was_said_is() -> None:
    """The complaint names the product alone; the refund's order had two, and its customer left over both."""
    cap = logged.Item(product_id="cap", category="hats", amount_minor=1)
    told = [("a", order(1, "A", items=(BOOT,))), ("a", ticket(2, "t", product_id="boot", category="quality"))]
    told += [("b", order(1, "B", items=(BOOT, cap))), ("b", refund(3, "B", "R", reason="quality"))]
    found = report(told).part("needs")
    assert found.table("losses").rows == (
        ("complaint", "shoes", "boot", "quality", 1),
        ("refund", "shoes", "boot", "quality", 1),
        ("refund", "hats", "cap", "quality", 1),
    )
    assert "At risk or lapsed: 2; 2 of them had said what was wrong." in found.remarks


def test_what_was_said_last_was_said_whenever_it_was() -> None:
    """They are silent now, whatever time the report is of; what was said in that time is another table."""
    told = [("a", order(1, "A", items=(BOOT,))), ("a", ticket(2, "t", product_id="boot", category="quality"))]
    told += [("b", order(1, "B", items=(BOOT,)))]
    told += [("b", said(logged.ReviewPosted, 2, review_id="v", rating_fraction=0.25, product_id="boot"))]
    found = report(told, first=date(2026, 3, 1)).part("needs")
    assert found.table("losses").rows == (
        ("complaint", "shoes", "boot", "quality", 1), ("low rating", "shoes", "boot", "", 1),
    )  # fmt: skip
    assert found.table("needs").rows == ()
    assert "At risk or lapsed: 2; 2 of them had said what was wrong." in found.remarks


def test_what_is_said_of_an_order_has_its_product_whichever_was_told_first() -> None:
    bought = ("a", order(1, "A", items=(BOOT,)))
    words: list[Told] = [
        ("a", ticket(2, "t", "suggestion", order_id="A", category="size")),
        ("a", refund(3, "A", "R", 10, reason="damaged")),
        ("a", said(logged.ReviewPosted, 4, review_id="v", rating_fraction=0.25, order_id="A")),
    ]
    for told in ([bought, *words], [*words, bought], [*words, bought, *words, bought]):
        rows = report_of(told, rules=RULES).part("needs").table("needs").rows
        assert [row[:6] for row in rows] == [
            ("low rating", "shoes", "boot", "", 1, 1),
            ("refund", "shoes", "boot", "damaged", 1, 1),
            ("suggestion", "shoes", "boot", "size", 1, 1),
        ]


def test_a_ticket_is_what_it_was_called_last_and_counts_once_on_the_day_it_was_first_heard_of() -> None:
    """A question that proves an idea; a complaint of which nobody told the opening."""
    told = [("a", order(1, "A")), ("a", ticket(FEBRUARY, "t", "question", product_id="boot"))]
    told += [("a", said(logged.TicketUpdated, MARCH, ticket_id="t", kind="product_idea", category="colour"))]
    told += [("a", said(logged.TicketUpdated, MARCH, ticket_id="u", kind="complaint", category="late"))]
    told += [("a", said(logged.TicketResolved, MARCH + 1, ticket_id="u", kind=None))]
    rows = report(told).part("needs").table("needs").rows
    assert [row[:5] for row in rows] == [("complaint", "", "", "late", 1), ("product idea", "", "boot", "colour", 1)]
    of_february = report(told, last=date(2026, 2, 28)).part("needs").table("needs")
    assert of_february.column("kind") == ["product idea"]


@pytest.mark.parametrize("kind", ["suggestion", "product_idea", "complaint"])
def test_what_a_ticket_is_about_is_known_from_an_opening_that_arrives_late_too(kind: str) -> None:
    opening = ("a", ticket(2, "t", kind, order_id="A", category="size"))
    later: list[Told] = [
        ("a", said(logged.TicketUpdated, 3, ticket_id="t", kind=None, status="pending")),
        ("a", said(logged.TicketResolved, 4, ticket_id="t", kind=None)),
    ]
    for told in ([opening, *later], [*later, opening]):
        rows = report_of([("a", order(1, "A", items=(BOOT,))), *told], rules=RULES).part("needs").table("needs").rows
        assert [row[:5] for row in rows] == [(kind.replace("_", " "), "shoes", "boot", "size", 1)]


def test_what_is_said_of_an_order_is_of_its_latest_version_whichever_arrives_last() -> None:
    before, after = (("a", order(on, "A", items=(item,))) for on, item in ((1, BOOT), (2, HAT)))
    word = ("a", refund(3, "A", "R", 10, reason="damaged"))
    for told in ([before, after, word], [after, before, word]):
        table = report_of(told, rules=RULES).part("needs").table("needs")
        assert table.column("product_id") == ["hat"]


@pytest.mark.parametrize(
    ("words", "row"),
    [
        ([cancelled(3, "A"), cancelled(40, "A")], ("cancellation", "shoes", "boot", "", 1)),
        (
            [cancelled(3, "A", reason="late"), cancelled(4, "A"), cancelled(5, "A", reason="found_cheaper")],
            ("cancellation", "shoes", "boot", "found_cheaper", 1),
        ),
        (
            [refund(3, "A", "R", 100, reason="unknown"), refund(6, "A", "R", 100, reason="damaged")],
            ("refund", "shoes", "boot", "damaged", 1),
        ),
        (
            [refund(3, "A", "R", 100, reason="damaged"), refund(3, "A", "R", 100, reason="too_small")],
            ("refund", "shoes", "boot", "too_small", 1),
        ),
    ],
)
def test_what_is_told_again_of_an_order_is_one_thing_said_whatever_came_first(
    words: list[logged.Event], row: tuple[str | int, ...]
) -> None:
    """A cancellation with the last reason there was; a refund as the version says whose money went back."""
    bought = order(1, "A", items=(BOOT,))
    for told in permutations([bought, *words]):
        rows = report_of([("a", each) for each in told], rules=RULES).part("needs").table("needs").rows
        assert [each[:5] for each in rows] == [row]


def test_a_refund_told_again_was_said_on_the_day_its_money_went_back() -> None:
    """In January first, and then of February: 1.00."""
    before, after = (refund(on, "A", "R", 100, reason="damaged") for on in (3, FEBRUARY + 9))
    for words in ((before, after), (after, before)):
        found = report_of([("a", each) for each in (order(1, "A"), *words)], rules=RULES, first=date(2026, 2, 1))
        assert found.part("needs").table("needs").column("said") == [1]
        assert found.part("inputs").table("inputs_outputs").column("net_revenue_minor")[0] == -100


def test_of_two_versions_of_one_instant_the_needs_are_of_the_one_that_the_ledger_keeps() -> None:
    """Alike but for their lines: one of the two, whichever arrives last."""
    versions = [("a", order(1, "A", items=(item,))) for item in (BOOT, HAT)]
    word = ("a", refund(3, "A", "R", 10, reason="damaged"))
    one, other = (
        report_of([*told, word], rules=RULES).part("needs").table("needs").column("product_id")
        for told in (versions, versions[::-1])
    )
    assert one == other


def test_a_time_before_the_shop_has_every_part_and_no_figure() -> None:
    found = report(PEOPLE, first=day(-400).date(), last=day(-350).date())
    assert [part.name for part in found.parts] == [
        "funnel", "channels", "inputs", "cohorts", "goals", "tiers", "needs",
    ]  # fmt: skip
    assert found.part("funnel").table("funnel").column("people") == [0, 0, 0, 0]
    (remark,) = found.part("funnel").remarks
    assert re.fullmatch(r"Nothing is known of this time: the first event of all is of 20\d\d-\d\d-\d\d\.", remark)
    assert found.part("needs").table("needs").rows == ()
