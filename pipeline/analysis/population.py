"""Where a shop's customers lie, measured partition by partition with sketches that merge in any order.

Three rounds, since each needs the one before: what keeping and serving costs, and habits; then what is expected of
each, less that, by those who are alike; then what each falls short of the best of their kind. A sketch (DDSketch) has
bins of one hundredth's width: the middle of one differs from the exact cut by at most `ACCURACY` of it, its ends by
twice that. Lines that customers are held against are ends, so that equal figures fall alike. Bins add up, so
neither how customers are divided nor in which order sketches are merged changes a cut. The 64 largest segments of the
whole shop are told apart. Figures are reckoned and counted by arrays, a partition at a time.
Source: Masson, Rim & Lee (2019), DDSketch, PVLDB 12(12), 2195-2205.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log
from typing import Final

import numpy as np
from ddsketch import DDSketch

from pipeline.analysis.counts import Floats, Whole
from pipeline.core.outlook import BREADTH_MAX, PRIOR_ORDERS, Outlook
from pipeline.core.population import EVERY, FIFTHS, GRID, SEGMENTS_MAX, TENURES, Population, alike, best
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
_NUMBERS: Final = len(Outlook.__struct_fields__) - 1 + len(Habits._fields)
"""Numbers kept of a customer, eight bytes each; their segment is one more."""
_GAMMA: Final = (1.0 + ACCURACY) / (1.0 - ACCURACY)
"""Each bin of a sketch ends at so many times its beginning."""
_LOG_GAMMA: Final = log(_GAMMA)
_LEAST: Final = 1e-300
"""What is nearer to zero is left to the sketch itself."""
_EDGE: Final = 1e-6
"""A figure so near the edge of a bin (in bins) is left to the sketch itself too: logarithms differ in a last digit."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlooks:
    """`core.outlook.Outlook` and `core.rfm.Habits` of many; every array is (customers,)."""

    actual_minor: Floats
    expected_minor: Floats
    orders_ahead: Floats
    p_return: Floats
    orders: Floats
    upkeep_minor: Floats
    serve_minor: Floats
    kind: Whole
    """Which of the shop's kinds (segment and tenure) they are of."""
    categories: Whole
    days_since_purchase: Floats
    purchase_days: Floats
    spent_minor: Floats


