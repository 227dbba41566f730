"""The report as CSV files: one a table, every row, raw figures; money in minor units with its currency beside it.

Text that a spreadsheet would take for a formula begins with an apostrophe, and is one line; figures are as they are.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.table import Cell, Report, Table
from pipeline.plain import plain

OF_WHAT: Final = ("from_on", "to_on", "period", "time_zone", "as_of", "currency")
"""Of `report.csv`: what all the files are of."""
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_files(report: Report) -> dict[str, str]:
    """Name to content: the same names and columns whatever the shop, `report.csv` saying what the others are of."""
    tables = {f"{table.name}.csv": _csv(table, report.currency) for part in report.parts for table in part.tables}
    of = (report.first_on, report.last_on, report.period, report.zone, report.as_of, report.currency)
    return {"report.csv": _lines(OF_WHAT, [of]), **tables}


def _csv(table: Table, currency: str) -> str:
    has_money = any(FIGURES[name].kind in ("money", "measured") for name in table.columns)
    beside = (["currency"], [currency]) if has_money else ([], [])
    return _lines([*table.columns, *beside[0]], ([*map(_written, row), *beside[1]] for row in table.rows))


def _lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([columns, *rows])
    return out.getvalue()


def _written(cell: Cell) -> str | int | float:
    if isinstance(cell, str):
        return plain(f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell)
    return "" if cell is None else cell
