"""The report as one page of HTML, complete in itself: nothing is fetched when it is opened, so it can be mailed."""

from __future__ import annotations

from html import escape
from typing import Final

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.plots import plots_of
from pipeline.analysis.report.table import Part, Report, Table
from pipeline.analysis.report.words import is_number, row_in_words, with_something

ROWS_MAX: Final = 200
"""Rows of a table on the page; the CSV files have all."""
_STYLE: Final = """
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#22262b;background:#fff;margin:0}
main{max-width:70rem;margin:0 auto;padding:1.5rem}
h1{margin:.2em 0}h2{margin:2.5em 0 .3em;border-bottom:2px solid #0072b2;padding-bottom:.2em}
nav a{margin-right:1.2em;white-space:nowrap}a{color:#005a8c}
.remark{background:#fff6e5;border-left:4px solid #d55e00;padding:.4em .8em;margin:.5em 0}
details{margin:.6em 0}summary{cursor:pointer}
figure{margin:1.2em 0}figure svg{max-width:100%;height:auto}figcaption{font-weight:600}
.scroll{overflow-x:auto;margin:1.2em 0}table{border-collapse:collapse;font-size:.9rem}
caption{text-align:left;font-weight:600;padding:.3em 0}
th,td{padding:.25em .8em .25em 0;text-align:left;vertical-align:top;white-space:nowrap}
tfoot td{font-weight:600;border-top:1px solid #8a8f98}
thead th{border-bottom:1px solid #8a8f98;cursor:help}tbody tr:nth-child(even){background:#f5f7f9}
.n{text-align:right;font-variant-numeric:tabular-nums}footer,.about{color:#5a6068;font-size:.9rem}
"""


def page(report: Report) -> str:
    """The page."""
    parts = "\n".join(_part(number, part, report) for number, part in enumerate(report.parts, 1))
    links = "".join(f'<a href="#{part.name}">{escape(part.title)}</a> ' for part in report.parts)
    title = f"Report from {report.first_on} to {report.last_on}"
    as_of = report.as_of[:16].replace("T", " ")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="about">By {report.period}, days in {escape(report.zone)}. As of {as_of} UTC.
Money in {escape(report.currency)}. Point at a column's head, and it says what it means.</p>
<nav aria-label="Parts">{links}</nav>
{parts}
<footer><p>Made by Wafa.</p></footer>
</main>
</body>
</html>
"""


def _part(number: int, part: Part, report: Report) -> str:
    remarks = "".join(f'<p class="remark">{escape(remark)}</p>\n' for remark in part.remarks)
    figures = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{_named(svg, title, f'plot-{name}')}</figure>\n"
        for name, title, svg in plots_of(report, part)
    )
    tables = "".join(_table(table, report.currency) for table in part.tables)
    return f'<section id="{part.name}">\n<h2>{number}. {escape(part.title)}</h2>\n{remarks}{figures}{tables}</section>'


def _named(svg: str, title: str, prefix: str) -> str:
    """A drawing with a name for who cannot see it; ids of its own, since several stand on one page."""
    own = (
        svg.replace('id="', f'id="{prefix}-')
        .replace('href="#', f'href="#{prefix}-')
        .replace("url(#", f"url(#{prefix}-")
    )
    return own.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def _table(table: Table, currency: str) -> str:
    rows = table.rows[:ROWS_MAX]
    if not rows and not table.shown_max:
        return ""
    if not rows:
        return f'<p class="about">{escape(table.title)}: nothing in this time.</p>\n'
    places = with_something(table, rows)
    names = [table.columns[place] for place in places]
    kinds = [' class="n"' if is_number(name) else "" for name in names]
    head = "".join(
        f'<th scope="col"{kind} title="{escape(FIGURES[name].about)}">{escape(FIGURES[name].words)}</th>'
        for name, kind in zip(names, kinds, strict=True)
    )
    body = ""
    for row in rows:
        told = row_in_words(table, row, currency)
        cells = (f"<td{kind}>{escape(told[place])}</td>" for place, kind in zip(places, kinds, strict=True))
        body += f"<tr>{''.join(cells)}</tr>\n"
    total = ""
    if table.total:
        told = row_in_words(table, table.total, currency)
        cells = (f"<td{kind}>{escape(told[place])}</td>" for place, kind in zip(places, kinds, strict=True))
        total = f"<tfoot><tr>{''.join(cells)}</tr></tfoot>"
    more = len(table.rows) - len(rows)
    rest = f'<p class="about">And {more:,} more rows in {table.name}.csv.</p>\n' if more else ""
    shown = (
        f'<div class="scroll"><table><caption>{escape(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>{total}</table></div>\n{rest}"
    )
    return shown if table.shown_max else f"<details><summary>{escape(table.title)}</summary>\n{shown}</details>\n"