class Customers:
    """The figures of a partition's customers: 104 bytes each, whoever they are."""

    def __init__(self) -> None:
        self._numbers = array("d")
        self._segment = array("q")
        self._segments: dict[str, int] = {}

    def add(self, outlook: Outlook, habits: Habits) -> None:
        """One customer more."""
        self._segment.append(self._segments.setdefault(outlook.segment, len(self._segments)))
        self._numbers.extend([
            outlook.actual_minor, outlook.expected_minor, outlook.orders_ahead, outlook.p_return, outlook.orders,
            outlook.upkeep_minor, outlook.serve_minor, outlook.tenure, outlook.categories, *habits,
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self._segment)

    def by_segment(self) -> Counter[str]:
        """How many there are of each segment."""
        names = list(self._segments)
        return Counter({names[place]: count for place, count in Counter(self._segment).items()})

    def told_apart(self, apart: Sequence[str]) -> Outlooks:
        """All of them; the last of the segments is every one that is not told apart."""
        rows = np.frombuffer(self._numbers).reshape(-1, _NUMBERS)
        actual, expected, ahead, p_return, orders, upkeep, serve, tenure, categories, *bought = rows.T
        places = {name: place for place, name in enumerate(apart)}
        segments = np.array([places.get(name, len(apart) - 1) for name in self._segments], np.int64)
        kind = segments[np.frombuffer(self._segment, np.int64)] * TENURES + tenure.astype(np.int64)
        counted = categories.astype(np.int64)
        return Outlooks(actual, expected, ahead, p_return, orders, upkeep, serve, kind, counted, *bought)


class Sketches:
    """Sketches by name, each of one figure."""

    def __init__(self) -> None:
        self._by_name: dict[str, DDSketch] = {}

    def add(self, name: str, figures: Floats) -> None:
        """More figures: the same bins as if the library were given one after the other."""
        if not len(figures):
            return
        sketch = self._by_name.setdefault(name, DDSketch(ACCURACY))
        sizes = np.abs(figures)
        places = np.log(np.maximum(sizes, _LEAST)) / _LOG_GAMMA
        plain = (sizes > _LEAST) & (np.abs(places - np.rint(places)) > _EDGE)
        for below, sign in ((figures > 0.0, 1.0), (figures < 0.0, -1.0)):
            bins, counts = np.unique(np.ceil(places[plain & below]), return_counts=True)
            middles = sign * 2.0 / (1.0 + _GAMMA) * np.exp(bins * _LOG_GAMMA)
            _fill(sketch, middles, counts)
        _fill(sketch, *np.unique(figures[~plain], return_counts=True))

    def add_by_kind(self, prefix: str, names: Sequence[str], kind: Whole, figures: Floats) -> None:
        """The same for a figure of customers of different kinds, each kind a sketch of its own."""
        order = np.argsort(kind, kind="stable")
        ends = np.cumsum(np.bincount(kind, minlength=len(names)))
        for name, some in zip(names, np.split(figures[order], ends[:-1]), strict=True):
            self.add(prefix + name, some)

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
        return round(self._middle(name, permille))

    def reached(self, name: str, grid: Iterable[int]) -> tuple[int, ...]:
        """For each of a grid, the least whole figure of the bin that it falls into: who is in it reaches the cut.

        So equal figures fall alike, and those at a cut reach it, wherever in its bin they are.
        """
        return tuple(_least_of_bin(self._middle(name, permille)) for permille in grid)

    def exceeded(self, name: str, grid: Iterable[int]) -> tuple[int, ...]:
        """The same, but for the greatest: who is in the bin does not exceed the cut."""
        return tuple(-_least_of_bin(-self._middle(name, permille)) for permille in grid)

    def _middle(self, name: str, permille: int) -> float:
        """The middle of the bin that so many thousandths are in or below."""
        sketch = self._by_name.get(name)
        return (sketch and sketch.get_quantile_value(permille / _WHOLE)) or 0.0

    def count(self, name: str) -> int:
        """How many the sketch of this name has seen."""
        count: float = self._by_name[name].count
        return round(count)

    def large(self, prefix: str) -> dict[str, int]:
        """What the best tenth reaches of each group that is large enough, by what follows the prefix."""
        return {
            name.removeprefix(prefix): self.cut(name, BEST)
            for name, sketch in sorted(self._by_name.items())
            if name.startswith(prefix) and (sketch.count >= ALIKE_MIN or name == prefix + alike(EVERY, EVERY))
        }


def _least_of_bin(middle: float) -> int:
    """The least whole number in a bin, given its middle; where there is none, the next above.

    A bin ends at its greater size, which is in it; so of sizes below zero the least is that.
    """
    return floor(middle / (1.0 + ACCURACY)) + 1 if middle > 0.0 else ceil(middle / (1.0 - ACCURACY))


def _fill(sketch: DDSketch, figures: Floats, counts: Whole) -> None:
    """Each figure as often as it was counted."""
    for figure, count in zip(figures.tolist(), counts.tolist(), strict=True):
        sketch.add(figure, count)


def measured(partitions: Iterable[Customers], day: int) -> Population | str:
    """The population as of a day (since 1970), or why there is none."""
    kept = [customers for customers in partitions if len(customers)]
    count = sum(map(len, kept))
    if count < CUSTOMERS_MIN:
        return f"expected at least {CUSTOMERS_MIN} customers who bought and have a forecast, got {count}"
    sizes = sum((customers.by_segment() for customers in kept), Counter[str]())
    apart = (*sorted(sizes, key=lambda name: (-sizes[name], name))[:SEGMENTS_MAX], EVERY)
    known = [customers.told_apart(apart) for customers in kept]
    plain = _merged(_costs_and_habits(each, apart) for each in known)
    plain.widen("categories/")
    usual = plain.cut("upkeep", _WHOLE // 2)
    expected = _merged(_worth(each, apart, usual) for each in known)
    expected.widen("ahead/")
    of_alike = expected.large("ahead/")
    of_best = Population(
        measured_on=day, customers=count, value=expected.reached("value", GRID), gap=(0,) * len(GRID),
        serve=plain.exceeded("serve", GRID), upkeep_minor=usual, recency=plain.reached("recency", FIFTHS),
        frequency=plain.reached("frequency", FIFTHS), monetary=plain.reached("monetary", FIFTHS),
        best_ahead_minor=of_alike, best_categories=_told(plain.large("categories/")),
        alike_customers={group: expected.count("ahead/" + group) for group in of_alike},
    )  # fmt: skip
    gaps = _merged(_gaps(each, apart, of_best) for each in known)
    return _with_gaps(of_best, gaps.reached("gap", GRID))


def ahead_of(known: Outlooks, usual_minor: float) -> Whole:
    """`core.outlook.ahead_minor` for many, (customers,)."""
    upkeep = (known.upkeep_minor + PRIOR_ORDERS * usual_minor) / (known.orders + PRIOR_ORDERS)
    return np.rint(known.expected_minor - known.orders_ahead * upkeep).astype(np.int64)


def gaps_of(known: Outlooks, ahead: Whole, apart: Sequence[str], of_best: Population) -> Whole:
    """`core.outlook.gap_minor` for many, of their `potential_minor`, (customers,)."""
    kinds = [(segment, tenure) for segment in apart for tenure in range(TENURES)]
    best_ahead, broadest = (
        np.array([best(found, alike(*kind), kind[1]) for kind in kinds], np.int64)[known.kind]
        for found in (of_best.best_ahead_minor, of_best.best_categories)
    )
    own = np.maximum(known.categories, 1)
    broader = np.minimum(ahead * np.maximum(broadest, own) // own, ahead * BREADTH_MAX)
    broader[(known.categories == 0) | (ahead <= 0)] = 0
    potential = np.maximum(np.maximum(ahead, best_ahead), broader)
    return (known.p_return * (potential - ahead)).astype(np.int64)


def _merged(parts: Iterable[Sketches]) -> Sketches:
    whole = Sketches()
    for part in parts:
        whole.merge(part)
    return whole


def _kinds(apart: Sequence[str]) -> list[str]:
    """The names of those who are alike."""
    return [alike(segment, tenure) for segment in apart for tenure in range(TENURES)]


def _costs_and_habits(known: Outlooks, apart: Sequence[str]) -> Sketches:
    found = Sketches()
    found.add("upkeep", known.upkeep_minor / known.orders)
    found.add("serve", known.serve_minor)
    found.add("recency", -known.days_since_purchase)
    found.add("frequency", known.purchase_days)
    found.add("monetary", known.spent_minor)
    found.add_by_kind("categories/", _kinds(apart), known.kind, known.categories.astype(np.float64))
    return found


def _worth(known: Outlooks, apart: Sequence[str], usual_minor: int) -> Sketches:
    found, ahead = Sketches(), ahead_of(known, usual_minor).astype(np.float64)
    found.add("value", known.actual_minor + ahead)
    found.add_by_kind("ahead/", _kinds(apart), known.kind, ahead)
    return found


def _gaps(known: Outlooks, apart: Sequence[str], of_best: Population) -> Sketches:
    found = Sketches()
    gaps = gaps_of(known, ahead_of(known, of_best.upkeep_minor), apart, of_best)
    found.add("gap", gaps.astype(np.float64))
    return found


def _told(categories: Mapping[str, int]) -> dict[str, int]:
    """Groups whose orders name categories."""
    return {group: count for group, count in categories.items() if count}


def _with_gaps(of_best: Population, gap: tuple[int, ...]) -> Population:
    return Population(**{name: getattr(of_best, name) for name in of_best.__struct_fields__} | {"gap": gap})
