"""The report's figures, read from Kafka: every customer's state twice, the log once, a partition after the other.

First the states alone, for what is in force and for the first and the last instant; then a partition's customers and
its log together, then the next. Held meanwhile: one partition's packed customers, and of each of them a small record
an order, a ticket, a touch (the latest 256), a period and a wish; then sums alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from pipeline import states, topics
from pipeline.analysis.report.calendar import (
    Calendar,
    Period,
    PeriodKind,
    kind_named,
    natural,
    number_of,
    periods_between,
)
from pipeline.analysis.report.compose import composed
from pipeline.analysis.report.goals import goal_figures, goals_set
from pipeline.analysis.report.life import Life
from pipeline.analysis.report.overhead import take_cost
from pipeline.analysis.report.shop import Shop
from pipeline.analysis.report.standing import standing_of
from pipeline.analysis.report.table import Report
from pipeline.analysis.report.taking import take
from pipeline.analysis.report.tally import Tally
from pipeline.analysis.report.telling import Lives
from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls
from pipeline.core.days import day_of
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.settings import Settings
from pipeline.spending import costs_told
from pipeline.states import Partition

_SHOWN_BEFORE: Final[dict[PeriodKind, int]] = {"week": 12, "month": 12, "quarter": 8, "year": 5}
"""How many periods before the last one the report looks back unless told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which time the report shall be of; without a day, the period of the log's last moment and a year or so before."""

    kind: PeriodKind | None = None
    """None: that of the goals."""
    first_on: date | None = None
    last_on: date | None = None

    def __post_init__(self) -> None:
        if self.first_on and self.last_on and self.last_on < self.first_on:
            raise ValueError(f"expected a time that ends on {self.first_on} or later, got {self.last_on}")


class NobodyYet(Exception):
    """There is no customer to report on."""


def read_report(settings: Settings, asked: Asked) -> Report:
    """The report as of now. Raises NobodyYet, ValueError for a time that cannot be, and as reading Kafka does."""
    need_topics(settings, topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS, topics.SHOP_COSTS)
    return _reported(settings, asked, *_span(settings))


def _reported(settings: Settings, asked: Asked, controls: Controls, first_at: int, as_of: int) -> Report:
    zone = controls.policy.shop.time_zone
    kind = asked.kind or kind_named(controls.policy.goals.period)
    periods = asked_periods(asked, kind, (day_of(first_at, zone), day_of(as_of, zone)))
    tally = Tally(Calendar(periods, kind, zone), controls.policy)
    for partition in states.partitions(settings):
        lives = _lives(settings, partition, tally)
        for key, profile in partition.customers():
            life = lives.by_customer.pop(key, None) or Life()
            life.first_at = life.first_at or profile.first_seen_at
            take(tally, life, standing_of(profile, partition.controls, as_of), as_of)
    for cost in costs_told(settings):
        take_cost(tally, cost, day_of(as_of, zone))
    return composed(Shop(tally, controls, as_of, settings.shop_currency))


def read_goals(settings: Settings) -> dict[str, float]:
    """How far the goals of the period there is now are, for metrics; nothing where none is set. Raises as above."""
    need_topics(settings, topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS, topics.SHOP_COSTS)
    controls, first_at, as_of = _span(settings)
    if not goals_set(controls.policy):
        return {}
    return goal_figures(_reported(settings, Asked(), controls, first_at, as_of))


def _span(settings: Settings) -> tuple[Controls, int, int]:
    """What is in force, the first instant of any customer, and the last one known. Raises NobodyYet."""
    controls, first_at, last_at = core_controls.INITIAL, 0, 0
    for partition in states.partitions(settings):
        controls = core_controls.newest(controls, partition.controls)
        for _, profile in partition.customers():
            first_at = min(first_at or profile.first_seen_at, profile.first_seen_at)
            last_at = max(last_at, profile.as_of)
    if not last_at:
        raise NobodyYet("nobody is known yet (or no worker has come so far: `wafa lag`)")
    return controls, first_at, core_controls.known_until(controls, last_at)


def asked_periods(asked: Asked, kind: PeriodKind, seen: tuple[int, int]) -> tuple[Period, ...]:
    """The periods asked for.

    Where no day is given, whole ones: through that of today, which is forecast to its end, and from that of the first
    event or of a year or so before.
    """
    today = number_of(asked.last_on) if asked.last_on else seen[1]
    last = today if asked.last_on else natural(today, kind)[2]
    if asked.first_on:
        first = number_of(asked.first_on)
    else:
        first = natural(today, kind)[1]
        for _ in range(_SHOWN_BEFORE[kind]):
            first = natural(first - 1, kind)[1]
        first = max(first, natural(min(seen[0], today), kind)[1])
    return periods_between(first, last, kind)


def _lives(settings: Settings, partition: Partition, tally: Tally) -> Lives:
    """A partition's log up to where its state stands, each event under the policy then in force."""
    lives = Lives(tally.calendar, tally.category_by_product)
    for key, event in states.lived(settings, partition):
        if isinstance(event, logged.PolicyAdopted):
            lives.controls = core_controls.adopt(lives.controls, event)
        elif key != logged.CONTROL_KEY:
            lives.tell(key, event)
    return lives
