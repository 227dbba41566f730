"""Every row several times, one after the other on one broker; medians, ratios, and what was absent."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table as Grid

from bench.machine import machine
from bench.small import job, rate, running
from bench.small.environments import CACHE, Absent
from bench.small.rows import COMMIT_SECONDS, ROWS
from pipeline.local.kafka import run_kafka

EVENTS: Final = 500_000
RUNS: Final = 3
SECONDS_MAX: Final = 25.0
NAMES: Final = tuple(row.name for row in ROWS)
_WIDTH: Final = 120
OUT: Final = Path("bench/out")
BROKER: Final = {"log.message.timestamp.type": "LogAppendTime"}
"""Every record bears the time at which the broker received it: one clock for all engines."""


@dataclass
class Comparison:
    """What came of it."""

    events: int
    machine: dict[str, object]
    runs: dict[str, list[rate.Run]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Rows without a figure, and why."""

    @property
    def ratios(self) -> dict[str, float | None]:
        return rate.ratios({name: [each.events_per_second for each in runs] for name, runs in self.runs.items()})


def compare(events: int, runs: int, names: Sequence[str], *, seconds_max: float) -> Comparison:
    """Run the named rows `runs` times, round by round, so that a slow minute of the machine is nobody's alone."""
    table = Comparison(events, machine())
    commands = _prepare(table, names)
    given = list(job.orders(events))
    truth = job.Truth.of(given)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_kafka(folder / "kafka", cache=CACHE, fast_start=False, heap="1g", settings=BROKER) as kafka:
            bench = running.Bench(kafka.bootstrap_servers, kafka.pid, folder, truth)
            running.create(bench.admin, running.INPUT)
            running.publish(kafka.bootstrap_servers, given)
            del given
            for number in range(runs):
                for row in [row for row in ROWS if row.name in commands]:
                    print(f"{row.name}, run {number + 1}", flush=True)
                    try:
                        run = running.run(bench, row, commands[row.name], number, seconds_max=seconds_max)
                    except (RuntimeError, ValueError) as error:
                        table.skipped[row.name] = str(error)
                        del commands[row.name]
                        print(f"  failed: {error}", flush=True)
                    else:
                        table.runs.setdefault(row.name, []).append(run)
                        _tell(run)
    return table


def _prepare(table: Comparison, names: Sequence[str]) -> dict[str, list[str]]:
    commands = {}
    for row in ROWS:
        if row.name not in names:
            continue
        try:
            commands[row.name] = list(row.prepare())
        except Absent as error:
            table.skipped[row.name] = str(error)
            print(f"{row.name}: skipped: {error}", flush=True)
    return commands


def _tell(run: rate.Run) -> None:
    told = "; ".join(run.problems) or "right"
    others = "" if run.others_fraction is None else f", others had {run.others_fraction:.0%} of the machine"
    print(f"  {run.events_per_second:,.0f} events/s over {run.seconds:.1f} s{others}; {told}", flush=True)


def document(table: Comparison) -> dict[str, Any]:
    """What is written: figures, ratios, skips, and under which conditions."""
    return {
        "machine": table.machine,
        "conditions": {
            "events": table.events, "partitions": job.PARTITIONS, "customers": job.CUSTOMERS, "every": job.EVERY,
            "commit_seconds": COMMIT_SECONDS, "acks": "all", "compression": "lz4", "warm_fraction": rate.WARM_FRACTION,
        },
        "ratios": table.ratios,
        "events_per_second": {
            name: median(each.events_per_second for each in runs) for name, runs in table.runs.items()
        },
        "runs": {
            name: [asdict(each) | {"events_per_second": each.events_per_second} for each in runs]
            for name, runs in table.runs.items()
        },
        "skipped": table.skipped,
    }  # fmt: skip


def write(table: Comparison) -> Path:
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "small.json"
    path.write_text(json.dumps(document(table), indent=2) + "\n")
    return path


def _cost(runs: Sequence[rate.Run], name: str) -> str:
    """Microseconds of processor time an event: it hardly minds who else works on the machine."""
    costs = [getattr(each, name) / each.events * 1e6 for each in runs if getattr(each, name) is not None]
    return f"{median(costs):.1f}" if costs else "-"


def show(table: Comparison) -> None:
    grid = Grid(title=f"The small job, one worker, {table.events:,} events, the broker on the same cores")
    for head in ("engine", "guarantee", "events/s", "lowest to highest", "us/event", "broker", "result"):
        grid.add_column(head, justify="right" if "/" in head or head == "broker" else "left")
    for row in ROWS:
        runs = table.runs.get(row.name)
        if runs:
            rates = sorted(each.events_per_second for each in runs)
            grid.add_row(
                row.label, row.guarantee, f"{median(rates):,.0f}", f"{rates[0]:,.0f} to {rates[-1]:,.0f}",
                _cost(runs, "engine_cpu_seconds"), _cost(runs, "broker_cpu_seconds"), _result(row.name, runs),
            )  # fmt: skip
        elif row.name in table.skipped:
            grid.add_row(row.label, row.guarantee, "skipped", "", "", "", table.skipped[row.name].splitlines()[0])
    console = Console()
    console.width = max(console.width, _WIDTH)  # a file has no width
    console.print(grid)
    for name, value in table.ratios.items():
        console.print(f"  {name}: {'-' if value is None else f'{value:.2f}'}")
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in table.machine.items())
    console.print(f"Machine: {told}", soft_wrap=True)


def _result(name: str, runs: Sequence[rate.Run]) -> str:
    """Whether counts, sums and outputs were right; "so far": the time for a run was up before its last event."""
    problems = [problem for each in runs for problem in each.problems]
    if name == "ceiling" or problems:
        return "; ".join(problems) or "-"
    return "right" if all(each.complete for each in runs) else "right so far"
