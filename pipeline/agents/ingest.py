"""The door: what publishers send becomes events in their customer's log, or a dead letter. Shared by all sources.

For each fetched run: parse, find out whose each event is, admit it (no identifier and no free text goes further), and
put it under its customer's key. Whose alias nobody knows goes to `identify`. What is refused keeps its bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from pipeline import metrics, topics
from pipeline.agents.directory import Directory
from pipeline.core import identity
from pipeline.core.door import Admitted, Refusal, Shop, admit
from pipeline.core.shop_costs import key_of
from pipeline.engine.processor import Batch, Outbox, Record, State
from pipeline.schemas import logged, unidentified
from pipeline.schemas.dead_letters import Reason, dead_letter, fault
from pipeline.schemas.events import InboundEvent, ReferralMade, may_be_nobodys
from pipeline.schemas.parse import parse_batch

log = structlog.get_logger("wafa.ingest")

_TOLD_MAX: Final = 50_000
"""Aliases remembered as already told to their owner; then all are forgotten, and told once more."""
_NONE: Final[Sequence[str]] = ()
_NOBODY: Final = (
    "customer_id, email, phone, handle: expected one that means somebody, got only such as 0, null or anonymous"
)


@dataclass(frozen=True, slots=True)
class Names:
    """Full topic names, by what they are for."""

    customer_events: str
    unidentified_events: str
    addresses: str
    texts: str
    mentions: str
    shop_costs: str
    dead_letters: str

    @classmethod
    def of(cls, name: Callable[[str], str]) -> Names:
        """The names under the settings' prefix."""
        return cls(
            name(topics.CUSTOMER_EVENTS.name), name(topics.UNIDENTIFIED_EVENTS.name), name(topics.ADDRESSES.name),
            name(topics.TEXTS.name), name(topics.MENTIONS.name),
            name(topics.SHOP_COSTS.name), name(topics.DEAD_LETTERS.name),
        )  # fmt: skip


class Fuse:
    """Blows when too large a share of a source's latest records is refused: then the deploy is bad, not the data.

    Judges windows of `records_min` records. Once blown it stays so until the worker starts again, and says `reason`.
    """

    def __init__(self, source: str, *, refused_fraction: float, records_min: int) -> None:
        self.reason: str | None = None
        self._source = source
        self._fraction = refused_fraction
        self._records_min = records_min
        self._records = 0
        self._refused = 0

    def count(self, records: int, refused: int) -> None:
        """Add a committed batch."""
        self._records += records
        self._refused += refused
        if self._records < self._records_min:
            return
        if self._refused > self._fraction * self._records:
            self.reason = (
                f"{self._refused} of the last {self._records} records of {self._source} were refused (see their dead "
                "letters): consuming stops. Mend the publisher, then restart this worker and `wafa redrive`; to let "
                "them pass as dead letters instead, restart with WAFA_WORKER_FUSE_REFUSED_FRACTION=1"
            )
            metrics.FUSE_OPEN.labels(topic=self._source).set(1)
        self._records = self._refused = 0


