"""A shop to measure: Wafa's topics on a running broker, a worker process, and when what was committed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import tomli_w
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from bench.load import Given
from pipeline import topics
from pipeline.admin import Admin, BrokerUnreachable
from pipeline.adoption import adopt_policy, append_control
from pipeline.core.policy import DEFAULT, to_dict
from pipeline.engine.changelog import POSITION_KEY
from pipeline.kafka_clients import librdkafka_config
from pipeline.schemas import logged
from pipeline.settings import Settings, load
from pipeline.topics import Topic

CACHE = Path(".wafa/cache")
_PATIENCE_SECONDS = 3600.0
"""Three million newcomers take their time."""


class Commit(NamedTuple):
    """A transaction: when (milliseconds since 1970), in which partition, and the position it reached."""

    at_ms: int
    partition: int
    position: int


@dataclass
class Shop:
    """Where things are, and the workers while they run."""

    settings: Settings
    admin: Admin
    folder: Path
    metrics_port: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, roles: tuple[str, ...] = ("all",)) -> None:
        """Start a worker process for each role."""
        for number, role in enumerate(roles):
            self.workers.append(self._worker(role, 0 if number else self.metrics_port))

    def _worker(self, role: str, metrics_port: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "WAFA_KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "WAFA_TOPICS_PREFIX": self.settings.topics_prefix,
            "WAFA_WORKER_APP_ID": self.settings.worker_app_id,
            "WAFA_CLOCK_SOURCE": "publisher",
            "WAFA_SHOP_CURRENCY": "EUR",
            "WAFA_METRICS_PORT": str(metrics_port),
            "WAFA_WORKER_ROLE": role,
            "WAFA_WORKER_DATA_DIR": str(self.folder / f"worker-{role}"),
        }
        command = [sys.executable, "-m", "pipeline", "worker"]
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Until every partition is recovered and flows."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            url = f"http://127.0.0.1:{self.metrics_port}/readyz"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise TimeoutError("the worker is not ready")

    def stop(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(30)
        self.workers.clear()

    def worker_resident_bytes(self) -> float:
        """Memory that the workers hold now; 0 where the system does not say."""
        resident = 0.0
        for worker in self.workers:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        resident += float(line.split()[1]) * 1024
        return resident

    def publish(self, records: Iterable[Given]) -> tuple[int, dict[str, int]]:
        """Publish, as fast as the broker takes it; how many, by topic too."""
        producer = Producer(
            {
                **librdkafka_config(self.settings), "log_level": 0, "linger.ms": 20, "compression.type": "lz4",
                "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000,
            }
        )  # fmt: skip
        counts: dict[str, int] = {}
        for given in records:
            while True:
                try:
                    producer.produce(self.settings.topic(given.topic.name), given.value, given.key)
                    break
                except BufferError:
                    producer.poll(0.1)
            counts[given.topic.name] = counts.get(given.topic.name, 0) + 1
        if producer.flush(120):
            raise TimeoutError("the load was not published within 120 s")
        return sum(counts.values()), counts

    def wait_until_done(self) -> None:
        """Until everything published so far has had all its effects."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for wanted in (topics.SOURCES, (topics.UNIDENTIFIED_EVENTS,), (topics.CONTROLS,), (topics.CUSTOMER_EVENTS,)):
            ends = self.admin.end_offsets(wanted)
            while not self._has_passed(ends):
                if self._has_ended() or time.monotonic() > deadline:
                    raise TimeoutError((self.folder / "worker.log").read_text()[-3000:])
                time.sleep(1.0)  # asking costs the broker time

    def _has_ended(self) -> bool:
        return not self.workers or any(worker.poll() is not None for worker in self.workers)

    def wait_until_shown(self, customers: int) -> None:
        """Until at least so many views are out: else they would burden the next measurement."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while sum(self.admin.end_offsets((topics.PROFILES,)).values()) < customers:
            if time.monotonic() > deadline:
                raise TimeoutError("the views are not out")
            time.sleep(0.5)

    def _has_passed(self, ends: dict[tuple[str, int], int]) -> bool:
        try:
            reached = self.admin.positions()
        except BrokerUnreachable:  # a broker whose cores are all taken may leave a question for later; so do we
            return False
        return all(reached.get(place, 0) >= end for place, end in ends.items())

    def use_policy_that_sends_at_once(self) -> None:
        """Every first order of a customer makes a trigger now: else a benchmark of minutes would see none."""
        document = to_dict(DEFAULT)
        document["rules"]["feedback_request"] |= {"wait_days": 0, "cool_down_days": 0}
        document["guard_rails"] |= {"messages_max": 16, "messages_window_days": 1}
        adopt_policy(self.settings, tomli_w.dumps(document))

    def tick(self, as_of: datetime) -> None:
        """It is now `as_of`."""
        append_control(self.settings, logged.Tick(as_of=as_of))

    def records(self, topic: Topic, since: dict[int, int] | None = None) -> Iterator[Message]:
        """Every committed record of the topic, to where it ends now, partition by partition in order."""
        consumer = Consumer(
            {
                **librdkafka_config(self.settings), "group.id": "bench", "enable.auto.commit": False,
                "enable.partition.eof": True, "isolation.level": "read_committed",
            }
        )  # fmt: skip
        name = self.settings.topic(topic.name)
        try:
            unread = set(range(self.settings.partitions(topic)))
            starts = since or {}
            consumer.assign([TopicPartition(name, each, starts.get(each, OFFSET_BEGINNING)) for each in unread])
            while unread:
                for message in consumer.consume(10_000, 1.0):
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
        finally:
            consumer.close()

    def commits(self, topic: Topic, since_ms: int) -> list[Commit]:
        """Every transaction of the tasks whose changelog is `topic`, since an instant, in order."""
        found = []
        for message in self.records(topic):
            key, at = message.key() or b"", message.timestamp()[1]
            if key.endswith(POSITION_KEY) and at >= since_ms:
                position = int(json.loads(message.value() or b"{}")["next_offset"])
                found.append(Commit(at, message.partition() or 0, position))
        return sorted(found)

    def last_offsets(self, topic: Topic) -> dict[int, int]:
        """The offset of the last committed record in each partition that has any."""
        return {message.partition() or 0: message.offset() or 0 for message in self.records(topic)}


@contextmanager
def open_shop(bootstrap: str, folder: Path, name: str) -> Iterator[Shop]:
    """A shop of its own topics on a running broker."""
    settings = load(
        kafka_bootstrap_servers=bootstrap, topics_prefix=f"{name}.", worker_app_id=f"bench-{name}", shop_currency="EUR"
    )
    folder.mkdir(parents=True, exist_ok=True)
    with Admin(settings) as admin:
        admin.create_topics()
        shop = Shop(settings, admin, folder, _free_port())
        try:
            yield shop
        finally:
            shop.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def now() -> datetime:
    """The wall clock, cut to milliseconds."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
