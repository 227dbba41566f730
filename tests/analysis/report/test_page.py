"""The report as people get it: one page complete in itself, files with every row, a terminal that is not flooded."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from datetime import date
from html.parser import HTMLParser

import pytest
from rich.console import Console

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.files import csv_files
from pipeline.analysis.report.page import page
from pipeline.analysis.report.table import Report
from pipeline.schemas import logged
from pipeline.telling_report import print_report
from tests.analysis.report.example import example
from tests.analysis.report.shops import report_of
from tests.core.builders import order, said

PARTS = ["funnel", "channels", "inputs", "cohorts", "goals", "tiers", "needs"]


@pytest.fixture(scope="module")
def report() -> Report:
    """The made-up shop's."""
    return example()


class Seen(HTMLParser):
    """What a browser would find: sections, drawings, ids, and every reference."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.drawings: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "section":
            self.sections.append(str(found["id"]))
        if tag == "svg":
            self.drawings.append(str(found["aria-label"]))
        if "id" in found:
            self.ids.append(str(found["id"]))
        self.references += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        self.references += [str(value) for name, value in attrs if name == "style" and "url(" in str(value)]


def test_the_page_has_every_part_and_fetches_nothing(report: Report) -> None:
    text = page(report)
    seen = Seen(text)
    assert seen.sections == PARTS
    assert [each for each in seen.references if not each.startswith("#") and "url(#" not in each] == []
    assert seen.tags.isdisjoint({"script", "link", "iframe", "img", "object"})
    assert re.findall(r"url\((?!#)|@import", text) == []
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) == {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",  # names, which nobody fetches
    }  # fmt: skip


def test_the_page_draws_what_there_is_and_ids_are_told_once(report: Report) -> None:
    seen = Seen(page(report))
    assert len(seen.drawings) == 8, seen.drawings
    assert len(seen.ids) == len(set(seen.ids))
    inner = {each.removeprefix("#") for each in seen.references if each.startswith("#")}
    assert inner <= set(seen.ids)


def test_the_same_report_is_the_same_page(report: Report) -> None:
    assert page(report) == page(example())


def test_what_a_publisher_wrote_is_shown_and_never_run() -> None:
    item = logged.Item(product_id="<script>alert(1)</script>", category="a&b", amount_minor=1)
    back = said(logged.OrderRefunded, 2, order_id="A", refund_id="r", amount_minor=1, reason="x", items=(item,))
    found = report_of([("a", order(1, "A", items=(item,))), ("a", back)])
    text = page(found)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_files_have_every_row_and_money_its_currency(report: Report) -> None:
    files = csv_files(report)
    assert set(files) == {f"{table.name}.csv" for part in report.parts for table in part.tables}
    rows = list(csv.DictReader(io.StringIO(files["needs.csv"])))
    assert len(rows) == len(report.part("needs").table("needs").rows) > 8
    assert {row["currency"] for row in rows} == {"USD"}
    assert all(int(row["said_value_minor"]) or True for row in rows)


def test_a_terminal_gets_a_page_or_two_and_is_told_of_the_rest(report: Report) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=160))
    text = out.getvalue()
    assert len(text.splitlines()) < 150
    for part in report.parts:
        assert part.title in text
    assert "more rows in needs.csv (--csv)" in text
    assert "ad costs more than it brings" in text


def test_all_but_the_page_needs_no_package_that_workers_do_without() -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('numpy', 'scipy', 'matplotlib', 'ddsketch')))"
    use = "import pipeline.reporting, pipeline.telling_report, pipeline.analysis.report.files"
    done = subprocess.run([sys.executable, "-c", f"{block}; {use}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_table_has_a_figure_without_a_meaning(report: Report) -> None:
    for part in report.parts:
        for table in part.tables:
            assert set(table.columns) <= set(FIGURES)
    assert all(figure.about.endswith((".", ":")) for figure in FIGURES.values())


def test_nothing_in_a_time_is_a_page_too() -> None:
    text = page(report_of([], first=date(2020, 1, 1), last=date(2020, 1, 31)))
    assert Seen(text).sections == PARTS
    assert Seen(text).drawings == []
