"""CDNOW, 39 weeks to fit and 39 to check: parameters, likelihoods and forecasts as published or reckoned elsewhere."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.histories import day
from pipeline.analysis.chances import p_alive, p_return
from pipeline.analysis.counts import Counts, counted, counts_of
from pipeline.analysis.purchases import Purchases, bought_between, states_on
from pipeline.analysis.score import orders_if_alive
from pipeline.analysis.spend import SpendFit, fit_spend
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core import timing as scalar
from pipeline.core.spend import Spend, expected_margin
from pipeline.core.timing import expected_orders
from tests.conftest import REPOSITORY

END = day(1997, 9, 30)


def fitted(counts: Counts, *, leaves_at_first: bool, scale: float = 1.0) -> TimingFit:
    scaled = Counts(counts.frequency, counts.recency * scale, counts.tenure * scale, counts.customers)
    found = fit_timing(scaled, None, leaves_at_first=leaves_at_first)
    assert isinstance(found, TimingFit)
    return found


def numbers(found: TimingFit) -> list[float]:
    return [found.timing.r, found.timing.alpha, found.timing.a, found.timing.b]


@pytest.mark.parametrize(
    ("which", "leaves_at_first", "expected", "likelihood", "digits"),
    [
        ("sample", False, (0.243, 4.414, 0.793, 2.426), -9582.43, 0.0005),  # Fader, Hardie & Lee (2005), table 2
        ("sample", True, (0.525, 6.183, 0.891, 1.614), -9582.13, 0.0005),  # BTYDplus
        ("master", False, (0.2516, 4.789, 0.7234, 2.161), -95_368.4, 0.0006),
        ("master", True, (0.6371, 7.310, 0.8075, 1.228), -95_337.0, 0.0006),
    ],
)
def test_the_parameters_are_those_published(
    request: pytest.FixtureRequest,
    which: str,
    leaves_at_first: bool,  # noqa: FBT001 - a row of the table
    expected: tuple[float, ...],
    likelihood: float,
    digits: float,
) -> None:
    counts = states_on(request.getfixturevalue(which), END).counts
    found = fitted(counts, leaves_at_first=leaves_at_first)
    assert numbers(found) == pytest.approx(expected, abs=digits)
    assert found.log_likelihood == pytest.approx(likelihood, abs=0.06)


def test_in_days_only_alpha_changes_sevenfold(sample: Purchases) -> None:
    """The trap of mixed units: weeks are the unit everywhere, and this is how one would see it."""
    counts = states_on(sample, END).counts
    weeks, days = (fitted(counts, leaves_at_first=False, scale=scale) for scale in (1.0, 7.0))
    r, alpha, a, b = numbers(weeks)
    assert numbers(days) == pytest.approx([r, 7 * alpha, a, b], rel=1e-3)
    assert days.log_likelihood - weeks.log_likelihood == pytest.approx(-4781.10, abs=0.05)


def test_weeks_counted_together_say_the_same(sample: Purchases) -> None:
    """2,357 customers in some 700 cells: no chance of being there moves by more than two hundredths."""
    counts = states_on(sample, END).counts
    table = counted(counts)
    assert table.total == 2_357
    assert len(table.customers) < 800
    plain, rounded = fitted(counts, leaves_at_first=True), fitted(table, leaves_at_first=True)
    assert np.abs(p_alive(plain.timing, counts) - p_alive(rounded.timing, counts)).max() < 0.02


def test_spend_is_as_published(wheel: Path) -> None:
    """Fader & Hardie's note on Gamma-Gamma: p 6.25, q 3.74, gamma 15.44, mean 35.17; then ten customers' means."""
    name = "lifetimes/datasets/cdnow_customers_summary_with_transactions.csv"
    with zipfile.ZipFile(wheel) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    x, m = (np.array([float(row[column]) for row in rows]) for column in ("x", "zbar"))
    found = fit_spend(x, m, with_prior=False)
    assert isinstance(found, SpendFit)
    spend = found.spend
    assert found.customers == 946
    assert (spend.p, spend.q, spend.gamma) == pytest.approx((6.25, 3.74, 15.44), abs=0.01)
    assert spend.mean_minor == pytest.approx(35.17, abs=0.005)
    assert found.log_likelihood == pytest.approx(-4055.92, abs=0.05)
    assert found.dependence == pytest.approx(0.114, abs=0.0005)
    published = [24.6586, 18.9115, 35.171, 35.171, 35.171, 71.4629, 18.9115, 35.171, 27.2824, 35.171]
    assert [expected_margin(spend, int(a), b) for a, b in zip(x[:10], m[:10], strict=True)] == pytest.approx(
        published, abs=0.01
    )
    unrounded = Spend(6.2496, 3.7442, 15.4435)
    assert [expected_margin(unrounded, int(a), b) for a, b in zip(x[:10], m[:10], strict=True)] == pytest.approx(
        published, abs=0.002
    )


def test_spend_of_all_of_cdnow_is_as_reckoned_elsewhere(master: Purchases) -> None:
    """Of 9,450 customers with a margin at a repeat purchase, in dollars, without zero amounts."""
    states = states_on(master, END)
    found = fit_spend(states.spend_days, states.mean_margin_minor / 100.0, with_prior=False)
    assert isinstance(found, SpendFit)
    assert found.customers == 9_450
    assert (found.spend.p, found.spend.q, found.spend.gamma) == pytest.approx((6.275, 3.624, 14.984), abs=0.005)


@pytest.mark.parametrize(
    ("leaves_at_first", "of_new", "ahead", "alive"), [(False, 1.4440, 25.758, 0.96886), (True, 1.4189, 23.998, 0.96548)]
)
def test_what_is_expected_of_a_newcomer_and_of_the_busiest_customer_is_as_published(
    sample: Purchases,
    leaves_at_first: bool,  # noqa: FBT001 - a row of the table
    of_new: float,
    ahead: float,
    alive: float,
) -> None:
    """Within 52 weeks: of somebody new; and of who came again 26 times in 30.857 of 31 weeks, with P(alive)."""
    timing = fitted(states_on(sample, END).counts, leaves_at_first=leaves_at_first).timing
    assert expected_orders(timing, 0, 0.0, 0.0, 52.0) == pytest.approx(of_new, abs=0.0005)
    busiest = (26, 30.857, 31.0)
    assert expected_orders(timing, *busiest, 52.0) == pytest.approx(ahead, abs=0.005)
    assert scalar.p_alive(timing, *busiest) == pytest.approx(alive, abs=0.00005)


@pytest.mark.parametrize("model", ["bg", "mbg"])
def test_lifetimes_says_the_same_of_every_customer(wheel: Path, model: str) -> None:
    """`lifetimes` 0.11.3 on the summary it carries: fit, orders of 39 weeks, P(alive); `python -m bench.elsewhere`."""
    elsewhere = json.loads((REPOSITORY / "tests/analysis/lifetimes.json").read_text())[model]
    name = "lifetimes/datasets/cdnow_customers_summary_with_transactions.csv"
    with zipfile.ZipFile(wheel) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    counts = counts_of(*([float(row[column]) for row in rows] for column in ("x", "t_x", "T")))
    found = fitted(counts, leaves_at_first=model == "mbg")
    assert numbers(found) == pytest.approx(elsewhere["parameters"], rel=1e-4)
    there = p_alive(found.timing, counts)
    said = there * orders_if_alive(found.timing, counts.frequency, counts.tenure, 39.0)
    assert len(said) == 2_357
    assert said == pytest.approx(elsewhere["orders"], rel=1e-3, abs=1e-5)
    assert there == pytest.approx(elsewhere["p_alive"], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("leaves_at_first", "total", "mean_error", "correlation", "alive"),
    [(False, -0.121, 0.785, 0.626, 0.81), (True, -0.162, 0.765, 0.627, 0.45)],
)
def test_the_39_weeks_after_are_foretold_no_worse_than_elsewhere(
    sample: Purchases,
    leaves_at_first: bool,  # noqa: FBT001 - a row of the table
    total: float,
    mean_error: float,
    correlation: float,
    alive: float,
) -> None:
    """1,882 purchases came. The same model done elsewhere errs by so much, in all and per customer."""
    states = states_on(sample, END)
    came = bought_between(sample, states.customer, END, 39 * 7)
    assert came.sum() == 1_882
    timing = fitted(states.counts, leaves_at_first=leaves_at_first).timing
    counts = states.counts
    there = p_alive(timing, counts)
    said = there * orders_if_alive(timing, counts.frequency, counts.tenure, 39.0)
    assert said.sum() / came.sum() - 1.0 == pytest.approx(total, abs=0.001)
    assert np.abs(said - came).mean() == pytest.approx(mean_error, abs=0.001)
    assert np.corrcoef(said, came)[0, 1] == pytest.approx(correlation, abs=0.001)
    assert there.mean() == pytest.approx(alive, abs=0.005)


def test_the_chance_of_return_is_as_reckoned_elsewhere(sample: Purchases) -> None:
    """Within 39 weeks: MBG .240 (once .125, oftener .411); .290 (.137, .519) came. So it is low, and is calibrated."""
    counts = states_on(sample, END).counts
    said = p_return(fitted(counts, leaves_at_first=True).timing, counts, 39.0)
    once = counts.frequency == 0
    assert [said.mean(), said[once].mean(), said[~once].mean()] == pytest.approx([0.240, 0.125, 0.411], abs=0.001)


def test_counts_of_takes_rows_as_they_are() -> None:
    counts = counts_of([0, 2], [0.0, 3.0], [9.0, 9.0])
    assert (counts.total, list(counts.frequency)) == (2.0, [0.0, 2.0])
