"""What may not stand in the log: how to reach a customer, and what they wrote. Restricted topics, compacted.

`crm.addresses.v1` (key: customer id) holds the latest `Address`, whole: a newer one replaces it. `crm.texts.v1` (key:
customer id/event id) holds one `WrittenText` an event. Erasing a customer writes tombstones over both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to reach a customer and what to call them, as last told."""

    occurred_at: datetime
    kind: str = "person"
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    handle: str | None = None
    handles: tuple[str, ...] = ()
    language: str | None = None
    time_zone: str | None = None
    country: str | None = None
    area: str | None = None
    postal_address: str | None = None
    job: str | None = None
    company: str | None = None


class WrittenText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a customer wrote or searched for, or was noted of them, word for word. `event` is the type of its event."""

    event: str
    occurred_at: datetime
    text: str
    language: str | None = None
    url: str | None = None


encode: Final = msgspec.json.Encoder().encode
"""A record's value."""
