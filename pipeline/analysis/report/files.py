"""The report as CSV files: one a table, every row, raw figures; money in minor units with its currency beside it.

Text that a spreadsheet would take for a formula begins with an apostrophe, and is one line; figures are as they are.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.table import Cell, Report, Table
from pipeline.plain import plain

_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_files(report: Report) -> dict[str, str]:
    """Name to content."""
    return {f"{table.name}.csv": _csv(table, report.currency) for part in report.parts for table in part.tables}


def _csv(table: Table, currency: str) -> str:
    has_money = any(FIGURES[name].kind in ("money", "measured") for name in table.columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table.columns, *(["currency"] if has_money else [])])
    for row in table.rows:
        writer.writerow([*map(_written, row), *([currency] if has_money else [])])
    return out.getvalue()


def _written(cell: Cell) -> str | int | float:
    if isinstance(cell, str):
        return plain(f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell)
    return "" if cell is None else cell
