"""Newcomers get their id here: the one writer of each alias's link.

`crm.unidentified-events.v1` is keyed by alias hash, so one partition sees everything about an alias in one order. An
event that may create a customer mints an id from its own place in the log; others wait, bounded, for somebody to become
known, and leave in the transaction that links. An alias linked to one customer is never moved to another: the claim is
kept as a conflict, for a merge to settle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import msgspec
import structlog

from pipeline import metrics
from pipeline.agents.ingest import Entry, Names, deliver
from pipeline.agents.undoing import Attempt
from pipeline.agents.waiting import PREFIX as WAITING_PREFIX
from pipeline.agents.waiting import GivenUp, Waiting
from pipeline.core import identity
from pipeline.engine.disk import StoreFailed
from pipeline.engine.processor import Batch, Outbox, Record, State
from pipeline.engine.shell import AgentFunction
from pipeline.engine.transport import FetchedRun
from pipeline.schemas import unidentified
from pipeline.schemas.dead_letters import Reason, dead_letter, fault
from pipeline.schemas.unidentified import AliasSeen, Unidentified, UnidentifiedEvent
from pipeline.topics import LINK_PREFIX, UNIDENTIFIED_EVENTS

CONFLICT_PREFIX: Final = b"conflict/"
CONFLICTS_MAX: Final = 16
"""Other customers remembered to have claimed an alias, at most."""

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("wafa.identify")


def identify(take: Callable[[FetchedRun], None]) -> AgentFunction:
    """The agent: events of people not known yet."""

    async def agent(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            take(run)

    return agent


class Identify:
    """One partition of aliases: links, mints, lets wait, releases."""

    wants_flush = False
    held = None

    def __init__(self, partition: int, state: State, *, names: Names) -> None:
        self._partition = partition
        self._names = names
        self._waiting = Waiting(state)
        self._gauge = metrics.WAITING_EVENTS.labels(topic=names.unidentified_events, partition=str(partition))

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every record is taken, or refused where it is of no use or makes this fail."""
        given_up: list[str] = []
        refusals: Counter[Reason] = Counter()
        attempt = Attempt(state)
        for record in batch.records:
            try:
                item = unidentified.decode(record.value or b"")
            except msgspec.MsgspecError as error:
                self._refuse(record, Reason.SCHEMA_VIOLATION, str(error), outbox, refusals)
                continue
            sent, lost = len(outbox.messages), len(given_up)
            attempt.begin()
            try:
                self._take(record, item, attempt, outbox, given_up)
            except StoreFailed:  # the disk's fault and not the record's
                raise
            except Exception as error:  # noqa: BLE001 - one bad record must not stop a partition; it is kept and said
                del outbox.messages[sent:], given_up[lost:]
                for key in attempt.undo():
                    if key.startswith(WAITING_PREFIX):
                        self._waiting.reread(key[len(WAITING_PREFIX) :], state)
                self._refuse(record, Reason.ADMISSION_FAILED, fault(error), outbox, refusals)
        waiting = len(self._waiting)
        outbox.on_commit(lambda: self._count(waiting, Counter(given_up), refusals))
        return len(batch.records)

    def _take(self, record: Record, item: Unidentified, state: State, outbox: Outbox, given_up: list[str]) -> None:
        alias = record.key or b""
        if isinstance(item, AliasSeen):
            self._link(alias, item.customer_id, state, outbox)
            return
        linked = state.get(LINK_PREFIX + alias)
        if linked is not None:
            self._deliver(linked.decode(), item, outbox)
        elif item.original is None:
            customer_id = identity.mint(self._partition, record.offset)
            self._link(alias, customer_id, state, outbox)
            self._deliver(customer_id, item, outbox)
        else:
            self._give_up(self._waiting.add(alias, item, state), outbox, given_up)
        self._give_up(self._waiting.give_up_stale(item.received_at, state), outbox, given_up)

    def _deliver(self, customer_id: str, item: UnidentifiedEvent, outbox: Outbox) -> None:
        deliver(customer_id, Entry(item.event_id, item.logged, item.address, item.text), self._names, outbox)
        for other in item.aliases[1:]:
            seen = AliasSeen(alias=other, customer_id=customer_id)
            outbox.emit(self._names.unidentified_events, other.encode(), unidentified.encode(seen))

    def _link(self, alias: bytes, customer_id: str, state: State, outbox: Outbox) -> None:
        linked = state.get(LINK_PREFIX + alias)
        if linked is not None:
            if linked != customer_id.encode():
                self._remember_conflict(alias, customer_id, state)
            return
        state.put(LINK_PREFIX + alias, customer_id.encode())
        for item in self._waiting.release(alias, state):
            self._deliver(customer_id, item, outbox)

    def _remember_conflict(self, alias: bytes, customer_id: str, state: State) -> None:
        claims: list[str] = msgspec.json.decode(state.get(CONFLICT_PREFIX + alias) or b"[]", type=list[str])
        if customer_id not in claims and len(claims) < CONFLICTS_MAX:
            state.put(CONFLICT_PREFIX + alias, _encode([*claims, customer_id]))

    def _give_up(self, events: Iterable[GivenUp], outbox: Outbox, given_up: list[str]) -> None:
        for item, problem in events:
            original = item.original
            assert original is not None, "only events that may not create a customer wait"
            letter = dead_letter(original, original.topic, Reason.NOBODY_KNOWN, (problem,))
            outbox.emit(self._names.dead_letters, letter.key, letter.value, headers=letter.headers)
            given_up.append(original.topic)

    def _refuse(self, record: Record, reason: Reason, problem: str, outbox: Outbox, refusals: Counter[Reason]) -> None:
        if reason is Reason.ADMISSION_FAILED:
            topic = UNIDENTIFIED_EVENTS.name
            log.error(reason, topic=topic, partition=record.partition, offset=record.offset, problem=problem)
        letter = dead_letter(record, UNIDENTIFIED_EVENTS.name, reason, (problem,))
        outbox.emit(self._names.dead_letters, letter.key, letter.value, headers=letter.headers)
        refusals[reason] += 1

    def _count(self, waiting: int, given_up: Counter[str], refusals: Counter[Reason]) -> None:
        self._gauge.set(waiting)
        for source, count in given_up.items():
            metrics.DEAD_LETTERS.labels(topic=source, reason=Reason.NOBODY_KNOWN).inc(count)
            metrics.EVENTS.labels(source=source, outcome="refused").inc(count)
        for reason, count in refusals.items():
            metrics.DEAD_LETTERS.labels(topic=UNIDENTIFIED_EVENTS.name, reason=reason).inc(count)


def factory(names: Names) -> Callable[[int, State, Sequence[bytes]], Identify]:
    """Makes the processor of a partition."""
    return lambda partition, state, unflushed: Identify(partition, state, names=names)
