"""Standbys: the changelogs of partitions that other workers have, read as they grow, so that taking over is quick.

One thread and one consumer a worker. What a standby has is committed and lags by moments; who takes a partition over
takes its reading along and reads the rest, after fencing the former owner, exactly as any recovery does.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline import metrics
from pipeline.engine.changelog import BadChangelog, Reading, Unrelated, reader
from pipeline.engine.copies import Copies, Log, open_reading, throw_away
from pipeline.engine.disk import StoreFailed
from pipeline.engine.processor import ChangelogPlace
from pipeline.engine.state import Mark

log = structlog.get_logger("wafa.engine")

_READ_RECORDS: Final = 5_000
"""Taking over waits for one such piece at most."""
_READ_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 5.0
_QUEUED_BYTES: Final = 8 * 1024 * 1024
"""A partition's records fetched and not yet read."""


class Standbys:
    """What this worker follows. All methods may be called from any thread; none waits longer than one piece takes."""

    def __init__(
        self, copies: Copies, client: Mapping[str, object], describe_log: Callable[[ChangelogPlace], Log]
    ) -> None:
        self._copies = copies
        self._client = client
        self._describe_log = describe_log
        self._lock = threading.Lock()
        """Held while a piece is taken in, and by who changes what is followed."""
        self._wanted: frozenset[ChangelogPlace] = frozenset()
        self._readings: dict[ChangelogPlace, tuple[Reading, str]] = {}
        """With the topic's id, as it was when following began."""
        self._not_before: dict[ChangelogPlace, float] = {}
        """When one that failed is tried again (monotonic seconds)."""
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def follow(self, others: Iterable[ChangelogPlace], ours: Iterable[ChangelogPlace] = ()) -> None:
        """Follow `others` from now on; what was read of `ours` waits for the tasks to take it."""
        with self._lock:
            self._wanted = frozenset(others)
            for place in self._readings.keys() - self._wanted - set(ours):
                self._readings.pop(place)[0].state.close()
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wafa-standbys", daemon=True)
                self._thread.start()
        self._wake.set()

    def take(self, place: ChangelogPlace, log_now: Log) -> Reading | None:
        """Hand a reading over to who takes the partition over; None if there is none that still holds.

        What is wanted is said by `follow` alone: a task that takes may be one that is about to end.
        """
        with self._lock:
            reading, topic_id = self._readings.pop(place, (None, ""))
        if reading is None:
            return None
        if topic_id != log_now.topic_id or not log_now.low <= reading.next_offset <= log_now.end:
            reading.state.close()
            return None
        reading.source = "standby"
        return reading

    def status(self) -> dict[ChangelogPlace, int]:
        """What is followed, and up to which offset it was read."""
        with self._lock:
            return {place: reading.next_offset for place, (reading, _) in self._readings.items()}

    def stop(self) -> None:
        """Let go of everything."""
        self._is_stopping = True
        self.follow(())
        if self._thread is not None:
            self._thread.join(_RETRY_SECONDS)

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.clear()
            try:
                with reader(self._client, group="wafa-reader-standbys", queued_bytes=_QUEUED_BYTES) as consumer:
                    self._follow_with(consumer)
            except Exception as error:  # noqa: BLE001 - whatever it was: they begin anew, and work goes on without
                log.warning("standbys_failed", error=f"{type(error).__name__}: {error}")
                with self._lock:
                    for reading, _ in self._readings.values():
                        reading.state.close()
                    self._readings.clear()
                self._wake.wait(_RETRY_SECONDS)

    def _follow_with(self, consumer: Consumer) -> None:
        assigned: dict[ChangelogPlace, tuple[Reading, str]] = {}
        while not self._is_stopping:
            self._open_what_is_wanted()
            with self._lock:
                # The readings themselves, not what they are of: where one was taken and another opened since, the
                # consumer is ahead of the new one, and what lies between would be missing from it.
                if assigned != self._readings:
                    assigned = dict(self._readings)
                    consumer.assign(
                        [
                            TopicPartition(place.topic, place.partition, reading.next_offset)
                            for place, (reading, _) in assigned.items()
                        ]
                    )
            if assigned:
                self._take_in(consumer.consume(_READ_RECORDS, _READ_SECONDS))
            else:
                self._wake.wait(_RETRY_SECONDS)
                self._wake.clear()

    def _open_what_is_wanted(self) -> None:
        for place in sorted(self._wanted - self._readings.keys(), key=str):
            if time.monotonic() < self._not_before.get(place, 0.0):
                continue
            log_now = self._describe_log(place)
            try:
                reading = open_reading(self._copies, place, log_now, is_large=True)
            except StoreFailed as error:  # the task that had it may be about to close it
                self._later(place, error)
                continue
            with self._lock:
                if place in self._wanted:
                    self._readings[place] = (reading, log_now.topic_id)
                    log.info("standby_follows", place=str(place), source=reading.source, begin=reading.next_offset)
                    continue
            reading.state.close()

    def _take_in(self, messages: list[Message]) -> None:
        failed: dict[ChangelogPlace, Exception] = {}
        pieces: dict[tuple[str, int], list[Message]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                pieces[message.topic() or "", message.partition() or 0].append(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
        with self._lock:
            for place, (reading, topic_id) in self._readings.items():
                piece = pieces.get((place.topic, place.partition))
                if not piece or (piece[-1].offset() or 0) < reading.next_offset:
                    continue
                try:
                    reading.take(piece)
                    if reading.position is not None:
                        mark = Mark(topic_id, reading.anchor, reading.position.sequence, metrics.now_seconds())
                        reading.state.keep(mark)
                except (Unrelated, BadChangelog, StoreFailed) as error:
                    failed[place] = error
            for place, why in failed.items():
                self._readings.pop(place)[0].state.close()
                if isinstance(why, Unrelated):
                    throw_away(self._copies, place, str(why))
                self._later(place, why)

    def _later(self, place: ChangelogPlace, error: Exception) -> None:
        log.info("standby_waits", place=str(place), error=str(error))
        self._not_before[place] = time.monotonic() + _RETRY_SECONDS
