"""From records to events: each becomes one or several events, or is refused with every reason. Nothing is raised.

The forms are told apart by what they carry: CloudEvents by their headers (or `specversion`), Segment and RudderStack
calls by `messageId`; all else is Wafa's own JSON. Every form ends in the same models and the same checks, so that what
is accepted does not depend on how it was said. A record of which a part is wrong is refused whole, and each further
check is made that says something without the one that failed: its publisher mends it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar, get_args

import msgspec
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from pipeline import topics
from pipeline.schemas import cloudevents, segment
from pipeline.schemas.dead_letters import Reason, Record, fault
from pipeline.schemas.events import CostRecorded, Inbound, InboundEvent, contradiction, names_nobody
from pipeline.schemas.explain import Unreadable, explain, not_json, noted, together


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """An event, and the place of its record in the batch. A record may give several."""

    index: int
    event: InboundEvent


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A record nobody can use: its place in the batch, what kind of fault was found first, and all that is wrong."""

    index: int
    reason: Reason
    problems: tuple[str, ...]
    event: InboundEvent | None = None
    """What it says, if its fields are right by themselves: whoever lets events in may have more against it."""


class _OutOfPlace(Unreadable):
    """An event that is right in each of its fields, and not as a whole, or not here."""

    def __init__(self, event: InboundEvent, why: Unreadable) -> None:
        super().__init__(why.reason, *why.problems)
        self.event = event


_INBOUND: Final = TypeAdapter[InboundEvent](Annotated[InboundEvent, Field(discriminator="type")])
_validate: Final[Callable[[bytes], InboundEvent]] = _INBOUND.validator.validate_json
_encode: Final = msgspec.json.Encoder().encode

_TYPES: Final[tuple[type[Inbound], ...]] = get_args(InboundEvent)
_TYPES_BY_TOPIC: Final = {
    topic.name: frozenset(kind for kind in _TYPES if topics.SOURCE_OF_EVENT[kind.__name__] == topic.name)
    for topic in topics.SOURCES
}
_ANY_TYPE: Final = frozenset(_TYPES)
_TYPES_BY_NAME: Final = {kind.__name__: kind for kind in _TYPES}
_T = TypeVar("_T")

HEADERS_BYTES_MAX: Final = 64 * 1024
_PLAIN_BYTES_MAX: Final = topics.MAX_RECORD_BYTES // 2
"""A value and a key up to here, without headers, need no closer look at their size."""


def parse_batch(records: Sequence[Record], topic: str | None) -> tuple[list[Parsed], list[Refused]]:
    """The events of `records` and the refusals, each in the records' order.

    `topic` is the source they came from, without its prefix; None where they have none yet: any event may be there.
    """
    belongs = _ANY_TYPE if topic is None else _TYPES_BY_TOPIC[topic]
    parsed: list[Parsed] = []
    refused: list[Refused] = []
    for index, record in enumerate(records):
        value = record.value
        try:
            if value and not record.headers and _is_plain(value, record.key):
                parsed.append(Parsed(index, read_event(value, belongs)))
            else:
                parsed.extend([Parsed(index, event) for event in _events(record, belongs)])
        except _OutOfPlace as why:
            refused.append(Refused(index, why.reason, why.problems, why.event))
        except Unreadable as why:
            refused.append(Refused(index, why.reason, why.problems))
        except Exception as error:  # noqa: BLE001 - one bad record must not stop the rest; it is kept and said
            refused.append(Refused(index, Reason.ADMISSION_FAILED, (fault(error),)))
    return parsed, refused


def _is_plain(value: bytes, key: bytes | None) -> bool:
    if len(value) > _PLAIN_BYTES_MAX or (key is not None and len(key) > _PLAIN_BYTES_MAX):
        return False
    return segment.MARK not in value and cloudevents.MARK not in value


def read_event(value: bytes, belongs: frozenset[type[Inbound]] = _ANY_TYPE) -> InboundEvent:
    """The event of a value in Wafa's own JSON, all checks included. Raises Unreadable."""
    try:
        event = _validate(value)
    except ValidationError as error:
        raise together([explain(error, value), *_beside(error, value, belongs)]) from None
    if b"NaN" in value or b"Infinity" in value:  # pydantic reads them, in fields it ignores too; JSON has neither
        _be_json(value)
    if event.__class__ not in belongs or names_nobody(event) or contradiction(event) is not None:
        raise _OutOfPlace(event, together(_faults(event, belongs)))
    return event


