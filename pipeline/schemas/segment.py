"""Segment and RudderStack calls: `identify`, the `track` events of `segment_track`, campaigns and consent in context.

`messageId` is the event's id; its source is `segment:` and what identifies the sender: a digest of `writeKey`, else
`projectId`, else the library's name. What comes along in the same call gets an id derived from it: `<messageId>/touch`
for `context.campaign`, `<messageId>/consent/<category>` for an explicit `context.consent` of an identify or a consent
update. `anonymousId` is nobody: a browser is not a person. Any source topic takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import msgspec

from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import AN_INSTANT, is_instant, time_zones
from pipeline.schemas.explain import PROBLEMS_MAX, Unreadable, describe, event_name, not_json
from pipeline.schemas.segment_fields import BadField, Fields, bad_field, code, got, section, short, text
from pipeline.schemas.segment_track import CONSENT_UPDATED, ROWS, Call

MARK: Final = b'"messageId"'
"""Without it in its value a record is no Segment call."""

CALLS: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})
ID_CHARS_MAX: Final = 100
_CONSENTS_MAX: Final = 20
_NAME_CHARS_MAX: Final = 300

_NAME_THEM: Final = ("email", "unsubscribed", "sms", "order", "referral advocate")
"""Events whose own properties may hold the customer's address."""

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE: Final = re.compile(r"\+?[0-9 ()./-]{4,39}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_decode: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def events_of(value: bytes, whys: list[Unreadable], *, received_ms: int) -> list[dict[str, Any]] | None:
    """What a call says, as events in Wafa's own fields; None if this is no such call.

    `received_ms` is when the broker took it, for clocks that are wrong. What is wrong with the call is added to `whys`;
    the events are then as if it were right, as far as there are any, for looking at and not to be used.
    Raises Unreadable for what is no object.
    """
    call = _call(value)
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in CALLS or "messageId" not in call:
        return None
    while len(whys) < PROBLEMS_MAX:
        try:
            return _said(call, received_ms)
        except BadField as why:
            whys.append(why)
            if not isinstance(call.get("properties"), dict):
                call["properties"] = {}
            why.mend()
        except Unreadable as why:
            whys.append(why)
            break
    return []


def _said(call: dict[str, Any], received_ms: int) -> list[dict[str, Any]]:
    """The events of a call. Raises Unreadable."""
    message_id = text(call, "messageId")
    if message_id is None or len(message_id) > ID_CHARS_MAX:
        problem = f"messageId: expected a string of 1 to {ID_CHARS_MAX}, got {got(call, 'messageId')}"
        raise bad_field(call, "messageId", "-", problem)
    common = {"source": _source(call), "occurred_at": _occurred_at(call, received_ms), **_aliases(call)}
    events = [
        {"id": message_id, **common, **main}
        for main in _main(call, message_id)
    ]  # fmt: skip
    events.extend({**common, **beside} for beside in _beside(call, message_id))
    if not events:
        raise Unreadable(
            Reason.SCHEMA_VIOLATION, "context.consent: expected a category that is true or false, got none"
        )
    return events


def _call(value: bytes) -> dict[str, Any]:
    try:
        return _decode(value)
    except UnicodeDecodeError:
        raise not_json(value, "another encoding") from None
    except (msgspec.ValidationError, ArithmeticError):  # the latter from Decimal: 1e99999999999999999999
        problem = "value: expected an object with numbers in range, got something else"
        raise Unreadable(Reason.SCHEMA_VIOLATION, problem) from None
    except RecursionError:
        raise not_json(value, "deeper nesting than can be read") from None
    except ValueError as error:
        raise not_json(value, str(error)) from None


def _main(call: Fields, message_id: str) -> Iterator[dict[str, Any]]:
    """What the call itself says: nothing for a consent update or a page of a campaign, whose context says it."""
    kind = call["type"]
    if kind == "identify":
        yield _identified(call)
    elif kind == "track":
        name = _event_name(call)
        if name in ROWS:
            yield ROWS[name](Call(message_id, section(call, "properties")))
        elif not name:
            raise Unreadable(Reason.SCHEMA_VIOLATION, f"event: expected a string, got {got(call, 'event')}")
        elif name != CONSENT_UPDATED:
            given = event_name(call["event"].strip())
            raise Unreadable(Reason.UNKNOWN_TYPE, f"event: expected one Wafa knows, got {given}")
    elif kind not in ("page", "screen") or _touch(call) is None:
        raise Unreadable(Reason.UNKNOWN_TYPE, f"type: expected identify, track or a campaign's page, got {kind!r}")


def _event_name(call: Fields) -> str:
    """A track call's event as `ROWS` has it; empty if it has none."""
    name = call.get("event")
    return name.strip().lower() if isinstance(name, str) else ""


def _beside(call: Fields, message_id: str) -> Iterator[dict[str, Any]]:
    touch = _touch(call)
    if touch is not None:
        yield {"id": _derived(message_id, "touch"), **touch}
    if call["type"] == "identify" or _event_name(call) == CONSENT_UPDATED:
        yield from _consents(call, message_id)


def _derived(message_id: str, part: str) -> str:
    """An id of its own for what came along. A long `messageId` is digested, so that it fits."""
    whole = f"{message_id}/{part}"
    if len(whole) <= ID_CHARS_MAX:
        return whole
    return f"{_digest(whole)}/{part[: ID_CHARS_MAX - 40]}"


def _digest(value: str, size: int = 16) -> str:
    return blake2b(value.encode(), digest_size=size).hexdigest()


def _source(call: Fields) -> str:
    write_key = text(call, "writeKey")
    if write_key is not None:
        return f"segment:{_digest(write_key, 8)}"
    name = short(call, "projectId", at_most=80) or short(
        section(section(call, "context"), "library"), "name", at_most=80
    )
    return f"segment:{name}" if name else "segment"


def _occurred_at(call: Fields, received_ms: int) -> str:
    """`timestamp` (which Segment has corrected); else the sender's own time, less what its clock was ahead."""
    timestamp = _instant(call, "timestamp")
    if timestamp is not None:
        return timestamp.isoformat()
    original, sent = _instant(call, "originalTimestamp"), _instant(call, "sentAt")
    received = _instant(call, "receivedAt") or _EPOCH + timedelta(milliseconds=received_ms)
    if original is None:
        return received.isoformat()
    if sent is None:
        return original.isoformat()
    try:
        return (received - (sent - original)).isoformat()
    except OverflowError:
        problem = "originalTimestamp: expected one near sentAt, got one farther than the calendar"
        raise bad_field(call, "originalTimestamp", None, problem) from None


def _instant(call: Fields, name: str) -> datetime | None:
    value = call.get(name)
    if value is None:
        return None
    if isinstance(value, str) and is_instant(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:  # such as the 30th of February
            pass
    raise bad_field(call, name, None, f"{name}: expected {AN_INSTANT}, got {describe(value)}")


def _aliases(call: Fields) -> dict[str, str]:
    """Whom it is about: `userId`, and the address and number in traits. One that is none is as if not given."""
    context = section(call, "context")
    places = [section(call, "traits"), section(context, "traits")]
    properties = section(call, "properties")
    if _event_name(call).startswith(_NAME_THEM):
        places.append(properties)
    aliases = {}
    user_id = text(call, "userId", "user_id")
    if user_id is not None:
        aliases["customer_id"] = user_id
    for place in places:
        email = short(place, "email", at_most=320)
        if email is not None and "email" not in aliases and _EMAIL.fullmatch(email):
            aliases["email"] = email
        phone = short(place, "phone", at_most=40)
        if phone is not None and "phone" not in aliases and _PHONE.fullmatch(phone):
            aliases["phone"] = phone
    return aliases


def _identified(call: Fields) -> dict[str, Any]:
    traits, context = section(call, "traits"), section(call, "context")
    address = section(traits, "address")
    both = " ".join(
        part for part in (short(traits, "firstName", "first_name"), short(traits, "lastName", "last_name")) if part
    )
    country = (short(address, "country") or short(traits, "country") or "").upper()
    language = (short(traits, "language", "locale") or short(context, "locale") or "").replace("_", "-")
    zone = short(traits, "timezone") or short(context, "timezone")
    places = (
        short(address, name, at_most=200)
        for name in ("street", "postalCode", "postal_code", "city", "state", "country")
    )
    return {
        "type": "CustomerIdentified",
        "name": short(traits, "name", at_most=_NAME_CHARS_MAX) or both or None,
        "language": language if _LANGUAGE.fullmatch(language) else None,
        "time_zone": zone if zone in time_zones() else None,
        "country": country if _COUNTRY.fullmatch(country) else None,
        "area": short(address, "state", "city", at_most=_NAME_CHARS_MAX),
        "postal_address": ", ".join(part for part in places if part) or None,
        "job": short(traits, "title", "job", at_most=_NAME_CHARS_MAX),
        "company": short(section(traits, "company"), "name", at_most=_NAME_CHARS_MAX)
        or short(traits, "company", at_most=_NAME_CHARS_MAX),
    }


def _touch(call: Fields) -> dict[str, Any] | None:
    """`context.campaign`: through its medium, or else its source."""
    context = section(call, "context")
    campaign = section(context, "campaign")
    channel = code(text(campaign, "medium")) or code(text(campaign, "source"))
    if channel is None:
        return None
    return {
        "type": "TouchRecorded",
        "channel": channel,
        "campaign_id": short(campaign, "name"),
        "followed": True,
        "search_term": short(campaign, "term", at_most=500),
        "referrer": short(section(context, "referrer"), "url", at_most=2000)
        or short(section(context, "page"), "referrer", at_most=2000),
        "affiliate_id": short(campaign, "source") if channel == "affiliate" else None,
    }


def _consents(call: Fields, message_id: str) -> Iterator[dict[str, Any]]:
    """Only what is said outright: no category, no value or any other value changes nothing. Of yes and no, no."""
    preferences = section(section(section(call, "context"), "consent"), "categoryPreferences")
    granted: dict[str, bool] = {}
    for name, value in preferences.items():
        purpose = code(name)
        if purpose is not None and isinstance(value, bool):
            granted[purpose] = value and granted.get(purpose, True)
    for purpose, value in islice(granted.items(), _CONSENTS_MAX):
        yield {
            "id": _derived(message_id, f"consent/{purpose}"),
            "type": "ConsentChanged",
            "purpose": purpose,
            "state": "granted" if value else "denied",
        }
