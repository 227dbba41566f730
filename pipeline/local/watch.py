"""What is seen of the pipeline while it works: the worker's metrics and the views in Redis, looked at twice a second.

Only what a user could see too: nothing here is the simulator's own word.
"""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from http.client import HTTPException
from typing import Any, Final

from pipeline.serving.read import RedisUnreachable, Views
from pipeline.settings import Settings

_LOOK_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 2.0
_RATE_SECONDS: Final = 3.0
_TRIGGERS_SHOWN: Final = 40
_COMPARED_WEEKS: Final = 4
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')

Population = Mapping[str, Mapping[str, int]]
"""Customers by stage, then by lifecycle."""


@dataclass(slots=True)
class Seen:
    """The state of affairs, as last seen. One thread writes a field, others read it."""

    phase: str = "starting"
    week: int = 0
    weeks: int = 1
    shop_date: date | None = None
    published: int = 0
    processed: int = 0
    rate: float = 0.0
    rate_max: float = 0.0
    lag: int = 0
    waiting: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By rule and outcome."""
    population: Population = field(default_factory=dict)
    population_before: Population = field(default_factory=dict)
    """Four weeks ago."""
    triggers: list[dict[str, Any]] = field(default_factory=list)
    """Latest first."""


def samples(url: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Every sample that a metrics page shows: name, labels, value. Raises OSError or HTTPException."""
    with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - a process we started
        text = answer.read().decode()
    for line in text.splitlines():
        found = None if line.startswith("#") else _SAMPLE.match(line)
        if found is not None:
            yield found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])


class Watcher:
    """Looks on a thread of its own until closed. A look that fails leaves what was seen before."""

    def __init__(self, settings: Settings, worker_metrics_url: str, seen: Seen) -> None:
        self._url = worker_metrics_url
        self._views = Views(settings)
        self._seen = seen
        self._stop = threading.Event()
        self._history: deque[tuple[float, int]] = deque(maxlen=int(_RATE_SECONDS / _LOOK_SECONDS) + 1)
        self._populations: deque[tuple[int, Population]] = deque(maxlen=200)
        self._thread = threading.Thread(target=self._run, name="wafa-demo-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join(2 * _ANSWER_SECONDS + 1)
        self._views.close()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self._look_at_metrics()
                self._look_at_views()
            except (
                OSError,
                HTTPException,
                RedisUnreachable,
            ):  # not up yet, or going down: watched elsewhere
                continue

    def _look_at_metrics(self) -> None:
        seen, processed, lag, waiting = self._seen, 0.0, 0.0, 0.0
        letters: Counter[str] = Counter()
        decisions: Counter[tuple[str, str]] = Counter()
        for name, labels, value in samples(self._url):
            match name:
                case "wafa_events_total":
                    processed += value
                case "wafa_consumer_lag_records":
                    lag += value
                case "wafa_waiting_events":
                    waiting += value
                case "wafa_dead_letters_total":
                    letters[labels["reason"]] += int(value)
                case "wafa_decisions_total":
                    decisions[labels["type"], labels["outcome"]] += int(value)
        seen.lag, seen.waiting, seen.dead_letters, seen.decisions = int(lag), int(waiting), letters, decisions
        seen.processed = int(processed + waiting)
        self._history.append((time.monotonic(), seen.processed))
        (then, before), (now, after) = self._history[0], self._history[-1]
        seen.rate = (after - before) / (now - then) if now > then else 0.0
        seen.rate_max = max(seen.rate, seen.rate_max)

    def _look_at_views(self) -> None:
        seen = self._seen
        seen.triggers = [event["data"] for event in self._views.recent_triggers(_TRIGGERS_SHOWN)]
        population = self._views.stage_counts()
        self._populations.append((seen.week, population))
        seen.population_before = next(
            (shown for week, shown in reversed(self._populations) if week <= seen.week - _COMPARED_WEEKS), {}
        )
        seen.population = population
