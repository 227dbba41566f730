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
from pipeline.schemas.explain import Unreadable, describe, event_name, not_json
from pipeline.topics import SOURCE_OF_EVENT

MARK: Final = b'"specversion"'
"""Without it in its value a record is no CloudEvent, unless its headers say so."""

_SPEC_VERSION: Final = "1.0"
_REQUIRED: Final = ("id", "source", "type", "specversion")
_ALIASES: Final = frozenset({"customer_id", "email", "phone", "handle"})
_NAMES: Final = {name.lower(): name for name in SOURCE_OF_EVENT}
_VERSION: Final = re.compile(r"\.v\d+(\.\d+)*$")
_JSON_TYPE: Final = re.compile(r"application/json|[a-z]+/[a-z0-9.+-]*\+json|text/json", re.IGNORECASE)

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def unwrap(value: bytes, headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """The event inside, as Wafa's own JSON; None if this is no CloudEvent. Raises Unreadable."""
    if headers:
        given = {name.lower(): text or b"" for name, text in headers}
        content_type = given.get("content-type", b"").lower()
        if content_type.startswith(b"application/cloudevents"):
            return _from_structured(value, content_type)
        if any(name in given for name in ("ce_specversion", "ce_type")):
            return _from_binary(value, given)
    if MARK in value and _says_so(value):
        return _from_structured(value, b"application/cloudevents+json")
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


def _from_binary(value: bytes, headers: dict[str, bytes]) -> bytes:
    attributes = {}
    for name, text in headers.items():
        if name.startswith("ce_"):
            try:
                attributes[name.removeprefix("ce_")] = text.decode()
            except UnicodeDecodeError:
                raise Unreadable(Reason.INVALID_UTF8, f"{name[:40]}: expected UTF-8, got other bytes") from None
    _check(attributes, "ce_")
    content_type = headers.get("content-type", b"application/json").decode("latin-1")
    _be_json_type(content_type, "content-type")
    return _merge(_object(value, "value"), attributes)


def _from_structured(value: bytes, content_type: bytes) -> bytes:
    if content_type.startswith(b"application/cloudevents-batch"):
        raise Unreadable(Reason.SCHEMA_VIOLATION, "content-type: expected one event a record, got a batch")
    envelope = _object(value, "value")
    attributes: dict[str, str] = {}
    for name in (*_REQUIRED, "time", "subject", "datacontenttype"):
        if name in envelope:
            given = _decode_any(envelope[name])
            if given is None:
                continue
            if not isinstance(given, str):
                raise Unreadable(Reason.SCHEMA_VIOLATION, f"{name}: expected a string, got {describe(given)}")
            attributes[name] = given
    _check(attributes, "")
    _be_json_type(attributes.get("datacontenttype", "application/json"), "datacontenttype")
    if "data_base64" in envelope:
        return _merge(_object(_from_base64(envelope["data_base64"]), "data_base64"), attributes)
    return _merge(_object(bytes(envelope.get("data", b"{}")), "data"), attributes)


def _says_so(value: bytes) -> bool:
    """Whether `specversion` is a field of the record, not of something in it."""
    try:
        return "specversion" in _decode_object(value)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors; the models will say what is wrong
        return False


def _check(attributes: dict[str, str], prefix: str) -> None:
    problems = [f"{prefix}{name}: expected a string, got nothing" for name in _REQUIRED if not attributes.get(name)]
    if attributes.get("specversion", _SPEC_VERSION) != _SPEC_VERSION:
        problems.append(f"{prefix}specversion: expected {_SPEC_VERSION}, got another")
    if problems:
        raise Unreadable(Reason.SCHEMA_VIOLATION, *problems)


def _be_json_type(content_type: str, field: str) -> None:
    if not _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()):
        raise Unreadable(Reason.SCHEMA_VIOLATION, f"{field}: expected application/json, got another")


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


def _merge(fields: dict[str, Any], attributes: dict[str, str]) -> bytes:
    fields["type"] = event_type(attributes["type"])
    fields["id"] = attributes["id"]
    fields["source"] = attributes["source"]
    if "occurred_at" not in fields and "time" in attributes:
        fields["occurred_at"] = attributes["time"]
    if "subject" in attributes and _ALIASES.isdisjoint(fields):
        fields["customer_id"] = attributes["subject"]
    return _encode(fields)
