"""Each customer, kept current: one step an event, one visit a Tick to those who are due.

A batch unpacks only the customers it touches and packs them once. What leaves with the same transaction: every
decision, the triggers among them, and, at most once a second, the views of customers that changed. Their partition is
the key's: these topics keep their counts when the log is given another.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import structlog

from pipeline import metrics, topics
from pipeline.agents import skipping
from pipeline.core import controls as core_controls
from pipeline.core.codec import Peek, labels, pack, peek, peek_codes, stand_alike, unpack
from pipeline.core.decisions import Decision, trigger
from pipeline.core.decisions import Outcome as DecisionOutcome
from pipeline.core.moment import Note
from pipeline.core.profile import Profile
from pipeline.core.step import Outcome, step
from pipeline.core.view import view
from pipeline.engine.processor import Batch, Outbox, Record, State
from pipeline.engine.shell import AgentFunction
from pipeline.engine.transport import FetchedRun
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import LET_GO, Reason, dead_letter
from pipeline.schemas.triggers import trigger_headers

CONTROL_PREFIX: Final = logged.CONTROL_KEY + b"/"
VIEWS_KEY: Final = b"__views__"
"""Entry of the state: what is added to a view's offset, so that one made after a repartition is the later."""
VISITS_MAX: Final = 2_000
"""Customers a Tick visits in one transaction; the Tick stays in front until none is due."""
RECENT_MAX: Final = 1_024
"""Profiles remembered unpacked beside their bytes, a partition."""
VIEWS_MAX: Final = 250
"""Views put out in one transaction, twenty to thirty milliseconds of work; the rest follow in the next."""

_SECONDS: Final = tuple(range(3_600))
"""The calendar's own integers: one each, not one a customer."""

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("wafa.customers")


def customers(take: Callable[[FetchedRun], None]) -> AgentFunction:
    """The agent: every customer's log."""

    async def agent(runs: AsyncIterator[FetchedRun]) -> None:
        async for run in runs:
            take(run)

    return agent


@dataclass(frozen=True, slots=True)
class Names:
    """Full topic names, by what they are for."""

    customer_events: str
    triggers: str
    decisions: str
    profiles: str
    dead_letters: str

    @classmethod
    def of(cls, name: Callable[[str], str]) -> Names:
        """The names under the settings' prefix."""
        return cls(
            name(topics.CUSTOMER_EVENTS.name), name(topics.TRIGGERS.name), name(topics.DECISIONS.name),
            name(topics.PROFILES.name), name(topics.DEAD_LETTERS.name),
        )  # fmt: skip


