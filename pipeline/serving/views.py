"""The process `wafa views`: Kafka's views, triggers and reputation, brought to Redis as they come.

One way back from every trouble: let go of everything, ask Redis how far it is, read on from there. So nothing is
buffered while Redis or Kafka is away, an emptied Redis fills again from the start, and one restored from an older
snapshot catches up. Duplicates and replays are harmless: a view is written only over an older one.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from pipeline import metrics, topics
from pipeline.admin import Admin, BrokerRefused, BrokerUnreachable, TopicsMissing
from pipeline.kafka_clients import RightMissing, librdkafka_config, reading_failed
from pipeline.serving.changes import Changes, Place
from pipeline.serving.keys import LAYOUT
from pipeline.serving.store import BeginAgain, RedisUnreachable, Store
from pipeline.settings import Settings

log = structlog.get_logger("wafa.views")

SHOWN: Final = (topics.PROFILES, topics.TRIGGERS, topics.REPUTATION)
STALE_SECONDS: Final = 30.0
"""Views older than this fail /readyz."""

_GROUP: Final = "wafa-reader-views"
"""Required by the client, never joined nor committed to."""
_BATCH_RECORDS: Final = 256  # one Lua call of at most some ten milliseconds: Redis serves nobody else meanwhile
_POLL_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 5.0
_LOOK_IDLE_SECONDS: Final = 1.0
_KAFKA_SECONDS: Final = 5.0
_BACKOFF_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_STUCK_SECONDS: Final = 120.0


def run_views(settings: Settings, *, stop: threading.Event) -> None:
    """Serve metrics and probes, and keep Redis level with Kafka, until `stop` is set. Raises only PortTaken."""
    feed = Feed(settings)
    server = metrics.serve(settings.metrics_host, settings.metrics_port, feed.probes)
    log.info("views_serving", metrics_port=server.port)
    try:
        feed.run(stop)
    finally:
        feed.close()
        server.close()


class Feed:
    """Kafka to Redis. `run` belongs to one thread; the probes may be asked from any."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = {settings.topic(topic.name): topic for topic in SHOWN}
        self._store = Store(settings)
        self._admin = Admin(settings, timeout_seconds=_KAFKA_SECONDS)
        self._consumer = Consumer(
            {
                **librdkafka_config(settings, client_id=f"{settings.worker_app_id}-views"),
                "group.id": _GROUP,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )
        self._ids: dict[str, str] = {}
        self._reached: dict[Place, int] = {}
        """Every record before this offset is in Redis."""
        self._shown_until: dict[Place, float] = {}
        """Redis shows what was committed up to this instant (wall clock, seconds since 1970)."""
        self._started_at = metrics.now_seconds()
        self._looked_at = 0.0
        self._is_level = False
        self._has_begun = False
        self._problem = "starting"
        self._beat_at = time.monotonic()
        self.probes = metrics.Probes(startup=self._startup, live=self._live, ready=self._ready)
        metrics.VIEW_STALENESS.set_function(self.staleness_seconds)

    def close(self) -> None:
        """Hang up on both."""
        self._consumer.close()
        self._admin.close()
        self._store.close()

    # -- the flow ---------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Follow Kafka until `stop`; after any trouble begin again, ever more slowly, for as long as it lasts."""
        failures = 0
        while not stop.is_set():
            try:
                self._begin()
                failures = 0
                while not stop.is_set():
                    self._bring(self._consumer.consume(_BATCH_RECORDS, _POLL_SECONDS))
            except (
                BeginAgain,
                RedisUnreachable,
                BrokerUnreachable,
                BrokerRefused,
                TopicsMissing,
                RightMissing,
                KafkaException,
            ) as error:
                self._report(error)
                self._consumer.unassign()  # stops fetching; what was fetched is dropped
                self._beat_at = time.monotonic()
                stop.wait(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1

    def _begin(self) -> None:
        """Find out how far Redis is, and read on from there."""
        self._is_level = False
        states = self._admin.topic_states(SHOWN)
        self._ids = {name: state.id for name, state in states.items()}
        places = [(name, partition) for name, state in states.items() for partition in range(state.partitions)]
        held = self._store.begin(_generation(self._ids), places)
        self._consumer.assign(
            [
                TopicPartition(name, partition, OFFSET_BEGINNING if offset is None else offset)
                for (name, partition), offset in held.items()
            ]
        )
        self._reached = {place: offset or 0 for place, offset in held.items()}
        self._shown_until = {place: self._shown_until.get(place, self._started_at) for place in places}
        self._has_begun, self._problem, self._looked_at = True, "", 0.0
        log.info("views_begun", partitions=len(places), from_start=sum(offset is None for offset in held.values()))

    def _bring(self, messages: list[Message]) -> None:
        """Write one batch, and look around now and then."""
        self._beat_at = time.monotonic()
        changes = Changes(self._store.keys)
        shown_until: dict[Place, float] = {}
        for message in messages:
            name, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
            error = message.error()
            if error is None:
                changes.take(self._topics[name], message)
                changes.next_offsets[name, partition] = offset + 1
                shown_until[name, partition] = message.timestamp()[1] / 1000
            elif error.name() == "_PARTITION_EOF":  # past the control records behind the last one
                changes.next_offsets[name, partition] = offset
            else:
                raise reading_failed(error, topic=name, group=_GROUP)
        is_due = self._beat_at - self._looked_at >= (_LOOK_SECONDS if messages else _LOOK_IDLE_SECONDS)
        if changes.next_offsets or is_due:
            self._store.write(changes, now_ms=int(metrics.now_seconds() * 1000), is_level=self._is_level)
        self._reached.update(changes.next_offsets)
        self._shown_until.update(shown_until)
        if is_due:
            self._look()

    def _look(self) -> None:
        """Compare with where Kafka's topics end, and make sure that they are still the same topics."""
        states = self._admin.topic_states(SHOWN)
        if {name: state.id for name, state in states.items()} != self._ids:
            raise BeginAgain("a topic was deleted and made anew")
        now = metrics.now_seconds()
        ends = self._admin.end_offsets(SHOWN, committed_only=True)
        behind = {place: max(0, end - self._reached.get(place, 0)) for place, end in ends.items()}
        for (name, partition), records in behind.items():
            metrics.POSITION_OFFSET.labels(topic=name, partition=partition).set(self._reached.get((name, partition), 0))
            metrics.END_OFFSET.labels(topic=name, partition=partition).set(ends[name, partition])
            metrics.CONSUMER_LAG_RECORDS.labels(topic=name, partition=partition).set(records)
            if records == 0:
                self._shown_until[name, partition] = now
        self._is_level = not any(behind.values())
        self._looked_at = time.monotonic()

    # -- how it goes ------------------------------------------------------------------------------------------------

    def staleness_seconds(self) -> float:
        """Age of the oldest committed record that Redis does not show; 0 while level, as last seen moments ago."""
        if self._is_level and time.monotonic() - self._looked_at < 2 * _LOOK_SECONDS:
            return 0.0
        return max(0.0, metrics.now_seconds() - min(self._shown_until.values(), default=self._started_at))

    def _report(self, error: Exception) -> None:
        self._is_level = False
        problem = f"Kafka: {error.args[0].str()}" if isinstance(error, KafkaException) else str(error)
        if problem != self._problem:
            log.warning("views_wait", problem=problem)
        self._problem = problem

    def _startup(self) -> tuple[bool, list[str]]:
        return self._has_begun, [] if self._has_begun else [self._problem]

    def _live(self) -> tuple[bool, list[str]]:
        still = time.monotonic() - self._beat_at
        return still < _STUCK_SECONDS, [] if still < _STUCK_SECONDS else [f"no sign of life for {still:.0f} s"]

    def _ready(self) -> tuple[bool, list[str]]:
        stale = self.staleness_seconds()
        reasons = [self._problem] if self._problem else []
        if stale > STALE_SECONDS:
            reasons.append(f"views are {stale:.0f} s old, expected at most {STALE_SECONDS:.0f}")
        return not reasons, reasons


def _generation(ids: dict[str, str]) -> str:
    """What the views are built from: a layout of ours, and these very topics (a topic made anew has another id)."""
    built_from = "/".join(f"{name}={ids[name]}" for name in sorted(ids))
    return f"{LAYOUT}-{hashlib.blake2b(built_from.encode(), digest_size=12).hexdigest()}"
