"""Through the door: an event becomes what its customer's log keeps, and beside it what the log may not hold.

Pure. Addresses and words leave here as records of restricted topics of their own; a public mention leaves a trace
without who and what. An event from the future, or money without a rate, is refused, with every reason.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from pipeline.core.entries import NotAdmitted, ReadSentiment, Shop, entry_of, utc
from pipeline.core.shop_costs import odd_period, shop_cost
from pipeline.schemas import events, logged, mentions, personal, shop_costs
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.events import InboundEvent, may_be_nobodys

__all__ = ["AHEAD_MAX", "Admitted", "ReadSentiment", "Refusal", "Shop", "admit"]

AHEAD_MAX: Final = timedelta(minutes=5)
"""A publisher's clock may be so far ahead of the broker's."""


class Admitted(msgspec.Struct, gc=False):
    """What goes into the customer's log, and the records beside it, encoded; None where there is none."""

    logged: logged.CustomerEvent
    address: bytes | None
    text: bytes | None
    mention: bytes | None
    shop_cost: bytes | None = None
    """For a cost: as it is kept if it proves to be nobody's."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why an event may not enter the log: the kind of what was found first, and all of it."""

    reason: Reason
    problems: tuple[str, ...]


def admit(
    event: InboundEvent, *, received_at: datetime, shop: Shop, referred_customer_id: str | None = None
) -> Admitted | Refusal:
    """Let an event in, or say why not. `referred_customer_id` is the pseudonym of whom a referral brought, if known."""
    at = utc(event.occurred_at)
    if at > received_at + AHEAD_MAX or at < shop.opened_at:
        return _refusal(event, at, received_at, shop)
    try:
        entry = entry_of(event, at, received_at, shop)
        admitted = Admitted(entry, None, None, None)
        complete = _BESIDE.get(event.__class__)
        if complete is not None:
            complete(event, at, admitted)
    except NotAdmitted:
        return _refusal(event, at, received_at, shop)
    if referred_customer_id is not None and isinstance(entry, logged.ReferralMade):
        admitted.logged = msgspec.structs.replace(entry, referred_customer_id=referred_customer_id)
    return admitted


def _refusal(event: InboundEvent, at: datetime, received_at: datetime, shop: Shop) -> Refusal:
    """Everything for which an event is not admitted, each asked by itself."""
    whys: list[NotAdmitted] = []
    if at > received_at + AHEAD_MAX:
        problem = f"occurred_at: expected at most {AHEAD_MAX} after its arrival, got {at - received_at} after"
        whys.append(NotAdmitted(Reason.TOO_FAR_AHEAD, problem))
    if at < shop.opened_at:
        problem = f"occurred_at: expected {shop.opened_at:%Y-%m-%d} or later, when the shop opened, got {at:%Y-%m-%d}"
        whys.append(NotAdmitted(Reason.BEFORE_THE_SHOP, problem))
    try:
        entry_of(event, at, received_at, shop)
    except NotAdmitted as why:
        whys.append(why)
    if isinstance(event, events.CostRecorded) and may_be_nobodys(event):
        whys.extend(odd_period(event, at.date()))
    return Refusal(whys[0].reason, tuple(why.problem for why in whys))


def _address(event: events.CustomerIdentified, at: datetime, admitted: Admitted) -> None:
    fields = {**event.__dict__, "occurred_at": at}
    admitted.address = personal.encode(msgspec.convert(fields, personal.Address))


def _mention(event: events.MentionPosted, at: datetime, admitted: Admitted) -> None:
    _written(event, at, event.text, admitted, url=event.url)
    entry = admitted.logged
    assert isinstance(entry, logged.MentionPosted)
    trace = mentions.Mention(
        mention=entry.mention_id,
        day=at.date().isoformat(),
        platform=entry.platform,
        sentiment=entry.sentiment,
        reach=entry.reach,
    )
    admitted.mention = personal.encode(trace)


def _cost(event: events.CostRecorded, at: datetime, admitted: Admitted) -> None:
    del at
    entry = admitted.logged
    assert isinstance(entry, logged.CostRecorded)
    if may_be_nobodys(event):
        admitted.shop_cost = shop_costs.encode(shop_cost(event, entry))


def _written(event: Any, at: datetime, text: str | None, admitted: Admitted, *, url: str | None = None) -> None:
    if text is not None:
        language = getattr(event, "language", None)
        written = personal.WrittenText(event=event.type, occurred_at=at, text=text, language=language, url=url)
        admitted.text = personal.encode(written)


_BESIDE: Final[dict[type[InboundEvent], Callable[[Any, datetime, Admitted], None]]] = {
    events.CustomerIdentified: _address,
    events.TouchRecorded: lambda event, at, admitted: _written(event, at, event.search_term, admitted),
    events.ContactMade: lambda event, at, admitted: _written(event, at, event.text, admitted),
    events.ConsentChanged: lambda event, at, admitted: _written(event, at, event.evidence, admitted),
    events.MentionPosted: _mention,
    events.ReviewPosted: lambda event, at, admitted: _written(event, at, event.text, admitted),
    events.SurveyAnswered: lambda event, at, admitted: _written(event, at, event.comment, admitted),
    events.CostRecorded: _cost,
    events.TicketOpened: lambda event, at, admitted: _written(event, at, event.text, admitted),
    events.TicketUpdated: lambda event, at, admitted: _written(event, at, event.text, admitted),
    events.TicketResolved: lambda event, at, admitted: _written(event, at, event.text, admitted),
}
