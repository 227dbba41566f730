"""State four ways, each on its own road from the same log, and all of them the same to the byte.

The plain core stepped event by event (the oracle); what lives in the workers' memory; what the changelog adds up to;
and the log read again by the production processor, in batches, with no Kafka about it.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from typing import TypeAlias

from pipeline import topics
from pipeline.agents import customers
from pipeline.engine.processor import Batch, Outbox, State
from tests.engine.checking import Record
from tests.pipeline.judging import by_partition, problems, state_of, waiting
from tests.pipeline.shop import Process, Shop

Table: TypeAlias = dict[bytes, bytes]
BATCH = 37
"""Unlike any size that a worker would cut."""
PROGRAM = "tests.faults.armed_worker"


def armed(shop: Shop, **extra: str) -> Process:
    """A worker more, that can be struck, and can tell what it has in memory."""
    live = shop.folder / f"live{len(shop.processes)}.json"
    return shop.start(program=PROGRAM, FAULTS_LIVE=str(live), **extra)


def stored(kind: str) -> dict[str, str]:
    """A worker's store of this kind, unless `--store` names one for all."""
    return {"WAFA_STORE_KIND": os.environ.get("WAFA_STORE_KIND", kind), "WAFA_STORE_SNAPSHOT_SECONDS": "1"}


def live(shop: Shop) -> list[tuple[int, Table]]:
    """The customers' tables that living workers have in memory, each with its partition."""
    tables = []
    for number, process in enumerate(shop.processes):
        if process.popen.poll() is not None:
            continue
        file = shop.folder / f"live{number}.json"
        shop.wait(lambda: process.get("/livez")[0] != 0, "it has started")  # noqa: B023 - called at once
        file.unlink(missing_ok=True)
        process.send(signal.SIGHUP)
        shop.wait(file.exists, f"process {number} tells what it has in memory")
        for partition, table in json.loads(file.read_text()).items():
            tables.append((int(partition), {key.encode(): bytes.fromhex(packed) for key, packed in table.items()}))
    return sorted(tables, key=lambda each: each[0])


def reread(log: Sequence[Record]) -> list[tuple[int, Table]]:
    """The customers' tables, as the production processor makes them of the log."""
    names = customers.Names.of(str)
    logs = by_partition(log)
    tables = []
    for number in range(topics.CUSTOMER_EVENTS.partitions):
        records = logs.get(number, [])
        state, done = State(), 0
        processor = customers.factory(names)(number, state, ())
        while taken := records[done : done + BATCH]:
            batch = Batch(names.customer_events, number, taken, taken[-1].offset + 1, flush=False)
            done += processor.process(batch, state, Outbox())
        tables.append((number, {key: packed for key, packed in state.items() if not key.startswith(b"__")}))
    return tables


def check(shop: Shop) -> None:
    """Everything came, once and in order, and is what the core says, whichever way one looks at the state."""
    shop.wait_until_done(seconds=120)
    run = shop.run()
    assert problems(run) == []  # every event of the sources, the oracle, the changelog, every decision and trigger
    assert run.of(topics.DEAD_LETTERS) == []
    assert waiting(run) == [], "so that every event is in the log"
    again = reread(run.of(topics.CUSTOMER_EVENTS))
    assert {key: packed for _, table in again for key, packed in table.items()} == state_of(run)
    shop.wait(lambda: live(shop) == again, "what lives in memory is the same, each partition once")
    ids = [record.headers[1] for record in run.of(topics.TRIGGERS)]
    assert ids
    assert len(ids) == len(set(ids))
