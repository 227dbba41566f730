"""CloudEvents 1.0 on Kafka, structured and binary: the envelope says which event, whose and when; `data` says the rest.

The envelope's `id`, `source` and `type` stand for the event's own. Its `time` and `subject` serve where the data has no
`occurred_at` and no alias of the customer (`subject` is then the publisher's customer id). The type is an event's name
with anything before it and a version after it: `OrderCompleted`, `com.example.order-completed.v1`.
Source: CloudEvents 1.0.2, and its Kafka protocol binding, sections 3.1 to 3.3.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.explain import Unreadable, describe, event_name, not_json, noted
from pipeline.topics import SOURCE_OF_EVENT

MARK: Final = b'"specversion"'
"""Without it in its value a record is no CloudEvent, unless its headers say so."""

_SPEC_VERSION: Final = "1.0"
_STAND_IN: Final = "-"
"""For an id or source that is wrong, so that the data can be looked at all the same."""
_REQUIRED: Final = ("id", "source", "type", "specversion")
_ALIASES: Final = frozenset({"customer_id", "email", "phone", "handle"})
_NAMES: Final = {name.lower(): name for name in SOURCE_OF_EVENT}
_VERSION: Final = re.compile(r"\.v\d+(\.\d+)*$")
_JSON_TYPE: Final = re.compile(r"application/json|[a-z]+/[a-z0-9.+-]*\+json|text/json", re.IGNORECASE)

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def unwrap(value: bytes, headers: Sequence[tuple[str, bytes | None]], whys: list[Unreadable]) -> bytes | None:
    """The event inside, as Wafa's own JSON; None if this is no CloudEvent, or none can be made out.

    What is wrong with the envelope is added to `whys`; the event is then for looking at, and not to be used.
    """
    if headers:
        given = {name.lower(): text or b"" for name, text in headers}
        content_type = given.get("content-type", b"").lower()
        if content_type.startswith(b"application/cloudevents"):
            return _from_structured(value, content_type, whys)
        if any(name in given for name in ("ce_specversion", "ce_type")):
            return _from_binary(value, given, whys)
    if MARK in value and _says_so(value):
        return _from_structured(value, b"application/cloudevents+json", whys)
    return None


def event_type(name: str) -> str:
    """Which event a CloudEvents type means. Raises Unreadable for one unknown."""
    last = _VERSION.sub("", name).rpartition(".")[2]
    known = _NAMES.get(last.replace("-", "").replace("_", "").lower())
    if known is None:
        raise Unreadable(
            Reason.UNKNOWN_TYPE, f"type: expected one that ends in an event's name, got {event_name(name)}"
        )
    return known


def _from_binary(value: bytes, headers: dict[str, bytes], whys: list[Unreadable]) -> bytes | None:
    attributes: dict[str, str] = {}
    wrong: set[str] = set()
    for name, text in headers.items():
        if name.startswith("ce_"):
            try:
                attributes[name.removeprefix("ce_")] = text.decode()
            except UnicodeDecodeError:
                wrong.add(name.removeprefix("ce_"))
                whys.append(Unreadable(Reason.INVALID_UTF8, f"{name[:40]}: expected UTF-8, got other bytes"))
    _check(attributes, wrong, "ce_", whys)
    content_type = headers.get("content-type", b"application/json").decode("latin-1")
    if not _is_json_type(content_type, "content-type", whys):
        return None
    return _merge(noted(whys, _object, value, "value"), attributes, whys)


def _from_structured(value: bytes, content_type: bytes, whys: list[Unreadable]) -> bytes | None:
    if content_type.startswith(b"application/cloudevents-batch"):
        whys.append(Unreadable(Reason.SCHEMA_VIOLATION, "content-type: expected one event a record, got a batch"))
        return None
    envelope = noted(whys, _object, value, "value")
    if envelope is None:
        return None
    attributes: dict[str, str] = {}
    wrong: set[str] = set()
    for name in (*_REQUIRED, "time", "subject", "datacontenttype"):
        if name in envelope:
            given = _decode_any(envelope[name])
            if given is None:
                continue
            if isinstance(given, str):
                attributes[name] = given
            else:
                wrong.add(name)
                problem = f"{name}: expected a string, got {describe(given)}"
                whys.append(Unreadable(Reason.SCHEMA_VIOLATION, problem))
    _check(attributes, wrong, "", whys)
    if not _is_json_type(attributes.get("datacontenttype", "application/json"), "datacontenttype", whys):
        return None
    if "data_base64" in envelope:
        data = noted(whys, _from_base64, envelope["data_base64"])
        return None if data is None else _merge(noted(whys, _object, data, "data_base64"), attributes, whys)
    return _merge(noted(whys, _object, bytes(envelope.get("data", b"{}")), "data"), attributes, whys)


def _says_so(value: bytes) -> bool:
    """Whether `specversion` is a field of the record, not of something in it."""
    try:
        return "specversion" in _decode_object(value)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors; the models will say what is wrong
        return False


def _check(attributes: dict[str, str], wrong: set[str], prefix: str, whys: list[Unreadable]) -> None:
    problems = [
        f"{prefix}{name}: expected a string, got nothing"
        for name in _REQUIRED
        if name not in wrong and not attributes.get(name)
    ]
    if (attributes.get("specversion") or _SPEC_VERSION) != _SPEC_VERSION:
        problems.append(f"{prefix}specversion: expected {_SPEC_VERSION}, got another")
    if problems:
        whys.append(Unreadable(Reason.SCHEMA_VIOLATION, *problems))


def _is_json_type(content_type: str, field: str, whys: list[Unreadable]) -> bool:
    if _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()):
        return True
    whys.append(Unreadable(Reason.SCHEMA_VIOLATION, f"{field}: expected application/json, got another"))
    return False


def _object(value: bytes, field: str) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = _decode_object(value)
    except msgspec.ValidationError:
        raise Unreadable(Reason.SCHEMA_VIOLATION, f"{field}: expected an object, got something else") from None
    except RecursionError:
        raise Unreadable(Reason.NOT_JSON, f"{field}: expected JSON, got deeper nesting than can be read") from None
    except ValueError as error:
        raise not_json(value, str(error)) from None
    return fields


def _from_base64(raw: msgspec.Raw) -> bytes:
    try:
        return b64decode(_decode_any(raw), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Unreadable(Reason.SCHEMA_VIOLATION, "data_base64: expected base64, got something else") from None


def _merge(fields: dict[str, Any] | None, attributes: dict[str, str], whys: list[Unreadable]) -> bytes | None:
    """Data and envelope as one event; None where the data is no object, or the type means no event."""
    kind = noted(whys, event_type, attributes["type"]) if attributes.get("type") else None
    if fields is None or kind is None:
        return None
    fields["type"] = kind
    fields["id"] = attributes.get("id") or _STAND_IN
    fields["source"] = attributes.get("source") or _STAND_IN
    if "occurred_at" not in fields and "time" in attributes:
        fields["occurred_at"] = attributes["time"]
    if "subject" in attributes and _ALIASES.isdisjoint(fields):
        fields["customer_id"] = attributes["subject"]
    return _encode(fields)
