"""The small job on Bytewax: a keyed stream with state, snapshots kept in SQLite once an epoch. At least once.

python bytewax_job.py BOOTSTRAP PREFIX FOLDER COMMIT_SECONDS
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

bootstrap, prefix, folder, commit_seconds = sys.argv[1:5]
decode = msgspec.json.decode


def keyed(message: KafkaSourceMessage) -> tuple[str, int]:
    return message.key.decode(), decode(message.value)["revenue_minor"]


def total(state: tuple[int, int] | None, amount: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    count, before = state or (0, 0)
    now = (count + 1, before + amount)
    return now, [now] if now[0] % 50 == 0 else []


def sink(pair: tuple[str, tuple[int, int]]) -> KafkaSinkMessage:
    customer, (count, amount) = pair
    value = json.dumps({"customer": customer, "count": count, "sum": amount})
    return KafkaSinkMessage(customer.encode(), value.encode())


flow = Dataflow("small")
messages = kop.input("in", flow, brokers=[bootstrap], topics=["small-in"], batch_size=2_000)
orders = op.map("keyed", messages.oks, keyed)
totals = op.stateful_flat_map("total", orders, total)
kop.output(
    "out", op.map("sink", totals, sink), brokers=[bootstrap], topic=f"{prefix}out",
    add_config={"acks": "all", "compression.type": "lz4"},
)  # fmt: skip

snapshots = Path(folder)
snapshots.mkdir(parents=True, exist_ok=True)
init_db_dir(snapshots, 1)
cli_main(flow, epoch_interval=timedelta(seconds=float(commit_seconds)), recovery_config=RecoveryConfig(snapshots))
