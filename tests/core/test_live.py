"""What a ledger's orders come to in one pass is what they come to one by one."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.days import day_of
from pipeline.core.ledger import purchases, worth_of
from pipeline.core.live import live_of
from pipeline.core.profile import Ledger
from pipeline.core.worth import NOTHING, worth
from tests.core.builders import day
from tests.core.lives import HASTY, STEADY, histories, live
from tests.driver import Driver

ZONE = "America/New_York"
"""Five hours behind, so that what is told around midnight falls on another day."""


@STEADY
@given(histories, st.randoms(use_true_random=False), st.sampled_from(["live", "folded"]))
def test_orders_come_to_the_same_in_one_pass_and_one_by_one(history: list[Any], chance: Random, orders: str) -> None:
    """Told anew, refunded before they came, cancelled; some of them folded."""
    chance.shuffle(history)
    driver = live(history, Driver(HASTY))
    if orders == "folded":
        driver.tick(day(130))
    ledger = driver.profiles["c"].ledger if driver.profiles else Ledger()
    by_day: dict[int, int] = {}
    for order in purchases(ledger):
        on = day_of(order.purchased_at, ZONE)
        by_day[on] = by_day.get(on, 0) + worth(order, ledger.refunds).brought_minor
    found = live_of(ledger, ZONE)
    assert found.worth == worth_of(ledger)
    assert found.brought_by_day == by_day
    assert found.orders == len(purchases(ledger))


def test_nothing_bought_is_worth_nothing() -> None:
    assert live_of(Ledger(), ZONE) == (0, NOTHING, {})