class Ingest:
    """One source partition's door. Stateless: what is said twice is dropped behind it, by `step`."""

    wants_flush = False

    def __init__(  # noqa: PLR0913 - the door's surroundings, each named where it is made
        self, source: topics.Topic, *, names: Names, directory: Directory, key: bytes, shop: Shop, fuse: Fuse
    ) -> None:
        self._source = source
        self._names = names
        self._directory = directory
        self._key = key
        self._shop = shop
        self._fuse = fuse
        self._told: dict[str, str] = {}

    @property
    def held(self) -> str | None:
        """Why this source is not consumed any more, once its fuse has blown."""
        return self._fuse.reason

    def process(self, batch: Batch, state: State, outbox: Outbox) -> int:
        """Every record is taken: accepted, sent to be identified, or refused."""
        records = batch.records
        parsed, refused = parse_batch(records, self._source.name)
        refusals: Counter[Reason] = Counter()
        outside_log = 0
        for refusal in refused:
            refusals[refusal.reason] += 1
            record = records[refusal.index]
            self._refuse(record, refusal.reason, (*refusal.problems, *self._against(refusal.event, record)), outbox)
        index = refused_index = -1
        begun = (0, 0)
        for item in parsed:
            if item.index == refused_index:
                continue  # what came along in a refused record (a touch, a consent) is refused with it
            if item.index != index:
                index, begun = item.index, (len(outbox.messages), outside_log)
            record = records[index]
            try:
                taken = self._take(item.event, record, outbox)
            except Exception as error:  # noqa: BLE001 - one bad record must not stop a partition; it is kept and said
                del outbox.messages[begun[0] :]
                outside_log = begun[1]
                self._told.clear()
                taken = Refusal(Reason.ADMISSION_FAILED, (fault(error),))
            if isinstance(taken, Refusal):
                refused_index = index
                refusals[taken.reason] += 1
                self._refuse(record, taken.reason, taken.problems, outbox)
            else:
                outside_log += taken
        outbox.on_commit(lambda: self._count(len(records), outside_log, refusals))
        return len(records)

    def _take(self, event: InboundEvent, record: Record, outbox: Outbox) -> Refusal | int:
        """Send an event on; how many there are in it that concern no customer (1: a mention, a cost of the shop's)."""
        customer_id, loose = self._whose(event)
        if customer_id is None and not loose and not may_be_nobodys(event):
            return Refusal(Reason.NO_ALIAS, (_NOBODY, *self._against(event, record)))
        admitted = self._admit(event, record)
        if isinstance(admitted, Refusal):
            return admitted
        if admitted.mention is not None:
            outbox.emit(self._names.mentions, None, admitted.mention, partition=0)
        if customer_id is not None:
            self._tell(customer_id, loose, outbox)
            entry = Entry(event.id, logged.encode(admitted.logged), admitted.address, admitted.text)
            deliver(customer_id, entry, self._names, outbox)
            return 0
        if loose:
            self._send_unidentified(event, admitted, loose, record, outbox)
            return 0
        if admitted.shop_cost is not None:
            cost_key = key_of(event.source, event.id)
            outbox.emit(self._names.shop_costs, cost_key, admitted.shop_cost, partition=0)
        return 1

    def _tell(self, customer_id: str, loose: Sequence[str], outbox: Outbox) -> None:
        """Tell the owners of aliases that are not (yet) this customer's that they were seen together."""
        for alias in loose:
            if self._told.get(alias) != customer_id:
                if len(self._told) >= _TOLD_MAX:
                    self._told.clear()
                self._told[alias] = customer_id
                seen = unidentified.AliasSeen(alias=alias, customer_id=customer_id)
                outbox.emit(self._names.unidentified_events, alias.encode(), unidentified.encode(seen))

    def _admit(self, event: InboundEvent, record: Record) -> Admitted | Refusal:
        return admit(
            event,
            received_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
            shop=self._shop,
            referred_customer_id=self._referred(event),
        )

    def _against(self, event: InboundEvent | None, record: Record) -> Sequence[str]:
        """What else there is against an event that is refused, if one could be read at all."""
        if event is None:
            return _NONE
        try:
            admitted = self._admit(event, record)
        except Exception as error:  # noqa: BLE001 - it is refused all the same
            return (fault(error),)
        return admitted.problems if isinstance(admitted, Refusal) else _NONE

    def _send_unidentified(
        self, event: InboundEvent, admitted: Admitted, hashes: Sequence[str], record: Record, outbox: Outbox
    ) -> None:
        original = None
        if event.type not in identity.MAY_CREATE:
            original = unidentified.Original(
                topic=self._source.name, partition=record.partition, offset=record.offset, timestamp=record.timestamp,
                key=record.key, value=record.value, headers=tuple(record.headers),
            )  # fmt: skip
        waiting = unidentified.UnidentifiedEvent(
            event_id=event.id, logged=logged.encode(admitted.logged), address=admitted.address, text=admitted.text,
            received_at=admitted.logged.received_at, aliases=tuple(hashes), original=original,
        )  # fmt: skip
        outbox.emit(self._names.unidentified_events, hashes[0].encode(), unidentified.encode(waiting))

    def _whose(self, event: InboundEvent) -> tuple[str | None, Sequence[str]]:
        """Whose event it is, if known, and the hashes of its aliases that are not (yet) linked to them."""
        named = identity.named(event)
        regular = self._directory.regular(named)
        if regular is not None:
            return regular, _NONE
        customer_id, loose = self._resolve(identity.aliases(named))
        if customer_id is not None and not loose:
            self._directory.remember(named, customer_id)
        return customer_id, loose

    def _resolve(self, aliases: Sequence[identity.Alias]) -> tuple[str | None, Sequence[str]]:
        """Whose aliases these are, by the strongest that is known, and the hashes of those not (yet) linked to them."""
        customer_id: str | None = None
        loose: list[str] = []
        for alias in aliases:
            hashed = identity.alias_hash(*alias, self._key)
            known = self._directory.customer_of(hashed)
            if customer_id is None:
                customer_id = known
            if known is None or known != customer_id:
                loose.append(hashed)
        return customer_id, loose

    def _referred(self, event: InboundEvent) -> str | None:
        """The pseudonym of whom a referral brought, if it is one and they are known."""
        alias = identity.referred_alias(event) if isinstance(event, ReferralMade) else None
        return None if alias is None else self._resolve([alias])[0]

    def _refuse(self, record: Record, reason: Reason, problems: Sequence[str], outbox: Outbox) -> None:
        if reason is Reason.ADMISSION_FAILED:
            topic, (problem,) = self._source.name, problems
            log.error(reason, topic=topic, partition=record.partition, offset=record.offset, problem=problem)
        letter = dead_letter(record, self._source.name, reason, problems)
        outbox.emit(self._names.dead_letters, letter.key, letter.value, headers=letter.headers)

    def _count(self, records: int, outside_log: int, refusals: Counter[Reason]) -> None:
        source = self._source.name
        metrics.EVENTS.labels(source=source, outcome="accepted").inc(outside_log)
        for reason, count in refusals.items():
            metrics.EVENTS.labels(source=source, outcome="refused").inc(count)
            metrics.DEAD_LETTERS.labels(topic=source, reason=reason).inc(count)
        self._fuse.count(records, refusals.total())


def factory(  # noqa: PLR0913 - as the door's own
    source: topics.Topic, *, names: Names, directory: Directory, key: bytes, shop: Shop, fuse: Fuse
) -> Callable[[int, State, Sequence[bytes]], Ingest]:
    """Makes the doors of a source's partitions, which share its fuse."""
    return lambda partition, state, unflushed: Ingest(
        source, names=names, directory=directory, key=key, shop=shop, fuse=fuse
    )


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An admitted event, encoded, and what of it may not be in the log."""

    event_id: str
    event: bytes
    address: bytes | None
    text: bytes | None


def deliver(customer_id: str, entry: Entry, names: Names, outbox: Outbox) -> None:
    """Put an admitted event into its customer's log, and what may not be there beside it."""
    key = customer_id.encode()
    outbox.emit(names.customer_events, key, entry.event)
    if entry.address is not None:
        outbox.emit(names.addresses, key, entry.address)
    if entry.text is not None:
        partition = topics.partition_of(key, topics.TEXTS.partitions)
        outbox.emit(names.texts, key + b"/" + entry.event_id.encode(), entry.text, partition=partition)
