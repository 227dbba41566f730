"""The small job on Quix Streams, as its manual teaches: a stateful `apply` over a dataframe, RocksDB, a changelog.

python quix_job.py GUARANTEE BOOTSTRAP PREFIX FOLDER COMMIT_SECONDS     (GUARANTEE: at-least-once or exactly-once)
"""

import sys

from quixstreams import Application, State

guarantee, bootstrap, prefix, folder, commit_seconds = sys.argv[1:6]

app = Application(
    broker_address=bootstrap, consumer_group=f"{prefix}quix", auto_offset_reset="earliest", state_dir=folder,
    processing_guarantee=guarantee, commit_interval=float(commit_seconds), loglevel="WARNING",
    producer_extra_config={"acks": "all", "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000},
)  # fmt: skip
orders = app.topic("small-in", key_deserializer="str", value_deserializer="json")
outputs = app.topic(f"{prefix}out", key_serializer="str", value_serializer="json")


def total(order: dict[str, int], customer: str, timestamp: int, headers: object, state: State) -> dict[str, object]:
    count, amount = state.get("total", (0, 0))
    count, amount = count + 1, amount + order["revenue_minor"]
    state.set("total", (count, amount))
    return {"customer": customer, "count": count, "sum": amount}


totals = app.dataframe(orders).apply(total, stateful=True, metadata=True)
totals.filter(lambda value: value["count"] % 50 == 0).to_topic(outputs)
app.run()
