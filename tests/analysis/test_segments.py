"""Cohorts and channels: told apart where they have shown that they differ, and left to the shop where not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.counts import Counts, counted
from pipeline.analysis.judge import Segment, fit_segments
from pipeline.analysis.purchases import Purchases, purchases_of, states_on
from pipeline.analysis.timing import TimingFit, fit_timing

BEFORE, AFTER = 40 * 7, 52 * 7
RATES = {"search": 0.4, "social": 0.05}
"""Purchases a week; nobody leaves."""


def made(rate: float, customers: int, seed: int) -> Purchases:
    """Customers of one rate for a year, all since the first day."""
    chance = np.random.default_rng(seed)
    gaps = np.ceil(chance.exponential(7.0 / rate, (customers, 400)))
    days = np.cumsum(gaps, axis=1)
    return purchases_of([[(0, 1.0), *((int(day), 1.0) for day in row[row <= AFTER])] for row in days])


def table(purchases: Purchases, day: int) -> Counts:
    return counted(states_on(purchases, day).counts)


def together(tables: list[Counts]) -> TimingFit:
    columns = ("frequency", "recency", "tenure", "customers")
    found = fit_timing(Counts(*(np.concatenate([getattr(each, name) for each in tables]) for name in columns)))
    assert isinstance(found, TimingFit)
    return found


def segment(purchases: Purchases) -> Segment:
    return Segment(table(purchases, BEFORE), table(purchases, AFTER))


@pytest.fixture(scope="module")
def channels() -> dict[str, Segment]:
    return {name: segment(made(rate, 400, seed)) for seed, (name, rate) in enumerate(RATES.items())}


def fitted(segments: dict[str, Segment], shop: dict[str, Segment]) -> tuple[dict[str, TimingFit], float]:
    whole = together([each.after for each in shop.values()])
    fits = fit_segments(segments, together([each.before for each in shop.values()]), whole)
    return fits, whole.timing.r / whole.timing.alpha


def test_channels_of_different_kinds_get_their_own_rates(channels: dict[str, Segment]) -> None:
    """Within a tenth of the truth, where the shop's mean is between them."""
    fits, shop = fitted(channels, channels)
    assert {name: fits[name].timing.r / fits[name].timing.alpha for name in RATES} == pytest.approx(RATES, rel=0.1)
    assert RATES["social"] < shop < RATES["search"]


def test_a_channel_of_five_stays_nearer_to_the_shop(channels: dict[str, Segment]) -> None:
    stall = segment(made(RATES["search"], 5, seed=9))
    alone = fit_timing(stall.after)
    assert isinstance(alone, TimingFit)
    fits, shop = fitted({"stall": stall}, channels)
    found = fits["stall"].timing
    assert abs(np.log(found.r / found.alpha / shop)) < abs(np.log(alone.timing.r / alone.timing.alpha / shop))


def test_a_channel_that_has_shown_nothing_is_left_to_the_shop(channels: dict[str, Segment]) -> None:
    silent = purchases_of([[(0, 1.0)]] * 6)
    assert fitted({"stand": segment(silent), "empty": segment(purchases_of([]))}, channels)[0] == {}


def test_a_channel_whose_own_past_foretells_it_worse_is_left_to_the_shop(channels: dict[str, Segment]) -> None:
    """They bought faster than the shop until the held-out weeks, and not once in them."""
    bought = made(2.0, 60, seed=4)
    until = bought.day <= BEFORE
    stopped = Purchases(bought.customer[until], bought.day[until], bought.margin_minor[until])
    assert fitted({"pop-up": segment(stopped)}, channels)[0] == {}
