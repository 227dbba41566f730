"""Where the shop's customers lie: the cuts that say who is among the best, read off sketches and told through the log.

A frozen value that travels in `ModelFitted` of scope `population`, as numbers by name. What is a cut and what it means
is settled here; whose cuts they are is measured by `pipeline.analysis.population`, in a process of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import msgspec

from pipeline.schemas import logged

SCOPE: Final = "population"
_STEP: Final = 50
GRID: Final = tuple(range(_STEP, 1000, _STEP))
"""Thousandths of the customers below each cut."""
FIFTHS: Final = (200, 400, 600, 800)
"""The same for the scores from 1 to 5."""
TENURE_WEEKS: Final = (13, 26, 52, 104)
"""Customers are compared with those who came as long ago, to one of these limits."""
TENURES: Final = len(TENURE_WEEKS) + 1
EVERY: Final = "*"
"""Any segment, or any tenure."""
SEGMENTS_MAX: Final = 64
_WHOLE: Final = 1000
_MOST: Final = 1e15
"""No figure of a customer is larger: what is reckoned from cuts has room in eight bytes."""


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """The cuts in force, one for each share of the customers in `GRID` or `FIFTHS`. Amounts in minor units."""

    measured_on: int
    """The day (since 1970)."""
    customers: int
    """Those who have bought."""
    value: tuple[int, ...]
    """Of what a customer is worth in all, by the past and by what is expected."""
    gap: tuple[int, ...]
    """Of what they might be worth more."""
    serve: tuple[int, ...]
    """Of what serving costs, for each order."""
    upkeep_minor: int
    """What keeping and serving the customer in the middle costs, for each order."""
    recency: tuple[int, ...]
    """Of days since the last purchase, counted downwards."""
    frequency: tuple[int, ...]
    """Of days with a purchase in a year, at most 32."""
    monetary: tuple[int, ...]
    """Of net revenue in a year."""
    best_ahead_minor: Mapping[str, int] = {}
    """By segment and tenure: what is expected of somebody whom nine in ten of them stay below."""
    best_categories: Mapping[str, int] = {}
    """By the same: in how many product categories such a one buys."""
    alike_customers: Mapping[str, int] = {}
    """By the same: how many they are. Nothing is decided by it; one measured before it was told has none."""


class BadPopulation(Exception):
    """Parameters that are no population; the message says which."""


def tenure_class(weeks: float) -> int:
    """Which of the tenures somebody is compared with."""
    return bisect_right(TENURE_WEEKS, weeks)


def alike(segment: str, tenure: int | str) -> str:
    """The name of those who are alike."""
    return f"{segment}/{tenure}"


_AS_LONG_HERE: Final = tuple(alike(EVERY, tenure) for tenure in range(TENURES))
_ALL: Final = alike(EVERY, EVERY)


def best(found: Mapping[str, int], name: str, tenure: int) -> int:
    """The figure of the best tenth of those alike; of all as long here, or of all, where alike ones are too few; or 0.

    `name`: of those who are `alike`. `analysis` names only groups that are large enough.
    """
    figure = found.get(name)
    if figure is None:
        figure = found.get(_AS_LONG_HERE[tenure])
    return found.get(_ALL, 0) if figure is None else figure


def compared_with(found: Mapping[str, int], segment: str, tenure: int) -> tuple[str, int | str] | None:
    """Whose figure `best` takes, by segment and tenure; None where it has none to take."""
    groups: tuple[tuple[str, int | str], ...] = ((segment, tenure), (EVERY, tenure), (EVERY, EVERY))
    return next((group for group in groups if alike(*group) in found), None)


def at(cuts: tuple[int, ...], permille: int) -> float:
    """The cut that so many thousandths of the customers are below: of two on the grid, the part between."""
    place, over = divmod(permille - _STEP, _STEP)
    if place < 0:
        return cuts[0]
    if place >= len(cuts) - 1:
        return cuts[-1]
    low = cuts[place]
    return low + (cuts[place + 1] - low) * over / _STEP if over else low


_TABLES: Final[dict[str, tuple[int, ...]]] = {
    "value": GRID, "gap": GRID, "serve": GRID, "recency": FIFTHS, "frequency": FIFTHS, "monetary": FIFTHS,
}  # fmt: skip
_BY_GROUP: Final = ("best_ahead_minor", "best_categories", "alike_customers")


def to_parameters(population: Population) -> dict[str, float]:
    """The population as numbers by name, for `ModelFitted`."""
    numbers = {name: float(getattr(population, name)) for name in ("measured_on", "customers", "upkeep_minor")}
    for table, grid in _TABLES.items():
        numbers |= {
            f"{table}.{cut:03}": float(each) for cut, each in zip(grid, getattr(population, table), strict=True)
        }
    for name in _BY_GROUP:
        numbers |= {f"{name}/{key}": float(each) for key, each in sorted(getattr(population, name).items())}
    return numbers


def from_parameters(numbers: Mapping[str, float]) -> Population:
    """The population that the numbers name. Raises BadPopulation for one that is missing or cannot be."""
    for name, number in numbers.items():
        if abs(number) > _MOST:
            raise BadPopulation(f"ModelFitted {SCOPE}: {name}: expected at most {_MOST:g} either way, got {number:g}")
    try:
        tables = {
            table: tuple(int(numbers[f"{table}.{cut:03}"]) for cut in grid) for table, grid in _TABLES.items()
        }  # fmt: skip
        plain = {name: int(numbers[name]) for name in ("measured_on", "customers", "upkeep_minor")}
        named = {
            name: {
                key.removeprefix(f"{name}/"): int(each) for key, each in numbers.items() if key.startswith(f"{name}/")
            }
            for name in _BY_GROUP
        }
    except KeyError as error:
        raise BadPopulation(f"ModelFitted {SCOPE}: parameters: expected {error.args[0]}, got none") from error
    except (ValueError, OverflowError) as error:
        raise BadPopulation(f"ModelFitted {SCOPE}: parameters: expected finite numbers, got one that is not") from error
    for table, cuts in tables.items():
        if any(low > high for low, high in pairwise(cuts)):
            raise BadPopulation(f"ModelFitted {SCOPE}: {table}: expected cuts from low to high, got {cuts}")
    return Population(
        measured_on=plain["measured_on"], customers=plain["customers"], upkeep_minor=plain["upkeep_minor"],
        value=tables["value"], gap=tables["gap"], serve=tables["serve"], recency=tables["recency"],
        frequency=tables["frequency"], monetary=tables["monetary"],
        best_ahead_minor=named["best_ahead_minor"], best_categories=named["best_categories"],
        alike_customers=named["alike_customers"],
    )  # fmt: skip


def population_of(latest: Mapping[str, logged.Control]) -> Population | None:
    """The population among the last controls. One that cannot be read is none: what it says is not guessed at."""
    control = latest.get(f"ModelFitted/{SCOPE}")
    if not isinstance(control, logged.ModelFitted):
        return None
    try:
        return from_parameters(control.parameters)
    except BadPopulation:
        return None
