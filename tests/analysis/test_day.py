"""The day up to which the shop is learned: the last whole one, by whatever told last how late it is."""

from __future__ import annotations

import pytest

from pipeline import settings
from pipeline.analysis.affinity import Tally
from pipeline.analysis.gather import Gathering
from pipeline.core.controls import Controls
from pipeline.core.days import date_of
from pipeline.fitting import Everybody, fit_shop
from tests.core.builders import seconds


@pytest.mark.parametrize(
    ("tick", "seen", "learned_up_to"),
    [
        (0, 5, "2026-01-05"),  # day 5 is 6 January: its own day is not over
        (5, 3, "2026-01-05"),
        (5, 5.4, "2026-01-05"),
        (5, 5.6, "2026-01-06"),  # seen after midnight, before the next Tick
    ],
)
def test_a_shop_is_fitted_up_to_the_last_whole_day_before_the_later_of_tick_and_customer(
    tick: float, seen: float, learned_up_to: str
) -> None:
    controls = Controls(tick_at=seconds(tick) if tick else 0)
    everybody = Everybody(Gathering(), Tally(), controls, seconds(seen))
    report = fit_shop(settings.load(), everybody, dry_run=True)
    assert date_of(report.day) == learned_up_to
