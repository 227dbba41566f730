"""What the shop spent on no customer: on a channel, a campaign, an affiliate or a partner."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta


class ShopCost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One cost, in the shop's currency. Of words told under one id the last to arrive counts, whatever its date."""

    department: Annotated[str, Meta(description="Who spent it: marketing, sales or service.")]
    amount_minor: Annotated[int, Meta(description="How much; below zero takes an earlier cost back.")]
    currency: Annotated[str, Meta(description="The shop's, ISO 4217.")]
    occurred_at: Annotated[datetime, Meta(description="When it was spent.")]
    channel: Annotated[str | None, Meta(description="For which channel; none counts for no channel's customers.")] = (
        None
    )
    period_start_on: Annotated[date | None, Meta(description="First day it was spent for.")] = None
    period_end_on: Annotated[date | None, Meta(description="Last day it was spent for.")] = None
    activity: Annotated[str | None, Meta(description="On what, such as `advertising`.")] = None
    activity_count: Annotated[int, Meta(description="How many of it.")] = 1
    campaign_id: Annotated[str | None, Meta(description="For which campaign.")] = None
    affiliate_id: Annotated[str | None, Meta(description="To which affiliate.")] = None
    partner_id: Annotated[str | None, Meta(description="With which partner company.")] = None
    simulated: Annotated[bool, Meta(description="Made up, by a simulator or a test.")] = False


decode: Final = msgspec.json.Decoder(ShopCost).decode
"""A record's value as a cost. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
encode: Final = msgspec.json.Encoder().encode
