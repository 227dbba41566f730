"""What a demonstration shows while it runs: a picture that moves on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, get_args

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.local.watch import Population, Seen
from pipeline.schemas.decisions import Lifecycle, Stage
from pipeline.telling import in_words

PLAIN_EVERY_SECONDS: Final = 4.0
STAGES: Final[tuple[str, ...]] = get_args(Stage)
LIFECYCLES: Final[tuple[str, ...]] = get_args(Lifecycle)
_COLOURS: Final = {
    "prospect": "bright_black", "new": "cyan", "active": "green", "at_risk": "yellow", "lapsed": "red",
    "won_back": "magenta",
}  # fmt: skip
_FIXED_LINES: Final = 17
"""All but the triggers, and the line below, so that the picture never scrolls."""
_PER_SECOND: Final = 6


@contextmanager
def shown(seen: Seen, console: Console, title: str) -> Iterator[None]:
    """Shows `seen` for as long as the block lasts."""
    if console.is_terminal:
        spinner = Spinner("dots")
        with Live(
            get_renderable=lambda: picture(seen, console, title, spinner), console=console,
            refresh_per_second=_PER_SECOND, transient=True, vertical_overflow="crop",
        ):  # fmt: skip
            yield
        return
    console.print(escape(title), highlight=False)
    over = threading.Event()
    thread = threading.Thread(target=_say_lines, args=(seen, console, over), name="wafa-demo-lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PLAIN_EVERY_SECONDS)


def _say_lines(seen: Seen, console: Console, over: threading.Event) -> None:
    while not over.wait(PLAIN_EVERY_SECONDS):
        console.print(plain_line(seen), highlight=False, soft_wrap=True)


def plain_line(seen: Seen) -> str:
    """The state of affairs in one line."""
    if seen.shop_date is None:
        return f"starting {seen.phase}"
    sent = sum(count for (_, outcome), count in seen.decisions.items() if outcome == "sent")
    return (
        f"{seen.shop_date}  week {seen.week}/{seen.weeks}  {seen.published:,} published, {seen.processed:,} processed, "
        f"{seen.rate:,.0f}/s, lag {seen.lag:,}, {_people(seen.population):,} customers, {sent:,} triggers, "
        f"{sum(seen.dead_letters.values()):,} dead letters"
    )


def picture(seen: Seen, console: Console, title: str, spinner: Spinner) -> RenderableType:
    """The whole screen, to fit the terminal."""
    if seen.shop_date is None:
        spinner.update(text=f"Starting {seen.phase}")
        return Group(Rule(escape(title), style="cyan"), spinner)
    lines = max(1, console.height - _FIXED_LINES)
    triggers = [trigger_line(trigger) for trigger in seen.triggers[:lines]] or [Text("none yet", style="dim")]
    return Group(
        Rule(escape(title), style="cyan"),
        _progress(seen),
        _flow(seen),
        population_table(seen.population, before=seen.population_before),
        Rule("latest triggers", style="bright_black"),
        *triggers,
    )


def trigger_line(trigger: dict[str, object]) -> Text:
    """A trigger in words, cut to the width of the screen."""
    colour = "yellow" if trigger["rule"] == "retention_offer" else "cyan"
    line = Text(in_words(trigger), no_wrap=True, overflow="ellipsis")
    line.stylize("dim", 0, 10)
    line.highlight_words([str(trigger["rule"]).replace("_", " ")], colour)
    return line


def _progress(seen: Seen) -> Table:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(
        Text(f"{seen.shop_date:%d %b %Y}", style="bold"),
        ProgressBar(total=seen.weeks, completed=seen.week),
        Text(f"week {seen.week}/{seen.weeks}"),
    )
    return row


def _flow(seen: Seen) -> Table:
    sent = sum(count for (_, outcome), count in seen.decisions.items() if outcome == "sent")
    figures = (
        ("published", f"{seen.published:,}", ""), ("processed", f"{seen.processed:,}", "green"),
        ("per second", f"{seen.rate:,.0f}", ""), ("lag", f"{seen.lag:,}", ""), ("triggers", f"{sent:,}", "cyan"),
        ("dead letters", f"{sum(seen.dead_letters.values()):,}", "red"),
    )  # fmt: skip
    row = Table.grid(expand=True)
    for _ in figures:
        row.add_column(justify="center", no_wrap=True, ratio=1)  # of one width, so that figures stay where they are
    row.add_row(*(Text(value, style=f"bold {style}") for _, value, style in figures))
    row.add_row(*(Text(name, style="dim") for name, _, _ in figures))
    return row


def population_table(population: Population, *, before: Population | None = None, title: str | None = None) -> Table:
    """Customers by stage and lifecycle, with sums; and what has changed, where `before` is given."""
    table = plain_table(title)
    table.expand, table.padding = before is not None, (0, 0)  # ten columns in 80 characters
    column: Any = {"no_wrap": True, "min_width": 7}
    table.add_column("stage", no_wrap=True)
    for lifecycle in LIFECYCLES:
        table.add_column(lifecycle.replace("_", " "), justify="right", style=_COLOURS[lifecycle], **column)
    table.add_column("all", justify="right", style="bold", **column)
    if before is not None:
        table.add_column("4 weeks", justify="right", **column)
    for stage in STAGES:
        row = population.get(stage, {})
        counts = [row.get(lifecycle, 0) for lifecycle in LIFECYCLES]
        moved = [] if before is None else [_moved(sum(counts) - sum(before.get(stage, {}).values()), before)]
        table.add_row(stage, *(f"{count:,}" if count else "" for count in counts), f"{sum(counts):,}", *moved)
    sums = {lifecycle: sum(row.get(lifecycle, 0) for row in population.values()) for lifecycle in LIFECYCLES}
    table.add_section()
    empty = [] if before is None else [""]
    table.add_row("all", *(f"{sums[each]:,}" for each in LIFECYCLES), f"{sum(sums.values()):,}", *empty, style="bold")
    if before is not None:
        changes = [_moved(sums[each] - sum(row.get(each, 0) for row in before.values()), before) for each in LIFECYCLES]
        table.add_row("in 4 weeks", *changes, _moved(sum(sums.values()) - _people(before), before), "")
    return table


def plain_table(title: str | None) -> Table:
    """A table without walls, so that it fits 80 columns."""
    return Table(
        title=title, title_justify="left", title_style="bold cyan", header_style="bold", border_style="bright_black",
        box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip


def _moved(change: int, before: Population) -> Text:
    if not change or not before:
        return Text("")
    return Text(f"{change:+,}", style="green" if change > 0 else "red")


def _people(population: Population) -> int:
    return sum(sum(row.values()) for row in population.values())
