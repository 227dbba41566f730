"""The smallest job with state that the engine can run, and a worker process for it.

Input: JSON `{"n": int}` keyed by customer. State: count and sum per key. Output: a record at every tenth event of a
key, which names count and sum, so that any loss, repetition or reordering shows in it. Run as a program it is a worker:
`python -m tests.engine.small_job BOOTSTRAP PREFIX DATA_DIR [STEP:N]`, killing itself (SIGKILL) the Nth time the engine
comes to the named step. In its environment: BATCH (records), STORE (memory, snapshot, disk), STANDBY (1), FILE_BYTES
(no file may grow beyond: a full disk).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import faust

from pipeline.engine.copies import Copies
from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Spec, State
from pipeline.engine.runtime import Engine
from pipeline.engine.shell import Shell, attach, faust_app
from pipeline.engine.task import Limits

EVERY = 10


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


def oracle(records: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, list[int]], list[tuple[bytes, list[int]]]]:
    """State and outputs of one input partition, computed plainly."""
    state: dict[bytes, list[int]] = {}
    outputs = []
    for key, value in records:
        count, total = state.get(key, [0, 0])
        state[key] = [count + 1, total + json.loads(value)["n"]]
        if state[key][0] % EVERY == 0:
            outputs.append((key, state[key]))
    return state, outputs


def spec(prefix: str) -> Spec:
    """The job's declaration; topics `{prefix}in`, `{prefix}out`, `{prefix}state`."""

    def factory(partition: int, state: State, unflushed: Sequence[bytes]) -> Totals:
        return Totals(f"{prefix}out")

    return Spec(f"{prefix}totals", f"{prefix}in", factory, lambda p: ChangelogPlace(f"{prefix}state", p), is_large=True)


def kill_at(step: str, times: int) -> Callable[[str], None]:
    """Kill this process the `times`th time the engine comes to `step`."""
    seen: Counter[str] = Counter()

    def at(name: str) -> None:
        seen[name] += 1
        if name == step and seen[name] == times:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def main() -> None:
    """Run a worker until it is told to stop."""
    bootstrap, prefix, data_dir, *strike = sys.argv[1:]
    batch = os.environ.get("BATCH", "8000")
    if limit := int(os.environ.get("FILE_BYTES", "0")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    copies = Copies(
        kind=os.environ.get("STORE", "memory"),  # type: ignore[arg-type]  # the tests name none but those there are
        folder=Path(data_dir) / "store",
        cache_bytes=16 * 1024 * 1024,
        snapshot_seconds=0.1,
        snapshot_records_min=200,
        has_standbys="STANDBY" in os.environ,
    )
    step, _, times = (strike[0] if strike else ":0").partition(":")
    engine = Engine(
        [spec(prefix)],
        app_id=f"{prefix}app".replace(".", "-"),
        client={"bootstrap.servers": bootstrap},
        limits=Limits(batch_records_max=int(batch), refenced_after_seconds=4.0),
        copies=copies,
        at=kill_at(step, int(times)),
    )
    app_id = f"{prefix}app".replace(".", "-")
    app = faust_app(
        Shell(app_id, bootstrap, Path(data_dir), session_timeout_seconds=2.0, heartbeat_seconds=0.5), engine
    )

    async def totals(runs: faust.Stream) -> None:
        async for run in runs:
            engine.take(run)

    attach(app, "totals", f"{prefix}in", totals)
    worker = faust.Worker(app, loglevel="WARN", logfile=None, redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