def _faults(event: InboundEvent, belongs: frozenset[type[Inbound]]) -> list[Unreadable]:
    """What is wrong with an event as a whole, and with its place."""
    whys = []
    if event.__class__ not in belongs:
        whys.append(_wrong_topic(event))
    if _asked(names_nobody, event):
        whys.append(_no_alias(event))
    problem = _asked(contradiction, event)
    if problem is not None:
        whys.append(Unreadable(Reason.SCHEMA_VIOLATION, problem))
    return whys


def _asked(check: Callable[[InboundEvent], _T], event: InboundEvent) -> _T | None:
    """What a check says of an event; None if it hangs on a field that the event lacks, being wrong."""
    try:
        return check(event)
    except AttributeError:
        return None


def _beside(error: ValidationError, value: bytes, belongs: frozenset[type[Inbound]]) -> list[Unreadable]:
    """What is wrong as a whole with an event of which some fields are wrong, as far as the others tell."""
    places = [detail["loc"] for detail in error.errors(include_url=False)]
    if any(len(place) < 2 for place in places):  # noqa: PLR2004 - the event's type, then the field: here there is none
        return []
    kind = _TYPES_BY_NAME[str(places[0][0])]
    wrong = {place[1] for place in places}
    given = {name: each for name, each in from_json(value).items() if name in kind.model_fields and name not in wrong}
    event = kind.model_construct(**given)
    for name in wrong:
        event.__dict__.pop(str(name), None)
    return _faults(event, belongs)  # type: ignore[arg-type]  # each type of `_TYPES` is one of InboundEvent's


def _events(record: Record, belongs: frozenset[type[Inbound]]) -> Sequence[InboundEvent]:
    """The events of a record that is not plainly Wafa's own JSON. Raises Unreadable."""
    value = record.value
    if not value:
        raise Unreadable(Reason.EMPTY_VALUE, f"value: expected an event, got {'null' if value is None else 'no bytes'}")
    headers = sum(len(name) + len(text or b"") for name, text in record.headers)
    if headers > HEADERS_BYTES_MAX:
        raise Unreadable(Reason.TOO_LARGE, f"headers: expected at most {HEADERS_BYTES_MAX} bytes, got {headers}")
    size = len(value) + len(record.key or b"") + headers
    if size > topics.MAX_RECORD_BYTES:
        raise Unreadable(Reason.TOO_LARGE, f"record: expected at most {topics.MAX_RECORD_BYTES} bytes, got {size}")
    whys: list[Unreadable] = []
    inner = cloudevents.unwrap(value, record.headers, whys)
    if inner is not None:
        return _read_all([inner], belongs, whys)
    calls = segment.events_of(value, whys, received_ms=record.timestamp) if segment.MARK in value and not whys else None
    if calls is not None or whys:
        return _read_all([_encode(call) for call in calls or ()], _ANY_TYPE, whys)
    return (read_event(value, belongs),)


def _read_all(values: Sequence[bytes], belongs: frozenset[type[Inbound]], whys: list[Unreadable]) -> list[InboundEvent]:
    """The events of a record in another form. Raises Unreadable: with what was wrong with the form, then with each."""
    events = [noted(whys, read_event, value, belongs) for value in values]
    if len(whys) == 1:
        raise whys[0]
    if whys:
        raise together(whys)
    return [event for event in events if event is not None]


def _be_json(value: bytes) -> None:
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise not_json(value, "NaN or Infinity") from None


def _wrong_topic(event: InboundEvent) -> Unreadable:
    right = topics.SOURCE_OF_EVENT[event.type]
    return Unreadable(
        Reason.WRONG_TOPIC, f"type: expected an event of this topic, got {event.type} (belongs on {right})"
    )


def _no_alias(event: InboundEvent) -> Unreadable:
    aliases = "customer_id, email, phone, handle"
    if isinstance(event, CostRecorded) and event.order_id is None:
        aliases += ", channel, campaign_id, affiliate_id, partner_id"
    return Unreadable(Reason.NO_ALIAS, f"{aliases}: expected at least one, got none")
