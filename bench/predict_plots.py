"""Figures and plots of docs/prediction.md, from two shops' histories: small SVG files, and lines on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from bench import journey
from bench.histories import cdnow_purchases, day, journey_purchases
from bench.overdue import both, raised, shop
from bench.weeks import HORIZON_DAYS, foretold
from pipeline.analysis.calibration import brier, calibrated, features, fit_calibration, log_loss
from pipeline.analysis.chances import p_return
from pipeline.analysis.counts import Floats, counted
from pipeline.analysis.overdue import Budget
from pipeline.analysis.purchases import Purchases, snapshot, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.calibration import Calibration
from pipeline.local import cdnow

CACHE = Path(".wafa/cache")
WIDE, HIGH, EDGE = 420, 300, 46
COLOURS = ("#b3541e", "#1f6f8b", "#777777")
Line = tuple[str, Sequence[tuple[float, float]]]


def draw(folder: Path) -> None:
    """Every plot into `folder`, every figure to the screen."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = cdnow.fetch(CACHE, Console(stderr=True))
    sample, master = cdnow_purchases(wheel, "sample"), cdnow_purchases(wheel, "master")
    weekly = journey_purchases(journey.fetch(CACHE))
    for name, bought, on, days, step in (
        ("CDNOW, 23,570 customers, 90 days", master, day(1997, 12, 31), 90, 30),
        ("CDNOW, sample, 90 days", sample, day(1997, 12, 31), 90, 30),
        ("Complete Journey, 28 days", weekly, day(2017, 8, 29), 28, 28),
    ):
        plot = calibration(name, bought, on, days, step)
        if "sample" not in name:
            (folder / f"calibration-{name.split(',')[0].lower().replace(' ', '-')}.svg").write_text(plot, "utf-8")
    rules("Complete Journey", weekly, (day(2017, 8, 29), day(2017, 12, 3), 28, 2), (0.05, 0.1, 0.2))
    for name, bought in (("CDNOW sample", sample), ("CDNOW all", master)):
        for repeats in (1, 2, 5):
            window = (day(1997, 9, 30), day(1998, 4, 1), 90, repeats)
            rules(f"{name}, {repeats} repeats or more", bought, window, (0.05, 0.1, 0.2))
    kept("Complete Journey", weekly, (day(2017, 8, 29), day(2017, 12, 3), 28, 2), (20.0, 80.0))
    kept("CDNOW all", master, (day(1997, 9, 30), day(1998, 4, 1), 90, 1), (20.0, 40.0, 80.0))
    season("CDNOW sample", sample, day(1997, 9, 30), day(1998, 6, 30))
    season("Complete Journey", weekly, day(2017, 8, 29), day(2017, 12, 31))
    (folder / "weeks-cdnow.svg").write_text(season("CDNOW", master, day(1997, 9, 30), day(1998, 6, 30)), "utf-8")


def calibration(name: str, purchases: Purchases, on: int, days: int, step: int) -> str:
    """Chance of return said on a day, against what came: the model alone, and corrected by earlier outcomes."""
    states = states_on(purchases, on)
    timing, rhythm = fit_timing(counted(states.counts)), fit_rhythm(states.counts, states.sum_log_gap)
    assert isinstance(timing, TimingFit)
    assert isinstance(rhythm, RhythmFit)
    learn = [snapshot(purchases, on - days - step * each, days) for each in range(4)]
    fitted = fit_calibration(timing.timing, rhythm.rhythm, days / 7, learn)
    assert isinstance(fitted, Calibration)
    check = snapshot(purchases, on, days)
    raw = p_return(timing.timing, check.counts, days / 7)
    seen = features(timing.timing, rhythm.rhythm, days / 7, check.counts, check.sum_log_gap)
    better = calibrated(fitted, seen, raw)
    came = check.returned
    for label, said in (("model alone", raw), ("corrected", better)):
        print(f"{name}: {label}: log-loss {log_loss(said, came):.4f}, Brier {brier(said, came):.4f}, "
              f"said {said.mean():.3f}, came {came.mean():.3f}, n {len(said)}")  # fmt: skip
    lines: list[Line] = [
        ("model alone", tenths(raw, came)),
        ("corrected", tenths(better, came)),
        ("right", [(0.0, 0.0), (1.0, 1.0)]),
    ]
    return svg(name, "chance that was said", "share that bought", lines, (1.0, 1.0))