class Calendar:
    """Who is due when. By the hour, so that moving a customer costs nothing; exact when a Tick asks.

    It stays in memory whatever the store: some 60 bytes a customer, and the id where the store is on disk.
    """

    def __init__(self) -> None:
        self._due: dict[int, dict[bytes, int]] = {}

    def put(self, key: bytes, next_review_at: int) -> None:
        """A customer that was not here is due at `next_review_at` (seconds since 1970)."""
        hour, second = divmod(next_review_at, 3600)
        due = self._due.get(hour)
        if due is None:
            due = self._due[hour] = {}
        due[key] = _SECONDS[second]

    def move(self, key: bytes, before: int, after: int) -> None:
        """This customer was due at `before`, and is due at `after`."""
        if before // 3600 != after // 3600:
            self._due[before // 3600].pop(key, None)
        self.put(key, after)

    def due(self, until: int) -> list[tuple[int, bytes]]:
        """Everybody due at or before `until`, in the order of their dates, then of their ids."""
        found: list[tuple[int, bytes]] = []
        for hour in [hour for hour in self._due if hour <= until // 3600]:
            if not self._due[hour]:
                del self._due[hour]
                continue
            begin = hour * 3600
            found.extend((begin + second, key) for key, second in self._due[hour].items() if begin + second <= until)
        found.sort()
        return found


PassesOver = Callable[[bytes, logged.Tick], bool]
"""Whether a customer's visit at this Tick is left out."""


class Customers:
    """One partition's customers."""

    held = None

    def __init__(
        self,
        partition: int,
        state: State,
        unflushed: Sequence[bytes],
        *,
        names: Names,
        passes_over: PassesOver | None = None,
    ) -> None:
        """`passes_over`: visits that a rebuild leaves out, since they were not made."""
        self.topic = names.customer_events
        self.partition = partition
        self._names = names
        self._calendar = Calendar()
        self.population: Counter[tuple[str, str]] = Counter()
        self._views_from = 0
        entries: dict[str, bytes] = {}
        counts: dict[tuple[int, int], int] = {}
        put = self._calendar.put
        for key, value in state.items():
            if not key.startswith(b"__"):
                next_review_at, stage, lifecycle = peek_codes(value)
                put(key, next_review_at)
                counts[stage, lifecycle] = counts.get((stage, lifecycle), 0) + 1
            elif key.startswith(CONTROL_PREFIX):
                entries[key[len(CONTROL_PREFIX) :].decode()] = value
            elif key == VIEWS_KEY:
                self._views_from = int(value)
        self.population.update({labels(*kind): count for kind, count in counts.items()})
        self._controls = core_controls.from_entries(entries)
        self._unseen: dict[bytes, None] = dict.fromkeys(key for key in unflushed if not key.startswith(b"__"))
        self._skipped = skipping.Skipped(state)
        self._passes_over = passes_over
        self._recent: dict[bytes, tuple[bytes, Profile]] = {}
        """What the latest packed profiles were before they were packed: the busiest need no unpacking."""
        self._visiting: list[tuple[int, bytes]] | None = None
        _LIVE[partition] = weakref.ref(self)

    @property
    def wants_flush(self) -> bool:
        """Some customers' views are out of date."""
        return bool(self._unseen)

    @property
    def model_fitted_at(self) -> float:
        """When the shop's model in force here was fitted, in seconds since 1970; 0 before there is one."""
        fitted_at = self._controls.models.fitted_at
        return fitted_at.timestamp() if fitted_at is not None else 0.0

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Step every event; stop at a Tick that has more customers to visit than one transaction may hold."""
        work = _Work(state, outbox)
        consumed = len(batch.records)
        for index, record in enumerate(batch.records):
            try:
                event = logged.decode(record.value or b"")
            except msgspec.MsgspecError as error:
                self._refuse(record, Reason.SCHEMA_VIOLATION, str(error), work)
                continue
            if record.key == logged.CONTROL_KEY:
                work.control = record
                if not self._adopt(event, work):
                    consumed = index
                    break
            else:
                self._step(record.key or b"", event, record, work)
        self._pack(work)
        if batch.flush:
            self._show(batch.next_offset, work)
        outbox.on_commit(lambda: _count(work))
        return consumed

    # -- customers ------------------------------------------------------------------------------------------------

    def _step(self, key: bytes, event: logged.CustomerEvent | logged.Tick, record: Record | None, work: _Work) -> None:
        profile = self._profile(key, work)
        try:
            stepped = step(key.decode(), profile, event, self._controls)
        except Exception as error:  # noqa: BLE001 - one bad record must not stop a partition; it is kept and said
            self._skip(key, event, record, error, work)
            return
        work.outcomes[type(event), stepped.outcome] += 1
        if isinstance(event, logged.Tick):
            if self._skipped:
                self._skipped.visited(key, event.as_of, work.state)
        else:
            work.occurred_at.append(event.occurred_at.timestamp())
        if stepped.outcome is Outcome.TOO_OLD and record is not None:
            self._refuse(record, Reason.TOO_OLD, "of an order folded into totals, or dated as if it were", work)
            return
        if stepped.profile is not profile:
            work.profiles[key] = stepped.profile
        for decision in stepped.decisions:
            self._decided(key, decision, event, work)
        for told in stepped.told:
            work.outbox.emit(self._names.customer_events, told.customer_id.encode(), logged.encode(told.event))
        for note in stepped.notes:
            self._note(key, note, record, work)

    def _note(self, key: bytes, note: Note, record: Record | None, work: _Work) -> None:
        """What is odd goes to the dead letters: with its record, or (time alone brought it out) as the customer's."""
        odd, passed_with = record, record or work.control
        if passed_with is not None and (odd is None or note.reason in LET_GO):
            odd = _Visit.of(passed_with, key)
        if odd is not None:
            self._refuse(odd, note.reason, note.problem, work)

    def _skip(
        self,
        key: bytes,
        event: logged.CustomerEvent | logged.Tick,
        record: Record | None,
        error: Exception,
        work: _Work,
    ) -> None:
        """`step` is pure, so nothing has changed: keep the record as a dead letter, and mark what was passed over."""
        problem = f"{type(error).__name__}: {error}"
        log.error("step_failed", partition=self.partition, offset=record.offset if record else None, problem=problem)
        if isinstance(event, logged.Tick):  # the customer is marked, not the Tick
            self._skipped.failed(key, event.as_of, problem, work.state)
        elif record is not None:
            skipping.mark_record(work.state, record.offset, problem)
            self._refuse(record, Reason.STEP_FAILED, problem, work)

    def _profile(self, key: bytes, work: _Work) -> Profile | None:
        profile = work.profiles.get(key)
        if profile is not None:
            return profile
        packed = work.state.get(key)
        if packed is None:
            return None
        recent = self._recent.get(key)
        return recent[1] if recent is not None and recent[0] == packed else unpack(packed)

    def _pack(self, work: _Work) -> None:
        for key, profile in work.profiles.items():
            before = work.state.get(key)
            packed = pack(profile)
            if packed == before:
                continue
            work.state.put(key, packed)
            self._recent.pop(key, None)
            self._recent[key] = (packed, profile)
            if len(self._recent) > RECENT_MAX:
                del self._recent[next(iter(self._recent))]
            self._unseen[key] = None
            next_review_at = peek_codes(packed)[0]
            if before is None:
                self._calendar.put(key, next_review_at)
            else:
                self._calendar.move(key, peek_codes(before)[0], next_review_at)
            if before is None or not stand_alike(before, packed):
                self._moved(before, peek(packed), work)
        work.profiles.clear()

    def _moved(self, packed_before: bytes | None, after: Peek, work: _Work) -> None:
        self.population[after.stage, after.lifecycle] += 1
        if packed_before is not None:
            before = peek(packed_before)
            self.population[before.stage, before.lifecycle] -= 1
            work.moves.append((before, after))

    def _decided(self, key: bytes, decision: Decision, event: logged.CustomerEvent | logged.Tick, work: _Work) -> None:
        work.decisions.append(decision)
        work.outbox.emit(self._names.decisions, key, _encode(decision))
        if decision.outcome is DecisionOutcome.SENT:
            sent = trigger(decision)
            work.outbox.emit(self._names.triggers, key, _encode(sent), headers=trigger_headers(sent))
            if not isinstance(event, logged.Tick):
                work.caused_at.append(event.received_at.timestamp())

    def _show(self, offset: int, work: _Work) -> None:
        """Put the views of changed customers out, the longest out of date first."""
        for key in list(islice(self._unseen, VIEWS_MAX)):
            profile = self._profile(key, work)
            shown = None
            if profile is not None:
                at = self._views_from + offset
                document = view(key.decode(), profile, self._controls, partition=self.partition, offset=at)
                shown = _encode(document)
            work.outbox.emit(self._names.profiles, key, shown)
            del self._unseen[key]

    def _refuse(self, record: Record, reason: Reason, problem: str, work: _Work) -> None:
        letter = dead_letter(record, topics.CUSTOMER_EVENTS.name, reason, (problem,))
        work.outbox.emit(self._names.dead_letters, letter.key, letter.value, headers=letter.headers)
        work.refusals[reason] += 1

    # -- controls -------------------------------------------------------------------------------------------------

    def _adopt(self, control: logged.Control, work: _Work) -> bool:
        """Take a control over; False while a Tick still has customers to visit."""
        self._pack(work)  # so that a Tick sees everybody as the events before it left them
        before = self._controls
        self._controls = core_controls.adopt(before, control)
        for name, value in core_controls.changed_entries(before, self._controls).items():
            work.state.put(CONTROL_PREFIX + name.encode(), value)
        if not isinstance(control, logged.Tick) or not core_controls.is_latest(self._controls, control):
            return True
        if self._visiting is None:
            self._visiting = self._calendar.due(int(control.as_of.timestamp()))[::-1]
        room = VISITS_MAX - work.visits
        while self._visiting and room > 0:
            _, key = self._visiting.pop()
            if self._passes_over is None or not self._passes_over(key, control):
                self._step(key, control, None, work)
            room -= 1
            work.visits += 1
        if self._visiting:
            return False
        self._visiting = None
        work.ticked_at = control.as_of.timestamp()
        return True


_LIVE: Final[dict[int, weakref.ref[Customers]]] = {}
"""A plain dictionary: partitions are made in threads, and copying its values is one step."""


def live() -> list[Customers]:
    """Every partition that runs in this process, for the population metrics."""
    return [table for each in list(_LIVE.values()) if (table := each()) is not None]


# -- counting ---------------------------------------------------------------------------------------------------------


def _count(work: _Work) -> None:
    _count_events(work)
    _count_decisions(work)
    _count_moves(work.moves)
    if work.ticked_at is not None:
        metrics.LAST_TICK_TIMESTAMP.set(work.ticked_at)


def _count_events(work: _Work) -> None:
    for (kind, outcome), count in work.outcomes.items():
        if outcome in _COUNTED and kind not in logged.BETWEEN_CUSTOMERS:
            source = topics.SOURCE_OF_EVENT.get(kind.__name__, "")
            metrics.EVENTS.labels(source=source, outcome=_COUNTED[outcome]).inc(count)
    if work.occurred_at:
        now = metrics.now_seconds()
        metrics.EVENT_LATENCY.observe_many([now - at for at in work.occurred_at])
    for reason, count in work.refusals.items():
        metrics.DEAD_LETTERS.labels(topic=topics.CUSTOMER_EVENTS.name, reason=reason).inc(count)


def _count_decisions(work: _Work) -> None:
    ended: Counter[tuple[str, str, str]] = Counter()
    unsent: Counter[tuple[str, str]] = Counter()
    for decision in work.decisions:
        ended[decision.rule, decision.outcome, decision.arm] += 1
        if decision.outcome is not DecisionOutcome.SENT:
            unsent[decision.rule, decision.reasons[0]] += 1
    for (rule, outcome, arm), count in ended.items():
        metrics.DECISIONS.labels(type=rule, outcome=outcome, arm=arm).inc(count)
    for (rule, reason), count in unsent.items():
        metrics.DECISIONS_UNSENT.labels(type=rule, reason=reason).inc(count)
    if work.caused_at:
        now = metrics.now_seconds()
        metrics.TRIGGER_LATENCY.observe_many([now - at for at in work.caused_at])


def _count_moves(moves: Sequence[tuple[Peek, Peek]]) -> None:
    for before, after in moves:
        if before.stage != after.stage:
            metrics.STAGE_TRANSITIONS.labels(**{"from": before.stage, "to": after.stage}).inc()
        if before.lifecycle != after.lifecycle:
            metrics.LIFECYCLE_TRANSITIONS.labels(**{"from": before.lifecycle, "to": after.lifecycle}).inc()


_COUNTED: Final = {
    Outcome.ACCEPTED: "accepted",
    Outcome.LATE: "late",
    Outcome.DUPLICATE: "duplicate",
    Outcome.TOO_OLD: "refused",
}


class _Visit(NamedTuple):
    """Time as a customer sees it pass: their key, and where the record lies that it passed with."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, record: Record, key: bytes) -> _Visit:
        """With this record, to this customer."""
        return cls(record.topic, record.partition, record.offset, record.timestamp, key)


class _Work:
    """What one batch has done so far."""

    __slots__ = (
        "caused_at",
        "control",
        "decisions",
        "moves",
        "occurred_at",
        "outbox",
        "outcomes",
        "profiles",
        "refusals",
        "state",
        "ticked_at",
        "visits",
    )

    def __init__(self, state: State, outbox: Outbox) -> None:
        self.state = state
        self.outbox = outbox
        self.profiles: dict[bytes, Profile] = {}
        self.control: Record | None = None
        """The record of the last control."""
        self.outcomes: Counter[tuple[type, Outcome]] = Counter()
        self.refusals: Counter[Reason] = Counter()
        self.decisions: list[Decision] = []
        self.moves: list[tuple[Peek, Peek]] = []
        self.caused_at: list[float] = []
        self.occurred_at: list[float] = []
        self.ticked_at: float | None = None
        self.visits = 0


def factory(names: Names) -> Callable[[int, State, Sequence[bytes]], Customers]:
    """Makes the processor of a partition."""
    return lambda partition, state, unflushed: Customers(partition, state, unflushed, names=names)
