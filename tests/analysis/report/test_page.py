"""The report as people get it: one page complete in itself, files with every row, a terminal that is not flooded."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from pipeline.__main__ import ERR, OUT
from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.files import csv_files
from pipeline.analysis.report.page import page
from pipeline.analysis.report.plots import plots_of, said_most
from pipeline.analysis.report.table import Report, Table
from pipeline.analysis.report.words import row_in_words
from pipeline.plain import PlainConsole
from pipeline.schemas import logged
from pipeline.telling_report import print_report
from tests.analysis.report.example import example
from tests.analysis.report.shops import report_of
from tests.core.builders import order, refund, said, ticket
from tests.core.test_acquisition import revised, touch

PARTS = ["funnel", "channels", "inputs", "cohorts", "goals", "tiers", "needs"]


@pytest.fixture(scope="module")
def report() -> Report:
    """The made-up shop's."""
    return example()


def tables(report: Report) -> list[Table]:
    return [table for part in report.parts for table in part.tables]


def returned(product_id: str, category: str) -> Report:
    """Of a shop that sold one thing, and took it back."""
    item = logged.Item(product_id=product_id, category=category, amount_minor=1)
    back = said(logged.OrderRefunded, 2, order_id="A", refund_id="r", amount_minor=1, reason="x", items=(item,))
    return report_of([("a", order(1, "A", items=(item,))), ("a", back)])


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
    text = page(returned("<script>alert(1)</script>", "a&b"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("product_id", "category"),
    [("p", "$5_to_$10"), ("SKU$_$", "c"), ("p\\frac", "$\\foo$"), ("\u9774", "\x1b\u202e\n")],
)
def test_a_name_is_text_on_a_plot_whatever_is_in_it(product_id: str, category: str) -> None:
    """Dollars that make no formula, a script that the plots' letters do not have, signs that are none."""
    assert "What was said most" in Seen(page(returned(product_id, category))).drawings


def test_what_was_said_most_is_drawn_in_the_order_of_how_many_said_it() -> None:
    """One rich customer's wish is the first row of the table; that of three others is the first bar."""
    told = [("rich", order(1, "R", 90_000)), ("rich", ticket(2, "t", "product_idea", category="size"))]
    for who in "abc":
        told += [(who, order(1, who, 100)), (who, ticket(2, f"t{who}", "complaint", category="delivery"))]
    part = report_of(told).part("needs")
    assert part.table("needs").column("reason") == ["size", "delivery"]
    assert said_most(part) == [("complaint: delivery", 3.0), ("product idea: size", 1.0)]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_reckon_begins_with_an_apostrophe(sign: str) -> None:
    """Source: OWASP, CSV Injection."""
    files = csv_files(returned(f"{sign}1+1", f"a{sign}"))
    (row,) = csv.DictReader(io.StringIO(files["needs.csv"]))
    seen = {"\t": "\u2409", "\r": "\u240d", "\n": "\u240a"}.get(sign, sign)
    assert (row["product_id"], row["category"]) == (f"'{seen}1+1", f"a{seen}")


def test_a_figure_below_zero_is_a_number_in_the_files() -> None:
    loss = report_of([("a", order(-40, "A", 1_000)), ("a", refund(5, "A"))])
    sold = csv.DictReader(io.StringIO(csv_files(loss)["inputs_outputs.csv"]))
    assert min(int(each["margin_minor"]) for each in sold) == -400 * 1_000 // 1_000


def test_files_have_every_row_and_money_its_currency(report: Report) -> None:
    files = csv_files(report)
    assert set(files) == {"report.csv", *(f"{table.name}.csv" for part in report.parts for table in part.tables)}
    rows = list(csv.DictReader(io.StringIO(files["needs.csv"])))
    assert len(rows) == len(report.part("needs").table("needs").rows) > 8
    assert {row["currency"] for row in rows} == {"USD"}
    assert all(int(row["said_value_minor"]) or True for row in rows)


def test_a_shop_that_knows_little_has_the_same_files_and_columns(report: Report) -> None:
    """No goal, no tier, no promise, no spend: who reads the files every month finds them all from the first on."""
    young, old = csv_files(report_of([("a", order(1))])), csv_files(report)
    assert {name: text.splitlines()[0] for name, text in young.items()} == {
        name: text.splitlines()[0] for name, text in old.items()
    }


def test_the_files_say_what_they_are_of() -> None:
    (of,) = csv.DictReader(io.StringIO(csv_files(report_of([("a", order(1))], kind="quarter"))["report.csv"]))
    assert of == {
        "from_on": "2026-01-01", "to_on": "2026-03-31", "period": "quarter", "time_zone": "UTC",
        "as_of": "2026-03-31T12:00:00+00:00", "currency": "USD",
    }  # fmt: skip


def test_what_there_is_none_of_is_said_once_with_what_would_bring_it() -> None:
    text = page(report_of([("a", order(1))]))
    assert "Nobody has a tier yet (`wafa fit`)." in text
    assert "Tiers, to date: nothing in this time" not in text


def test_what_rows_come_to_stands_under_them_for_eyes_and_is_no_row_of_the_files(report: Report) -> None:
    """The value to date is one, whoever it is divided among; people and money of periods are put together."""
    totals = {table.name: dict(zip(table.columns, table.total, strict=True)) for table in tables(report) if table.total}
    assert set(totals) == {"channels", "value_by_channel", "inputs_outputs", "value_at_risk", "tiers"} - (
        set() if report.part("tiers").table("tiers").rows else {"tiers"}
    )
    (worth,) = {totals[name]["value_minor"] for name in totals if "value_minor" in totals[name]}
    for table in tables(report):
        for name in ("value_minor", "profit_minor", "brought_minor", "spend_minor") if table.total else ():
            if name in table.columns:
                told = [cell for cell in table.column(name) if isinstance(cell, int)]
                assert sum(told) == totals[table.name][name], (table.name, name)
    assert worth == next(row[2] for row in report.part("inputs").table("adds_up").rows if row[0] == "value to date")
    out = io.StringIO()
    print_report(report, Console(file=out, width=160))
    shown = sum(line.startswith("in all ") for line in out.getvalue().splitlines())
    assert shown == len(totals) + 1, "and word of mouth, where in all there is more than in the rows"
    assert page(report).count("<tfoot>") == len(totals)
    assert all("in all" not in csv_files(report)[f"{name}.csv"] for name in totals)


def test_a_gap_between_shares_is_told_in_points() -> None:
    table = Table(
        "goals", "Goals", ("period", "unit", "target", "actual", "gap"),
        (("1", "share", 0.9, 0.8, -0.1), ("1", "money", 900, 800, -100), ("2", "share", 0.9, None, None)),
    )  # fmt: skip
    assert [row_in_words(table, row, "USD")[-1] for row in table.rows] == ["-10.0 points", "-1.00", "-"]


def test_a_terminal_gets_a_page_or_two_and_is_told_of_the_rest(report: Report) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=160))
    text = out.getvalue()
    assert len(text.splitlines()) < 160
    for part in report.parts:
        assert part.title in text
    assert "more rows in needs.csv (--csv)" in text
    assert "ad costs more than it brings" in text


