"""`python -m bench.sweeps`: how figures move with workers, pace, customers, batch size and mix, one at a time.

python -m bench.sweeps [--only workers,partitions,paces,customers,batches,mixes] [--long]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import full, load
from bench.machine import machine
from bench.shop import CACHE, Shop, open_shop
from bench.small import job, running
from bench.small.compare import BROKER
from bench.small.rate import measure
from bench.small.rows import ROWS
from pipeline.local.kafka import KafkaServer, run_kafka

OUT: Final = Path("bench/out/sweeps.json")
WORKERS: Final = (1, 2, 4)
PARTITIONS: Final = (1, 2, 4, 8, 16)
PACES: Final = (100, 1_000, 5_000, 20_000)
CUSTOMERS: Final = (10_000, 100_000)
CUSTOMERS_LONG: Final = (1_000_000, 3_000_000)
BATCHES: Final = (500, 2_000, 8_000)
MIXES: Final = {"e-mails alone": {"email": 1}, "orders alone": {"order": 1}, "as the reference load": load.MIX}
EVENTS: Final = 100_000
FEW_CUSTOMERS: Final = 10_000
PACE_SECONDS: Final = 15.0
SMALL_EVENTS: Final = 600_000
_WORKERS_SECONDS: Final = 60.0

Figures = dict[str, float | str]


@contextmanager
def broker(folder: Path, **settings: str) -> Iterator[KafkaServer]:
    with run_kafka(folder / "kafka", cache=CACHE, fast_start=False, heap="1g", settings=settings) as kafka:
        yield kafka


def workers(*, long: bool) -> Iterator[Figures]:
    """The small job on Wafa's engine by several workers: four partitions, so four at most have anything to do."""
    row = next(row for row in ROWS if row.name == "wafa")
    given = list(job.orders(SMALL_EVENTS))
    with tempfile.TemporaryDirectory() as name, broker(Path(name), **BROKER) as kafka:
        bench = running.Bench(kafka.bootstrap_servers, kafka.pid, Path(name), job.Truth.of(given))
        running.create(bench.admin, running.INPUT)
        running.publish(kafka.bootstrap_servers, given)
        for count in WORKERS:
            came = running.work_off(
                bench, row, list(row.prepare()), f"{count}-", seconds_max=_WORKERS_SECONDS, workers=count
            )
            problems = bench.truth.problems((said for _, said in came.received), came.state, complete=came.complete)
            run = running.run_of(
                measure(bench.truth, came.received), came.meter, outputs=len(came.received), complete=came.complete
            )
            yield {
                "workers": count, "events_per_second": run.events_per_second, "result": "; ".join(problems) or "right",
                "others_fraction": run.others_fraction or 0.0,
            }  # fmt: skip


def partitions(*, long: bool) -> Iterator[Figures]:
    """The full path with the customers' log in fewer parts and in more: each is a task with its own transactions."""
    for count in PARTITIONS:
        with _told("WAFA_LOG_PARTITIONS", count), _shop() as shop:
            yield {"log_partitions": count, **full.throughput(shop, EVENTS, FEW_CUSTOMERS)}


def paces(*, long: bool) -> Iterator[Figures]:
    """A trigger's delay at several paces; beyond what a worker bears it grows for as long as that lasts."""
    with _shop() as shop:
        full.throughput(shop, 1_000, FEW_CUSTOMERS)
        for pace in PACES:
            yield dict(full.latency(shop, pace, PACE_SECONDS, FEW_CUSTOMERS))


def customers(*, long: bool) -> Iterator[Figures]:
    """The full path, and the worker's memory, with more and more customers known."""
    for count in (*CUSTOMERS, *(CUSTOMERS_LONG if long else ())):
        with _shop() as shop:
            yield {"customers": count, **full.throughput(shop, EVENTS, count)}


def batches(*, long: bool) -> Iterator[Figures]:
    """The full path with smaller transactions."""
    for records in BATCHES:
        with _told("WAFA_WORKER_BATCH_RECORDS_MAX", records), _shop() as shop:
            yield {"batch_records_max": records, **full.throughput(shop, EVENTS, FEW_CUSTOMERS)}


def mixes(*, long: bool) -> Iterator[Figures]:
    """The full path with other things in it."""
    for name, mix in MIXES.items():
        with _shop() as shop:
            yield {"mix": name, **full.throughput(shop, EVENTS, FEW_CUSTOMERS, mix=mix)}


@contextmanager
def _told(name: str, value: int) -> Iterator[None]:
    """A setting in the environment, from which the shop and its worker have it."""
    os.environ[name] = str(value)
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def _shop() -> Iterator[Shop]:
    """A shop on a broker of its own: what the last one left would burden it."""
    with (
        tempfile.TemporaryDirectory() as name,
        broker(Path(name)) as kafka,
        open_shop(kafka.bootstrap_servers, Path(name) / "shop", "sweep") as shop,
    ):
        yield shop


SWEEPS: Final[dict[str, Callable[..., Iterator[Figures]]]] = {
    "workers": workers, "partitions": partitions, "paces": paces, "customers": customers, "batches": batches,
    "mixes": mixes,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SWEEPS), help="sweeps, separated by commas")
    parser.add_argument("--long", action="store_true", help="also a million customers, and three")
    given = parser.parse_args()
    document: dict[str, Any] = {"machine": machine()}
    for name in given.only.split(","):
        print(name, flush=True)
        found = document.setdefault(name, [])
        for figures in SWEEPS[name](long=given.long):
            found.append(figures)
            told = (
                f"{key} {value:,.3g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in figures.items()
            )
            print("  " + ", ".join(told), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"Written: {OUT}")


if __name__ == "__main__":
    main()
