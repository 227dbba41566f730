"""Stages on a real shop: later retention rises with the stage, and nobody flickers. All of it: `bench.retention`."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from bench import journey, retention
from bench.retention import Baskets, Row


@pytest.fixture(scope="module")
def baskets(journey_wheel: Path) -> Baskets:
    """Every second household: enough to tell, in seconds."""
    return dict(list(journey.baskets(journey_wheel).items())[::2])


@pytest.fixture(scope="module")
def rows(baskets: Baskets) -> list[Row]:
    return retention.table(baskets)


def test_later_retention_rises_with_the_stage(rows: list[Row]) -> None:
    """Of the bonded nine in ten and more still buy in December, of the exploratory seven: beyond any error."""
    assert [row.stage for row in rows] == ["exploratory", "basic", "collaborative", "bonded"]
    retained = [row.retained_fraction for row in rows]
    assert retained == sorted(retained)
    low, high = rows[0], rows[-1]
    error = fmean(row.retained_fraction * (1 - row.retained_fraction) / row.households for row in (low, high)) ** 0.5
    assert high.retained_fraction - low.retained_fraction > 5 * error


def test_later_spend_rises_from_first_contact_over_collaboration_to_loyalty(rows: list[Row]) -> None:
    """Of the basic there are too few to tell: who has answered an offer is soon collaborative."""
    exploratory, _, collaborative, bonded = (row.spent_usd for row in rows)
    assert exploratory < collaborative < bonded
    assert bonded > 2 * exploratory


def test_nobody_flickers(rows: list[Row]) -> None:
    """In nine months three steps up, and hardly one back."""
    assert all(row.moves < 3.5 for row in rows)
