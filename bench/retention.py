"""Stages on a real shop: Complete Journey's households, basket by basket, and who of them still bought later.

    python -m bench.retention [--every 1]

A coupon used is an answer to marketing's offer, a basket kept is sales dealing well with them: no more is told of these
households. Nobody was served, so what a stage foretells here is what offers answered and own rhythm foretell.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

from bench import journey
from pipeline.core.controls import INITIAL, Controls, adopt
from pipeline.core.profile import Profile, Stage
from pipeline.core.step import step
from pipeline.schemas import logged

Baskets = dict[int, list[journey.Basket]]
BEGUN: Final = date(2017, 1, 1)
UNTIL: Final = date(2017, 9, 30)
"""Stages are those at the end of this day ..."""
LATER: Final = date(2017, 12, 1)
ENDED: Final = date(2017, 12, 30)
"""... and who bought from LATER to ENDED has stayed."""


@dataclass(frozen=True, slots=True)
class Row:
    """The households of one stage, and what became of them."""

    stage: str
    households: int
    retained_fraction: float
    spent_usd: float
    """Mean from the day after UNTIL to ENDED."""
    moves: float
    """Of the stage, a household, from BEGUN to UNTIL."""


@dataclass(slots=True)
class Household:
    """One household as it was lived through."""

    profile: Profile
    moves: int


def lived(baskets: Baskets) -> dict[int, Household]:
    """Every household at the end of UNTIL, with a Tick a week."""
    weeks = -(-(UNTIL - BEGUN).days // 7)
    controls = [INITIAL]
    for week in range(weeks):
        controls.append(adopt(controls[-1], logged.Tick(as_of=_noon(BEGUN + timedelta(weeks=week + 1)))))
    return {number: found for number, some in baskets.items() if (found := _lived(str(number), some, controls))}


def _lived(name: str, baskets: list[journey.Basket], controls: list[Controls]) -> Household | None:
    household: Household | None = None
    events = _events(name, baskets)
    event = next(events, None)
    for before, after in pairwise(controls):
        while event is not None and int(event.occurred_at.timestamp()) < after.tick_at:
            household = _stepped(name, household, event, before)
            event = next(events, None)
        tick = after.latest["Tick"]
        assert isinstance(tick, logged.Tick)
        if household is not None and household.profile.next_review_at <= after.tick_at:
            household = _stepped(name, household, tick, after)
    return household


def _stepped(
    name: str, household: Household | None, event: logged.CustomerEvent | logged.Tick, controls: Controls
) -> Household:
    profile = None if household is None else household.profile
    after = step(name, profile, event, controls).profile
    if household is None:
        return Household(after, 0)
    return Household(after, household.moves + (after.stage != household.profile.stage))


def _events(name: str, baskets: list[journey.Basket]) -> Iterator[logged.CustomerEvent]:
    items = (logged.Item(product_id="groceries"),)
    for place, each in enumerate(baskets):
        if each.day > UNTIL:
            return
        at = _noon(each.day)
        if not place:
            yield logged.CustomerIdentified(id=name, source="shop", occurred_at=at, received_at=at)
        yield logged.OrderCompleted(
            id=each.basket, source="shop", occurred_at=at, received_at=at, order_id=each.basket,
            revenue_minor=each.cents, currency="USD", items=items, coupon="coupon" if each.has_coupon else None,
        )  # fmt: skip


def _noon(on: date) -> datetime:
    return datetime.combine(on, time(12), UTC)


def table(baskets: Baskets) -> list[Row]:
    """The stages, lowest first, with what came after."""
    by_stage: dict[int, list[tuple[bool, float, int]]] = defaultdict(list)
    for number, household in lived(baskets).items():
        later = [each for each in baskets[number] if UNTIL < each.day <= ENDED]
        stayed = any(each.day >= LATER for each in later)
        spent = sum(each.cents for each in later) / 100
        by_stage[household.profile.stage].append((stayed, spent, household.moves))
    rows = []
    for stage, some in sorted(by_stage.items()):
        share, spend, moves = (fmean(float(each[place]) for each in some) for place in range(3))
        rows.append(Row(Stage(stage).label, len(some), share, spend, moves))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="every so-manieth household")
    arguments = parser.parse_args()
    households = journey.baskets(journey.fetch(Path(".wafa/cache")))
    print(f"{'stage':15}{'households':>12}{'bought in December':>20}{'spent till then':>17}{'moves':>7}")
    for row in table(dict(list(households.items())[:: arguments.every])):
        print(f"{row.stage:15}{row.households:12,}{row.retained_fraction:20.1%}{row.spent_usd:17,.0f}{row.moves:7.1f}")


if __name__ == "__main__":
    main()
