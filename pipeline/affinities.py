"""What goes with what in the shop, measured over every customer's state: a `ModelFitted` of scope `affinity`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline import states, topics
from pipeline.adoption import given_at
from pipeline.analysis.affinity import Tally
from pipeline.core import controls as core_controls
from pipeline.core.affinity import DISCOUNTED, RESPONSE, SCOPE, from_parameters
from pipeline.core.controls import Controls
from pipeline.core.days import day_of
from pipeline.core.profile import Profile
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.settings import Settings

PAIRS_SHOWN: Final = 10


def measure_affinity(settings: Settings) -> logged.ModelFitted:
    """The table as customers stand now, a partition after the other; it is not put into the log here.

    Raises as reading Kafka does. A shop that has told no categories gets an empty table, not an error.
    """
    need_topics(settings, topics.CUSTOMER_STATE, topics.CONTROLS)
    tally, controls = Tally(), core_controls.INITIAL
    for partition in states.partitions(settings):
        controls = core_controls.newest(controls, partition.controls)
        for _, profile in partition.customers():
            count(tally, profile, partition.controls)
    return table_of(tally, controls)


def count(tally: Tally, profile: Profile, controls: Controls) -> None:
    """One customer more, as of the latest that is known in their partition."""
    day = day_of(core_controls.known_until(controls, profile.as_of), controls.policy.shop.time_zone)
    tally.add(profile, controls.policy, day)


def table_of(tally: Tally, controls: Controls) -> logged.ModelFitted:
    """The table of those counted, to follow the one in force."""
    found = tally.measured()
    return logged.ModelFitted(
        fitted_at=given_at(core_controls.fitted_at(controls, SCOPE)), scope=SCOPE,
        parameters=found.parameters, diagnostics=found.diagnostics,
    )  # fmt: skip


def told(found: logged.ModelFitted) -> Iterator[str]:
    """The table in words: what it rests on, and the pairs that say most."""
    seen, numbers = found.diagnostics, found.parameters
    table = from_parameters(numbers)
    yield f"{seen['customers']:,.0f} customers who bought of {seen['categories']:,.0f} categories."
    if seen["categories_left_out"]:
        yield f"{seen['categories_left_out']:,.0f} categories of the fewest customers are left out."
    pairs = [
        (share - table.usual.get(other, 0.0), name, other, share)
        for name, others in table.follows.items()
        for other, share in others.items()
    ]
    for _, name, other, share in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:PAIRS_SHOWN]:
        yield f"Who buys {name} buys {other} in {share:.0%} of orders; all do in {table.usual.get(other, 0.0):.0%}."
    if DISCOUNTED in numbers:
        yield f"{numbers[DISCOUNTED]:.0%} of {seen['orders']:,.0f} orders had a discount."
    if RESPONSE in numbers:
        yield f"{numbers[RESPONSE]:.0%} of {seen['messages']:,.0f} messages and contacts were answered."