COMMANDS = "\x1b]0;owned\x07\x1b[2J\u202e\x9b1m\nx"


def test_no_name_reaches_the_terminal_as_a_command_to_it() -> None:
    """A title for its window, a bell, a cleared screen, a line that runs backwards, an eight-bit escape."""
    out = io.StringIO()
    print_report(returned(COMMANDS, "c"), Console(file=out, width=160))
    assert not set("\x1b\x07\x9b\u202e") & set(out.getvalue())
    assert "\u241b]0;owned\u2407\u241b[2J\ufffd\ufffd1m\u240ax" in out.getvalue(), "and is seen for what it is"


def test_no_answer_of_any_command_commands_the_terminal() -> None:
    """The command line's own console: its styles are its own, and all else is text."""
    out = io.StringIO()
    shown = PlainConsole(file=out, width=160, force_terminal=True, color_system="standard", highlight=False)
    shown.print(f"[bold]customer[/] {escape(COMMANDS)}", soft_wrap=True)
    shown.print(Text(COMMANDS))
    line = "\u241b]0;owned\u241b[2J\ufffd\ufffd1m\nx\n"  # the bell rich takes out itself
    assert out.getvalue() == f"\x1b[1mcustomer\x1b[0m {line}{line}"
    assert isinstance(OUT, PlainConsole)
    assert isinstance(ERR, PlainConsole)


@pytest.mark.parametrize("name", ["SKU:bug:1", "x\\", "a\\[b]", "[bold]", "[/]"])
def test_a_products_name_is_shown_letter_by_letter(name: str) -> None:
    """No picture of a bug, no backslash twice, no style."""
    out = io.StringIO()
    print_report(returned(name, "c"), PlainConsole(file=out, width=160))
    assert f" {name} " in out.getvalue()


def test_no_answer_of_any_command_has_pictures_for_words() -> None:
    out = io.StringIO()
    PlainConsole(file=out, width=160).print("customer a:x:b", highlight=False)
    assert out.getvalue() == "customer a:x:b\n"


@pytest.mark.parametrize(("currency", "told"), [("USD", "43.21"), ("JPY", "4,321"), ("KWD", "4.321")])
def test_what_winning_one_costs_is_drawn_in_the_currencys_own_digits(currency: str, told: str) -> None:
    """Of one channel alone: 4,321 minor units by one customer."""
    told_of = report_of([("a", touch(1, "search")), ("a", order(2, "A"))], revised("search", 4_321, 1))
    found = replace(told_of, currency=currency)
    (drawn,) = [svg for name, _, svg in plots_of(found, found.part("channels")) if name == "winning"]
    texts = re.findall(r"<!--\s*(.*?)\s*-->", drawn)
    assert told in texts


def test_the_page_shows_signs_that_would_move_what_is_read() -> None:
    text = page(returned("a\u202eb\x00", "c"))
    assert "a\ufffdb\u2400" in text
    assert not set("\u202e\x00") & set(text)


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
