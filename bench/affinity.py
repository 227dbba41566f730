"""How well the next category is foreseen, on a real shop's purchases that were not learned from (Complete Journey).

    python -m bench.affinity [--households 2469] [--days 60 120 180]

Every other household's first days make the shop's table; the rest are asked what their next basket holds, each from
its state as the core keeps it. A hit: one of three suggestions is in it. Popular: the three categories of the largest
share over all customers. New: of what the household had never bought, and its first basket with any such.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from bench import journey
from pipeline.analysis.affinity import Tally
from pipeline.core.affinity import Affinity, from_parameters, next_best
from pipeline.core.categories import Bought, bought, code
from pipeline.core.controls import INITIAL
from pipeline.core.policy import DEFAULT, from_dict, to_dict
from pipeline.core.profile import Profile
from pipeline.core.step import step
from pipeline.schemas import logged

START = (date(2017, 1, 1) - date(1970, 1, 1)).days
TOP = 3
_WITH_AT_ONCE = to_dict(DEFAULT)
_WITH_AT_ONCE["needs"]["just_bought_days"] = 0
AT_ONCE = from_dict(_WITH_AT_ONCE).needs
"""A grocer's rules: what was just bought may be suggested again."""

Baskets = list[tuple[int, str, list[str]]]


@dataclass(frozen=True)
class Hits:
    """How many of those asked were hit."""

    asked: int
    next_best: int
    popular: int
    new_next_best: int
    new_popular: int


def state_after(history: Baskets, until: int) -> Profile | None:
    """A household's state after its baskets before a day, each an event."""
    profile = None
    for day, basket, categories in history:
        if day >= until:
            break
        at = datetime.fromtimestamp(day * 86_400, UTC)
        items = tuple(logged.Item(product_id="p", category=name) for name in categories)
        event = logged.OrderCompleted(
            id=basket, source="shop", occurred_at=at, received_at=at, order_id=basket, revenue_minor=1_000,
            currency="USD", items=items,
        )  # fmt: skip
        profile = step("c", profile, event, INITIAL).profile
    return profile


def hits(households: list[Baskets], days: int) -> Hits:
    """Learned from every other household's first days, asked of the others."""
    today = START + days
    tally, asked = Tally(), []
    for number, history in enumerate(households):
        profile = state_after(history, today)
        if profile is not None and number % 2:
            tally.add(profile, DEFAULT, today)
        elif profile is not None:
            asked.append((bought(profile, today, "UTC"), history))
    table = from_parameters(tally.measured().parameters)
    found = [_hit(mine, history, table) for mine, history in asked]
    return Hits(*(sum(column) for column in zip(*[(True, *each) for each in found if each], strict=True)))


def _hit(mine: Bought, history: Baskets, table: Affinity) -> tuple[bool, bool, bool, bool] | None:
    own = {code(name) for day, _, names in history if day < mine.today for name in names}
    later = [{code(name) for name in names} for day, _, names in history if day >= mine.today]
    new = next((basket - own for basket in later if basket - own), None)
    if new is None:
        return None
    others = replace(table, usual={name: share for name, share in table.usual.items() if name not in own})
    return (
        bool(later[0] & _suggested(mine, table)),
        bool(later[0] & _popular(table)),
        bool(new & _suggested(mine, others)),
        bool(new & _popular(others)),
    )


def _suggested(mine: Bought, table: Affinity) -> set[str]:
    return {each.category for each in next_best(mine, (), table, AT_ONCE)}


def _popular(table: Affinity) -> set[str]:
    return set(sorted(table.usual, key=lambda name: (-table.usual[name], name))[:TOP])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--households", type=int, default=2_469)
    parser.add_argument("--days", type=int, nargs="+", default=[60, 120, 180])
    parser.add_argument("--cache", type=Path, default=Path(".wafa/cache"))
    given = parser.parse_args()
    households = journey.contents(journey.fetch(given.cache))[: given.households]
    for days in given.days:
        found = hits(households, days)
        figures = (found.next_best, found.popular, found.new_next_best, found.new_popular)
        shares = ", ".join(
            f"{name} {count / found.asked:.3f}"
            for name, count in zip(("next best", "popular", "new: next best", "popular"), figures, strict=True)
        )
        print(f"after {days} days, {found.asked} households asked: {shares}")


if __name__ == "__main__":
    main()
