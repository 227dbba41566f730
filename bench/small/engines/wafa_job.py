"""The small job on Wafa's engine, exactly once: a processor of its own, nothing of the domain.

python -m bench.small.engines.wafa_job BOOTSTRAP PREFIX FOLDER
"""

from __future__ import annotations

import gc
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import faust
import msgspec

from pipeline.engine.changelog import payload_of
from pipeline.engine.processor import Batch, ChangelogPlace, Outbox, Spec, State
from pipeline.engine.runtime import Engine
from pipeline.engine.shell import Shell, attach, faust_app
from pipeline.engine.task import Limits
from pipeline.engine.transport import FetchedRun

EVERY = 50
_TOTAL = struct.Struct("<qq")


class _Order(msgspec.Struct):
    revenue_minor: int


class Totals:
    """Count and sum for each customer; says so at every fiftieth."""

    wants_flush = False
    held = None

    def __init__(self, output: str) -> None:
        self._output = output
        self._decode = msgspec.json.Decoder(_Order).decode

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every record is taken."""
        decode, get, put = self._decode, state.get, state.put
        for record in batch.records:
            key = record.key or b""
            total = get(key)
            count, amount = _TOTAL.unpack(total) if total is not None else (0, 0)
            count, amount = count + 1, amount + decode(record.value or b"").revenue_minor
            put(key, _TOTAL.pack(count, amount))
            if count % EVERY == 0:
                said = {"customer": key.decode(), "count": count, "sum": amount}
                outbox.emit(self._output, key, msgspec.json.encode(said))
        return len(batch.records)


def total_of(value: bytes) -> tuple[int, int]:
    """Count and sum from an entry of the changelog."""
    count, amount = _TOTAL.unpack(payload_of(value))
    return count, amount


def spec(prefix: str) -> Spec:
    """The job's declaration; topics `small-in`, `{prefix}out`, `{prefix}state`."""

    def factory(partition: int, state: State, unflushed: Sequence[bytes]) -> Totals:
        return Totals(f"{prefix}out")

    return Spec("small", "small-in", factory, lambda partition: ChangelogPlace(f"{prefix}state", partition))


def main() -> None:
    """Run a worker until it is told to stop."""
    bootstrap, prefix, folder = sys.argv[1:4]
    app_id = f"{prefix}wafa"
    engine = Engine([spec(prefix)], app_id=app_id, client={"bootstrap.servers": bootstrap}, limits=Limits())
    app = faust_app(Shell(app_id, bootstrap, Path(folder)), engine)

    async def totals(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            engine.take(run)

    attach(app, "totals", "small-in", totals)
    gc.collect()  # as a worker sets it
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    faust.Worker(app, loglevel="WARN", logfile=None, redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
