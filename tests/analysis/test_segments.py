"""Cohorts and channels: told apart where they have shown that they differ, and left to the shop where not."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.analysis import segments as whole_shop
from pipeline.analysis.counts import Counts, counted
from pipeline.analysis.judge import Segment, fit_segments
from pipeline.analysis.purchases import Purchases, purchases_of, states_on
from pipeline.analysis.renewal import HELD_OUT_WEEKS
from pipeline.analysis.segments import segment_models
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.calibration import FEATURES, Calibration
from pipeline.core.predict import Model
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

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


def together(tables: list[Counts]) -> Timing:
    columns = ("frequency", "recency", "tenure", "customers")
    found = fit_timing(Counts(*(np.concatenate([getattr(each, name) for each in tables]) for name in columns)))
    assert isinstance(found, TimingFit)
    return found.timing


def segment(purchases: Purchases) -> Segment:
    return Segment(table(purchases, BEFORE), table(purchases, AFTER))


@pytest.fixture(scope="module")
def channels() -> dict[str, Segment]:
    return {name: segment(made(rate, 400, seed)) for seed, (name, rate) in enumerate(RATES.items())}


def fitted(segments: dict[str, Segment], shop: dict[str, Segment]) -> tuple[dict[str, TimingFit], float]:
    whole = together([each.before for each in shop.values()])
    return fit_segments(segments, whole), whole.r / whole.alpha


def test_channels_of_different_kinds_get_their_own_rates(channels: dict[str, Segment]) -> None:
    """Within a tenth of the truth, where the shop's mean is between them."""
    fits, shop = fitted(channels, channels)
    assert {name: fits[name].timing.r / fits[name].timing.alpha for name in RATES} == pytest.approx(RATES, rel=0.1)
    assert RATES["social"] < shop < RATES["search"]


def test_a_channel_of_five_stays_nearer_to_the_shop(channels: dict[str, Segment]) -> None:
    stall = segment(made(RATES["search"], 5, seed=9))
    alone = fit_timing(stall.before)
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


# -- of a whole shop ---------------------------------------------------------------------------------------------------


def model_of(purchases: Purchases) -> Model:
    found = fit_timing(table(purchases, AFTER))
    assert isinstance(found, TimingFit)
    rhythm = Rhythm(found.timing, (1.0, 0.0, 0.0))
    return Model(found.timing, Spend(4.0, 3.5, 1.0), rhythm, level=0.02, fitted_on=AFTER, second_order_weeks=26.0)


@pytest.fixture(scope="module")
def shop() -> tuple[Purchases, dict[str, np.ndarray]]:
    """Customers 0 to 299 come by `search`, 300 to 419 by `social`; some of both not before the held-out weeks."""
    parts = [made(RATES["search"], 300, seed=5), made(RATES["social"], 120, seed=6)]
    who = np.concatenate([parts[0].customer, parts[1].customer + 300])
    day = np.concatenate([each.day for each in parts])
    is_known = (who % 7 != 0) | (day > AFTER - HELD_OUT_WEEKS * 7)
    places = np.unique(who[is_known], return_inverse=True)
    purchases = Purchases(places[1], day[is_known], np.ones(int(is_known.sum())))
    return purchases, {"search": np.flatnonzero(places[0] < 300), "social": np.flatnonzero(places[0] >= 300)}


def test_a_segments_model_is_that_of_its_customers_counted_by_themselves(
    shop: tuple[Purchases, dict[str, np.ndarray]],
) -> None:
    """Whether read out of the shop's cells or counted from its own purchases alone."""
    purchases, scopes = shop
    model, before = model_of(purchases), AFTER - HELD_OUT_WEEKS * 7
    alone = {
        name: Segment(*(table(purchases.of(some), day) for day in (before, AFTER))) for name, some in scopes.items()
    }
    earlier = fit_timing(table(purchases, before))
    assert isinstance(earlier, TimingFit)
    expected = fit_segments(alone, earlier.timing)
    found = segment_models(model, purchases, AFTER, scopes)
    assert found.keys() == expected.keys() == RATES.keys()
    for name, (each, customers) in found.items():
        assert customers == len(scopes[name])
        assert each.timing.r / each.timing.alpha == pytest.approx(
            expected[name].timing.r / expected[name].timing.alpha, rel=1e-6
        )


def test_a_shop_learned_before_the_held_out_weeks_is_what_its_segments_are_held_against(
    shop: tuple[Purchases, dict[str, np.ndarray]],
) -> None:
    """Here a shop of which nobody buys: each channel is drawn to that, and foretells its own customers better."""
    purchases, scopes = shop
    quiet = Timing(0.5, 500.0, 0.9, 1.6)
    model = replace(model_of(purchases), timing=quiet, fitted_on=AFTER - HELD_OUT_WEEKS * 7)
    before, after = (
        {name: table(purchases.of(some), day) for name, some in scopes.items()} for day in (model.fitted_on, AFTER)
    )
    expected = fit_segments({name: Segment(before[name], after[name]) for name in scopes}, quiet)
    found = segment_models(model, purchases, AFTER, scopes)
    assert {name: each.timing.r / each.timing.alpha for name, (each, _) in found.items()} == pytest.approx(
        {name: fit.timing.r / fit.timing.alpha for name, fit in expected.items()}, rel=1e-6
    )


@pytest.mark.parametrize(("intercept", "keeps"), [(1.5, True), (-1.5, False), (0.0, False)])
def test_a_segment_keeps_the_shops_correction_only_where_it_holds_for_its_own_customers(
    shop: tuple[Purchases, dict[str, np.ndarray]],
    intercept: float,
    keeps: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """Everybody buys in the last four weeks: odds of return above the model's own are right, and below are wrong."""
    purchases, scopes = shop
    who = np.unique(purchases.customer)
    rows = np.unique(
        np.column_stack([np.append(purchases.customer, who), np.append(purchases.day, np.full(len(who), AFTER - 3))]),
        axis=0,
    )
    sale = Purchases(rows[:, 0], rows[:, 1], np.ones(len(rows)))
    correction = Calibration(4.0, intercept, (1.0, *(0.0,) * (len(FEATURES) - 1)))
    model = replace(model_of(purchases), calibration=correction, return_weeks=4.0)
    for customers, kept in ((scopes["search"], keeps), (scopes["search"][:90], False)):
        found = segment_models(model, sale, AFTER, {"search": customers})
        assert (found["search"][0].calibration is not None) is kept


def test_of_more_segments_than_there_is_room_for_the_largest_are_looked_at(
    shop: tuple[Purchases, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    purchases, scopes = shop
    monkeypatch.setattr(whole_shop, "SEGMENTS_MAX", 1)
    renamed = {"a": scopes["social"], "b": scopes["search"]}
    assert segment_models(model_of(purchases), purchases, AFTER, renamed).keys() == {"b"}
