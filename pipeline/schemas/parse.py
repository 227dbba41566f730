"""From records to events: each becomes one or several events, or is refused with every reason. Nothing is raised.

The forms are told apart by what they carry: CloudEvents by their headers (or `specversion`), Segment and RudderStack
calls by `messageId`; all else is Wafa's own JSON. Every form ends in the same models and the same checks, so that what
is accepted does not depend on how it was said. A record of which a part is wrong is refused whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, get_args

import msgspec
from pydantic import Field, TypeAdapter, ValidationError

from pipeline import topics
from pipeline.schemas import cloudevents, segment
from pipeline.schemas.dead_letters import Reason, Record, fault
from pipeline.schemas.events import CostRecorded, Inbound, InboundEvent, contradiction, names_nobody
from pipeline.schemas.explain import Unreadable, explain, not_json


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """An event, and the place of its record in the batch. A record may give several."""

    index: int
    event: InboundEvent


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A record nobody can use: its place in the batch, the kind of refusal, and everything that is wrong."""

    index: int
    reason: Reason
    problems: tuple[str, ...]


_INBOUND: Final = TypeAdapter[InboundEvent](Annotated[InboundEvent, Field(discriminator="type")])
_validate: Final[Callable[[bytes], InboundEvent]] = _INBOUND.validator.validate_json
_encode: Final = msgspec.json.Encoder().encode

_TYPES: Final[tuple[type[Inbound], ...]] = get_args(InboundEvent)
_TYPES_BY_TOPIC: Final = {
    topic.name: frozenset(kind for kind in _TYPES if topics.SOURCE_OF_EVENT[kind.__name__] == topic.name)
    for topic in topics.SOURCES
}
_ANY_TYPE: Final = frozenset(_TYPES)

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
        raise explain(error, value) from None
    if b"NaN" in value or b"Infinity" in value:  # pydantic reads them, in fields it ignores too; JSON has neither
        _be_json(value)
    if event.__class__ not in belongs:
        raise _wrong_topic(event)
    if names_nobody(event):
        raise _no_alias(event)
    problem = contradiction(event)
    if problem is not None:
        raise Unreadable(Reason.SCHEMA_VIOLATION, problem)
    return event


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
    inner = cloudevents.unwrap(value, record.headers)
    if inner is not None:
        return (read_event(inner, belongs),)
    calls = segment.events_of(value, received_ms=record.timestamp) if segment.MARK in value else None
    if calls is not None:
        return [read_event(_encode(call)) for call in calls]
    return (read_event(value, belongs),)


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
