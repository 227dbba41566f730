"""What a fit is given of each customer is what their ledger says, folded or not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from pipeline.analysis.gather import Gathering, purchase_rows
from pipeline.analysis.purchases import purchases_of, snapshot, states_on
from pipeline.core.forecast import history_of
from pipeline.core.policy import DEFAULT
from pipeline.core.timing import Timing, p_return
from pipeline.schemas import logged
from tests.core.builders import consent, day, order, policy, said
from tests.core.lives import STEADY, histories, live
from tests.core.test_forecast import DAY_0
from tests.driver import Driver


@STEADY
@given(histories)
def test_arrays_of_the_rows_are_the_history(history: list[Any]) -> None:
    """Before orders are folded and after: of folded days only sums are known, and only sums are asked for."""
    driver = live(history, Driver())
    for on in (400, 410, 600, 800):
        driver.tick(day(on))
        ledger = driver.profiles["c"].ledger
        known = history_of(ledger, "UTC")
        rows = purchase_rows(ledger, "UTC")
        assert (known is None) == (not rows)
        if known is not None:
            states = states_on(purchases_of([list(rows.items())]), DAY_0 + on)
            counts = states.counts
            assert counts.frequency.tolist() == [known.frequency]
            assert counts.recency[0] == pytest.approx(known.recency)
            assert states.sum_log_gap[0] == pytest.approx(known.sum_log_gap)
            assert states.spend_days.tolist() == [known.spend_days]
            assert states.mean_margin_minor[0] == pytest.approx(known.mean_margin_minor)
            assert (states.poor_days[0], states.poor_minor[0]) == pytest.approx((known.poor_days, known.poor_minor))


def test_days_before_those_that_are_kept_are_spread_back_to_the_first() -> None:
    """146 purchase days, every fifth day; 32 and those not yet folded are known one by one."""
    driver = Driver(policy(value__margin_permille=1000))
    for number in range(146):
        driver.tick(day(5 * number))
        driver.feed(order(5 * number, f"order {number}", 0 if number % 4 == 1 else 1_000))
    rows = purchase_rows(driver.profiles["c"].ledger, "UTC")
    days = sorted(rows)
    assert len(days) == 146
    assert (days[0], days[-1]) == (DAY_0, DAY_0 + 725)
    assert {later - earlier for earlier, later in pairwise(days)} == {5}
    assert sum(rows.values()) == pytest.approx(1_000 * sum(number % 4 != 1 for number in range(146)))


def test_customers_are_counted_with_the_channel_that_won_them_and_their_cohort() -> None:
    gathered = Gathering()
    for events in (
        [said(logged.TouchRecorded, 0, channel="search"), order(0)],
        [said(logged.TouchRecorded, 0, channel="email"), said(logged.TouchRecorded, 1, channel="search"), order(40)],
        [consent(0)],
        [order(40, "B", 5_000)],
    ):
        gathered.add(live(events, Driver()).profiles["c"], DEFAULT)
    assert gathered.count == 3, "who never bought is left out"
    found = {scope: customers.tolist() for scope, customers in gathered.scopes.items()}
    assert found == {"channel/search": [0], "cohort/2026-01": [0], "channel/email": [1], "cohort/2026-02": [1, 2]}
    assert (gathered.revenue_minor, gathered.brought_minor) == (11_000, 4_400)


def test_who_had_an_offer_meanwhile_is_known_up_to_that_day() -> None:
    """Both bought twice and, on day 72, again; one of them after an offer on day 70 or 71."""
    gathered = Gathering()
    for offers in ([], [consent(0)]):
        driver = live([*offers, order(0, "A"), order(10, "B")], Driver())
        for on in (10, 70, 71):
            driver.tick(day(on))
        driver.feed(order(72, "C"))
        gathered.add(driver.profiles["c"], DEFAULT)
    early, late = (snapshot(gathered.purchases, DAY_0 + on, 90) for on in (20, 75))
    assert early.returned.tolist() == [1.0, 0.0]
    assert early.unseen_weeks[0] == 0.0
    assert early.unseen_weeks[1] == pytest.approx((90 - 50) / 7, abs=0.2)
    assert late.unseen_weeks.tolist() == [0.0, 0.0]
    timing = Timing(0.525, 6.183, 0.891, 1.614)
    silent = 90 / 7 - early.unseen_weeks[1]
    expected = p_return(timing, 1, 10 / 7, 20 / 7 + silent, early.unseen_weeks[1])
    assert early.came(timing, 90 / 7).tolist() == pytest.approx([1.0, expected])
