"""What the engine runs, and what it hands over: a processor, its batch and its outbox.

A processor is ordinary synchronous code. It must be deterministic in (state, records), must not depend on where a batch
was cut, and must not keep what it has not put into the state: after a failure it is made anew from the state alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.engine.state import State as State  # noqa: PLC0414 - a processor is handed one: part of what is here

Headers = Sequence[tuple[str, bytes | None]]
"""A value may be null: Kafka allows it, and publishers do it."""

BY_KEY: Final = -1
"""The partition that a record's key decides, as librdkafka writes it."""


class Record(Protocol):
    """What Kafka carries, as the consumer hands it over. `timestamp` is in milliseconds."""

    @property
    def topic(self) -> str:
        """Where it lies."""

    @property
    def partition(self) -> int:
        """Its partition there."""

    @property
    def offset(self) -> int:
        """Its place there."""

    @property
    def timestamp(self) -> int:
        """When the broker took it."""

    @property
    def key(self) -> bytes | None:
        """As it came."""

    @property
    def value(self) -> bytes | None:
        """As it came."""

    @property
    def headers(self) -> Headers:
        """As they came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of records of one partition: the unit of transaction. May be empty when only `flush` is asked for."""

    topic: str
    partition: int
    records: Sequence[Record]
    next_offset: int
    """The position once every record here is processed."""
    flush: bool
    """Put out what was held back to be coalesced (views)."""


class Outbox:
    """What a batch has to say to Kafka, in order, and to the metrics once it is committed."""

    __slots__ = ("after_commit", "messages")

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes | None, bytes | None, int, Headers]] = []
        """(topic, value, key, partition or BY_KEY, headers)"""
        self.after_commit: list[Callable[[], None]] = []

    def emit(
        self, topic: str, key: bytes | None, value: bytes | None, *, partition: int = BY_KEY, headers: Headers = ()
    ) -> None:
        """Send a record; without `partition` the key decides (murmur2, as Java does)."""
        self.messages.append((topic, value, key, partition, headers))

    def on_commit(self, effect: Callable[[], None]) -> None:
        """Do `effect` (count something) once the transaction is committed, and never otherwise."""
        self.after_commit.append(effect)


class Processor(Protocol):
    """One task's code. Made anew, from its state, at every (re)start of the task."""

    @property
    def wants_flush(self) -> bool:
        """Something is held back that an idle partition should still put out."""
        ...

    @property
    def held(self) -> str | None:
        """Why nothing more may be consumed until the worker starts again; None while all is well."""
        ...

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Take records from the front of the batch; say how many are done with.

        Fewer than all is allowed (a Tick that has more customers to visit): the rest comes again, first, in the next
        transaction. Raising makes the task start anew from the log.
        """
        ...


ProcessorFactory = Callable[[int, State, Sequence[bytes]], Processor]
"""Makes a task's processor from (partition, restored state, the keys that changed since the last flush)."""


@dataclass(frozen=True, slots=True)
class ChangelogPlace:
    """Where a task's state and position are kept. Tasks that share a partition tell their keys apart by `prefix`."""

    topic: str
    partition: int
    prefix: bytes = b""

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Spec:
    """A processor as the application declares it: one task for each partition of `topic`."""

    name: str
    topic: str
    factory: ProcessorFactory
    changelog: Callable[[int], ChangelogPlace]
    flush_seconds: float = 1.0
    is_large: bool = False
    """Its state is worth keeping as the worker's settings say; a small one is in memory alone."""
