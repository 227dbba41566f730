"""State four ways, each on its own road from the same log, and all of them the same to the byte.

The plain core stepped event by event (the oracle); what lives in the workers' memory; what the changelog adds up to;
and the log read again by the production processor, in batches, with no Kafka about it.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import TypeAlias

from pipeline import topics
from pipeline.agents import customers
from pipeline.engine.processor import Batch, Headers, Outbox, State
from pipeline.inquiry import scan
from pipeline.schemas import logged
from tests.pipeline.shop import Process, Shop

Table: TypeAlias = dict[bytes, bytes]
BATCH = 37
"""Unlike any size that a worker would cut."""
PROGRAM = "tests.faults.armed_worker"


@dataclass(frozen=True)
class LoggedRecord:
    """A record of the customers' log, as a processor takes it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def armed(shop: Shop, **extra: str) -> Process:
    """A worker more, that can be struck, and can tell what it has in memory."""
    live = shop.folder / f"live{len(shop.processes)}.json"
    return shop.start(program=PROGRAM, FAULTS_LIVE=str(live), **extra)


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


def reread(shop: Shop) -> list[tuple[int, Table]]:
    """The customers' tables, as the production processor makes them of the log."""
    names = customers.Names.of(shop.settings.topic)
    logs: dict[int, list[LoggedRecord]] = {number: [] for number in range(topics.CUSTOMER_EVENTS.partitions)}
    for found in scan(shop.settings, topics.CUSTOMER_EVENTS):
        place = (names.customer_events, found.partition, found.offset)
        logs[found.partition].append(LoggedRecord(*place, 0, found.key, found.value, found.headers))
    tables = []
    for number, records in sorted(logs.items()):
        state, done = State(), 0
        processor = customers.factory(names)(number, state, ())
        while taken := records[done : done + BATCH]:
            batch = Batch(names.customer_events, number, taken, taken[-1].offset + 1, flush=False)
            done += processor.process(batch, state, Outbox())
        tables.append((number, {key: packed for key, packed in state.items() if not key.startswith(b"__")}))
    return tables


def check(shop: Shop, *, published: int | None = None) -> None:
    """Everything came, once and in order, and is what the core says, whichever way one looks at the state."""
    shop.wait_until_done(seconds=120)
    shop.check_against_core()  # the oracle, the changelog, every decision and trigger in order
    state = shop.state()
    again = reread(shop)
    assert {key: packed for _, table in again for key, packed in table.items()} == state
    shop.wait(lambda: live(shop) == again, "what lives in memory is the same, each partition once")
    ids = [trigger["trigger_id"] for trigger in shop.triggers()]
    assert ids
    assert len(ids) == len(set(ids))
    assert shop.dead_letters() == []
    if published is not None:
        assert sum(key != logged.CONTROL_KEY for key, _ in shop.entries()) == published, "each event is there, once"
