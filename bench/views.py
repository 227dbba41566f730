"""How many views a second `wafa views` brings to Redis: fresh ones, then the same customers' newer ones.

    python -m bench.views [customers]

Own Kafka and Valkey on this machine; about 1.2 KB a view. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import redis
from confluent_kafka import Producer

from pipeline import topics
from pipeline.admin import Admin
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.kafka import run_kafka
from pipeline.local.valkey import run_valkey
from pipeline.serving.read import Views
from pipeline.serving.views import SHOWN, Feed
from pipeline.settings import Settings, load

PADDING = "x" * 1100


def publish(settings: Settings, customers: int, offset: int) -> None:
    producer = Producer({**librdkafka_config(settings), "partitioner": "murmur2_random", "linger.ms": 20})
    for n in range(customers):
        view = {"partition": 0, "offset": offset, "stage": "basic", "lifecycle": "active", "padding": PADDING}
        while True:
            try:
                producer.produce(
                    settings.topic(topics.PROFILES.name), key=f"customer-{n}".encode(), value=json.dumps(view).encode()
                )
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()


def follow(settings: Settings, customers: int, offset: int) -> float:
    """Seconds until the last of them is shown."""
    feed, stop = Feed(settings), threading.Event()
    thread = threading.Thread(target=feed.run, args=(stop,))
    began = time.perf_counter()
    thread.start()
    with Views(settings) as views:
        names = [f"customer-{customers - 1 - n}" for n in range(64)]
        while any((views.profile(name) or {"offset": -1})["offset"] != offset for name in names):
            time.sleep(0.02)
    took = time.perf_counter() - began
    stop.set()
    thread.join()
    feed.close()
    return took


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with (
        tempfile.TemporaryDirectory() as folder,
        run_kafka(Path(folder) / "kafka", cache=Path(".wafa/cache")) as kafka,
        run_valkey(Path(folder) / "valkey") as valkey,
    ):
        settings = load(kafka_bootstrap_servers=kafka.bootstrap_servers, redis_url=valkey.url)
        with Admin(settings) as admin:
            admin.create_topics(SHOWN)
        figures: dict[str, object] = {"customers": customers}
        for offset, name in enumerate(("fresh", "newer")):
            publish(settings, customers, offset)
            figures[f"{name}_views_per_second"] = round(customers / follow(settings, customers, offset))
        client = redis.Redis.from_url(valkey.url)
        figures["redis_bytes_per_view"] = client.info("memory")["used_memory"] // customers
        client.close()
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
