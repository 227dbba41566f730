"""What a run of Wafa should have come to, judged by its records alone, from what was published to the triggers.

Two halves meet at the customers' log. `at_the_door` holds the log against the sources: every event there once, as the
door lets it in when asked event by event, under its person's one key, in the order promised. `behind_the_log` holds
state, decisions and triggers against the pure core, stepped event by event over the log. Nothing here asks Kafka, so
that a good run can be spoilt by hand, and the judge judged (`test_judging.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from pipeline import topics
from pipeline.core import identity
from pipeline.core.decisions import Decision
from pipeline.core.door import Refusal, Shop, admit
from pipeline.core.shop_costs import key_of as key_of_cost
from pipeline.engine.changelog import POSITION_KEY, payload_of
from pipeline.schemas import logged, triggers, unidentified
from pipeline.schemas.dead_letters import read_dead_letter, redrive_record
from pipeline.schemas.events import may_be_nobodys
from pipeline.schemas.parse import parse_batch
from pipeline.topics import Topic
from tests.driver import replay
from tests.engine.checking import Record

READ = (
    *topics.SOURCES, topics.UNIDENTIFIED_EVENTS, topics.IDENTITIES, topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE,
    topics.ADDRESSES, topics.TEXTS, topics.MENTIONS, topics.SHOP_COSTS, topics.DECISIONS, topics.TRIGGERS,
    topics.DEAD_LETTERS,
)  # fmt: skip
_WAITING_PREFIX = b"waiting/"
_decode_waiting = msgspec.json.Decoder(list[unidentified.UnidentifiedEvent]).decode

Mark = tuple[str, str]
"""An event's source and id."""
Place = tuple[str, int, int]
"""Source topic (without prefix), partition, offset."""
Sent = tuple[str, bytes | None, bytes | None]
"""Source topic (without prefix), key, value."""
Effect = tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]
"""Key, value, headers of a record that Wafa writes."""


@dataclass(frozen=True)
class Run:
    """Everything that was published and everything that was committed."""

    sent: Sequence[Sent]
    """What the test's producer was given."""
    records: Mapping[str, Sequence[Record]]
    """By topic (without prefix), each partition in its order."""
    shop: Shop

    def of(self, topic: Topic) -> Sequence[Record]:
        """A topic's records."""
        return self.records[topic.name]


class Arrival(NamedTuple):
    """An event that the door has to let in, and what it has to become."""

    place: Place
    mark: Mark
    aliases: tuple[identity.Alias, ...]
    value: bytes
    address: bytes | None
    text: bytes | None
    mention: bytes | None
    shop_cost: bytes | None


def problems(run: Run) -> list[str]:
    """Everything wrong with a run: nothing, if each effect came once, whole and in order."""
    return [*at_the_door(run), *behind_the_log(run)]


# -- from the sources to the log ----------------------------------------------------------------------------------


def at_the_door(run: Run) -> list[str]:
    """What is wrong with the log, and with what goes beside it, by what was published."""
    arrivals, refused = _let_in(run)
    customers = [record for record in run.of(topics.CUSTOMER_EVENTS) if _is_told_by_a_publisher(record)]
    return [
        *_unsent(run),
        *_lost_doubled_changed(run, arrivals, customers),
        *_letters(run, refused),
        *_persons(run, arrivals, customers),
        *_order(run, arrivals, customers),
        *_beside(run, arrivals, customers),
    ]


def _let_in(run: Run) -> tuple[list[Arrival], list[Place]]:
    """Each source's events, record by record, and the places of the records that must become dead letters."""
    arrivals: list[Arrival] = []
    refused: list[Place] = []
    for source in topics.SOURCES:
        for record in run.of(source):
            place = (source.name, record.partition, record.offset)
            came = list(_events(record, place, run.shop))
            arrivals += [each for each in came if each is not None]
            refused += [place] if None in came else []
    return arrivals, refused


