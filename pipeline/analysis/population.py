"""Where a shop's customers lie, measured partition by partition with sketches that merge in any order.

Three rounds, since each needs the one before: what keeping and serving costs, and habits; then what is expected of
each, less that, by those who are alike; then what each falls short of the best of their kind. A sketch (DDSketch) has
bins of one hundredth's width: a cut it gives differs from the exact one by at most `ACCURACY` of it. Bins add up, so
neither how customers are divided nor in which order sketches are merged changes a cut. The 64 largest segments of the
whole shop are told apart.
Source: Masson, Rim & Lee (2019), DDSketch, PVLDB 12(12), 2195-2205.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from ddsketch import DDSketch

from pipeline.core.outlook import Outlook, ahead_minor, gap_minor, potential_minor
from pipeline.core.population import EVERY, FIFTHS, GRID, SEGMENTS_MAX, Population, alike
from pipeline.core.rfm import Habits

ACCURACY: Final = 0.005
"""Relative error of a cut, at most."""
CUSTOMERS_MIN: Final = 20
"""Fewer have no cuts worth the name."""
ALIKE_MIN: Final = 50
"""So many must be alike for the best tenth of them to say something."""
BEST: Final = 900
"""Thousandths who stay below the best tenth."""
_WHOLE: Final = 1000
_NUMBERS: Final = len(Outlook._fields) - 1 + len(Habits._fields)
"""Numbers kept of a customer, eight bytes each; their segment is one more."""


class Customers:
    """The figures of a partition's customers: some hundred bytes each, whoever they are."""

    def __init__(self) -> None:
        self._numbers = array("d")
        self._segment = array("L")
        self._segments: dict[str, int] = {}

    def add(self, outlook: Outlook, habits: Habits) -> None:
        """One customer more."""
        self._segment.append(self._segments.setdefault(outlook.segment, len(self._segments)))
        self._numbers.extend([*outlook._replace(segment="")[:7], *outlook[8:], *habits])

    def __len__(self) -> int:
        return len(self._segment)

    def by_segment(self) -> Counter[str]:
        """How many there are of each segment."""
        names = list(self._segments)
        return Counter({names[place]: count for place, count in Counter(self._segment).items()})

    def told_apart(self, apart: Collection[str]) -> Iterator[tuple[Outlook, Habits]]:
        """Each of them; of segments that are not told apart, as of every one."""
        names = [name if name in apart else EVERY for name in self._segments]
        for place, segment in enumerate(self._segment):
            actual, expected, ahead, p_return, orders, upkeep, serve, tenure, categories, *bought = self._numbers[
                place * _NUMBERS : (place + 1) * _NUMBERS
            ]
            yield (
                Outlook(
                    int(actual), expected, ahead, p_return, int(orders), int(upkeep), int(serve), names[segment],
                    int(tenure), int(categories),
                ),
                Habits(*map(int, bought)),
            )  # fmt: skip


class Sketches:
    """Sketches by name, each of one figure."""

    def __init__(self) -> None:
        self._by_name: dict[str, DDSketch] = {}

    def add(self, name: str, figure: float) -> None:
        """One figure more."""
        sketch = self._by_name.get(name)
        if sketch is None:
            sketch = self._by_name[name] = DDSketch(ACCURACY)
        sketch.add(figure)

    def merge(self, other: Sketches) -> None:
        """Whatever the other has seen."""
        for name, sketch in other._by_name.items():
            if name not in self._by_name:
                self._by_name[name] = DDSketch(ACCURACY)
            self._by_name[name].merge(sketch)

    def widen(self, prefix: str) -> None:
        """Of groups named so, add up those of one tenure, and all of them."""
        wider: dict[str, DDSketch] = {}
        for name, sketch in self._by_name.items():
            if name.startswith(prefix):
                tenure = name.rpartition("/")[2]
                for group in (alike(EVERY, tenure), alike(EVERY, EVERY)):
                    wider.setdefault(prefix + group, DDSketch(ACCURACY)).merge(sketch)
        self._by_name |= wider

    def cut(self, name: str, permille: int) -> int:
        """The figure that so many thousandths are at or below; 0 of what nobody had."""
        sketch = self._by_name.get(name)
        found = None if sketch is None else sketch.get_quantile_value(permille / _WHOLE)
        return 0 if found is None else round(found)

    def cuts(self, name: str, grid: Iterable[int]) -> tuple[int, ...]:
        """The same for each of a grid."""
        return tuple(self.cut(name, permille) for permille in grid)

    def large(self, prefix: str) -> dict[str, int]:
        """What the best tenth reaches of each group that is large enough, by what follows the prefix."""
        return {
            name.removeprefix(prefix): self.cut(name, BEST)
            for name, sketch in sorted(self._by_name.items())
            if name.startswith(prefix) and (sketch.count >= ALIKE_MIN or name == prefix + alike(EVERY, EVERY))
        }


