"""What waits for, or tells of, an identity: the records of `crm.unidentified-events.v1`.

Internal to Wafa, but written down like any contract, since an upgrade meets the records of the version before. The key
is the keyed hash of one alias, so that each alias has one writer: the owner of its partition.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The record as its publisher sent it, should it have to become a dead letter after all."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class UnidentifiedEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An admitted event whose customer nobody knows yet, with what goes beside the log."""

    event_id: str
    logged: bytes
    address: bytes | None
    text: bytes | None
    received_at: datetime
    aliases: tuple[str, ...]
    """Keyed hashes of the event's aliases, strongest first; the record's key is the first."""
    original: Original | None
    """None: the event may make a new customer. Else it waits for one, and may wait in vain."""


class AliasSeen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A known customer used another alias too. Its owner links it, or records that it belongs to somebody else."""

    alias: str
    customer_id: str


Unidentified = UnidentifiedEvent | AliasSeen

_decoder: Final = msgspec.json.Decoder(Unidentified)
_encoder: Final = msgspec.json.Encoder()

decode = _decoder.decode
"""One record's value. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""

encode = _encoder.encode
"""A record's value."""
