"""What the tests of the contracts hand to the door: records as the consumer has them, and goldens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import topics
from pipeline.schemas.events import InboundEvent
from pipeline.schemas.parse import Refused, parse_batch

GOLDEN = Path(__file__).parent / "golden"
RECEIVED_MS = 1_772_452_800_000
"""2 March 2026, 12:00 UTC."""

Headers = Sequence[tuple[str, bytes | None]]
"""A value may be null: Kafka allows it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A record as the consumer hands it over."""

    value: bytes | None
    headers: Headers = ()
    key: bytes | None = None
    timestamp: int = RECEIVED_MS
    partition: int = 1
    offset: int = 90_211


@dataclass(frozen=True, slots=True)
class Golden:
    """One file of `golden/`: a value that is read the same forever. Files are added, never edited."""

    name: str
    contract: str
    value: dict[str, Any]
    becomes: dict[str, Any]
    """What is read: the value, without fields unknown to the contract, and with what is not said."""

    @property
    def data(self) -> bytes:
        """The value as it is published."""
        return json.dumps(self.value).encode()


def _golden(path: Path) -> Golden:
    file = json.loads(path.read_text("utf-8"))
    known = {name: value for name, value in file["value"].items() if name not in file.get("ignored", ())}
    becomes = file.get("becomes", {**known, **file.get("read", {})})
    return Golden(path.stem, file["contract"], file["value"], becomes)


GOLDENS = tuple(_golden(path) for path in sorted(GOLDEN.glob("*.json")))
INBOUND = tuple(golden for golden in GOLDENS if golden.contract in topics.SOURCE_OF_EVENT)


def golden(name: str) -> Golden:
    """The golden of a file's name."""
    return next(each for each in GOLDENS if each.name == name)


def data(value: object) -> bytes:
    """A value as JSON; bytes as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def events_of(value: object, topic: topics.Topic = topics.PURCHASES, headers: Headers = ()) -> list[InboundEvent]:
    """The events of one record, none refused."""
    parsed, refused = parse_batch([Given(data(value), headers)], topic.name)
    assert refused == []
    return [each.event for each in parsed]


def event_of(value: object, topic: topics.Topic = topics.PURCHASES, headers: Headers = ()) -> InboundEvent:
    """The one event of one record."""
    (event,) = events_of(value, topic, headers)
    return event


def refusal_of(value: object, topic: topics.Topic = topics.PURCHASES, headers: Headers = ()) -> Refused:
    """Why one record is refused; nothing of it may be accepted."""
    parsed, (refused,) = parse_batch([Given(None if value is None else data(value), headers)], topic.name)
    assert parsed == []
    return refused
