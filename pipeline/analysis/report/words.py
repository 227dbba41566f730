"""Cells as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.analysis.report.figures import FIGURES, Kind
from pipeline.analysis.report.table import Cell, Table
from pipeline.plain import plain
from pipeline.schemas.currencies import EXPONENTS

NOTHING: Final = "-"
_PLAIN: Final[tuple[Kind, ...]] = ("text",)
_KIND_BY_UNIT: Final[dict[str, Kind]] = {"money": "money", "share": "share", "count": "number"}
_ABOUT_OTHERS: Final = ("unit", "running_month")
"""Columns that say how to read the others of their row: in files they stand by themselves."""


def amount(minor: float, currency: str) -> str:
    """Minor units as people write them, without the currency's name: 28002 USD is `280.02`."""
    digits = EXPONENTS.get(currency, 2)
    return f"{minor / 10**digits:,.{digits}f}"


def in_words(cell: Cell, kind: Kind, currency: str) -> str:
    """A cell by its kind; nothing to say is a dash."""
    if cell is None or cell == "":
        return NOTHING
    if isinstance(cell, str):
        return plain(cell)
    if kind == "money":
        return amount(cell, currency)
    if kind == "share":
        return f"{cell:.1%}"
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.2f}"


def _points(gap: Cell) -> str:
    """How far one share is from another."""
    return f"{100 * gap:+,.1f} points" if isinstance(gap, int | float) else NOTHING


def row_in_words(table: Table, row: Sequence[Cell], currency: str) -> list[str]:
    """A row; what is measured is told in the row's own unit, and what is not over as such."""
    about = {name: row[table.columns.index(name)] for name in _ABOUT_OTHERS if name in table.columns}
    kind = _KIND_BY_UNIT.get(str(about.get("unit")), "share")
    told = [
        in_words(cell, kind if figure.kind == "measured" else figure.kind, currency)
        for cell, figure in zip(row, table.figures, strict=True)
    ]
    if kind == "share" and "gap" in table.columns:
        place = table.columns.index("gap")
        told[place] = _points(row[place])
    running = f"month_{about.get('running_month')}"
    if running in table.columns:
        told[table.columns.index(running)] += " so far"
    return told


def is_number(column: str) -> bool:
    """Whether a column is set to the right."""
    return FIGURES[column].kind not in _PLAIN


def with_something(table: Table, rows: Sequence[Sequence[Cell]]) -> list[int]:
    """The places of the columns in which any of these rows has something to say; the first always."""
    return [
        place
        for place, name in enumerate(table.columns)
        if name not in _ABOUT_OTHERS and (place == 0 or any(row[place] not in (None, "") for row in rows))
    ]
