"""The report for a terminal: each part's figures, the latest periods, and what stands out."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown
from rich.text import Text

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.table import Part, Report, Table
from pipeline.analysis.report.words import is_number, row_in_words, with_something


def print_report(report: Report, console: Console) -> None:
    """The whole."""
    console.print(
        f"[bold]Report[/] from {report.first_on} to {report.last_on}, by {report.period}, days in {report.zone}; "
        f"as of {report.as_of[:16].replace('T', ' ')} UTC; money in {escape(report.currency)}.",
        highlight=False,
    )
    for number, part in enumerate(report.parts, 1):
        _print_part(number, part, report.currency, console)


def _print_part(number: int, part: Part, currency: str, console: Console) -> None:
    console.print(f"\n[bold]{number}. {escape(part.title)}[/]", highlight=False)
    for remark in part.remarks:
        console.print(Text(f"  {remark}"), highlight=False, soft_wrap=True)
    for table in part.tables:
        if table.shown:
            console.print(f"[italic]{escape(table.title)}[/]", highlight=False, soft_wrap=True)
            console.print(_shown(table, currency))
            more = len(table.rows) - len(table.shown)
            if more:
                console.print(f"  and {more:,} more rows in {table.name}.csv (--csv)", highlight=False)


def _shown(table: Table, currency: str) -> Shown:
    places = with_something(table, table.shown)
    shown = Shown(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place in places:
        name = table.columns[place]
        justify = "right" if is_number(name) and place else "left"
        shown.add_column(escape(FIGURES[name].words), justify=justify)  # type: ignore[arg-type]  # one of rich's words
    for row in table.shown:
        told = row_in_words(table, row, currency)
        shown.add_row(*(Text(told[place]) for place in places))
    if table.total:
        told = row_in_words(table, table.total, currency)
        shown.add_row(*(Text(told[place]) for place in places), style="bold")
    return shown
