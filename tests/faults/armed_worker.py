"""The worker of `wafa worker`, with what a fault test adds to it: a program for the shop's processes.

`FAULTS_STRIKE` says where it strikes itself (`tests/engine/strikes.py`); `FAULTS_CLOCK` names a file with the seconds
its wall clock is wrong by; at SIGHUP it writes to `FAULTS_LIVE` what its customers' tables hold in memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import logs, metrics
from pipeline.app import Worker
from pipeline.engine.task import Phase
from pipeline.settings import load
from tests.engine.strikes import striking


def wrong_clock() -> datetime:
    """The wall clock, wrong by what the file says now."""
    file = os.environ.get("FAULTS_CLOCK", "")
    return datetime.now(UTC) + timedelta(seconds=float(Path(file).read_text()) if file else 0)


def tell_live(worker: Worker, file: Path) -> None:
    """Write the tables of this worker's customers, by partition, whole or not at all."""
    tables = {
        tp.partition: {key.decode(): value.hex() for key, value in task._state.items() if not key.startswith(b"__")}
        for tp, task in worker.engine._tasks.items()
        if task.spec.name == "customers" and task.phase is Phase.RUNNING
    }
    part = file.with_suffix(".part")
    part.write_text(json.dumps(tables))
    part.replace(file)


def main() -> None:
    """As `wafa worker` does it."""
    settings = load()
    logs.configure(settings)
    worker = Worker(settings, at=striking(os.environ.get("FAULTS_STRIKE", "")), now=wrong_clock)
    if live := os.environ.get("FAULTS_LIVE"):
        signal.signal(signal.SIGHUP, lambda *_: tell_live(worker, Path(live)))
    metrics.serve(settings.metrics_host, settings.metrics_port, worker.probes())
    worker.prepare()
    worker.run()


if __name__ == "__main__":
    sys.exit(main())
