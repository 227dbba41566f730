"""The reading side: what the command line and pages ask Redis. Every question is bounded in time."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec

from pipeline.serving import keys as layout
from pipeline.serving.keys import Keys
from pipeline.serving.store import RedisUnreachable, asking, connect, masked
from pipeline.settings import Settings

__all__ = ["RedisUnreachable", "Views", "ViewsState"]

Document = dict[str, Any]
"""JSON as Python has it."""

_decode = msgspec.json.Decoder(Document).decode


@dataclass(frozen=True, slots=True)
class ViewsState:
    """How current the views are. Instants are milliseconds since 1970; None: never yet."""

    written_at_ms: int | None
    """When the feeding process last wrote, if only to say that nothing was new."""
    level_at_ms: int | None
    """When the views last showed everything that was committed."""


class Views:
    """The views in Redis. Raises RedisUnreachable, with address and cause, from every question."""

    def __init__(self, settings: Settings) -> None:
        """Connects at the first question."""
        self._redis = connect(settings)
        self._where = masked(settings.redis_url)
        self._keys = Keys(settings.redis_key_prefix)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._redis.close()

    def profile(self, customer_id: str) -> Document | None:
        """The customer's latest view (`schemas.views`), or None for nobody we know."""
        with asking("read", self._where):
            found = self._redis.get(self._keys.profile(customer_id))
        return None if found is None else _decode(found)

    def recent_triggers(self, count: int = 20) -> list[Document]:
        """The latest triggers of all customers, newest first, as CloudEvents; at most 1,000 are kept."""
        return self._latest(self._keys.recent_triggers, min(count, layout.RECENT_TRIGGERS_MAX))

    def triggers_of(self, customer_id: str) -> list[Document]:
        """The customer's latest triggers, newest first; at most 20, none older than 30 days."""
        return self._latest(self._keys.triggers_of(customer_id), layout.CUSTOMER_TRIGGERS_MAX)

    def _latest(self, key: str, count: int) -> list[Document]:
        if count < 1:
            return []
        with asking("read", self._where):
            found = self._redis.zrange(key, 0, count - 1, desc=True)
        return [_decode(document) for document in found if isinstance(document, bytes)]

    def stage_counts(self) -> dict[str, dict[str, int]]:
        """How many customers there are, by relationship stage, then by lifecycle. Empty cells are left out."""
        with asking("read", self._where):
            found = self._redis.hgetall(self._keys.population)
        counts: dict[str, dict[str, int]] = {}
        for cell, count in sorted(found.items()):
            stage, _, lifecycle = _text(cell).partition("/")
            counts.setdefault(stage, {})[lifecycle] = int(count)
        return counts

    def reputation(self, days: int = 30) -> list[Document]:
        """The brand's reputation (`schemas.mentions.ReputationDay`) on the latest days that have any, newest first."""
        if days < 1:
            return []
        with asking("read", self._where):
            latest = self._redis.zrange(self._keys.reputation_days, 0, days - 1, desc=True)
            pipe = self._redis.pipeline(transaction=False)
            for day in latest:
                pipe.hgetall(self._keys.reputation(_text(day)))
            found = pipe.execute()
        return [_decode(document) for platforms in found for _, document in sorted(platforms.items())]

    def state(self) -> ViewsState:
        """How current all this is."""
        with asking("read", self._where):
            written, level = self._redis.hmget(self._keys.meta, "written_at_ms", "level_at_ms")
        return ViewsState(None if written is None else int(written), None if level is None else int(level))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
