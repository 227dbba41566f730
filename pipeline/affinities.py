"""What goes with what in the shop, measured over every customer's state: a `ModelFitted` of scope `affinity`."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline import topics
from pipeline.analysis.affinity import Tally
from pipeline.bookkeeping import read_state
from pipeline.core import controls as core_controls
from pipeline.core.affinity import SCOPE
from pipeline.core.codec import unpack
from pipeline.core.days import day_of
from pipeline.inquiry import need_topics
from pipeline.schemas import logged
from pipeline.settings import Settings


def measure_affinity(settings: Settings) -> logged.ModelFitted:
    """The table as customers stand now, a partition after the other; it is not put into the log here.

    Raises as reading Kafka does. A shop that has told no categories gets an empty table, not an error.
    """
    need_topics(settings, topics.CUSTOMER_STATE)
    tally = Tally()
    for number in range(settings.partitions(topics.CUSTOMER_STATE)):
        partition = read_state(settings, number)
        controls = core_controls.from_entries(partition.controls)
        policy = controls.policy
        for packed in partition.profiles.values():
            profile = unpack(packed)
            tally.add(profile, policy, day_of(max(controls.tick_at, profile.as_of), policy.shop.time_zone))
    found = tally.measured()
    fitted_at = datetime.now(UTC)  # noqa: TID251 - a control's date is the moment somebody gave it
    return logged.ModelFitted(
        fitted_at=fitted_at, scope=SCOPE, parameters=found.parameters, diagnostics=found.diagnostics
    )
