"""What is said of the brand in public, by day and platform: volume, sentiment, reach. By anybody, known or not."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec
import structlog

from pipeline import metrics
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.engine.shell import AgentFunction
from pipeline.engine.transport import FetchedRun
from pipeline.schemas.mentions import Mention, ReputationDay

log = structlog.get_logger("wafa.reputation")

_SEEN_KEY: Final = b"__seen__"
SEEN_MAX: Final = 2_048
"""Mentions remembered, so that one published twice counts once."""

_decode_mention = msgspec.json.Decoder(Mention).decode
_decode_day = msgspec.json.Decoder(ReputationDay).decode
_encode = msgspec.json.Encoder().encode


def reputation(take: Callable[[FetchedRun], None]) -> AgentFunction:
    """The agent: mentions of the brand."""

    async def agent(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            take(run)

    return agent


class Reputation:
    """The one partition of mentions. Its changelog is the topic others read."""

    wants_flush = False
    held = None

    def __init__(self, state: State) -> None:
        self._seen: deque[str] = deque(msgspec.json.decode(state.get(_SEEN_KEY) or b"[]", type=list[str]), SEEN_MAX)
        self._seen_set = set(self._seen)

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every mention is taken; one seen before counts no more, nor what is no mention: nobody but us writes here."""
        tones: Counter[str] = Counter()
        days: dict[bytes, ReputationDay] = {}
        for record in batch.records:
            try:
                mention = _decode_mention(record.value or b"")
            except msgspec.MsgspecError as error:
                log.error("mention_refused", offset=record.offset, problem=str(error))  # noqa: TRY400 - the message says all
                continue
            if mention.mention in self._seen_set:
                continue
            if len(self._seen) == SEEN_MAX:
                self._seen_set.discard(self._seen[0])
            self._seen.append(mention.mention)
            self._seen_set.add(mention.mention)
            key = f"{mention.day}/{mention.platform}".encode()
            day = days.get(key)
            if day is None:
                stored = state.get(key)
                day = (
                    ReputationDay(day=mention.day, platform=mention.platform) if stored is None else _decode_day(stored)
                )
            days[key] = day.plus(mention)
            tones[mention.tone] += 1
        for key, day in days.items():
            state.put(key, _encode(day))
        if tones:
            state.put(_SEEN_KEY, _encode(list(self._seen)))
            outbox.on_commit(lambda: _count(tones))
        return len(batch.records)


def _count(tones: Counter[str]) -> None:
    for tone, count in tones.items():
        metrics.REPUTATION_MENTIONS.labels(sentiment=tone).inc(count)


def factory() -> Callable[[int, State, Sequence[bytes]], Reputation]:
    """Makes the processor of the partition."""
    return lambda partition, state, unflushed: Reputation(state)