def _events(record: Record, place: Place, shop: Shop) -> Iterator[Arrival | None]:
    """A record's events, up to the first that must be refused (None)."""
    parsed, unreadable = parse_batch([record], place[0])
    if unreadable:
        yield None
    for item in parsed:
        event = item.event
        aliases = tuple(identity.aliases(identity.named(event)))
        admitted = admit(event, received_at=datetime.fromtimestamp(record.timestamp / 1000, UTC), shop=shop)
        if isinstance(admitted, Refusal) or not (aliases or may_be_nobodys(event)):
            yield None
            return
        beside = (admitted.address, admitted.text, admitted.mention, admitted.shop_cost)
        yield Arrival(place, (event.source, event.id), aliases, logged.encode(admitted.logged), *beside)


def _is_told_by_a_publisher(record: Record) -> bool:
    return record.key != logged.CONTROL_KEY and not isinstance(
        logged.decode(record.value or b""), logged.BETWEEN_CUSTOMERS
    )


def _unsent(run: Run) -> Iterator[str]:
    """What was published and is not on its source; what else is there, others may have sent."""
    on_sources = Counter((source.name, each.key, each.value) for source in topics.SOURCES for each in run.of(source))
    for (source, _, value), count in (Counter(run.sent) - on_sources).items():
        yield f"{source}: {count} times less there than published: {value!r}"


