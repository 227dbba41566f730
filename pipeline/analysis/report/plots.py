"""The report's plots, as SVG drawn from its tables. The sole user of matplotlib."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from math import isnan, nan
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from pipeline.analysis.report.figures import FIGURES
from pipeline.analysis.report.shop import NOT_OVER
from pipeline.analysis.report.table import Cell, Part, Report
from pipeline.analysis.report.words import amount
from pipeline.plain import plain

_INK: Final = "#22262b"
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "wafa",
    "font.size": 10.0,
    "text.parse_math": False,  # names are text: `$` begins no formula
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": "#e3e5e8",
    "legend.frameon": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": "#4a5058",
    "ytick.color": _INK,
}
BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#9aa0a8"
"""Told apart by everybody (Okabe and Ito's), and a grey."""
_WIDTH: Final = 8.0
_THOUSANDS: Final = StrMethodFormatter("{x:,.10g}")
_DARK_FROM: Final = 0.6
_NAMES_UPRIGHT_MAX: Final = 6
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_BARS_MAX: Final = 12
_NO_LETTER: Final = "Glyph .* missing from font"
"""Of names in scripts that the plots' letters do not have: drawn as boxes there, and told whole by the tables."""

Draw = Callable[[Axes, Part, str], None]


def plots_of(report: Report, part: Part) -> list[tuple[str, str, str]]:
    """(name, title, SVG) of each plot of a part that has something to show."""
    found = []
    for of, name, title, is_there, height, draw in _PLOTS:
        if of == part.name and is_there(part):
            with mpl.rc_context(_STYLE), warnings.catch_warnings():
                warnings.filterwarnings("ignore", _NO_LETTER)
                figure = Figure(figsize=(_WIDTH, height(part)), layout="constrained")
                draw(figure.add_subplot(), part, report.currency)
                found.append((name, title, _svg(figure)))
    return found


def _svg(figure: Figure) -> str:
    """The drawing alone, without the words about it that matplotlib puts before: the same figure, the same bytes."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return _METADATA.sub("", text[text.index("<svg") :])


def _numbers(cells: Sequence[Cell]) -> list[float]:
    return [float(cell) if isinstance(cell, int | float) else 0.0 for cell in cells]


def _major(cells: Sequence[Cell], currency: str) -> list[float]:
    """Minor units as the currency's own."""
    return [float(amount(each, currency).replace(",", "")) for each in _numbers(cells)]


def _across(axes: Axes, names: Sequence[Cell], bars: Sequence[tuple[str, str, Sequence[float]]], label: str) -> None:
    """Bars side by side for each name, the first on top."""
    places, thick = range(len(names)), 0.8 / len(bars)
    for number, (words, colour, lengths) in enumerate(bars):
        at = [place + (number - (len(bars) - 1) / 2) * thick for place in places]
        axes.barh(at, lengths, thick * 0.92, color=colour, label=words)
    axes.set_yticks(list(places), [str(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.tick_params(axis="y", length=0)
    if len(bars) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _funnel(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("funnel")
    people, shares = _numbers(table.column("people")), table.column("base_share")
    axes.barh(range(len(people)), people, 0.66, color=[GREY, BLUE, GREEN, ORANGE])
    axes.set_yticks(range(len(people)), [str(step) for step in table.column("step")])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    of_whom = zip(shares, table.column("base_people"), strict=True)
    for place, (count, (share, base)) in enumerate(zip(people, of_whom, strict=True)):
        told = f" {count:,.0f}" + (f" ({share:.0%} of {base:,})" if isinstance(share, float) else "")
        axes.text(count, place, told, va="center")
    axes.set_xlim(0, max(people) * 1.2)
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.set_xlabel("people")


def _channels(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("channels")
    names = table.column("channel")[:_BARS_MAX]
    bars = [
        ("spend", ORANGE, _major(table.column("spend_minor")[:_BARS_MAX], currency)),
        ("brought", BLUE, _major(table.column("brought_minor")[:_BARS_MAX], currency)),
    ]
    _across(axes, names, bars, currency)


def _winning(axes: Axes, part: Part, currency: str) -> None:
    rows = [row for row in _rows(part, "channels", "channel", "cpa_minor", "cpa_low_minor", "cpa_high_minor") if row[1]]
    for place, row in enumerate(rows[:_BARS_MAX]):
        at, low, high = _major(row[1:], currency)
        axes.plot([low, high], [place, place], color=BLUE, lw=2)
        axes.plot([at], [place], "o", color=BLUE)
        axes.text(high, place, f"  {amount(_numbers(row[1:2])[0], currency)}", va="center")
    axes.set_yticks(range(len(rows[:_BARS_MAX])), [str(row[0]) for row in rows[:_BARS_MAX]])
    axes.set_ylim(len(rows[:_BARS_MAX]) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.set_xlabel(f"{currency}, with the interval it lies in with 90 % probability")


def _rows(part: Part, name: str, *columns: str) -> list[tuple[Cell, ...]]:
    table = part.table(name)
    return list(zip(*(table.column(column) for column in columns), strict=True))


def _inputs(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("inputs_outputs")
    names = [str(each) for each in table.column("period")]
    places, below = range(len(names)), [0.0] * len(names)
    for column, colour in (("marketing_minor", ORANGE), ("sales_minor", PINK), ("service_minor", GREY)):
        heights = _major(table.column(column), currency)
        if not any(heights):
            continue
        axes.bar(places, heights, 0.7, bottom=below, color=colour, label=f"{FIGURES[column].words}'s cost")
        below = [low + height for low, height in zip(below, heights, strict=True)]
    over = sum(NOT_OVER not in name for name in names)  # what is not over comes last, and is no fall
    for column, colour, words in (("margin_minor", GREEN, "margin"), ("profit_minor", BLUE, "profit")):
        heights = _major(table.column(column), currency)
        axes.plot(places[:over], heights[:over], "o-", color=colour, label=words)
        axes.plot(places[over:], heights[over:], "o", color=colour, mfc="none")
    axes.axhline(0, color="#8a8f98", lw=0.8)
    turned = len(names) > _NAMES_UPRIGHT_MAX
    axes.set_xticks(places, names, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.grid(visible=False, axis="x")
    axes.grid(visible=True, axis="y")
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.set_ylabel(currency)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _retention(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("retention")
    ages = [place for place, name in enumerate(table.columns) if name.startswith("month_")][1:]
    running = table.column("running_month")
    grid = [
        [float(cell) if isinstance(cell := row[place], int | float) else nan for place in ages] for row in table.rows
    ]
    known = max((age for row in grid for age, cell in enumerate(row, 1) if not isnan(cell)), default=1)
    grid = [row[:known] for row in grid]
    top = max((cell for row in grid for cell in row if not isnan(cell)), default=0.0) or 1.0
    colours = LinearSegmentedColormap.from_list("blues", ["#f2f6fa", BLUE])
    axes.pcolormesh(np.ma.masked_invalid(grid), cmap=colours, vmin=0, vmax=top, edgecolors="white")
    axes.invert_yaxis()
    for line, row in enumerate(grid):
        for age, cell in enumerate(row):
            if not isnan(cell):
                ink = "white" if cell > top * _DARK_FROM else _INK
                told = f"{cell:.0%}…" if age + 1 == running[line] else f"{cell:.0%}"
                axes.text(age + 0.5, line + 0.5, told, ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks([age + 0.5 for age in range(known)], [str(age + 1) for age in range(known)])
    sizes = zip(table.column("cohort_month"), table.column("customers"), strict=True)
    axes.set_yticks([line + 0.5 for line in range(len(grid))], [f"{month}  ({size:,})" for month, size in sizes])
    axes.set_xlabel("months after that of the first purchase (…: not over)")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _at_risk(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("value_at_risk")
    names = [str(each).replace("_", " ") for each in table.column("lifecycle")]
    bars = [("value to date", BLUE, _major(table.column("value_minor"), currency))]
    if any(cell is not None for cell in table.column("predicted_minor")):
        bars.append(("still predicted", ORANGE, _major(table.column("predicted_minor"), currency)))
    _across(axes, names, bars, currency)


def _goals(axes: Axes, part: Part, currency: str) -> None:
    columns = ("period", "goal", "target", "actual", "forecast", "forecast_low", "forecast_high")
    rows = [row for row in _rows(part, "goals", *columns) if row[2]]
    rows = [row for row in rows if row[0] == rows[-1][0]]
    for place, row in enumerate(rows):
        target, actual, forecast, low, high = (
            float(each) if isinstance(each, int | float) else None for each in row[2:]
        )
        assert target, "rows without one are left out"
        if actual is not None:
            axes.barh(place, actual / target, 0.5, color=BLUE, label="so far" if not place else None)
        if low is not None and high is not None and forecast is not None:
            axes.plot(
                [low / target, high / target],
                [place, place],
                color=ORANGE,
                lw=3,
                label="forecast" if not place else None,
            )
            axes.plot([forecast / target], [place], "o", color=ORANGE)
    axes.axvline(1, color=_INK, lw=1.2)
    axes.set_yticks(range(len(rows)), [str(row[1]).replace("_", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{rows[-1][0]}: of the target, which is 1 (of cpa less is better)")
    axes.legend(loc="best")


def _tiers(axes: Axes, part: Part, currency: str) -> None:
    table = part.table("tiers")
    columns = (("customers", "customers_share", GREY), ("value", "value_share", BLUE), ("cost", "cost_share", ORANGE))
    bars = [(words, colour, _numbers(table.column(column))) for words, column, colour in columns]
    _across(axes, [str(each).upper() for each in table.column("tier")], bars, "share of all")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _needs(axes: Axes, part: Part, currency: str) -> None:
    bars = said_most(part)
    _across(axes, [name for name, _ in bars], [("people", BLUE, [people for _, people in bars])], "people who said it")


def said_most(part: Part) -> list[tuple[str, float]]:
    """What most people said, and how many: in the order of that, and not of what they are worth."""
    rows = _rows(part, "needs", "kind", "category", "product_id", "reason", "people_said")
    people = _numbers([row[4] for row in rows])
    names = [": ".join(str(each) for each in (row[0], " ".join(str(x) for x in row[1:4] if x)) if each) for row in rows]
    return sorted(zip(map(plain, names), people, strict=True), key=lambda each: -each[1])[:_BARS_MAX]


def _has(name: str, column: str) -> Callable[[Part], bool]:
    def has(part: Part) -> bool:
        found = [table for table in part.tables if table.name == name]
        return bool(found) and any(_numbers(found[0].column(column)))

    return has


def _lines(name: str, each: float, least: float = 2.2, *, most: int = _BARS_MAX) -> Callable[[Part], float]:
    return lambda part: max(least, 1.0 + each * min(len(part.table(name).rows), most))


_PLOTS: Final[tuple[tuple[str, str, str, Callable[[Part], bool], Callable[[Part], float], Draw], ...]] = (
    ("funnel", "funnel", "From reached to promoting", _has("funnel", "people"), lambda _: 2.4, _funnel),
    ("channels", "channels", "What channels cost and what they brought", _has("channels", "brought_minor"),
     _lines("channels", 0.45), _channels),
    ("channels", "winning", "What winning one customer costs", _has("channels", "cpa_minor"), _lines("channels", 0.3),
     _winning),
    ("inputs", "inputs_outputs", "Costs against margin and profit", _has("inputs_outputs", "margin_minor"),
     lambda _: 3.6, _inputs),
    ("cohorts", "retention", "Of each month's new customers, who bought again", _has("retention", "month_1"),
     _lines("retention", 0.32, most=60), _retention),
    ("cohorts", "value_at_risk", "Value by where customers stand", _has("value_at_risk", "value_minor"),
     _lines("value_at_risk", 0.4), _at_risk),
    ("goals", "goals", "Goals of the latest period", _has("goals", "target"), lambda _: 3.4, _goals),
    ("tiers", "tiers", "What tiers are of all", _has("tiers", "customers"), _lines("tiers", 0.6), _tiers),
    ("needs", "needs", "What was said most", _has("needs", "people_said"), _lines("needs", 0.35), _needs),
)  # fmt: skip
