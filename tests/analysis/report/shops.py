"""Small shops to report on: their events lived by the core, and read by the report, as from Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from pipeline.analysis.report.calendar import Calendar, PeriodKind, number_of, periods_between
from pipeline.analysis.report.compose import composed
from pipeline.analysis.report.overhead import take_cost
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.standing import standing_of
from pipeline.analysis.report.table import Report
from pipeline.analysis.report.taking import take
from pipeline.analysis.report.tally import Tally
from pipeline.analysis.report.telling import Lives
from pipeline.core.policy import DEFAULT, Policy
from pipeline.core.step import Outcome
from pipeline.schemas import logged
from pipeline.schemas.shop_costs import ShopCost
from tests.core.builders import day, seconds
from tests.driver import Driver

Told = tuple[str, Any]
"""Who, and what happened to them."""


def shop_of(
    told: Iterable[Told],
    *controls: logged.Control,
    rules: Policy = DEFAULT,
    first: date = date(2026, 1, 1),
    last: date = date(2026, 3, 31),
    kind: PeriodKind = "month",
    now: float = 89,
    costs: Sequence[ShopCost] = (),
) -> Shop:
    """A shop after these events (controls among them are of nobody) and controls, on a day (89 is 31 March 2026)."""
    driver = Driver(rules)
    zone = rules.shop.time_zone
    tally = Tally(Calendar(periods_between(number_of(first), number_of(last), kind), kind, zone), rules)
    lives = Lives(tally.calendar, tally.category_by_product)
    lives.controls = driver.controls
    for who, event in told:
        if isinstance(event, logged.Control):
            driver.control(event)
            continue
        if driver.feed(event, who).outcome is Outcome.TOO_OLD:
            continue  # refused: a dead letter, and in nobody's figures
        lives.tell(who.encode(), event)
        while driver.told:
            between = driver.told[0]
            driver.deliver()
            lives.tell(between.customer_id.encode(), between.event)
    for control in controls:
        driver.control(control)
    driver.control(logged.Tick(as_of=day(now)))
    for who, profile in driver.profiles.items():
        take(tally, lives.by_customer[who.encode()], standing_of(profile, driver.controls, seconds(now)), seconds(now))
    for cost in costs:
        take_cost(tally, cost, tally.calendar.day(seconds(now)))
    return Shop(tally, driver.controls, seconds(now), "USD")


def report_of(told: Iterable[Told], *controls: logged.Control, **asked: Any) -> Report:
    """The report of such a shop."""
    return composed(shop_of(told, *controls, **asked))
