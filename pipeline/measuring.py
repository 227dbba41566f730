"""Where the shop's customers lie, measured from every customer's state: `ModelFitted` of scope `population`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from pipeline import states, topics
from pipeline.adoption import given_at
from pipeline.analysis.population import Customers, measured
from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls
from pipeline.core.days import day_of
from pipeline.core.outlook import facts
from pipeline.core.population import FIFTHS, GRID, SCOPE, Population, from_parameters, to_parameters
from pipeline.core.rfm import habits
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.settings import Settings
from pipeline.telling_value import money


class NothingToMeasure(Exception):
    """The shop's customers have no cuts yet; the message says why."""


def measure_population(settings: Settings, models: Sequence[logged.ModelFitted] = ()) -> logged.ModelFitted:
    """The population as it stands now, not yet in the log. Raises NothingToMeasure, and as reading Kafka does.

    By the models in force, or by these, which are about to be. Reads one partition's state after the other; holds that,
    and some hundred bytes for each customer who bought.
    """
    need_topics(settings, topics.CUSTOMER_STATE, topics.CONTROLS)
    seen = _Seen()
    found = measured(list(_partitions(settings, models, seen)), seen.last_day)
    if not isinstance(found, Population):
        raise NothingToMeasure(found)
    return logged.ModelFitted(
        fitted_at=given_at(core_controls.fitted_at(seen.controls, SCOPE)), scope=SCOPE, parameters=to_parameters(found)
    )


@dataclass
class _Seen:
    """What was seen on the way."""

    last_day: int = 0
    """The latest that figures are of."""
    controls: Controls = core_controls.INITIAL
    """The newest of all partitions."""


def _partitions(settings: Settings, models: Sequence[logged.ModelFitted], seen: _Seen) -> Iterator[Customers]:
    """Each partition's customers."""
    for partition in states.partitions(settings):
        controls = partition.controls
        seen.controls = core_controls.newest(seen.controls, controls)
        for fitted in models:
            controls = core_controls.adopt(controls, fitted)
        zone, customers = controls.policy.shop.time_zone, Customers()
        for _, profile in partition.customers():
            day = day_of(core_controls.known_until(controls, profile.as_of), zone)
            known, bought = facts(profile, controls, day), habits(profile, zone, day)
            if known is not None and bought is not None:
                customers.add(known.outlook, bought)
                seen.last_day = max(seen.last_day, day)
        yield customers


def print_population(fitted: logged.ModelFitted, console: Console, currency: str) -> None:
    """The cuts for eyes."""
    population = from_parameters(fitted.parameters)
    table = Table("customers below", "worth in all", "might be worth more", "to serve an order")
    for place, permille in enumerate(GRID):
        if permille in (*FIFTHS, 100, 500, 700, 750, 850, 900, 950):
            cuts = (population.value[place], population.gap[place], population.serve[place])
            table.add_row(f"{permille / 10:.0f} %", *(money(cut, currency) for cut in cuts))
    for column in table.columns[1:]:
        column.justify = "right"
    console.print(table)
    upkeep = money(population.upkeep_minor, currency)
    console.print(
        f"{population.customers:,} customers who bought, {len(population.best_ahead_minor):,} groups of alike ones. "
        f"Keeping and serving them costs {upkeep} an order in the middle.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
