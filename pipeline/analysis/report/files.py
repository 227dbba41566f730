"""The report as CSV files: one a table, every row, raw figures; money in minor units with its currency beside it."""

from __future__ import annotations

import csv
import io

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.table import Report, Table


def csv_files(report: Report) -> dict[str, str]:
    """Name to content."""
    return {f"{table.name}.csv": _csv(table, report.currency) for part in report.parts for table in part.tables}


def _csv(table: Table, currency: str) -> str:
    has_money = any(FIGURES[name].kind in ("money", "measured") for name in table.columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table.columns, *(["currency"] if has_money else [])])
    for row in table.rows:
        writer.writerow([*("" if cell is None else cell for cell in row), *([currency] if has_money else [])])
    return out.getvalue()
