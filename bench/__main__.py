"""`python -m bench`: the figures that the README quotes, in one table, from one run on this machine.

python -m bench [--short] [--events 300000] [--customers 100000] [--runs 3] [--only full,split,latency,faust,small]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # left out of its __all__
from rich.console import Console
from rich.table import Table

from bench import full, load
from bench.machine import machine
from bench.shop import CACHE, Shop, now, open_shop
from bench.small import compare
from pipeline import topics
from pipeline.local.kafka import run_kafka

OUT = Path("bench/out")
PARTS = ("full", "split", "latency", "faust", "small")
SPLIT = ("doors", "customers")
FAUST_EVENTS = 20_000
GIVEN = ("events", "customers", "latency_seconds", "full_runs")
TOLD = re.compile(r"(\d+) (\d+\.\d+)$")


def naive_faust(shop: Shop, bootstrap: str, customers: int) -> dict[str, float]:
    """Events a second of ordinary Faust, from the first to the last it told of."""
    prefix = shop.settings.topics_prefix
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [f"{prefix}naive-events", f"{prefix}naive-triggers", f"{prefix}naive-profiles-changelog"]
    for future in admin.create_topics([NewTopic(name, 8, 1) for name in names]).values():
        future.result()
    published, _ = shop.publish(load.events(FAUST_EVENTS, now(), customers=customers))
    command = [sys.executable, "-m", "bench.naive_faust", bootstrap, prefix, str(shop.folder / "faust")]
    told: list[tuple[int, float]] = []
    with (shop.folder / "faust.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = TOLD.search(line)  # Faust's spinner writes there too
                if found is not None:
                    told.append((int(found[1]), float(found[2])))
                if told and told[-1][0] >= published * 0.9:
                    break
        finally:
            process.kill()
            process.wait(60)
    if len(told) < 2:
        raise RuntimeError((shop.folder / "faust.log").read_text()[-2000:])
    return {"events": told[-1][0], "events_per_second": (told[-1][0] - told[0][0]) / (told[-1][1] - told[0][1])}


def show(figures: dict[str, dict[str, float]], ratios: dict[str, float | None]) -> None:
    table = Table("what", "figure", title="One worker, exactly once, the broker on the same cores")
    for part, values in figures.items():
        for name, value in values.items():
            shown = f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:.3f}"
            table.add_row(f"{part}: {name.replace('_', ' ')}", shown)
    for name, ratio in ratios.items():
        table.add_row(f"ratio {name}", "-" if ratio is None else f"{ratio:.2f}")
    Console().print(table)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    events: int
    customers: int
    latency_seconds: float
    full_runs: int
    """Of the full path and of ordinary Faust, in turns; the last has the rest too."""
    small_events: int
    small_runs: int
    small_seconds_max: float


WHOLE = Size(300_000, load.CUSTOMERS, 30.0, 3, compare.EVENTS, compare.RUNS, compare.SECONDS_MAX)
SHORT = Size(100_000, 20_000, 15.0, 1, 300_000, 1, 12.0)
"""Ends within ten minutes, the first time without what is installed and fetched."""


Figures = dict[str, dict[str, float]]
"""By part."""


def rounds_of_full_path(size: Size, parts: list[str], rate: int) -> list[Figures]:
    """What is compared is measured once a round, each round on a broker just started; the last has the other parts."""
    compared = [part for part in parts if part in ("full", "faust")]
    rounds = [measure_full_path(size, compared, rate) for _ in range(size.full_runs - 1) if compared]
    return [*rounds, measure_full_path(size, parts, rate)]


def medians(rounds: list[Figures]) -> Figures:
    """Each figure's median over the rounds that have it."""
    found: dict[str, dict[str, list[float]]] = {}
    for figures in rounds:
        for part, values in figures.items():
            for name, value in values.items():
                found.setdefault(part, {}).setdefault(name, []).append(value)
    return {part: {name: median(values) for name, values in each.items()} for part, each in found.items()}


def measure_full_path(size: Size, parts: list[str], rate: int) -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_kafka(folder / "kafka", cache=CACHE, fast_start=False, heap="1g") as kafka:
            with open_shop(kafka.bootstrap_servers, folder / "full", "full") as shop:
                if "full" in parts:
                    figures["full"] = full.throughput(shop, size.events, size.customers)
                    print(figures["full"], flush=True)
                if "latency" in parts:
                    if "full" not in parts:
                        full.throughput(shop, 1_000, size.customers)
                    figures["latency"] = full.latency(shop, rate, size.latency_seconds, size.customers)
            if "split" in parts:
                with open_shop(kafka.bootstrap_servers, folder / "split", "split") as shop:
                    figures["split"] = full.throughput(shop, size.events, size.customers, roles=SPLIT)
            if "faust" in parts:
                with open_shop(kafka.bootstrap_servers, folder / "faust", "faust") as shop:
                    figures["faust"] = naive_faust(shop, kafka.bootstrap_servers, size.customers)
                    print(figures["faust"], flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="less of everything, within ten minutes")
    parser.add_argument("--events", type=int, help="records of the reference load")
    parser.add_argument("--customers", type=int)
    parser.add_argument("--runs", dest="full_runs", type=int, help="of full and faust; their medians are shown")
    parser.add_argument("--latency-rate", type=int, default=1_000, help="events a second offered")
    parser.add_argument("--latency-seconds", type=float)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    given = parser.parse_args()
    asked = {name: value for name in GIVEN if (value := getattr(given, name))}
    size = replace(SHORT if given.short else WHOLE, **asked)
    parts = given.only.split(",")
    document: dict[str, Any] = {"machine": machine(), "short": given.short, "size": asdict(size)}
    table = None
    if "small" in parts:
        table = compare.compare(size.small_events, size.small_runs, compare.NAMES, seconds_max=size.small_seconds_max)
        compare.write(table)
    rounds = rounds_of_full_path(size, parts, given.latency_rate) if set(parts) - {"small"} else []
    figures = medians(rounds)
    ratios: dict[str, float | None] = dict(table.ratios) if table is not None else {}
    if "full" in figures and "faust" in figures:
        ratios["full_vs_faust"] = figures["full"]["events_per_second"] / figures["faust"]["events_per_second"]
    show(figures, ratios)
    if table is not None:
        compare.show(table)
        document["small"] = compare.document(table)
    OUT.mkdir(parents=True, exist_ok=True)
    document |= {
        "ratios": ratios,
        "figures": figures,
        "rounds": rounds,
        "partitions": topics.CUSTOMER_EVENTS.partitions,
    }
    if "full" in figures:
        document["full_events_per_second"] = figures["full"]["events_per_second"]
    path = OUT / f"bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    Console().print(f"Written: {path}")


if __name__ == "__main__":
    main()
