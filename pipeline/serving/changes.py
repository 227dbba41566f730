"""What Kafka's records mean for Redis: each becomes one change of a batch. No I/O here.

A record that is no such view is passed over and counted: a page without one customer is better than no page.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import msgspec
import structlog
from confluent_kafka import Message

from pipeline import topics
from pipeline.serving.keys import Keys

log = structlog.get_logger("wafa.views")

Place = tuple[str, int]
"""A topic's full name and a partition."""

_FRAME_BYTES: Final = 9
"""A changelog's values begin with the engine's frame, a version byte (1) and eight of sequence; then comes JSON."""


class _ViewHead(msgspec.Struct, frozen=True, gc=False):
    """What Redis needs to know of a profile's view; the rest passes through as it came."""

    partition: int
    offset: int
    stage: str
    lifecycle: str


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as Redis keeps it: a CloudEvent in JSON, and where it stands on the topic."""

    specversion: str = "1.0"
    id: str
    type: str
    source: str
    time: str
    subject: str
    partition: int
    offset: int
    datacontenttype: str = "application/json"
    data: msgspec.Raw


_head: Final = msgspec.json.Decoder(_ViewHead).decode
_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Changes:
    """A batch on its way to Redis: what `write.lua` takes, and what is counted once it is written."""

    names: Keys
    keys: list[str] = field(default_factory=list)
    arguments: list[str | bytes | int] = field(default_factory=list)
    next_offsets: dict[Place, int] = field(default_factory=dict)
    """Where to read on from, once this is written."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Changes by view and outcome."""

    def take(self, topic: topics.Topic, message: Message) -> None:
        """Add what this record of this topic means."""
        view = _VIEWS[topic.name]
        try:
            outcome = _TAKES[view](self, message)
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, ValueError) as error:
            if not self.counts[view, "unreadable"]:  # one line a batch says enough
                log.warning(
                    "view_unreadable", topic=topic.name, partition=message.partition(), offset=message.offset(),
                    problem=f"{type(error).__name__}: {error}",
                )  # fmt: skip
            outcome = "unreadable"
        if outcome is not None:
            self.counts[view, outcome] += 1

    def _take_profile(self, message: Message) -> str:
        customer_id, value = _text(message.key()), message.value()
        if value is None:
            self.keys += (self.names.profile(customer_id), self.names.triggers_of(customer_id))
            self.arguments += ("D", b'"subject":' + _encode(customer_id))
            return "deleted"
        head = _head(value)
        self.keys.append(self.names.profile(customer_id))
        self.arguments += ("P", head.partition, head.offset, f"{head.stage}/{head.lifecycle}", value)
        return "written"

    def _take_trigger(self, message: Message) -> str:
        customer_id = _text(message.key())
        headers = dict(message.headers() or ())
        document = TriggerView(
            id=_text(headers["ce_id"]), type=_text(headers["ce_type"]), source=_text(headers["ce_source"]),
            time=_text(headers["ce_time"]), subject=customer_id, partition=message.partition() or 0,
            offset=message.offset() or 0, data=_raw(message.value() or b""),
        )  # fmt: skip
        self.keys += (self.names.profile(customer_id), self.names.triggers_of(customer_id))
        self.arguments += ("T", message.timestamp()[1], _encode(document))
        return "written"

    def _take_reputation(self, message: Message) -> str | None:
        name, value = _text(message.key()), message.value()
        if name.startswith("__"):
            return None  # the engine's own entries: positions, what was seen
        day_text, _, platform = name.partition("/")
        day = date.fromisoformat(day_text)
        self.keys.append(self.names.reputation(day.isoformat()))
        if value is None:
            self.arguments += ("X", day.isoformat(), platform)
            return "deleted"
        self.arguments += ("R", day.isoformat(), day.toordinal(), platform, bytes(_raw(value[_FRAME_BYTES:])))
        return "written"


_VIEWS: Final = {topics.PROFILES.name: "profile", topics.TRIGGERS.name: "trigger", topics.REPUTATION.name: "reputation"}
_TAKES: Final = {
    "profile": Changes._take_profile,  # noqa: SLF001 - one table of ways, beside the class that has them
    "trigger": Changes._take_trigger,  # noqa: SLF001 - its own table
    "reputation": Changes._take_reputation,  # noqa: SLF001 - its own table
}


def _text(value: bytes | str | None) -> str:
    if not value:
        raise ValueError("expected a text, got nothing")
    return value.decode() if isinstance(value, bytes) else value
