"""What the report is made of: parts, tables, and remarks in words. Terminal, files and page are made from these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.analysis.report.figures import FIGURES, Figure

Cell = str | int | float | None
"""None: nothing to say."""
_BY_TIME: Final = ("period", "cohort_month")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named figures."""

    name: str
    """Of its file."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shown_max: int = 12
    """Rows a terminal shows; the files have all."""
    is_latest_first: bool = False
    """Whether its first rows are those of the latest period."""
    total: tuple[Cell, ...] = ()
    """All rows together, for eyes: in files it would be a row like the others, and be counted with them."""

    @property
    def shown(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows a terminal shows: of periods and months the latest, else the first."""
        if not self.shown_max:
            return ()
        are_last = self.columns[0] in _BY_TIME and not self.is_latest_first
        return self.rows[-self.shown_max :] if are_last else self.rows[: self.shown_max]

    @property
    def figures(self) -> list[Figure]:
        """Each column's."""
        return [FIGURES[name] for name in self.columns]

    def column(self, name: str) -> list[Cell]:
        """A column's cells."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Part:
    """A chapter."""

    name: str
    title: str
    tables: tuple[Table, ...] = ()
    remarks: tuple[str, ...] = ()
    """What stands out, and what is missing."""

    def table(self, name: str) -> Table:
        """The table of that name. Raises KeyError."""
        for each in self.tables:
            if each.name == name:
                return each
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Report:
    """The whole, for a time."""

    first_on: str
    last_on: str
    as_of: str
    currency: str
    parts: tuple[Part, ...] = field(default_factory=tuple)
    period: str = ""
    """What the time is divided by."""
    zone: str = ""
    """Whose days are meant."""

    def part(self, name: str) -> Part:
        """The part of that name. Raises KeyError."""
        for each in self.parts:
            if each.name == name:
                return each
        raise KeyError(name)


def table(name: str, title: str, columns: str, rows: Iterable[Sequence[Cell]], *, shown_max: int = 12) -> Table:
    """A table; the columns' names with spaces between them."""
    names = tuple(columns.split())
    found = tuple(tuple(row) for row in rows)
    for row in found:
        if len(row) != len(names):
            raise ValueError(f"table {name}: expected {len(names)} cells, got {len(row)}: {row}")
    return Table(name, title, names, found, shown_max)


IN_ALL: Final = "in all"


def with_total(of: Table, *cells: Cell) -> Table:
    """The table with its rows put together under them, after the words; as it was where there are none."""
    if not of.rows:
        return of
    if len(cells) != len(of.columns) - 1:
        raise ValueError(f"table {of.name}: expected {len(of.columns) - 1} cells in all, got {len(cells)}: {cells}")
    return replace(of, total=(IN_ALL, *cells))


def added(rows: Iterable[Sequence[Cell]], place: int) -> int | float:
    """A column's numbers together."""
    return sum(cell for row in rows if isinstance(cell := row[place], int | float))


def share(part: float, whole: float) -> float | None:
    """A part of a whole; None of nothing."""
    return round(part / whole, 9) if whole else None


def mean(total_minor: int, count: float) -> int | None:
    """Money for each; None for nobody."""
    return round(total_minor / count) if count else None
