"""What may not stand in the log: how to reach a customer, and what they wrote. Restricted topics, compacted.

`crm.addresses.v1` (key: customer id) holds the latest `Address`, whole: a newer one replaces it. `crm.texts.v1` (key:
customer id/event id) holds one `WrittenText` an event. Erasing a customer writes tombstones over both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to reach a customer and what to call them, as last told."""

    occurred_at: Annotated[datetime, Meta(tz=True, description="When they or their system said so.")]
    kind: Annotated[str, Meta(description="`person` or `company`.")] = "person"
    name: Annotated[str | None, Meta(description="What to call them.")] = None
    email: Annotated[str | None, Meta(description="E-mail address.")] = None
    phone: Annotated[str | None, Meta(description="Phone number, as told.")] = None
    handle: Annotated[str | None, Meta(description="On a platform, as `platform:name`.")] = None
    handles: Annotated[tuple[str, ...], Meta(description="On further platforms.")] = ()
    language: Annotated[str | None, Meta(description="The language they want, BCP 47.")] = None
    time_zone: Annotated[str | None, Meta(description="IANA time zone.")] = None
    country: Annotated[str | None, Meta(description="ISO 3166-1 alpha-2.")] = None
    area: Annotated[str | None, Meta(description="Region or town.")] = None
    postal_address: Annotated[str | None, Meta(description="For post.")] = None
    job: Annotated[str | None, Meta(description="What they do.")] = None
    company: Annotated[str | None, Meta(description="Whom they do it for.")] = None


class WrittenText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a customer wrote or searched for, or was noted of them, word for word."""

    event: Annotated[str, Meta(description="The type of the event it came with, such as `TicketOpened`.")]
    occurred_at: Annotated[datetime, Meta(tz=True, description="When that happened.")]
    text: Annotated[str, Meta(description="Word for word.")]
    language: Annotated[str | None, Meta(description="BCP 47, where the source says so.")] = None
    url: Annotated[str | None, Meta(description="Where to read it.")] = None


encode: Final = msgspec.json.Encoder().encode
"""A record's value."""