def measured(partitions: Iterable[Customers], day: int) -> Population | str:
    """The population as of a day (since 1970), or why there is none."""
    kept = [customers for customers in partitions if len(customers)]
    count = sum(map(len, kept))
    if count < CUSTOMERS_MIN:
        return f"expected at least {CUSTOMERS_MIN} customers who bought and have a forecast, got {count}"
    sizes = sum((customers.by_segment() for customers in kept), Counter[str]())
    apart = frozenset(sorted(sizes, key=lambda name: (-sizes[name], name))[:SEGMENTS_MAX])
    plain = _merged(_costs_and_habits(customers.told_apart(apart)) for customers in kept)
    plain.widen("categories/")
    usual = plain.cut("upkeep", _WHOLE // 2)
    expected = _merged(_worth(customers.told_apart(apart), usual) for customers in kept)
    expected.widen("ahead/")
    of_best = Population(
        measured_on=day, customers=count, value=expected.cuts("value", GRID), gap=(0,) * len(GRID),
        serve=plain.cuts("serve", GRID), upkeep_minor=usual, recency=plain.cuts("recency", FIFTHS),
        frequency=plain.cuts("frequency", FIFTHS), monetary=plain.cuts("monetary", FIFTHS),
        best_ahead_minor=expected.large("ahead/"), best_categories=_told(plain.large("categories/")),
    )  # fmt: skip
    gaps = _merged(_gaps(customers.told_apart(apart), of_best) for customers in kept)
    return _with_gaps(of_best, gaps.cuts("gap", GRID))


def _merged(parts: Iterable[Sketches]) -> Sketches:
    whole = Sketches()
    for part in parts:
        whole.merge(part)
    return whole


def _costs_and_habits(customers: Iterable[tuple[Outlook, Habits]]) -> Sketches:
    found = Sketches()
    for known, bought in customers:
        found.add("upkeep", known.upkeep_minor / known.orders)
        found.add("serve", known.serve_minor)
        found.add("recency", -bought.days_since_purchase)
        found.add("frequency", bought.purchase_days)
        found.add("monetary", bought.spent_minor)
        found.add(f"categories/{alike(known.segment, known.tenure)}", known.categories)
    return found


def _worth(customers: Iterable[tuple[Outlook, Habits]], usual_minor: int) -> Sketches:
    found = Sketches()
    for known, _ in customers:
        ahead = ahead_minor(known, usual_minor)
        found.add("value", known.actual_minor + ahead)
        found.add(f"ahead/{alike(known.segment, known.tenure)}", ahead)
    return found


def _gaps(customers: Iterable[tuple[Outlook, Habits]], of_best: Population) -> Sketches:
    found = Sketches()
    for known, _ in customers:
        ahead = ahead_minor(known, of_best.upkeep_minor)
        found.add("gap", gap_minor(known.p_return, ahead, potential_minor(known, ahead, of_best)))
    return found


def _told(categories: Mapping[str, int]) -> dict[str, int]:
    """Groups whose orders name categories."""
    return {group: count for group, count in categories.items() if count}


def _with_gaps(of_best: Population, gap: tuple[int, ...]) -> Population:
    return Population(**{name: getattr(of_best, name) for name in of_best.__struct_fields__} | {"gap": gap})
