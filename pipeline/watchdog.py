"""A worker that can do nothing more ends itself, so that its partitions go to somebody who can.

It watches from a thread of its own, for an event loop that does not turn cannot watch itself. It ends the process when
work stood still for too long, and when a worker that was told to end has not. *Kafka being away is no reason*: the next
process would find it away too. So what stands still counts only while Kafka answers, and from when it did so again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline import metrics
from pipeline.kafka_clients import COMPLAINTS

log = structlog.get_logger("wafa.worker")

STALLED_EXIT_CODE: Final = 70
UNREACHABLE_EXIT_CODE: Final = 3
SILENT_SECONDS: Final = 15.0
"""Kafka counts as away when no question was answered for so long."""
_LOOK_SECONDS: Final = 0.5
_ASK_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 5.0
_LAST_ANSWER_SECONDS: Final = 1.0
"""Of the grace: for the question whether it is Kafka's absence that holds a worker up."""


class Pulse:
    """Whether Kafka answers: a small question every few seconds, for an idle client learns of nothing."""

    def __init__(self, client: Mapping[str, Any], topic: str) -> None:
        self._admin = AdminClient(dict(client))
        self._topic = topic
        self._asked_at = 0.0
        self._answered_at = time.monotonic()
        self._answers_since = self._answered_at

    def ask_blocking(self, seconds: float = _ANSWER_SECONDS) -> bool:
        """Whether Kafka answers within `seconds`."""
        self._asked_at = time.monotonic()
        try:
            self._admin.list_topics(self._topic, timeout=seconds)
        except KafkaException:
            return False
        now = time.monotonic()
        if now - self._answered_at > SILENT_SECONDS:
            self._answers_since = now
        self._answered_at = now
        return True

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask again."""
        return time.monotonic() - self._asked_at >= _ASK_SECONDS

    @property
    def silent_seconds(self) -> float:
        """How long ago Kafka last answered."""
        return time.monotonic() - self._answered_at

    @property
    def answering_seconds(self) -> float:
        """For how long Kafka has been answering without a silence that counts; 0 while it is silent."""
        return 0.0 if self.is_silent else time.monotonic() - self._answers_since

    @property
    def is_silent(self) -> bool:
        """Whether Kafka counts as away."""
        return self.silent_seconds > SILENT_SECONDS

    def reasons(self) -> list[str]:
        """Why a worker cannot work, in a sentence; empty while Kafka answers."""
        if not self.is_silent:
            return []
        said = COMPLAINTS.latest(within_seconds=self.silent_seconds)
        return [f"Kafka has not answered for {self.silent_seconds:.0f} s" + (f": {said}" if said else "")]


@dataclass(frozen=True, slots=True)
class Standstill:
    """Work that does not move, and for how long."""

    what: str
    seconds: float


class Watchdog:
    """Ends this process when its work stands still, or when it was told to end and does not."""

    def __init__(
        self, pulse: Pulse, *, stall_seconds: float, grace_seconds: float, is_stopping: Callable[[], bool]
    ) -> None:
        self._pulse = pulse
        self._stall_seconds = stall_seconds
        self._grace_seconds = grace_seconds
        self._is_stopping = is_stopping
        self._stopping_since: float | None = None
        self._beat_at = time.monotonic()
        self._standing: Sequence[Standstill] = ()

    def start(self) -> None:
        """Watch until the process ends."""
        self._beat_at = time.monotonic()
        threading.Thread(target=self._watch, name="wafa-watchdog", daemon=True).start()

    def beat(self, standing: Sequence[Standstill]) -> None:
        """The event loop turns, and this is the work that does not move. Expected every second."""
        self._standing, self._beat_at = standing, time.monotonic()

    def stalled(self) -> list[str]:
        """What stood still for too long while Kafka answered all along; empty while the work moves."""
        if self._pulse.answering_seconds <= self._stall_seconds:
            return []
        return [
            f"{each.what} (for {each.seconds:.0f} s)"
            for each in self._all_standing()
            if each.seconds > self._stall_seconds
        ]

    def _all_standing(self) -> list[Standstill]:
        still_seconds = time.monotonic() - self._beat_at
        return [Standstill("the event loop does not turn", still_seconds), *self._standing]

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            if self._pulse.is_due and not self._is_stopping():
                self._pulse.ask_blocking()
            metrics.KAFKA_SILENT.set(self._pulse.silent_seconds)
            metrics.STANDSTILL.set(max(each.seconds for each in self._all_standing()))
            if self._is_stopping():
                self._see_it_end()
            elif stalled := self.stalled():
                log.critical("stalled", tasks=stalled)
                _end(STALLED_EXIT_CODE)

    def _see_it_end(self) -> None:
        now = time.monotonic()
        if self._stopping_since is None:
            self._stopping_since = now
        if now - self._stopping_since < self._grace_seconds - _LAST_ANSWER_SECONDS:
            return
        answers = self._pulse.ask_blocking(_LAST_ANSWER_SECONDS)
        # What was in hand has no effect, and is done anew by whoever comes next.
        log.warning("ended_in_the_middle", grace_seconds=self._grace_seconds, kafka_answers=answers)
        _end(STALLED_EXIT_CODE if answers else UNREACHABLE_EXIT_CODE)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