def _lost_doubled_changed(run: Run, arrivals: Sequence[Arrival], customers: Sequence[Record]) -> Iterator[str]:
    """By event id: each in the log, or waiting, or given up as a dead letter; once in all, and unchanged."""
    wanted: dict[Mark, list[bytes]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.aliases:
            wanted[arrival.mark].append(arrival.value)
    got: dict[Mark, list[bytes]] = defaultdict(list)
    for value in [*(each.value or b"" for each in customers), *waiting(run), *_given_up(run, arrivals)]:
        event = logged.decode(value)
        got[event.source, event.id].append(value)
    for mark in wanted.keys() | got.keys():
        if len(wanted[mark]) != len(got[mark]):
            yield f"event {mark}: let in {len(wanted[mark])} times, there {len(got[mark])} times"
        elif sorted(wanted[mark]) != sorted(got[mark]):
            yield f"event {mark}: expected {wanted[mark]}, got {got[mark]}"


def waiting(run: Run) -> list[bytes]:
    """The events that wait for somebody to become known."""
    identities = table(run.of(topics.IDENTITIES))
    kept = [value for key, value in identities.items() if key.startswith(_WAITING_PREFIX)]
    return [item.logged for value in kept for item in _decode_waiting(value)]


def _origins(run: Run) -> Iterator[tuple[Place, Record]]:
    """The dead letters of sources, each with its record's place there."""
    for record in run.of(topics.DEAD_LETTERS):
        letter = read_dead_letter(record)
        if letter.topic in {source.name for source in topics.SOURCES}:
            yield (letter.topic, letter.partition, letter.offset), record


def _given_up(run: Run, arrivals: Sequence[Arrival]) -> Iterator[bytes]:
    """The events that waited in vain: let in, and dead letters for all that."""
    by_place: dict[Place, list[bytes]] = defaultdict(list)
    for arrival in arrivals:
        by_place[arrival.place].append(arrival.value)
    for place, _ in _origins(run):
        yield from by_place[place]


def _letters(run: Run, refused: Sequence[Place]) -> Iterator[str]:
    """Each refused record is a dead letter once, its bytes unharmed."""
    origin = {(source.name, each.partition, each.offset): each for source in topics.SOURCES for each in run.of(source)}
    letters = Counter(place for place, _ in _origins(run))
    for place in refused:
        if letters[place] != 1:
            yield f"{place}: expected one dead letter, got {letters[place]}"
    for place, record in _origins(run):
        came, carried = origin.get(place), redrive_record(record)
        if came is None or (came.key, came.value, came.headers) != (carried.key, carried.value, carried.headers):
            yield f"{place}: the dead letter does not carry the record that lies there"


def _persons(run: Run, arrivals: Sequence[Arrival], customers: Sequence[Record]) -> Iterator[str]:
    """A person, as the aliases that came together tell, is one key, in that key's partition; a key is one person."""
    same: dict[identity.Alias, identity.Alias] = {}

    def first(alias: identity.Alias) -> identity.Alias:
        while alias in same:
            alias = same[alias]
        return alias

    person_of: dict[bytes, identity.Alias] = {}
    for arrival in arrivals:
        for alias in arrival.aliases:
            if first(alias) != first(arrival.aliases[0]):
                same[first(alias)] = first(arrival.aliases[0])
            person_of[arrival.value] = arrival.aliases[0]
    keys: dict[identity.Alias, set[bytes]] = defaultdict(set)
    persons: dict[bytes, set[identity.Alias]] = defaultdict(set)
    for record in customers:
        key, alias = record.key or b"", person_of.get(record.value or b"")
        if record.partition != topics.partition_of(key, topics.CUSTOMER_EVENTS.partitions):
            yield f"{key!r}: in partition {record.partition} of the log"
        if alias is not None:
            keys[first(alias)].add(key)
            persons[key].add(first(alias))
    yield from (f"{alias}: under {len(found)} keys" for alias, found in keys.items() if len(found) > 1)
    yield from (f"{key!r}: the key of {sorted(found)}" for key, found in persons.items() if len(found) > 1)


def _order(run: Run, arrivals: Sequence[Arrival], customers: Sequence[Record]) -> Iterator[str]:
    """One customer's events out of one source partition are in the log as they were published.

    One whose customer nobody knew goes by way of `unidentified-events` and may be overtaken there by later ones, but
    not by one that went the same way under the same alias (`docs/exactly-once.md`).
    """
    sent_away: dict[bytes, bytes] = {}
    for record in run.of(topics.UNIDENTIFIED_EVENTS):
        item = unidentified.decode(record.value or b"")
        if isinstance(item, unidentified.UnidentifiedEvent):
            sent_away[item.logged] = record.key or b""
    found: dict[bytes, list[Record]] = defaultdict(list)
    for record in reversed(customers):
        found[record.value or b""].append(record)
    latest: dict[tuple[str, int, bytes, bytes | None], tuple[int, Mark]] = {}
    for arrival in arrivals:
        if not found[arrival.value]:
            continue  # lost, waiting or changed: that is told elsewhere
        record = found[arrival.value].pop()
        alias = sent_away.get(arrival.value)
        way = (arrival.place[0], arrival.place[1], record.key or b"")
        for other in {None, alias}:
            before, mark = latest.get((*way, other), (-1, arrival.mark))
            if before > record.offset:
                yield f"event {arrival.mark} of {way}: published after {mark}, and before it in the log"
        latest[*way, alias] = max(latest.get((*way, alias), (-1, arrival.mark)), (record.offset, arrival.mark))


def _beside(run: Run, arrivals: Sequence[Arrival], customers: Sequence[Record]) -> Iterator[str]:
    """Addresses, texts, mentions and costs of the shop's own: each once, in a topic of its own."""
    key_of = {record.value: record.key or b"" for record in customers}
    wanted: Counter[tuple[Topic, bytes | None, bytes | None]] = Counter()
    for arrival in arrivals:
        key = key_of.get(arrival.value)
        if key is not None:
            wanted[topics.ADDRESSES, key, arrival.address] += 1
            wanted[topics.TEXTS, key + b"/" + arrival.mark[1].encode(), arrival.text] += 1
        wanted[topics.MENTIONS, None, arrival.mention] += 1
        if not arrival.aliases:
            wanted[topics.SHOP_COSTS, key_of_cost(*arrival.mark), arrival.shop_cost] += 1
    for topic in (topics.ADDRESSES, topics.TEXTS, topics.MENTIONS, topics.SHOP_COSTS):
        want = Counter({(key, value): n for (of, key, value), n in wanted.items() if of is topic and value is not None})
        got = Counter((record.key, record.value) for record in run.of(topic))
        yield from (f"{topic.name}: {count} missing: {each}" for each, count in (want - got).items())
        yield from (f"{topic.name}: {count} too many: {each}" for each, count in (got - want).items())


# -- behind the log -----------------------------------------------------------------------------------------------


def behind_the_log(run: Run) -> list[str]:
    """What is wrong with state, decisions and triggers, by what the pure core makes of the log."""
    found: list[str] = []
    states: dict[bytes, bytes] = {}
    told: Counter[tuple[bytes, bytes]] = Counter()
    log = by_partition(run.of(topics.CUSTOMER_EVENTS))
    decided, sent = by_partition(run.of(topics.DECISIONS)), by_partition(run.of(topics.TRIGGERS))
    for partition in sorted(log.keys() | decided.keys() | sent.keys()):
        core = replay((each.key or b"", each.value or b"") for each in log.get(partition, ()))
        states.update({customer.encode(): packed for customer, packed in core.profiles.items()})
        told.update((each.customer_id.encode(), logged.encode(each.event)) for each in core.told)
        wanted = [decision_effect(each) for each in core.decisions]
        found += _different(f"decisions of partition {partition}", wanted, decided.get(partition, ()))
        wanted = [trigger_effect(each) for each in core.decisions if each.outcome == "sent"]
        found += _different(f"triggers of partition {partition}", wanted, sent.get(partition, ()))
    found += _wrong_states(states, state_of(run))
    between = Counter(
        (each.key or b"", each.value or b"")
        for each in run.of(topics.CUSTOMER_EVENTS)
        if each.key != logged.CONTROL_KEY and not _is_told_by_a_publisher(each)
    )
    found += [f"one customer's log told another's: {each}" for each in (told - between) + (between - told)]
    return found


def decision_effect(decision: Decision) -> Effect:
    """A decision's record, as `docs/contracts` has it: every field, keyed by customer, without headers."""
    return decision.customer_id.encode(), msgspec.json.encode(decision), ()


def trigger_effect(decision: Decision) -> Effect:
    """The record of a trigger that is sent, as `docs/contracts` has it: what its contract names, as a CloudEvent."""
    said = msgspec.to_builtins(decision)
    body = {name: said[name] for name in triggers.Trigger.model_fields}
    headers = {
        "ce_specversion": "1.0",
        "ce_id": said["trigger_id"],
        "ce_type": "crm." + said["rule"].replace("_", "-") + ".v1",
        "ce_source": "wafa",
        "ce_time": decision.decided_at.isoformat(),
        "ce_subject": said["customer_id"],
        "content-type": "application/json",
    }
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    return decision.customer_id.encode(), msgspec.json.encode(body), encoded


def _different(what: str, wanted: Sequence[Effect], records: Sequence[Record]) -> Iterator[str]:
    """The first place at which a sequence is not the core's, and how long each is."""
    got = [(each.key, each.value, each.headers) for each in records]
    if got == wanted:
        return
    index = next((n for n, (want, have) in enumerate(zip(wanted, got, strict=False)) if want != have), None)
    if index is not None:
        yield f"{what}: number {index}: expected {wanted[index]}, got {got[index]}"
    if len(wanted) != len(got):
        yield f"{what}: expected {len(wanted)}, got {len(got)}"


def _wrong_states(wanted: Mapping[bytes, bytes], got: Mapping[bytes, bytes]) -> Iterator[str]:
    wrong = sorted(key for key in wanted.keys() | got.keys() if wanted.get(key) != got.get(key))
    if wrong:
        key = wrong[0]
        yield f"state of {len(wrong)} customers, first {key!r}: expected {wanted.get(key)!r}, got {got.get(key)!r}"


def state_of(run: Run) -> dict[bytes, bytes]:
    """Each customer's packed profile, as the changelog has it."""
    return {key: packed for key, packed in table(run.of(topics.CUSTOMER_STATE)).items() if not key.startswith(b"__")}


def table(changelog: Iterable[Record]) -> dict[bytes, bytes]:
    """What a changelog adds up to, its position aside."""
    entries: dict[bytes, bytes] = {}
    for record in changelog:
        key = record.key or b""
        if record.value is None:
            entries.pop(key, None)
        elif key != POSITION_KEY:
            entries[key] = payload_of(record.value)
    return entries


def by_partition(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The same, partition by partition."""
    found: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    return found
