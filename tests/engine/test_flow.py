"""When the consumer fetches on: as soon as a task has room, not when Faust would look again, and after a standstill."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from faust.types import TP

from pipeline.engine import transport
from pipeline.engine.runtime import Engine
from pipeline.engine.shell import Shell, faust_app
from pipeline.engine.task import Limits
from tests.engine.job import Job


def test_a_paused_partition_stays_so_when_fausts_own_buffer_has_room_again(tmp_path):
    tp = TP("orders", 0)

    async def paused() -> set[TP]:
        engine = Engine([], app_id="flow", client={}, limits=Limits())
        app = faust_app(Shell("flow", "127.0.0.1:1", tmp_path), engine)
        consumer: Any = app._new_consumer()
        consumer._set_active_tps({tp})
        consumer.on_buffer_full(tp)
        consumer.pause_partitions({tp})
        consumer.on_buffer_drop(tp)
        consumer._thread.thread_loop.close()  # never started
        return set(consumer._get_active_partitions())

    assert asyncio.run(paused()) == set()


def test_a_consumer_whose_buffers_are_all_full_fetches_on_as_soon_as_one_has_room(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "_NO_PARTITION_SECONDS", 3600.0)
    tp = TP("orders", 0)

    async def returned_in_time() -> bool:
        engine = Engine([], app_id="flow", client={}, limits=Limits())
        app = faust_app(Shell("flow", "127.0.0.1:1", tmp_path), engine)
        consumer: Any = app._new_consumer()
        consumer._set_active_tps({tp})
        consumer.resume_flow()
        consumer.on_buffer_full(tp)

        async def fetch() -> None:
            async for _ in consumer.getmany(1.0):
                raise AssertionError("nothing was fetched")

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0)  # it is waiting now
        assert not fetching.done()
        consumer.on_buffer_drop(tp)
        await asyncio.wait_for(fetching, 30.0)
        consumer._thread.thread_loop.close()  # never started
        return True

    assert asyncio.run(returned_in_time())


@pytest.mark.parametrize("way", ["flow suspended", "partitions forgotten", "fetch cancelled"])
def test_a_consumer_that_stopped_bringing_anything_is_brought_to_it_again(job: Job, way: str) -> None:
    worker = job.start(BREAKS=way, FORGOTTEN_SECONDS="1")
    job.publish(500)
    job.wait_until_done()
    worker.send_signal(signal.SIGWINCH)
    job.wait(job.folder_of(0).joinpath("broken").exists, "the consumer is broken")
    job.publish(500)
    job.wait_until_done()
    job.check()
