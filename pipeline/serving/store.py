"""The writing side of Redis: one atomic call a batch, and the positions that say from where to read on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline import metrics
from pipeline.serving import keys as layout
from pipeline.serving.changes import Changes, Place
from pipeline.serving.keys import Keys
from pipeline.settings import Settings

_TIMEOUT_SECONDS: Final = 3.0
_SCAN_COUNT: Final = 500
_WRITE: Final = files("pipeline.serving").joinpath("write.lua").read_text(encoding="utf-8")


class RedisUnreachable(Exception):
    """Redis does not answer, or not with what was asked for; the message names it and the cause."""


class BeginAgain(Exception):
    """Redis or Kafka is not as we left it: find out anew how far the views are, and read on from there."""


class Store:
    """A connection to Redis for the one process that writes views."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings)
        self._where = masked(settings.redis_url)
        self._keys = Keys(settings.redis_key_prefix)
        self._write = self._redis.register_script(_WRITE)
        self._generation = ""
        self._stored: dict[Place, int | None] = {}
        """The positions as we believe Redis to hold them."""

    @property
    def keys(self) -> Keys:
        """The names of the keys."""
        return self._keys

    def close(self) -> None:
        """Hang up."""
        self._redis.close()

    def begin(self, generation: str, places: list[Place]) -> dict[Place, int | None]:
        """Where to read on from, None meaning the start. Views of another generation, or of none, are dropped first."""
        with asking("positions", self._where):
            if _text(self._redis.hget(self._keys.meta, "generation")) != generation:
                self._drop_views()
                self._redis.hset(self._keys.meta, "generation", generation)
                metrics.VIEW_REBUILDS.inc()
            held = self._redis.hgetall(self._keys.positions)
        found = {_text(place): int(offset) for place, offset in held.items()}
        self._generation = generation
        self._stored = {place: found.get(_field(place)) for place in places}
        return dict(self._stored)

    def _drop_views(self) -> None:
        """Everything of ours. Meta first: an interrupted dropping begins again."""
        self._redis.delete(self._keys.meta)
        pattern = "".join(f"[{c}]" if c in "*?[\\" else c for c in self._keys.prefix) + "*"
        doomed = []
        for key in self._redis.scan_iter(match=pattern, count=_SCAN_COUNT):
            if self._keys.is_ours(_text(key)):
                doomed.append(key)
            if len(doomed) >= _SCAN_COUNT:
                self._redis.unlink(*doomed)
                doomed.clear()
        if doomed:
            self._redis.unlink(*doomed)

    def write(self, changes: Changes, *, now_ms: int, is_level: bool) -> None:
        """Write the batch and its positions, both or neither. An empty batch only shows that we are alive.

        Raises BeginAgain when Redis holds something else than we left there; nothing is written then.
        """
        keys = self._keys
        arguments: list[str | bytes | int] = [self._generation, now_ms, int(is_level), len(self._stored)]
        for place, stored in self._stored.items():
            moved = changes.next_offsets.get(place)
            arguments += (_field(place), "" if stored is None else stored, "" if moved is None else moved)
        arguments += (
            layout.RECENT_TRIGGERS_MAX, layout.CUSTOMER_TRIGGERS_MAX, layout.CUSTOMER_TRIGGERS_DAYS * 86_400,
            layout.REPUTATION_DAYS_MAX, keys.reputation(""),
        )  # fmt: skip
        fixed = [
            keys.meta, keys.positions, keys.population, keys.recent_triggers, keys.reputation_days, keys.gone,
        ]  # fmt: skip
        with asking("write", self._where):
            said, *rest = self._write(keys=fixed + changes.keys, args=arguments + changes.arguments)
        if said != b"written":
            raise BeginAgain(
                f"Redis at {self._where}: expected generation {self._generation} with the positions we left, got "
                + ("another generation or none" if said == b"lost" else "other positions")
            )
        self._stored.update(changes.next_offsets)
        changes.counts["profile", "older"] = rest[0]
        changes.counts["profile", "written"] -= rest[0]
        for (view, outcome), count in changes.counts.items():
            metrics.VIEWS_WRITTEN.labels(view=view, outcome=outcome).inc(count)


def connect(settings: Settings) -> redis.Redis:
    """A client whose every call is bounded in time; it connects at its first call."""
    return redis.Redis.from_url(
        settings.redis_url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS,
        health_check_interval=15, max_connections=8, retry=Retry(NoBackoff(), 1), client_name="wafa",
    )  # fmt: skip


@contextmanager
def asking(operation: str, where: str) -> Iterator[None]:
    """Time a round trip of this kind, and say plainly what failed."""
    try:
        with metrics.REDIS_COMMAND_SECONDS.labels(op=operation).time():
            yield
    except (redis.RedisError, OSError) as error:
        metrics.REDIS_ERRORS.labels(op=operation).inc()
        raise RedisUnreachable(f"Redis at {where}: {type(error).__name__}: {error}") from error


def masked(url: str) -> str:
    """A Redis URL without its user and password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _field(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _text(value: Any) -> str:  # redis-py's answers are typed as anything
    return value.decode() if isinstance(value, bytes) else ""
