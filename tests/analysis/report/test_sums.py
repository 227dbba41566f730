"""The report's sums, made from the log order by order, are the sums of the customers' values and of the books."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.report.calendar import KINDS, Calendar, PeriodKind, number_of, periods_between
from pipeline.analysis.report.inputs import adds_up
from pipeline.analysis.report.measures import Measure, add, net_revenue, nothing
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.tally import CHANNEL, SHOP, WHOLE_TIME
from pipeline.core.acquisition import WHOLE, shares
from pipeline.core.audit import Sums, booked
from pipeline.core.books import Log
from pipeline.schemas import logged
from tests.analysis.report.shops import Told, shop_of
from tests.core.builders import order
from tests.core.lives import HASTY, STEADY, lives
from tests.core.test_acquisition import revised, touch
from tests.core.test_books import _TOUCHES, FIRST
from tests.core.test_value import RATES, histories
from tests.driver import Driver


def differences(shop: Shop) -> dict[Any, Any]:
    """What does not add up."""
    return {line[0]: line[3] for line in adds_up(shop) if line[3]}


@STEADY
@given(st.lists(st.tuples(histories, _TOUCHES), min_size=1, max_size=4), st.sampled_from(KINDS), st.data())
def test_orders_and_channels_add_up_to_values_and_books_whatever_happened(
    lived: list[Any], kind: PeriodKind, data: st.DataObject
) -> None:
    told: list[Told] = []
    for number, (history, touched) in enumerate(lived):
        told += [(f"c{number}", touch(*each)) for each in touched] + [(f"c{number}", each) for each in history]
    told += told[::3]
    driver, log = Driver(RATES), Log()
    log.tell(logged.CONTROL_KEY, FIRST)
    for who, event in told:
        driver.feed(event, who)
        log.tell(who.encode(), event)
    spent = []
    for channel in ("search", "ad", "billboard"):
        parts = sum(shares(each, RATES.value).get(channel, 0) for each in driver.profiles.values())
        spent.append(revised(channel, data.draw(st.integers(0, 10**5)), parts=parts))
    asked: dict[str, Any] = {"kind": kind, "first": date(2026, 1, 10), "last": date(2026, 2, 20), "now": 500}
    shop = shop_of(told, *spent, rules=RATES, **asked)
    assert differences(shop) == {}
    books = booked(Sums(), log)
    assert net_revenue(shop.tally.totals) == books.net_revenue_minor
    everything = nothing()
    for (what, _, _), row in shop.tally.rows.items():
        if what == SHOP:
            add(everything, row)
    everything[Measure.BUYERS] = 0
    assert everything == shop.tally.totals, "the periods and what lies outside them are the whole"
    inside = [shop.tally.row(SHOP, "", number) for number in range(len(shop.calendar.periods))]
    by_channel = [row for (what, _, _), row in shop.tally.rows.items() if what == CHANNEL]
    for measure in (Measure.REVENUE, Measure.REFUNDED, Measure.MARGIN, Measure.COMMISSION):
        assert sum(row[measure] for row in inside) == sum(row[measure] for row in by_channel)


@STEADY
@given(lives)
def test_costs_of_whole_lives_add_up_to_the_value_in_the_profile(life: list[Any]) -> None:
    shop = shop_of([("c", event) for event in life], rules=HASTY, now=2_000)
    assert differences(shop) == {}


@STEADY
@given(lives)
def test_who_is_satisfied_by_all_evidence_of_all_time_is_satisfied_by_their_profile(life: list[Any]) -> None:
    asked: dict[str, Any] = {"first": date(2020, 1, 1), "last": date(2027, 12, 31), "kind": "year"}
    shop = shop_of([("c", event) for event in life], rules=HASTY, now=400, **asked)
    people, levels = shop.tally.people, shop.tally.felt.levels
    assert people["heard", "", WHOLE_TIME] == levels.total() - levels["unknown"]
    assert people["satisfied", "", WHOLE_TIME] == levels["satisfied"]


def test_each_model_shares_every_order_whole() -> None:
    told = [("a", touch(0, "search")), ("a", touch(1, "ad"))]
    told += [("a", event) for event in _orders(2)] + [("b", event) for event in _orders(3)]
    shop = shop_of(told)
    for model in ("first", "last", "linear", "position"):
        parts = sum(sums[0] for (name, _), sums in shop.tally.attributed.items() if name == model)
        revenue = sum(sums[1] for (name, _), sums in shop.tally.attributed.items() if name == model)
        assert (parts, revenue) == (5 * WHOLE, 5 * 3_001)


def _orders(count: int) -> list[logged.OrderCompleted]:
    return [order(2 + number, f"{count} {number}", 3_001) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_periods_cover_every_day_once(kind: PeriodKind) -> None:
    first, last = number_of(date(2025, 11, 5)), number_of(date(2026, 2, 27))
    periods = periods_between(first, last, kind)
    days = [day for each in periods for day in range(each.first_day, each.last_day + 1)]
    assert days == list(range(first, last + 1))
    assert periods[0].is_cut
    assert periods[-1].is_cut


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tehran", "America/New_York", "Africa/Cairo", "Pacific/Kiritimati"])
def test_a_day_ends_a_second_before_the_next_begins(zone: str) -> None:
    """Over two years, with the days on which clocks change; some zones change theirs at midnight."""
    first = number_of(date(2025, 1, 1))
    calendar = Calendar(periods_between(first, first, "month"), "month", zone)
    for on in range(first, first + 730):
        assert (calendar.day(calendar.end(on)), calendar.day(calendar.end(on) + 1)) == (on, on + 1)


def test_a_month_is_shared_by_weeks_to_the_minor_unit() -> None:
    first, last = number_of(date(2026, 1, 1)), number_of(date(2026, 1, 31))
    calendar = Calendar(periods_between(first, last, "week"), "week", "UTC")
    parts = calendar.of_month(1_000, 2026 * 12, last)
    assert sum(parts.values()) == 1_000
    assert parts[0] == 1_000 * 4 // 31, "January 2026 began on a Thursday"
    assert calendar.of_month(1_000, 2026 * 12, first + 1) == {0: 1_000}, "this month's spend is of the days so far"
