"""What is spent on a channel: let in at the door, each cost once, and shared among the months it is for."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.door import Admitted, Refusal, Shop, admit
from pipeline.core.rates import read_rates
from pipeline.core.shop_costs import AHEAD_DAYS_MAX, PERIOD_DAYS_MAX, by_month, key_of, summed
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.shop_costs import ShopCost, decode, encode
from tests.core.builders import day
from tests.core.inbound import inbound
from tests.core.lives import STEADY

SHOP = Shop("USD", read_rates("date,currency,rate\n2026-01-01,EUR,1.25\n"))


def at_the_door(**fields: Any) -> Admitted | Refusal:
    """A cost of 1.00 USD as the door leaves it; without a customer unless one is given."""
    return admit(
        inbound("CostRecorded", **{"customer_id": None, "currency": "USD", **fields}), received_at=day(0), shop=SHOP
    )


def kept(**fields: Any) -> ShopCost:
    """A cost that is let in, as it is kept."""
    admitted = at_the_door(**fields)
    assert isinstance(admitted, Admitted), admitted
    assert admitted.shop_cost is not None
    return decode(admitted.shop_cost)


def spent(amount_minor: int, start: date | None = None, end: date | None = None, **fields: Any) -> ShopCost:
    """A cost of search's on day 0, which is the first of January."""
    return ShopCost(
        **{"department": "marketing", "currency": "USD", "occurred_at": day(0), "channel": "search", **fields},
        amount_minor=amount_minor, period_start_on=start, period_end_on=end,
    )  # fmt: skip


def test_a_cost_of_a_channel_is_kept_in_the_shops_currency_and_with_its_period() -> None:
    cost = kept(channel="search", amount_minor=200, currency="EUR", period_start_on="2026-01-05", activity="clicks")
    assert (cost.channel, cost.amount_minor, cost.currency) == ("search", 250, "USD")
    assert (cost.period_start_on, cost.period_end_on, cost.activity) == (date(2026, 1, 5), None, "clicks")
    assert decode(encode(cost)) == cost


@pytest.mark.parametrize("named", ["campaign_id", "affiliate_id", "partner_id"])
def test_a_cost_of_no_channel_is_kept_too(named: str) -> None:
    assert getattr(kept(**{named: "x"}), named) == "x"


@pytest.mark.parametrize(
    "fields", [{"customer_id": "c1", "channel": None}, {"customer_id": "c1", "channel": "search", "order_id": "A"}]
)
def test_a_cost_of_a_customers_order_is_theirs_alone(fields: dict[str, Any]) -> None:
    admitted = at_the_door(**fields)
    assert isinstance(admitted, Admitted)
    assert admitted.shop_cost is None


@pytest.mark.parametrize(
    ("fields", "reason", "problem"),
    [
        (
            {"period_start_on": "2026-02-01", "period_end_on": "2026-01-31"}, Reason.SCHEMA_VIOLATION,
            f"period_end_on: expected from 2026-02-01 to {PERIOD_DAYS_MAX} days later, got 2026-01-31",
        ),
        (
            {"period_start_on": "2026-01-01", "period_end_on": "2199-12-31"}, Reason.SCHEMA_VIOLATION,
            f"period_end_on: expected from 2026-01-01 to {PERIOD_DAYS_MAX} days later, got 2199-12-31",
        ),
        (
            {"period_start_on": "2199-12-31"}, Reason.TOO_FAR_AHEAD,
            f"period_start_on: expected at most {AHEAD_DAYS_MAX} days after occurred_at, got 2199-12-31",
        ),
        ({"currency": "CHF"}, Reason.NO_RATE, "currency: expected one with a rate for 2026-01-01, got CHF"),
    ],
)  # fmt: skip
def test_a_cost_that_cannot_be_right_is_refused_with_the_reason(
    fields: dict[str, Any], reason: Reason, problem: str
) -> None:
    refused = at_the_door(channel="search", **fields)
    assert refused == Refusal(reason, (problem,))


def test_a_cost_without_a_period_is_of_its_month_in_the_shops_zone() -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    assert list(by_month(spent(100, occurred_at=late), "UTC")) == [("2026-01", 100)]
    assert list(by_month(spent(100, occurred_at=late), "Europe/Berlin")) == [("2026-02", 100)]


def test_a_cost_of_a_period_is_shared_among_its_days() -> None:
    """Fifteen days of January and fifteen of February; then 31 + 28 + 31 days, a minor unit each."""
    assert list(by_month(spent(1_001, date(2026, 1, 17), date(2026, 2, 15)), "UTC")) == [
        ("2026-01", 501), ("2026-02", 500),
    ]  # fmt: skip
    quarter = by_month(spent(90, date(2026, 1, 1), date(2026, 3, 31)), "UTC")
    assert list(quarter) == [("2026-01", 31), ("2026-02", 28), ("2026-03", 31)]
    for one in ((date(2025, 12, 31), None), (None, date(2025, 12, 31))):
        assert list(by_month(spent(7, *one), "UTC")) == [("2025-12", 7)], "one day said is that day"


@STEADY
@given(st.integers(-(10**9), 10**9), st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, PERIOD_DAYS_MAX))
def test_the_parts_of_a_period_are_the_whole_cost_and_in_proportion(amount: int, start: date, more: int) -> None:
    end = start + timedelta(days=more)
    parts = list(by_month(spent(amount, start, end), "UTC"))
    assert sum(part for _, part in parts) == amount
    days = Counter(f"{start + timedelta(days=number):%Y-%m}" for number in range(more + 1))
    assert [month for month, _ in parts] == sorted(days)
    assert all(abs(part - amount * days[month] / (more + 1)) <= 1 for month, part in parts)


def test_spend_is_summed_by_channel_and_month_with_what_was_taken_back() -> None:
    march = spent(1, date(2026, 3, 1))
    costs = [spent(500), spent(-200), spent(70, channel="influencer"), spent(5, channel=None), march]
    sums = {("search", "2026-01"): 300, ("search", "2026-03"): 1, ("influencer", "2026-01"): 70, ("", "2026-01"): 5}
    assert summed(costs, "UTC") == summed(costs[::-1], "UTC") == sums


def test_a_cost_is_known_by_source_and_id_together() -> None:
    assert key_of("ads", "1") == key_of("ads", "1")
    assert len({key_of("ads", "1"), key_of("ads", "2"), key_of("books", "1"), key_of("a", "ds/1")}) == 4
