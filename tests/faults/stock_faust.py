"""The small job on Faust as it comes, by its manual: an agent, a table, `send`. The negative control's worker.

It must import nothing that imports `pipeline.engine`, which changes how aiokafka reads.

`python -m tests.faults.stock_faust BOOTSTRAP PREFIX DATA_DIR`; `GUARANTEE` in the environment is Faust's.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import faust

from tests.engine.oracle import EVERY


def make_app(bootstrap: str, prefix: str, data_dir: str) -> faust.App:
    app = faust.App(
        f"{prefix}app".replace(".", "-"), broker=f"kafka://{bootstrap}", env={}, datadir=data_dir, web_enabled=False,
        store="memory://", topic_partitions=4, consumer_auto_offset_reset="earliest",
        processing_guarantee=os.environ["GUARANTEE"], broker_session_timeout=2.0, broker_heartbeat_interval=0.5,
        broker_commit_interval=0.5,
    )  # fmt: skip
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    inputs = app.topic(f"{prefix}in", **raw)
    outputs = app.topic(f"{prefix}out", **raw)
    schema = faust.Schema(key_type=bytes, value_type=bytes, **raw)
    totals = app.Table("totals", partitions=4, schema=schema)

    @app.agent(inputs, name="totals")
    async def count(stream: Any) -> None:
        async for event in stream.events():
            key = event.key
            before = json.loads(totals.get(key) or b"[0,0]")
            entry = json.dumps([before[0] + 1, before[1] + json.loads(event.value)["n"]]).encode()
            totals[key] = entry
            if (before[0] + 1) % EVERY == 0:
                await outputs.send(key=key, value=entry, partition=event.message.partition)

    return app


if __name__ == "__main__":
    faust.Worker(
        make_app(*sys.argv[1:4]), loglevel="WARN", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
