"""The ceiling: librdkafka's consumer and msgspec's JSON decoder in one thread, nothing else. No state, no output.

python ceiling.py BOOTSTRAP PREFIX FOLDER EVENTS WARM_FRACTION
Prints the events after the warm-up, and the clock at its end and at the last of them.
"""

import sys
import time

import msgspec
from confluent_kafka import Consumer, TopicPartition


class Order(msgspec.Struct):
    revenue_minor: int


bootstrap, _, _, events, warm_fraction = sys.argv[1:6]
last, warm = int(events), int(int(events) * float(warm_fraction))
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap, "group.id": "ceiling", "isolation.level": "read_committed",
        # Its own settings pause a full queue for a second, and would measure that.
        "queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 1_000_000, "fetch.queue.backoff.ms": 1,
    }
)  # fmt: skip
consumer.assign([TopicPartition("small-in", each, 0) for each in range(4)])
decode = msgspec.json.Decoder(Order).decode
seen = first = 0
started_at = 0.0
while seen < last:
    messages = consumer.consume(10_000, 1.0)
    for message in messages:
        decode(message.value() or b"")
    seen += len(messages)
    if not first and seen >= warm:
        first, started_at = seen, time.time()
print(seen - first, started_at, time.time(), flush=True)
consumer.close()