def tenths(said: Floats, came: Floats) -> list[tuple[float, float]]:
    """Mean said and mean that came, in ten groups of equal size."""
    groups = np.array_split(np.argsort(said), 10)
    return [(float(said[each].mean()), float(came[each].mean())) for each in groups]


def rules(name: str, purchases: Purchases, window: tuple[int, int, int, int], volumes: Sequence[float]) -> None:
    """Own deadlines and the best fixed window, at equal numbers of alarms."""
    fitted_on, last, horizon, least = window
    found = shop(purchases, fitted_on, last, horizon, least)
    for volume in volumes:
        for label, each in zip(("own rhythm", "fixed window"), both(found, volume), strict=True):
            print(f"{name}, {volume:.0%}: {label}: {each.alarms} alarms, lost {each.lost_per_alarm:.2f} "
                  f"(+-{each.lost_error:.2f}), fell {each.fell_per_alarm:.2f} (+-{each.fell_error:.2f}), "
                  f"quiet {each.quiet_fraction:.2f}, silent {each.silent_days:.0f} days")  # fmt: skip


def kept(name: str, purchases: Purchases, window: tuple[int, int, int, int], budgets: Sequence[float]) -> None:
    """What twelve weeks raised, each silence once, where the level was set anew every four weeks, week or night."""
    found = shop(purchases, *window)
    for a_week in budgets:
        for fits, days in ((3, 28), (12, 7), (84, 1)):
            counts = raised(found, Budget(a_week), fits, days)
            months = [sum(counts[at : at + fits // 3]) / 4 for at in range(0, fits, fits // 3)]
            print(f"{name}, {a_week:.0f} a week allowed, set every {days} days: {sum(counts) / 12:.1f} a week "
                  f"({', '.join(f'{month:.0f}' for month in months)})")  # fmt: skip


def season(name: str, purchases: Purchases, fitted_on: int, last: int) -> str:
    """What the shop's forecasts came to in the weeks after the fit, without and with the season."""
    found = foretold(purchases, fitted_on, last)
    for place, days in enumerate(HORIZON_DAYS):
        for label, each in zip(("without", "with"), found.errors(place), strict=True):
            print(f"{name}, {days} days: {label} season: errors in all {each.in_all:.3f}, mean {each.mean:.3f}, "
                  f"total {each.bias:+.3f}")  # fmt: skip
    most = float(np.nanmax(found.came[0]))
    lines: list[Line] = [
        (label, [(week, value / most) for week, value in enumerate(values[0].tolist())])
        for label, values in zip(("without", "with level", "came"), found, strict=True)
    ]
    return svg(f"{name}, repeat orders a week (of {most:,.0f})", "week after the fit", "share of the most", lines,
               (found.came.shape[1], 1.0))  # fmt: skip


def svg(title: str, across: str, up: str, lines: Sequence[Line], ends: tuple[float, float]) -> str:
    """Lines between 0 and `ends`, as a small picture."""

    def at(x: float, y: float) -> str:
        return f"{EDGE + x / ends[0] * (WIDE - 2 * EDGE):.1f},{HIGH - EDGE - y / ends[1] * (HIGH - 2 * EDGE):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDE}" height="{HIGH}" fill="white"/>',
        f'<text x="{EDGE}" y="20" font-size="13">{title}</text>',
        f'<text x="{WIDE // 2}" y="{HIGH - 8}" text-anchor="middle">{across}</text>',
        f'<text transform="translate(12,{HIGH // 2}) rotate(-90)" text-anchor="middle">{up}</text>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(tick * ends[0], 0.0).split(","), at(0.0, tick * ends[1]).split(",")
        parts.append(f'<path d="M{y[0]},{y[1]}H{WIDE - EDGE}M{x[0]},{x[1]}V{EDGE}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x[0]}" y="{float(x[1]) + 14:.1f}" text-anchor="middle">{tick * ends[0]:g}</text>')
        parts.append(f'<text x="{float(y[0]) - 5:.1f}" y="{float(y[1]) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for number, ((label, points), colour) in enumerate(zip(lines, COLOURS, strict=True)):
        drawn = " ".join(at(*point) for point in points)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<text x="{WIDE - EDGE}" y="{20 + 13 * number}" text-anchor="end" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
