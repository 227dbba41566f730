"""Two shops' histories as arrays: CDNOW (once in a while) and Complete Journey (every week)."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path

from bench import journey
from pipeline.analysis.purchases import Purchases, purchases_of
from pipeline.local import cdnow
from pipeline.local.choices import Which

EPOCH = date(1970, 1, 1).toordinal()


def day(year: int, month: int, of_month: int) -> int:
    """A date as the core counts days."""
    return date(year, month, of_month).toordinal() - EPOCH


def cdnow_purchases(wheel: Path, which: Which) -> Purchases:
    """CDNOW's purchase days, worth cents."""
    customers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in cdnow.read(wheel, which):
        customers[row.customer].append((row.bought_on.toordinal() - EPOCH, float(row.usd * 100)))
    return purchases_of(customers.values())


def journey_purchases(wheel: Path) -> Purchases:
    """Complete Journey's purchase days."""
    return purchases_of(journey.read(wheel))
