"""The least of a function of a few numbers, where it is known by algebra or from a paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from pipeline.analysis.counts import Floats
from pipeline.analysis.search import curvature, least


def bowl(at: Floats) -> tuple[float, Floats]:
    """Least at (1, -2, 3), a million times more bent one way than another, and slanted."""
    bent = np.array([[1.0, 0.3, 0.0], [0.3, 1e3, 5.0], [0.0, 5.0, 1e-3 + 0.025]])
    away = at - np.array([1.0, -2.0, 3.0])
    return float(0.5 * away @ bent @ away), bent @ away


def valley(at: Floats) -> tuple[float, Floats]:
    """Rosenbrock's: long, curved and flat at the bottom; least at ones."""
    return float(rosen(at)), np.asarray(rosen_der(at))


def test_a_bowl_is_left_at_its_bottom_however_uneven() -> None:
    found = least(bowl, np.zeros(3), 12.0)
    assert found.at == pytest.approx([1.0, -2.0, 3.0], abs=1e-6)
    assert found.is_settled


@pytest.mark.parametrize(
    ("start", "bottom"),
    [
        ((3.0, 3.0, -3.0, 0.0), (1.0, 1.0, 1.0, 1.0)),
        ((0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0)),
        ((-1.2, 1.0, 0.5, 2.0), (-0.77565923, 0.61309337, 0.38206285, 0.14597202)),
    ],
)
def test_a_curved_valley_is_followed_to_one_of_its_two_bottoms(
    start: tuple[float, ...], bottom: tuple[float, ...]
) -> None:
    """Rosenbrock's of four numbers has two: Shang & Qiu (2006), A note on the extended Rosenbrock function."""
    found = least(valley, np.array(start), 12.0)
    assert found.at == pytest.approx(bottom, abs=1e-5)
    assert np.abs(found.slope).max() < 1e-4
    assert found.is_settled


def test_what_falls_for_ever_ends_outside_its_bound() -> None:
    found = least(lambda at: (float(-at.sum()), -np.ones(2)), np.zeros(2), 12.0)
    assert not found.is_within
    assert not found.is_settled


@pytest.mark.parametrize("nothing", [(np.nan, 0.0), (1.0, np.nan)])
def test_what_is_no_number_where_the_search_begins_is_not_settled(nothing: tuple[float, float]) -> None:
    """Neither a value that is none, nor a slope."""
    value, slope = nothing
    assert not least(lambda _: (value, np.full(2, slope)), np.zeros(2), 12.0).is_settled


def test_what_is_no_number_is_not_stepped_into() -> None:
    """A line less a logarithm, least at 1: to the left of 0 there is nothing."""

    def loss(at: Floats) -> tuple[float, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(at[0] - np.log(at[0])), 1.0 - 1.0 / at

    found = least(loss, np.array([0.05]), 12.0)
    assert found.at == pytest.approx([1.0], abs=1e-6)


def test_curvature_of_a_bowl_is_its_own() -> None:
    assert curvature(bowl, np.array([0.3, 0.1, 0.2])) == pytest.approx(
        np.array([[1.0, 0.3, 0.0], [0.3, 1e3, 5.0], [0.0, 5.0, 0.026]]), rel=1e-6, abs=1e-6
    )
