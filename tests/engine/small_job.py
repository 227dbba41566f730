"""The smallest job with state that the engine can run, and a worker process for it.

Input: JSON `{"n": int}` keyed by customer. State: count and sum per key. Output: a record at every tenth event of a
key, which names count and sum, so that any loss, repetition or reordering shows in it. Run as a program it is a worker:
`python -m tests.engine.small_job BOOTSTRAP PREFIX DATA_DIR [STRIKE]` (`strikes.py`). At SIGHUP it writes to
DATA_DIR/live.json what it has in memory. In its environment: BATCH (records), WAFA_STORE_KIND, STANDBY
(1), SESSION_SECONDS, FILE_BYTES (no file may grow beyond: a full disk), FORGOTTEN_SECONDS. At SIGWINCH its consumer
stops bringing anything, as BREAKS says, and DATA_DIR/broken is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust

from pipeline.engine import task
from pipeline.engine.copies import Copies
from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Spec, State
from pipeline.engine.runtime import Engine
from pipeline.engine.shell import Shell, attach, faust_app
from pipeline.engine.task import Limits, Phase
from tests.engine.oracle import EVERY
from tests.engine.strikes import striking


class Totals:
    """Count and sum for each key; says so every tenth time."""

    wants_flush = False
    held = None

    def __init__(self, output: str) -> None:
        self._output = output

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every record is taken."""
        for record in batch.records:
            key = record.key or b""
            entry = json.loads(state.get(key) or b"[0,0]")
            entry = [entry[0] + 1, entry[1] + json.loads(record.value or b"{}")["n"]]
            state.put(key, json.dumps(entry).encode())
            if entry[0] % EVERY == 0:
                outbox.emit(self._output, key, json.dumps(entry).encode(), partition=batch.partition)
        return len(batch.records)


def spec(prefix: str) -> Spec:
    """The job's declaration; topics `{prefix}in`, `{prefix}out`, `{prefix}state`."""

    def factory(partition: int, state: State, unflushed: Sequence[bytes]) -> Totals:
        return Totals(f"{prefix}out")

    return Spec(f"{prefix}totals", f"{prefix}in", factory, lambda p: ChangelogPlace(f"{prefix}state", p), is_large=True)


def tell_live(engine: Engine, file: Path) -> None:
    """Write the tables that this worker has in memory, by partition, whole or not at all."""
    tables = {
        tp.partition: {key.decode(): json.loads(value) for key, value in task._state.items()}
        for tp, task in engine._tasks.items()
        if task.phase is Phase.RUNNING
    }
    part = file.with_suffix(".part")
    part.write_text(json.dumps(tables))
    part.replace(file)


def break_consumer(consumer: Any, way: str, broken: Path) -> None:
    """Have the consumer bring nothing any more, as nobody below would notice; `broken` is there when it is so."""
    if way == "flow suspended":
        consumer.stop_flow()
        consumer.app.flow_control.suspend()
        broken.touch()
    elif way == "partitions forgotten":
        consumer.pause_partitions(consumer.assignment())
        broken.touch()
    elif way == "fetch cancelled":
        fetch = consumer._getmany

        def cancelled(*_: Any, **__: Any) -> asyncio.Future[None]:
            consumer._getmany = fetch
            broken.touch()
            never = asyncio.get_running_loop().create_future()
            never.cancel()
            return never

        consumer._getmany = cancelled
    else:
        raise ValueError(way)


def main() -> None:
    """Run a worker until it is told to stop."""
    bootstrap, prefix, data_dir, *strike = sys.argv[1:]
    folder = Path(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    app_id = f"{prefix}app".replace(".", "-")
    if limit := int(os.environ.get("FILE_BYTES", "0")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    copies = Copies(
        kind=os.environ.get("WAFA_STORE_KIND", "memory"),
        folder=folder / "store",
        cache_bytes=16 * 1024 * 1024,
        snapshot_seconds=0.1,
        snapshot_records_min=200,
        has_standbys="STANDBY" in os.environ,
    )
    engine = Engine(
        [spec(prefix)],
        app_id=app_id,
        client={"bootstrap.servers": bootstrap},
        limits=Limits(batch_records_max=int(os.environ.get("BATCH", "8000")), refenced_after_seconds=4.0),
        copies=copies,
        at=striking(strike[0] if strike else ""),
    )
    task._FORGOTTEN_SECONDS = float(os.environ.get("FORGOTTEN_SECONDS", task._FORGOTTEN_SECONDS))
    session_seconds = float(os.environ.get("SESSION_SECONDS", "2"))
    shell = Shell(app_id, bootstrap, folder, session_timeout_seconds=session_seconds, heartbeat_seconds=0.5)
    app = faust_app(shell, engine)
    signal.signal(signal.SIGHUP, lambda *_: tell_live(engine, folder / "live.json"))
    breaks = os.environ.get("BREAKS", "")
    signal.signal(signal.SIGWINCH, lambda *_: break_consumer(engine._consumer, breaks, folder / "broken"))
    (folder / "listens").touch()

    async def totals(runs: faust.Stream) -> None:
        async for run in runs:
            engine.take(run)

    @app.task
    async def look() -> None:
        while True:
            await asyncio.sleep(1.0)
            engine.look()

    attach(app, "totals", f"{prefix}in", totals)
    worker = faust.Worker(app, loglevel="WARN", logfile=None, redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
