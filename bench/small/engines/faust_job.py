"""The small job on ordinary Faust, as its manual teaches: an agent, a table, one event at a time. At least once.

python faust_job.py BOOTSTRAP PREFIX FOLDER COMMIT_SECONDS
"""

import sys
from typing import Any

import faust

bootstrap, prefix, folder, commit_seconds = sys.argv[1:5]

app = faust.App(
    f"{prefix}faust", broker=f"kafka://{bootstrap}", env={}, datadir=folder, web_enabled=False, store="memory://",
    topic_partitions=4, topic_disable_leader=True, consumer_auto_offset_reset="earliest",
    broker_commit_interval=float(commit_seconds), producer_acks=-1, producer_compression_type="lz4",
)  # fmt: skip
orders = app.topic("small-in", key_type=str, value_serializer="json", partitions=4)
outputs = app.topic(f"{prefix}out", key_type=str, value_serializer="json", partitions=4)
totals = app.Table("totals", key_type=str, partitions=4)


@app.agent(orders, name="totals")
async def total(stream: Any) -> None:  # Faust's, which has no types
    async for customer, order in stream.items():
        count, amount = totals.get(customer) or (0, 0)
        count, amount = count + 1, amount + order["revenue_minor"]
        totals[customer] = [count, amount]
        if count % 50 == 0:
            await outputs.send(key=customer, value={"customer": customer, "count": count, "sum": amount})


faust.Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False).execute_from_commandline()
